"""`streamplex dial`: against the real server, and against servers that only a test would run."""

import hashlib
import json
import os
import select
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import unittest

import targets
from plex import DATA, JSON, WAIT, compact, frame
from server import TOKEN, Server, ServerTest, certificates, program

LARGE = os.urandom(1 << 16) * 80  # 5 MiB


def arguments_for(port, *arguments, token=TOKEN):
    command = [program(), "dial", "--server", f"localhost:{port}", "--ca", certificates().ca]
    return command + (["--token", token] if token else []) + list(arguments)


def environment(**added):
    names = ("PATH", "HOME", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
    return {**{name: os.environ[name] for name in names if name in os.environ}, **added}


class Result:
    def __init__(self, status, output, errors):
        self.status, self.output, self.errors = status, output, errors


def run(command, input=b"", added=None):
    done = subprocess.run(command, input=input, capture_output=True, timeout=WAIT * 2, env=environment(**(added or {})))
    return Result(done.returncode, done.stdout, done.stderr.decode(errors="replace"))


class DialCase(unittest.TestCase):
    def assert_result(self, result, status, said=None, output=None):
        self.assertEqual(result.status, status, result.errors)
        if said is not None:
            self.assertIn(said, result.errors)
        if output is not None:
            self.assertEqual(result.output, output)
        if status == 0 and said is None:
            self.assertEqual(result.errors, "")

    def start(self, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, added=None):
        process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
                                   env=environment(**(added or {})))
        self.addCleanup(self.end_process, process)
        # Whoever reads from it waits no longer than this.
        alarm = threading.Timer(WAIT * 3, process.kill)
        alarm.start()
        self.addCleanup(alarm.cancel)
        return process

    @staticmethod
    def end_process(process):
        if process.poll() is None:
            process.kill()
        process.wait(WAIT)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()

    def finish(self, process):
        """Its status, and what it said."""
        errors = process.stderr.read().decode(errors="replace")
        return Result(process.wait(WAIT), b"", errors)


# Targets ----------------------------------------------------------------------------------------------------------


def answer_after_end(connection, target):
    """Says how much came, once it has ended."""
    connection.sendall(b"%d" % len(targets.read_all(connection)))


def end_first(connection, target):
    """Ends at once, and notes what still comes."""
    connection.sendall(b"bye")
    connection.shutdown(socket.SHUT_WR)
    target.note(targets.read_all(connection))


def flood(connection, target):
    """Sends 64 MiB; notes how far it came when nobody takes any more for a second."""
    piece, sent, noted = bytes(65536), 0, False
    connection.settimeout(1)
    while sent < 64 << 20:
        try:
            sent += connection.send(piece)
        except socket.timeout:
            if not noted:
                target.note(sent)
            noted = True
    target.note(sent)


def send_for_ever(connection, target):
    try:
        while True:
            connection.sendall(bytes(65536))
    except OSError:
        target.note("over")


class Wire(ServerTest, DialCase):
    """What both wires do alike; the subclass below does it all again as an old device."""

    options = {"admin": False}
    wire = ()

    def dial(self, target, *arguments, input=b"", token=TOKEN, added=None):
        port = target.port if isinstance(target, targets.Target) else target
        command = arguments_for(self.server.port, *self.wire, *arguments, f"127.0.0.1:{port}", token=token)
        return run(command, input, added)

    def start_dial(self, target, **streams):
        command = arguments_for(self.server.port, *self.wire, f"127.0.0.1:{target.port}")
        return self.start(command, **streams)

    def test_echo(self):
        self.assert_result(self.dial(self.target(targets.echo), input=b"hello"), 0, output=b"hello")

    def test_much_in_both_directions(self):
        result = self.dial(self.target(targets.echo), input=LARGE)
        self.assertEqual(result.status, 0, result.errors)
        self.assertTrue(result.output == LARGE)

    def test_no_input(self):
        self.assert_result(self.dial(self.target(answer_after_end)), 0, output=b"0")

    def test_the_inputs_end_is_passed_on(self):
        result = self.dial(self.target(answer_after_end), input=LARGE)
        self.assert_result(result, 0, output=b"%d" % len(LARGE))

    def test_the_targets_end_is_passed_on_and_input_still_sent(self):
        target = self.target(end_first)
        process = self.start_dial(target)
        self.assertEqual(process.stdout.read(), b"bye")  # to its end, while our input is open
        process.stdin.write(b"still there?")
        process.stdin.close()
        self.assert_result(self.finish(process), 0)
        self.assertEqual(target.wait_seen(), [b"still there?"])

    def test_files_as_input_and_output(self):
        folder = tempfile.mkdtemp(prefix="streamplex-dial-")
        self.addCleanup(shutil.rmtree, folder, True)
        source, copy = os.path.join(folder, "source"), os.path.join(folder, "copy")
        with open(source, "wb") as file:
            file.write(LARGE)
        with open(source, "rb") as stdin, open(copy, "wb") as stdout:
            process = self.start_dial(self.target(targets.echo), stdin=stdin, stdout=stdout)
            self.assert_result(self.finish(process), 0)
        with open(copy, "rb") as file:
            self.assertTrue(file.read() == LARGE)

    def test_one_socket_as_input_and_output(self):
        """As ssh gives it to its ProxyCommand."""
        ours, theirs = socket.socketpair()
        ours.settimeout(WAIT)
        with ours:
            with theirs:
                process = self.start_dial(self.target(targets.echo), stdin=theirs, stdout=theirs)
            ours.sendall(b"SSH-2.0-\r\n")
            self.assertEqual(ours.recv(100), b"SSH-2.0-\r\n")
            ours.shutdown(socket.SHUT_WR)
            self.assertEqual(ours.recv(100), b"")
            self.assert_result(self.finish(process), 0)

    def test_closed_standard_streams(self):
        command = arguments_for(self.server.port, *self.wire, f"127.0.0.1:{self.target(answer_after_end).port}")
        process = self.start(["sh", "-c", 'exec "$@" <&- >&-', "sh", *command])
        self.assert_result(self.finish(process), 0)

    def test_refused(self):
        sock, port = targets.closed_port()
        with sock:
            self.assert_result(self.dial(port), 1, f"connect ECONNREFUSED 127.0.0.1:{port}", b"")

    def test_a_refusal_leaves_the_input_alone(self):
        sock, port = targets.closed_port()
        read_end, write_end = os.pipe()
        os.write(write_end, b"kept")
        os.close(write_end)
        with sock, os.fdopen(read_end, "rb") as stdin:
            command = arguments_for(self.server.port, *self.wire, f"127.0.0.1:{port}")
            self.assert_result(self.finish(self.start(command, stdin=stdin)), 1)
            self.assertEqual(stdin.read(), b"kept")

    def test_no_such_name(self):
        result = run(arguments_for(self.server.port, *self.wire, "nowhere.invalid:80"))
        self.assert_result(result, 1, "getaddrinfo ENOTFOUND nowhere.invalid", b"")

    def test_forbidden(self):
        result = run(arguments_for(self.server.port, *self.wire, "10.0.0.1:80"))
        self.assert_result(result, 1, "connect EACCES 10.0.0.1:80", b"")

    def test_reset_by_the_target(self):
        process = self.start_dial(self.target(targets.reset))
        process.stdin.write(b"x")
        process.stdin.flush()
        self.assert_result(self.finish(process), 1, "ECONNRESET")

    def test_a_reader_that_leaves(self):
        target = self.target(send_for_ever)
        process = self.start_dial(target)
        self.assertTrue(process.stdout.read(10))
        process.stdout.close()
        result = self.finish(process)
        self.assert_result(result, 1)
        self.assertEqual(result.errors, "")
        self.assertEqual(target.wait_seen(), ["over"])

    def test_output_that_nobody_reads_slows_the_target_down(self):
        target = self.target(flood)
        process = self.start_dial(target)
        stuck_at = target.wait_seen()[0]
        # Windows and the buffers of three kernels' sockets; far from all of it.
        self.assertLess(stuck_at, 32 << 20)
        total = 0
        while piece := process.stdout.read(1 << 20):
            total += len(piece)
        self.assertEqual(total, 64 << 20)
        process.stdin.close()
        self.assert_result(self.finish(process), 0)

    def test_a_target_that_reads_nothing_slows_the_input_down(self):
        target = self.target(targets.deaf)
        process = self.start_dial(target)
        stdin = process.stdin.fileno()
        os.set_blocking(stdin, False)
        sent = 0
        while sent < 64 << 20 and select.select([], [stdin], [], 1)[1]:
            sent += os.write(stdin, bytes(65536))
        self.assertLess(sent, 32 << 20)
        target.released.set()
        process.stdin.close()
        self.assert_result(self.finish(process), 0)
        self.assertEqual(target.wait_seen(), [("end", sent)])

    def test_a_wrong_token(self):
        result = self.dial(self.target(targets.echo), token="wrong")
        self.assert_result(result, 2, "refused the token", b"")

    def test_verbose_tells_the_steps_and_not_the_token(self):
        result = self.dial(self.target(targets.echo), "--verbose", input=b"hello")
        self.assert_result(result, 0, "tunnel to ", b"hello")
        self.assertIn("TLSv1.3", result.errors)
        self.assertIn("5 bytes received, 5 sent", result.errors)
        self.assertNotIn(TOKEN, result.errors)


class Legacy(Wire):
    """An old device: everything but what only credit can do."""

    wire = ("--legacy",)


class Version1(Wire):
    def test_speaks_version_1(self):
        result = self.dial(self.target(targets.echo), "--verbose", input=b"x")
        self.assert_result(result, 0, "version 1", b"x")


del Wire  # only its subclasses are to run


class TlsTarget(ServerTest, DialCase):
    options = {"admin": False}

    @classmethod
    def setUpClass(cls):
        cls.server = Server(admin=False, environment={"SSL_CERT_FILE": certificates().ca})

    def dial_tls(self, **certificate):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificates().make(**certificate))
        target = self.target(targets.echo, context=context)
        return run(arguments_for(self.server.port, "--tls", f"localhost:{target.port}"), b"hello")

    def test_the_server_does_tls(self):
        self.assert_result(self.dial_tls(name="target"), 0, output=b"hello")

    def test_a_target_that_isnt_trusted(self):
        result = self.dial_tls(name="stranger", self_signed=True)
        self.assert_result(result, 1, "self-signed certificate", b"")


class Finding(ServerTest, DialCase):
    """How it finds its server, its token, and whom to trust."""

    options = {"admin": False}

    def hello(self, command, added=None):
        target = self.target(targets.echo)
        return run([program(), "dial", *command, f"127.0.0.1:{target.port}"], b"hello", added)

    def test_the_variables_of_the_boards(self):
        with open(certificates().ca) as file:
            pem = file.read()
        added = {"PROXY_HOST": "localhost", "PROXY_PORT": str(self.server.port), "PROXY_CERT": pem}
        self.assert_result(self.hello([], {**added, "PROXY_TOKEN": TOKEN}), 0, output=b"hello")
        self.assert_result(self.hello([], {**added, "TM_API_KEY": TOKEN}), 0, output=b"hello")

    def test_a_token_file(self):
        with tempfile.NamedTemporaryFile("w", suffix="-token") as file:
            file.write(TOKEN + "\n")
            file.flush()
            command = ["--server", f"localhost:{self.server.port}", "--ca", certificates().ca, "--token-file", file.name]
            self.assert_result(self.hello(command), 0, output=b"hello")

    def test_a_pin_instead_of_a_ca(self):
        with open(certificates().make("server")[0]) as file:
            good = "sha256:" + hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()
        command = ["--server", f"127.0.0.1:{self.server.port}", "--token", TOKEN, "--pin"]
        self.assert_result(self.hello([*command, good]), 0, output=b"hello")
        self.assert_result(self.hello([*command, "sha256:" + "0" * 64]), 2, "TLS with", b"")

    def test_a_ca_that_didnt_sign_the_server(self):
        command = ["--server", f"localhost:{self.server.port}", "--token", TOKEN]
        self.assert_result(self.hello(command), 2, "TLS with", b"")

    def test_a_certificate_for_another_name(self):
        other = Server(admin=False, certificate=certificates().make("other", names="DNS:other.example"))
        self.addCleanup(other.stop)
        self.assert_result(run(arguments_for(other.port, "127.0.0.1:1")), 2, "TLS with", b"")

    def test_a_server_that_isnt_there(self):
        sock, port = targets.closed_port()
        with sock:
            self.assert_result(run(arguments_for(port, "host:1")), 2, "connect ECONNREFUSED", b"")

    def test_a_server_that_goes(self):
        server = Server(admin=False)
        self.addCleanup(server.kill)
        target = self.target(targets.echo)
        process = self.start(arguments_for(server.port, f"127.0.0.1:{target.port}"))
        process.stdin.write(b"x")
        process.stdin.flush()
        self.assertEqual(process.stdout.read(1), b"x")
        server.process.kill()
        self.assert_result(self.finish(process), 2, "the tunnel")


class Usage(DialCase):
    def test_what_is_missing_or_wrong(self):
        for arguments, said in (
            (["host:1"], "--server"),
            (["--server", "s", "host:1"], "--token"),
            (["--server", "s", "--token", "t"], "HOST:PORT"),
            (["--server", "s", "--token", "t", "host"], "HOST:PORT"),
            (["--server", "s", "--token", "t", "--nonsense", "host:1"], "--nonsense"),
            (["--server", "s", "--token", "t", "--ca", "/nonexistent/ca.pem", "host:1"], "/nonexistent/ca.pem"),
        ):
            with self.subTest(arguments):
                self.assert_result(run([program(), "dial", *arguments]), 2, said, b"")

    def test_help(self):
        result = run([program(), "dial", "--help"])
        self.assertEqual(result.status, 0)
        for word in (b"--server", b"PROXY_HOST", b"PROXY_CERT", b"TM_API_KEY", b"--pin"):
            self.assertIn(word, result.output)


# Servers that only a test would run ---------------------------------------------------------------------------------


class Peer:
    """The server's side of one tunnel, frame by frame."""

    def __init__(self, connection):
        self.connection = connection
        self.unread = b""

    def send(self, channel, kind, payload):
        self.connection.sendall(frame(channel, kind, payload))

    def say(self, channel, value):
        self.send(channel, JSON, compact(value))

    def take(self, length):
        while len(self.unread) < length:
            piece = self.connection.recv(65536)
            if not piece:
                raise EOFError
            self.unread += piece
        taken, self.unread = self.unread[:length], self.unread[length:]
        return taken

    def read(self):
        length, channel, kind = struct.unpack(">HHB", self.take(5))
        return channel, kind, self.take(length - 3)

    def accept(self):
        """Takes a token and answers as the servers of old did."""
        channel, kind, payload = self.read()
        assert (channel, kind) == (0, JSON) and "token" in json.loads(payload)["object"]
        self.say(0, {"type": "message", "object": {"authed": True}})

    def opened(self):
        """The channel of the substream that comes, and what it is to be connected to."""
        stream = json.loads(self.read()[2])
        connect = json.loads(self.read()[2])
        return stream["sock"], connect["emitArgs"]

    def emit(self, channel, *names):
        self.say(channel, {"event": "custom", "emitArgs": list(names)})


class Fakes(DialCase):
    def serve(self, talk, tls=True):
        """A server whose first connection goes to talk(peer). Its port."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificates().make("server"))
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.failed = None

        def accept():
            try:
                connection, _ = listener.accept()
                connection.settimeout(WAIT)
                with connection, context.wrap_socket(connection, server_side=True) if tls else connection as wrapped:
                    talk(Peer(wrapped))
            except (OSError, EOFError):
                pass  # it went away, as it may
            except BaseException as error:
                self.failed = error

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        self.addCleanup(thread.join, WAIT)
        self.addCleanup(listener.close)
        return listener.getsockname()[1]

    def talk(self, talk, *arguments, input=b"", tls=True):
        result = run(arguments_for(self.serve(talk, tls), *arguments, "host.example:80"), input)
        self.assertIsNone(self.failed)
        return result

    def until_end(self, peer):
        try:
            while True:
                peer.read()
        except EOFError:
            pass

    def test_a_server_without_extensions(self):
        def talk(peer):
            peer.accept()
            channel, asked = peer.opened()
            self.assertEqual((channel, asked), (2, ["_pls_connect", 80, "host.example"]))
            peer.emit(channel, "connect")
            while (taken := peer.read())[1] == DATA:
                peer.send(channel, DATA, taken[2].upper())
            self.assertEqual(json.loads(taken[2]), {"event": "end"})
            peer.say(channel, {"event": "end"})
            peer.emit(channel, "close")
            self.until_end(peer)

        self.assert_result(self.talk(talk, input=b"hello"), 0, output=b"HELLO")

    def test_data_before_a_close_is_written(self):
        def talk(peer):
            peer.accept()
            channel, _ = peer.opened()
            peer.emit(channel, "connect")
            peer.connection.sendall(frame(channel, DATA, bytes(60000)) + frame(channel, JSON, compact({"event": "end"})) +
                                    frame(channel, JSON, compact({"event": "custom", "emitArgs": ["close"]})))
            self.until_end(peer)

        self.assert_result(self.talk(talk), 0, output=bytes(60000))

    def test_a_server_that_says_nothing(self):
        started = threading.Event()

        def talk(peer):
            started.set()
            peer.connection.recv(1 << 16)
            peer.connection.recv(1 << 16)

        self.assert_result(self.talk(talk, "--timeout", "300ms", tls=False), 2, "too long", b"")
        self.assertTrue(started.is_set())

    def test_a_server_that_doesnt_answer_the_token(self):
        self.assert_result(self.talk(self.until_end, "--timeout", "300ms"), 2, "in time", b"")

    def test_a_target_that_doesnt_answer(self):
        def talk(peer):
            peer.accept()
            self.until_end(peer)

        self.assert_result(self.talk(talk, "--timeout", "300ms"), 1, "host.example:80 took too long", b"")

    def test_a_server_that_hangs_up_after_the_token(self):
        def talk(peer):
            peer.accept()
            peer.opened()

        self.assert_result(self.talk(talk), 2, "the server ended the tunnel", b"")

    def test_a_server_that_breaks_the_protocol(self):
        def talk(peer):
            peer.accept()
            peer.opened()
            peer.connection.sendall(b"\0\0\0\0\0")
            self.until_end(peer)

        self.assert_result(self.talk(talk), 2, "frame length under 3", b"")

    def test_an_error_text_cant_move_the_cursor(self):
        def talk(peer):
            peer.accept()
            channel, _ = peer.opened()
            peer.say(channel, {"event": "error", "message": "bad \x1b[2J\r\nnews"})
            peer.say(channel, {"event": "end"})
            peer.emit(channel, "close")
            self.until_end(peer)

        result = self.talk(talk)
        self.assert_result(result, 1, "bad ?[2J??news", b"")


if __name__ == "__main__":
    unittest.main()
