"""A device that uploads, ends, and is gone before its target has taken it all: it said that this was all, so it arrives."""

import os
import signal
import socket
import ssl
import threading
import time
import unittest

import targets
from plex import DATA, JSON, Tunnel, frame
from server import TOKEN, Server, ServerTest, certificates

V1 = ("flow", "reset")
PIECE = 128 << 10
HELD = 300_000  # of the 1 MiB that a tunnel may hold here


def small_window(serve):
    """A target that doesn't read takes little."""
    target = targets.Target(serve)
    target.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return target


class LateTLS:
    """A target for "tls" that lets the handshake wait until it is released, and then notes what comes."""

    def __init__(self):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificates().make("target"))
        self.target = targets.Target(self.serve)
        self.go = threading.Event()

    def serve(self, connection, target):
        self.go.wait(60)
        with self.context.wrap_socket(connection, server_side=True) as secure:
            target.note(targets.read_all(secure))


class Uploads:
    """For a ServerTest: whose `server` counted up to `before`."""

    def small_target(self, serve):
        target = small_window(serve)
        self.addCleanup(target.close)
        return target

    def wait_lingering(self, count):
        return self.server.wait_metrics(lambda values: values["streamplex_lingering"] == count, f"{count} should linger")

    def upload_and_go(self, tunnel, target, end=True):
        """Returns how much it was: more than the kernel's buffers towards a target that doesn't read, which vary."""
        substream = tunnel.dial(target.port)
        sent = 0
        while self.server.metrics()["streamplex_buffered_bytes"] < HELD:
            substream.send(b"x" * PIECE)
            sent += PIECE
            self.wait_counted(self.before + sent)
        if end:
            substream.end()
            self.assert_goes_on(tunnel)  # what answers now has taken `end` before
        tunnel.close()
        return sent

    def counted(self):
        return self.server.metrics()["streamplex_bytes_from_devices_total"]

    def wait_counted(self, total):
        self.server.wait_metrics(lambda values: values["streamplex_bytes_from_devices_total"] >= total, "it should be there")


class LastWords(Uploads, ServerTest):
    options = {"environment": {"SSL_CERT_FILE": certificates().ca}}

    def setUp(self):
        super().setUp()
        self.before = self.server.metrics()["streamplex_bytes_from_devices_total"]

    def test_a_slow_target_gets_it_all(self):
        target = self.small_target(targets.deaf)
        sent = self.upload_and_go(self.tunnel(), target)
        self.wait_lingering(1)
        self.assertEqual(self.server.metrics()["streamplex_tunnels"], 0)
        target.released.set()
        self.assertEqual(target.wait_seen()[-1], ("end", sent))
        self.assertEqual(self.wait_lingering(0)["streamplex_buffered_bytes"], 0)
        line = self.server.wait_log("substream closed", self.log_start, port=target.port)
        self.assertIn("delivered after", line["reason"])
        self.assertEqual((line["bytes_up"], line["port"]), (sent, target.port))

    def test_without_end_it_is_a_reset(self):
        target = self.small_target(targets.deaf)
        self.upload_and_go(self.tunnel(), target, end=False)
        self.server.wait_log("substream closed", self.log_start, port=target.port)
        target.released.set()
        self.assertEqual(target.wait_seen()[0][0], "reset")

    def test_a_target_that_answers_meanwhile(self):
        """What nobody hears any more doesn't keep it from reading."""
        def serve(connection, target):
            target.released.wait(60)
            total = 0
            while piece := connection.recv(65536):
                total += len(piece)
                connection.sendall(b"y" * 4 * len(piece))
            target.note(total)

        target = self.small_target(serve)
        sent = self.upload_and_go(self.tunnel(), target)
        self.wait_lingering(1)
        target.released.set()
        self.assertEqual(target.wait_seen()[0], sent)
        self.wait_lingering(0)

    def test_data_before_the_target_stands(self):
        for features in None, V1:
            late = LateTLS()
            self.addCleanup(late.target.close)
            tunnel = self.tunnel(features)
            substream = tunnel.open("tls")
            substream.connect(late.target.port, "localhost")
            substream.send(b"all that I had to say")
            substream.end()
            substream.wait_event("connect")
            tunnel.close()
            self.wait_lingering(1)
            late.go.set()
            self.assertEqual(late.target.wait_seen()[0], b"all that I had to say")
            self.wait_lingering(0)

    def test_the_server_hasnt_read_it_all_yet(self):
        """The tunnel holds 1 MiB already; the rest, and `end`, wait in the kernel when the device closes."""
        target = self.small_target(targets.deaf)
        tunnel = self.tunnel()
        substream = tunnel.dial(target.port)
        sent = 0
        while self.server.metrics()["streamplex_buffered_bytes"] < 1 << 20:
            substream.send(b"x" * PIECE)
            sent += PIECE
            until = time.monotonic() + 2
            while time.monotonic() < until and self.counted() < self.before + sent:
                pass
            if self.counted() < self.before + sent:
                break  # it doesn't read on
        substream.end()
        tunnel.close()
        for _ in range(4):  # tunnels on each worker, whose turn comes after the end was noticed
            self.assert_goes_on(self.tunnel())
        target.released.set()
        self.assertEqual(target.wait_seen()[-1], ("end", sent))
        self.server.wait_log("tunnel closed", self.log_start, reason="device hung up")
        self.wait_lingering(0)

    def test_everything_at_once(self):
        """Token, opening, upload and end in one flight, and the end of the connection right behind it."""
        for size, leave in (200_000, lambda tunnel: tunnel.sock.shutdown(socket.SHUT_WR)), (5_000, Tunnel.abort):
            with self.subTest(size=size):
                upload = os.urandom(size)
                target = self.target(lambda connection, target: target.note(targets.read_all(connection)))
                tunnel = self.connect()
                tunnel.send_raw(self.flight(target.port, upload))
                leave(tunnel)
                self.assertEqual(target.wait_seen(1)[0], upload)

    def flight(self, port, upload):
        pieces = b"".join(frame(2, DATA, upload[at : at + 16000]) for at in range(0, len(upload), 16000))
        return (frame(0, JSON, b'{"type":"message","object":{"token":"%s"}}' % TOKEN.encode()) +
                frame(0, JSON, b'{"type":"stream","sock":2,"name":"net"}') +
                frame(2, JSON, b'{"event":"custom","emitArgs":["_pls_connect",%d,"127.0.0.1"]}' % port) +
                pieces + frame(2, JSON, b'{"event":"end"}'))

    def test_nothing_to_say_is_no_reason_to_stay(self):
        late = LateTLS()
        self.addCleanup(late.target.close)
        tunnel = self.tunnel()
        substream = tunnel.open("tls")
        substream.connect(late.target.port, "localhost")
        substream.end()
        substream.wait_event("connect")
        tunnel.close()
        self.server.wait_log("substream closed", self.log_start, port=late.target.port)
        self.assertEqual(self.server.metrics()["streamplex_lingering"], 0)
        late.go.set()


class Limits(Uploads, ServerTest):
    """Its bounds, each on a server of its own."""

    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    def setUp(self):
        self.before = 0

    def start(self, *arguments, **options):
        self.server = Server(*arguments, **options)
        self.addCleanup(self.server.kill)
        return self.server

    def test_deadline(self):
        server = self.start("--half-open-timeout", "300ms")
        target = self.small_target(targets.deaf)
        sent = self.upload_and_go(self.tunnel(), target)
        line = server.wait_log("substream closed", port=target.port)
        self.assertIn("in time", line["reason"])
        values = self.wait_lingering(0)
        self.assertEqual(values["streamplex_buffered_bytes"], 0)
        target.released.set()
        self.assertEqual(target.wait_seen()[0][0], "reset")
        server.stop()

    def test_a_drain_waits_for_it(self):
        server = self.start(drain="1m")
        target = self.small_target(targets.deaf)
        sent = self.upload_and_go(self.tunnel(), target)
        self.wait_lingering(1)
        server.signal(signal.SIGTERM)
        server.wait_log("draining")
        target.released.set()
        self.assertEqual(target.wait_seen()[-1], ("end", sent))
        self.assertEqual(server.wait_exit(), 0)

    def test_a_stop_doesnt(self):
        server = self.start(drain="200ms")
        target = self.small_target(targets.deaf)
        sent = self.upload_and_go(self.tunnel(), target)
        self.wait_lingering(1)
        server.stop()
        target.released.set()
        self.assertEqual(target.wait_seen()[0][0], "reset")


if __name__ == "__main__":
    unittest.main()
