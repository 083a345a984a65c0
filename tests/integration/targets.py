"""What devices go out to in the tests: TCP and TLS servers on ephemeral ports of this machine, a thread a connection."""

import collections
import select
import socket
import ssl
import struct
import threading
import time

from plex import WAIT


class Target:
    """Runs `serve(connection, target)` for each connection. `connections` counts them; `seen` is for serve's own use."""

    def __init__(self, serve, host="127.0.0.1", context=None, backlog=64):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.serve = serve
        self.context = context
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            self.listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.listener.bind((host, 0))
        self.listener.listen(backlog)
        self.port = self.listener.getsockname()[1]
        self.changed = threading.Condition()
        self.connections = 0
        self.over = 0
        self.seen = []
        self.open = set()
        self.released = threading.Event()  # a serve that is to wait for the test waits for this
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(WAIT)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.changed:
                self.connections += 1
                self.open.add(connection)
                self.changed.notify_all()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain):
        connection = plain
        try:
            if self.context:
                connection = self.context.wrap_socket(plain, server_side=True)
            self.serve(connection, self)
        except (OSError, ssl.SSLError) as error:
            self.note(error)
        finally:
            connection.close()
            with self.changed:
                self.open.discard(plain)
                self.over += 1
                self.changed.notify_all()

    def note(self, thing):
        with self.changed:
            self.seen.append(thing)
            self.changed.notify_all()

    def wait(self, condition, what="the target"):
        with self.changed:
            if not self.changed.wait_for(condition, WAIT):
                raise AssertionError(f"waited in vain for {what}; seen: {self.seen}")

    def wait_seen(self, count=1):
        self.wait(lambda: len(self.seen) >= count)
        return self.seen[:count]

    def close(self):
        self.released.set()
        self.listener.close()
        with self.changed:
            for connection in list(self.open):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def read_all(connection):
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def echo(connection, target):
    """Sends back what comes; ends when the other side has."""
    while piece := connection.recv(65536):
        connection.sendall(piece)
    if target.context is None:
        connection.shutdown(socket.SHUT_WR)


def sink(connection, target):
    """Reads to the end and notes how much that was."""
    total = 0
    try:
        while piece := connection.recv(65536):
            total += len(piece)
    except ConnectionResetError:
        target.note(("reset", total))
        return
    target.note(("end", total))


def deaf(connection, target):
    """Reads nothing until it is released, then notes like sink."""
    target.released.wait(WAIT * 3)
    sink(connection, target)


def reset(connection, target):
    """Waits for a byte, then resets the connection."""
    connection.recv(1)
    reset_now(connection)


def reset_now(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def closed_port(host="127.0.0.1"):
    """A port on which nobody listens: bound, never listening, for as long as the socket returned lives."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.bind((host, 0))
    return sock, sock.getsockname()[1]


class DelayLine:
    """A TCP connection to `port` by way of a long line: each byte arrives `delay` seconds after it was sent, either way."""

    def __init__(self, port, delay):
        self.delay = delay
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.target = port
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        near, _ = self.listener.accept()
        far = socket.create_connection(("127.0.0.1", self.target))
        ends = {near: far, far: near}
        for end in ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.setblocking(False)
        on_the_way = {near: collections.deque(), far: collections.deque()}  # by where they go: (when, bytes)
        try:
            while True:
                now = time.monotonic()
                due = [end for end in ends if on_the_way[end] and on_the_way[end][0][0] <= now]
                later = [line[0][0] for line in on_the_way.values() if line and line[0][0] > now]
                readable, writable, _ = select.select(list(ends), due, [], max(0, min(later) - now) if later else None)
                for end in readable:
                    piece = end.recv(262144)
                    if not piece:
                        return
                    on_the_way[ends[end]].append((time.monotonic() + self.delay, piece))
                for end in writable:
                    when, piece = on_the_way[end].popleft()
                    sent = end.send(piece)
                    if sent < len(piece):
                        on_the_way[end].appendleft((when, piece[sent:]))
        except OSError:
            pass
        finally:
            near.close()
            far.close()

    def close(self):
        self.listener.close()
