"""The device's side of a streamplex tunnel, for tests of the whole program.

Written from protocol/STREAMPLEX.md alone and with nothing but Python's own library, so that it disagrees with the engine
wherever the engine disagrees with the document. One thread, no sleeps: whoever waits pumps the tunnel, and every wait
has a deadline.
"""

import collections
import hashlib
import json
import select
import socket
import ssl
import struct
import time

WAIT = 20.0  # seconds; a test that waits longer has failed (sanitizers and busy machines are slow)
FRAME_MAX = 16384
FEATURES = ("flow", "ping", "reset", "goaway", "inbound")

DATA, JSON, CREDIT, PING, PONG, RESET, GOAWAY = range(7)


class Late(AssertionError):
    """What was waited for didn't come in time."""


class Closed(Exception):
    """The tunnel's connection has ended."""


class Frame(collections.namedtuple("Frame", "channel type payload")):
    @property
    def json(self):
        return json.loads(self.payload)

    def __repr__(self):
        payload = self.payload if len(self.payload) < 300 else self.payload[:300] + b"..."
        return f"<channel {self.channel} type {self.type} {payload!r}>"


def frame(channel, kind, payload=b""):
    return struct.pack(">HHB", len(payload) + 3, channel, kind) + payload


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def deadline(seconds=WAIT):
    return time.monotonic() + seconds


class Tunnel:
    """One tunnel. `fault` is the text of the server's last message, once it has sent one."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.setblocking(False)
        self.unread = b""  # of a frame not yet whole
        self.unsent = bytearray()
        self.ended = False  # no more comes in
        self.control = collections.deque()  # frames of channel 0 that nobody has taken
        self.log = []  # every frame received, in order
        self.raw_in = bytearray()  # every byte received since keep_raw was set
        self.keep_raw = False
        self.substreams = {}
        self.granted = None  # what the server agreed to, or None on a legacy tunnel
        self.window = 65536
        self.next_id = 2
        self.arrived = collections.deque()  # substreams that the server opened and nobody has taken
        self.visits = []  # what the server told of visits
        self.fault = None
        self.goaway = None

    # Connections ----------------------------------------------------------------------------------------------

    @classmethod
    def connect(cls, host, port, ca=None, pin=None, context=None, name="localhost"):
        """`ca`: a file of PEM; `pin`: sha256 of the certificate in hex; neither: whoever answers is believed."""
        if context is None:
            context = ssl.create_default_context(cafile=ca) if ca else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if not ca:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
        plain = socket.create_connection((host, port), timeout=WAIT)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock = context.wrap_socket(plain, server_hostname=name)
        except BaseException:
            plain.close()
            raise
        if pin and hashlib.sha256(sock.getpeercert(True)).hexdigest() != pin:
            sock.close()
            raise ssl.SSLError("the certificate isn't the pinned one")
        return cls(sock)

    def close(self):
        self.sock.close()

    def abort(self):
        """Ends the connection by a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    # Bytes ----------------------------------------------------------------------------------------------------

    def _read(self):
        """Takes what has arrived; True if that was anything, also the end."""
        if self.ended:
            return False
        try:
            piece = self.sock.recv(65536)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return False
        except (ConnectionError, ssl.SSLError):
            piece = b""
        if not piece:
            self.ended = True
            return True
        if self.keep_raw:
            self.raw_in += piece
        self.unread += piece
        self._take_frames()
        return True

    def _write(self):
        try:
            while self.unsent:
                del self.unsent[: self.sock.send(self.unsent[:65536])]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            pass
        except (ConnectionError, ssl.SSLError, OSError):
            self.unsent.clear()  # nobody will read it; what came before the end is still to be read

    def pump(self, until, what="a byte"):
        """Moves bytes both ways until something came in or everything went out. Late when `until` passes, Closed at the end."""
        while True:
            before = len(self.unsent)
            self._write()
            if self._read() or (before and not self.unsent):
                return
            if self.ended:
                raise Closed(self.fault or "the tunnel has ended")
            left = until - time.monotonic()
            if left <= 0:
                raise Late(f"waited in vain for {what}; the last frames: {self.log[-5:]}")
            select.select([self.sock], [self.sock] if self.unsent else [], [], left)

    def send_raw(self, data, until=None):
        """Sends bytes, taking in what comes meanwhile. Reading on is what keeps the two ends from waiting for each other."""
        self.unsent += data
        until = until or deadline()
        self._write()
        while self.unsent:
            self.pump(until, "room to write")

    def post_raw(self, data):
        """Queues bytes and sends what the connection takes now."""
        self.unsent += data
        self._write()

    def send_frame(self, channel, kind, payload=b""):
        self.send_raw(frame(channel, kind, payload))

    def send_json(self, channel, value):
        """A value, or the exact text of it."""
        self.send_frame(channel, JSON, value if isinstance(value, bytes) else compact(value))

    # Frames ---------------------------------------------------------------------------------------------------

    def _take_frames(self):
        at = 0
        while len(self.unread) - at >= 5:
            length, channel, kind = struct.unpack_from(">HHB", self.unread, at)
            if length < 3:
                raise AssertionError(f"the server sent a frame of length {length}")
            if len(self.unread) - at < 2 + length:
                break
            payload = self.unread[at + 5 : at + 2 + length]
            at += 2 + length
            if length + 2 > FRAME_MAX:
                raise AssertionError(f"the server sent a frame of {length + 2} bytes")
            self._take(Frame(channel, kind, payload))
        self.unread = self.unread[at:]

    def _take(self, taken):
        self.log.append(taken if len(taken.payload) <= 512 else taken._replace(payload=taken.payload[:512]))
        if taken.channel == 0:
            if taken.type == GOAWAY:
                self.goaway = struct.unpack(">H", taken.payload)[0]
            elif taken.type == PING:
                self.post_raw(frame(0, PONG, taken.payload))
            elif taken.type == JSON:
                message = taken.json
                if message["type"] == "stream":
                    self._take_inbound(message)
                    return
                if "error" in message["object"]:
                    self.fault = message["object"]["error"]
                if "visit" in message["object"]:
                    self.visits.append(message["object"]["visit"])
                    return
            if taken.type in (JSON, PONG):
                self.control.append(taken)
            return
        substream = self.substreams.get(taken.channel)
        if substream is None:
            raise AssertionError(f"a frame on a channel that isn't open: {taken}")
        substream._take(taken)

    def _take_inbound(self, message):
        channel = message["sock"]
        before = self.substreams.get(channel)
        if channel % 2 == 0 or message["name"] != "inbound" or not self.has("inbound") or (before and not before.over):
            raise AssertionError(f"the server opened {message}")
        substream = Substream(self, channel)
        substream.service, substream.visitor = message["service"], message["visitor"]
        self.substreams[channel] = substream
        self.arrived.append(substream)

    def next_control(self, seconds=WAIT):
        """The next frame of channel 0 (JSON or pong)."""
        until = deadline(seconds)
        while not self.control:
            self.pump(until, "a frame on channel 0")
        return self.control.popleft()

    def wait(self, condition, what, seconds=WAIT):
        until = deadline(seconds)
        while not condition():
            self.pump(until, what)

    def wait_end(self, seconds=WAIT):
        """Until the server has closed the connection. Returns its last message's text, or None."""
        until = deadline(seconds)
        try:
            while not self.ended:
                self.pump(until, "the connection's end")
        except Closed:
            pass
        return self.fault

    # Authentication and opening -------------------------------------------------------------------------------

    def post_token(self, token, features=None, window=65536, max_json=16384, max_substreams=1024):
        message = {"token": token}
        if features is not None:
            message["streamplex"] = {
                "version": 1,
                "features": list(features),
                "window": window,
                "max_json": max_json,
                "max_substreams": max_substreams,
            }
        self.window = window
        self.send_json(0, {"type": "message", "object": message})

    def authenticate(self, token, features=None, **numbers):
        """True or False, as the server answers. With features, `granted` is its side of the agreement."""
        self.post_token(token, features, **numbers)
        answer = self.next_control().json
        assert answer["type"] == "message" and "authed" in answer["object"], answer
        if answer["object"]["authed"] and features is not None:
            self.granted = answer["object"]["streamplex"]
        return answer["object"]["authed"]

    def has(self, feature):
        return bool(self.granted) and feature in self.granted["features"]

    def open(self, name="net", channel=None):
        if channel is None:
            while self.next_id in self.substreams and not self.substreams[self.next_id].over:
                self.next_id = 2 if self.next_id == 65534 else self.next_id + 2
            channel = self.next_id
            self.next_id = 2 if channel == 65534 else channel + 2
        substream = Substream(self, channel)
        self.substreams[channel] = substream
        self.send_json(0, {"type": "stream", "sock": channel, "name": name})
        return substream

    def dial(self, port, host="127.0.0.1", name="net"):
        """Opens a substream and has it connected."""
        substream = self.open(name)
        substream.connect(port, host)
        substream.wait_event("secureConnect" if name == "tls" else "connect")
        return substream

    # An agent's side: services for visitors (§8.6, §8.8) ---------------------------------------------------------

    def register(self, service, name, kind="https", instance="a-test", **more):
        """The server's answer: ("registered", {...}) or ("refused", {...})."""
        self.send_json(0, {"type": "message", "object": {"register": {
            "service": service, "name": name, "type": kind, "instance": instance, **more}}})
        answer = self.next_control().json["object"]
        (word, facts), = answer.items()
        assert word in ("registered", "refused") and facts["service"] == service, answer
        return word, facts

    def accept(self, seconds=WAIT):
        """The next substream that the server opens, for a visitor."""
        self.wait(lambda: self.arrived, "a visitor", seconds)
        return self.arrived.popleft()

    def ping(self, payload=b"\1\2\3\4\5\6\7\10", seconds=WAIT):
        self.send_frame(0, PING, payload)
        answer = self.next_control(seconds)
        assert answer == Frame(0, PONG, payload), answer

    def round_trip(self):
        """When this returns, the server has acted on everything that was sent before: a later token is answered in its turn.
        (An unknown one changes nothing, §4.)"""
        if self.has("ping"):
            self.ping()
            return
        self.send_json(0, {"type": "message", "object": {"token": "round-trip"}})
        answer = self.next_control().json
        assert "authed" in answer["object"], answer


class Substream:
    """One substream, opened by us, or by the server for a visitor (then it has `service` and `visitor`). `events` holds what the server told, `data` what it sent."""

    def __init__(self, tunnel, channel):
        self.tunnel = tunnel
        self.channel = channel
        self.service = self.visitor = None
        self.events = collections.deque()  # names; errors as ("error", message, code)
        self.all_events = []
        self.address = None
        self.data = bytearray()
        self.received = 0
        self.digest = hashlib.sha256()
        self.keep = True  # False: data is only counted and digested
        self.end_received = False
        self.over = False
        self.reset = None
        self.error = None
        self.credit = tunnel.granted["window"] if tunnel.has("flow") else None
        self.allowance = tunnel.window if tunnel.has("flow") else None  # what the server may still send
        self.ungiven = 0  # consumed, and not yet given back as credit
        self.auto_credit = True

    def _take(self, taken):
        if self.over:
            raise AssertionError(f"a frame after the last one: {taken}")
        if taken.type == DATA:
            self._take_data(taken.payload)
        elif taken.type == CREDIT:
            self.credit += struct.unpack(">I", taken.payload)[0]
        elif taken.type == RESET:
            self.reset = struct.unpack(">H", taken.payload)[0]
            self._tell("reset")
            self.over = True
            if self.visitor:  # the acceptor has the last word (§7.3)
                self.tunnel.post_raw(frame(self.channel, RESET, struct.pack(">H", 0)))
        else:
            self._take_json(taken.json)

    def _take_data(self, payload):
        if self.end_received:
            raise AssertionError("data after end")
        if self.allowance is not None:
            self.allowance -= len(payload)
            if self.allowance < 0:
                raise AssertionError(f"the server overran its credit by {-self.allowance} bytes")
        self.received += len(payload)
        self.digest.update(payload)
        if self.keep:
            self.data += payload
        self.ungiven += len(payload)
        if self.auto_credit and self.credit is not None and self.ungiven * 2 >= self.tunnel.window:
            self.give_credit(self.ungiven, wait=False)

    def _take_json(self, value):
        if value["event"] == "end":
            if self.end_received:
                raise AssertionError("end twice")
            self.end_received = True
            self._tell("end")
        elif value["event"] == "error":
            self.error = (value["message"], value.get("code"))
            self._tell("error")
        else:
            name, *arguments = value["emitArgs"]
            if name == "connect" and arguments:
                self.address = arguments[0]["address"]
            self._tell(name)
            if name == "close":
                self.over = True

    def _tell(self, name):
        self.events.append(name)
        self.all_events.append(name)

    # What a device does ---------------------------------------------------------------------------------------

    def emit(self, name, *arguments):
        self.tunnel.send_json(self.channel, {"event": "custom", "emitArgs": [name, *arguments]})

    def connect(self, port, host="127.0.0.1"):
        self.emit("_pls_connect", port, host)

    def timeout(self, milliseconds):
        self.emit("_pls_timeout", milliseconds)

    def send(self, data, seconds=WAIT, size=FRAME_MAX - 5):
        """Sends data in frames of `size` bytes, as far as credit goes, waiting for more when it is used up."""
        until = deadline(seconds)
        at = 0
        while at < len(data):
            piece = data[at : at + size]
            if self.credit is not None:
                while not self.credit:
                    self.tunnel.pump(until, "credit")
                piece = piece[: self.credit]
                self.credit -= len(piece)
            self.tunnel.send_raw(frame(self.channel, DATA, piece), until)
            at += len(piece)

    def end(self):
        self.tunnel.send_json(self.channel, b'{"event":"end"}')

    def close(self):
        """The last frame of one that the server opened."""
        self.emit("close")
        self.over = True

    def send_reset(self, code=0):
        self.tunnel.send_frame(self.channel, RESET, struct.pack(">H", code))

    def give_credit(self, amount, wait=True):
        credit = frame(self.channel, CREDIT, struct.pack(">I", amount))
        self.ungiven -= min(amount, self.ungiven)
        self.allowance += amount
        if wait:
            self.tunnel.send_raw(credit)
        else:
            self.tunnel.post_raw(credit)

    # What a device waits for ----------------------------------------------------------------------------------

    def wait(self, condition, what, seconds=WAIT):
        self.tunnel.wait(condition, f"{what} on {self.channel} (told: {self.all_events}, {self.error})", seconds)

    def next_event(self, seconds=WAIT):
        self.wait(lambda: self.events, "an event", seconds)
        return self.events.popleft()

    def wait_event(self, name, seconds=WAIT):
        """The event, with those before it forgotten; an error that comes instead fails."""
        while True:
            told = self.next_event(seconds)
            if told == name:
                return
            if told in ("error", "close", "reset"):
                raise AssertionError(f"{told} came instead of {name}: {self.error}")

    def recv(self, size, seconds=WAIT):
        """Exactly so many bytes."""
        self.wait(lambda: len(self.data) >= size or self.end_received or self.over, f"{size} bytes", seconds)
        if len(self.data) < size:
            raise AssertionError(f"the end came after {bytes(self.data[:100])!r}: {self.error}")
        piece = bytes(self.data[:size])
        del self.data[:size]
        return piece

    def wait_received(self, size, seconds=WAIT):
        """Until so many bytes came in all."""
        self.wait(lambda: self.received >= size, f"{size} bytes, {self.received} are there,", seconds)

    def wait_end(self, seconds=WAIT):
        """Everything up to the server's end."""
        self.wait(lambda: self.end_received or self.over, "end", seconds)
        piece = bytes(self.data)
        self.data.clear()
        return piece

    def wait_over(self, seconds=WAIT):
        """Until the server's last frame; returns the error that came before it, (message, code), or None."""
        self.wait(lambda: self.over, "the last frame", seconds)
        return self.error


# The server's side, for tests of agents --------------------------------------------------------------------------


class Listener:
    """A server's port, whose tunnels the test itself speaks on. `offered` are the protocols that it agrees to (ALPN)."""

    def __init__(self, certificate, key, offered=("streamplex/1",), bound=None):
        """bound: a socket that has its port, and refuses who comes until now."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.context.set_alpn_protocols(list(offered))
        self.sock = bound or socket.create_server(("127.0.0.1", 0))
        self.sock.listen()
        self.port = self.sock.getsockname()[1]

    def accept(self, seconds=WAIT):
        """The next tunnel, its TLS done and nothing else."""
        self.sock.settimeout(seconds)
        try:
            plain, _ = self.sock.accept()
        except socket.timeout:
            raise Late("waited in vain for a tunnel") from None
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.settimeout(WAIT)
        try:
            return ServerTunnel(self.context.wrap_socket(plain, server_side=True))
        except BaseException:
            plain.close()
            raise

    def close(self):
        self.sock.close()


class ServerTunnel(Tunnel):
    """A tunnel that an agent opened. Inbound substreams are opened by us; `asked` is its token message."""

    def __init__(self, sock):
        self.protocol = sock.selected_alpn_protocol()
        super().__init__(sock)
        self.next_id = 1
        self.asked = None

    def answer_token(self, accepted=True, features=FEATURES, window=65536, max_json=16384, max_substreams=1024):
        """Takes the token, answers, and returns it. features None: as servers without extensions answer."""
        self.asked = self.next_message()
        wanted = self.asked.get("streamplex")
        answer = {"authed": accepted}
        if accepted and wanted and features is not None:
            common = [name for name in wanted["features"] if name in features]
            answer["streamplex"] = {"version": 1, "features": common, "window": window, "max_json": max_json,
                                    "max_substreams": max_substreams}
            self.granted = dict(wanted, features=common)  # what holds, and the agent's own numbers
            self.window = window
        self.tell(answer)
        return self.asked["token"]

    def next_message(self, seconds=WAIT):
        """The object of the next `message`."""
        message = self.next_control(seconds).json
        assert message["type"] == "message", message
        return message["object"]

    def tell(self, value):
        self.send_json(0, {"type": "message", "object": value})

    def send_goaway(self, code=0):
        self.send_frame(0, GOAWAY, struct.pack(">H", code))

    def wait_quiet(self, seconds):
        """Answers what comes for so long."""
        until = time.monotonic() + seconds
        while True:
            try:
                self.pump(until)
            except Late:
                return

    def register(self, url="https://a-name-0001.edge.localhost", **answer):
        """Takes one registration and grants it; returns what was asked for."""
        asked = self.next_message()["register"]
        registered = {"service": asked["service"], "type": asked["type"], "hostname": "a-name-0001.edge.localhost",
                      "port": 443, "url": url}
        self.tell({"registered": dict(registered, **answer)})
        return asked

    def visit(self, service, visitor="192.0.2.106"):
        """Opens a substream for a visitor."""
        while self.next_id in self.substreams and not self.substreams[self.next_id].over:
            self.next_id += 2
        channel = self.next_id
        self.next_id += 2
        substream = Substream(self, channel)
        self.substreams[channel] = substream
        self.send_json(0, {"type": "stream", "sock": channel, "name": "inbound", "service": service, "visitor": visitor})
        return substream
