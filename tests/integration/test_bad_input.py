"""What a device may do wrong, deliberately or not: the offender is told or closed, with a reason in the log; every other
tunnel goes on; and memory returns to where it was."""

import os
import select
import socket
import ssl
import struct
import time
import unittest

import targets
from plex import DATA, JSON, PING, Closed, Tunnel, compact, deadline, frame
from server import TOKEN, ServerTest

FAULTS = {
    "TUNNEL_FRAME_LENGTH": "frame length under 3",
    "TUNNEL_FRAME_TYPE": "frame type not known",
    "TUNNEL_JSON": "bad JSON",
    "TUNNEL_JSON_SIZE": "JSON too large",
    "TUNNEL_SOCK": "sock is not a free id of the opener",
    "TUNNEL_CHANNEL": "frame on a channel that was never opened",
    "TUNNEL_CREDIT": "credit overrun",
    "TUNNEL_LATE_DATA": "too much data on closed substreams",
    "TUNNEL_EXTENSION": "extension frame breaks its rule",
    "TUNNEL_AUTH_TIMEOUT": "no accepted token in time",
    "TUNNEL_FRAME_TIMEOUT": "unfinished frame",
}
PORT = "port must be a number from 1 to 65535"
HOST = "host must be a name or an address"
MILLISECONDS = "timeout must be a number of milliseconds from 0 to 2147483647"


class BadInputTest(ServerTest):
    """Each test has a bystander: a tunnel on the same server, which must go on."""

    arguments = ("--auth-timeout", "1500ms", "--frame-timeout", "1500ms", "--handshake-timeout", "1500ms",
                 "--stall-timeout", "1s")

    def setUp(self):
        super().setUp()
        self.bystander = Tunnel.connect("127.0.0.1", self.server.port)
        self.assertTrue(self.bystander.authenticate(TOKEN))

    def tearDown(self):
        # Cleanups, which close what a test opened, run only after this.
        self.doCleanups()
        try:
            self.assert_goes_on(self.bystander)
            self.server.wait_metrics(
                lambda now: now["streamplex_tunnels"] == 1 and now["streamplex_substreams"] == 0 and
                now["streamplex_dials_pending"] == 0 and now["streamplex_buffered_bytes"] == 0 and
                now["streamplex_credit_bytes"] == 0, "something is left of the offender")
        finally:
            self.bystander.close()
        self.server.wait_metrics(lambda now: now["streamplex_tunnels"] == 0, "the bystander is still there")

    def assert_fault(self, tunnel, name):
        """The device is told the fault's text, the connection ends, and the log has the reason."""
        self.assertEqual(tunnel.wait_end(), FAULTS[name])
        self.server.wait_log("tunnel fault", self.log_start, fault=name)
        self.server.wait_log("tunnel closed", self.log_start, reason=FAULTS[name])

    def assert_refused(self, tunnel, substream, message):
        """The substream ends with this error; the tunnel goes on."""
        error = substream.wait_over()
        self.assertEqual(error and error[0], message)
        self.assert_goes_on(tunnel)


class Frames(BadInputTest):
    def each_state(self):
        """Before a token, on a legacy tunnel, on v1."""
        yield self.connect()
        yield self.tunnel()
        yield self.tunnel(("flow", "ping", "reset"))

    def test_lengths_0_1_2(self):
        for length in (0, 1, 2):
            for tunnel in self.each_state():
                with self.subTest(length=length):
                    tunnel.send_raw(struct.pack(">H", length) + bytes(length))
                    self.assert_fault(tunnel, "TUNNEL_FRAME_LENGTH")

    def test_unknown_types(self):
        for kind in (2, 3, 5, 6, 7, 127, 128, 255):
            with self.subTest(type=kind):
                for tunnel in (self.connect(), self.tunnel()):
                    tunnel.send_frame(0, kind, b"12345678")
                    self.assert_fault(tunnel, "TUNNEL_FRAME_TYPE")

    def test_unknown_types_v1(self):
        for kind in (6, 7, 127):
            with self.subTest(type=kind):
                tunnel = self.tunnel(("flow", "ping"))
                tunnel.send_frame(0, kind, b"12")
                self.assert_fault(tunnel, "TUNNEL_FRAME_TYPE")
        tunnel = self.tunnel(("flow", "ping"))
        for kind in (128, 255):
            tunnel.send_frame(9999, kind, b"skipped" * 1000)
        self.assert_goes_on(tunnel)

    def test_data_never_opened(self):
        for tunnel in self.each_state():
            tunnel.send_frame(2, DATA, b"x")
            self.assert_fault(tunnel, "TUNNEL_CHANNEL")

    def test_data_on_channel_0(self):
        for tunnel in self.each_state():
            tunnel.send_frame(0, DATA, b"x")
            self.assert_fault(tunnel, "TUNNEL_CHANNEL")

    def test_data_after_end(self):
        target = self.target(targets.sink)
        for features in (None, ("flow", "reset")):
            tunnel = self.tunnel(features)
            substream = tunnel.dial(target.port)
            # In one piece, so that the target's end, and with it `close`, can't come between.
            tunnel.send_raw(frame(2, JSON, b'{"event":"end"}') + frame(2, DATA, b"x"))
            self.assert_refused(tunnel, substream, "data after end")

    def test_late_data_legacy(self):
        """A substream that is over drops what comes in silence, but of a torrent 1 MiB a second."""
        target = self.target(lambda connection, target: None)
        tunnel = self.tunnel()
        substream = tunnel.dial(target.port)
        substream.end()
        self.assertIsNone(substream.wait_over())
        tunnel.send_raw(frame(2, DATA, bytes(50000)) * 10)
        self.assert_goes_on(tunnel)
        tunnel.post_raw(frame(2, DATA, bytes(50000)) * 60)
        self.assert_goes_on(tunnel)

    def test_credit_overrun(self):
        target = self.target(targets.deaf)
        tunnel = self.tunnel(("flow", "reset"))
        substream = tunnel.open()
        tunnel.send_raw(frame(2, DATA, bytes(16000)) * (substream.credit // 16000 + 1))
        self.assert_fault(tunnel, "TUNNEL_CREDIT")
        tunnel = self.tunnel(("flow", "reset"))
        tunnel.dial(target.port)
        tunnel.post_raw(frame(2, DATA, bytes(16000)) * 10000)
        self.assert_fault(tunnel, "TUNNEL_CREDIT")

    def test_credit_numbers(self):
        for amount, name in (0, "TUNNEL_EXTENSION"), (1 << 31, "TUNNEL_EXTENSION"), ((1 << 31) - 1, "TUNNEL_CREDIT"):
            with self.subTest(amount=amount):
                tunnel = self.tunnel(("flow",))
                substream = tunnel.open()
                substream.give_credit(amount)
                self.assert_fault(tunnel, name)

    def test_half_a_frame_then_silence(self):
        for start in b"\0", b"\0\x30\0", frame(0, JSON, b'{"type":"message"}')[:-3]:
            with self.subTest(start=start):
                tunnel = self.tunnel()
                tunnel.send_raw(start)
                self.assert_fault(tunnel, "TUNNEL_FRAME_TIMEOUT")


class Json(BadInputTest):
    def test_json_that_is_none(self):
        for text in (b"", b"hello", b"null", b"[]", b"42", b'"type"', b"{", b'{"type":"message",}', b'{"type":"a"}x',
                     b"{'type':'a'}", b'{"type":NaN}', b"\xef\xbb\xbf{}", b'{"type":"\xff"}', b'{"type":"a\nb"}'):
            for tunnel in (self.connect(), self.tunnel()):
                with self.subTest(text=text):
                    tunnel.send_frame(0, JSON, text)
                    self.assert_fault(tunnel, "TUNNEL_JSON")

    def test_json_with_nul(self):
        for text in b'{"type":"a\0b"}', b'{"type":"a\\u0000b"}', b'{"type":"a"}\0', b"\0" * 100:
            with self.subTest(text=text):
                tunnel = self.connect()
                tunnel.send_frame(0, JSON, text)
                self.assert_fault(tunnel, "TUNNEL_JSON")

    def test_json_too_deep(self):
        for depth in (8, 9, 100, 4000):
            tunnel = self.tunnel()
            text = b'{"type":"x","a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
            tunnel.send_frame(0, JSON, text)
            if depth == 8:
                self.assert_goes_on(tunnel)
            else:
                self.assert_fault(tunnel, "TUNNEL_JSON")

    def test_wrong_types(self):
        for value in ({}, {"type": 1}, {"type": None}, {"type": "message"}, {"type": "message", "object": None},
                      {"type": "message", "object": []}, {"type": "message", "object": {"token": 1}},
                      {"type": "message", "object": {"token": ""}}, {"type": "message", "object": {"token": "t" * 2049}}):
            with self.subTest(value=value):
                tunnel = self.connect()
                tunnel.send_json(0, value)
                self.assert_fault(tunnel, "TUNNEL_JSON")

    def test_wrong_types_on_a_substream(self):
        for value in (None, [], {}, {"event": 1}, {"event": "custom"}, {"event": "custom", "emitArgs": []},
                      {"event": "custom", "emitArgs": {}}, {"event": "custom", "emitArgs": [7]}):
            with self.subTest(value=value):
                tunnel = self.tunnel()
                tunnel.open()
                tunnel.send_json(2, value)
                self.assert_fault(tunnel, "TUNNEL_JSON")

    def test_over_max_json(self):
        tunnel = self.connect()
        tunnel.post_raw(frame(0, JSON, b'{"type":"x","a":"%s"}' % (b"a" * 4090)))
        self.assert_fault(tunnel, "TUNNEL_JSON_SIZE")
        for channel in (0, 2):
            tunnel = self.tunnel()
            tunnel.open()
            tunnel.post_raw(frame(channel, JSON, b'{"type":"x","event":"y","a":"%s"}' % (b"a" * 65000)))
            self.assert_fault(tunnel, "TUNNEL_JSON_SIZE")

    def test_extension_requests(self):
        for value in (None, [], "1", {"version": 0}, {"version": 1, "features": "flow"}, {"version": 1, "window": 1},
                      {"version": 1, "max_json": 70000}, {"version": 1, "max_substreams": 0}):
            with self.subTest(value=value):
                tunnel = self.connect()
                tunnel.send_json(0, {"type": "message", "object": {"token": TOKEN, "streamplex": value}})
                self.assert_fault(tunnel, "TUNNEL_EXTENSION")


class Opening(BadInputTest):
    def test_sock(self):
        for sock in (b"0", b"3", b"-2", b"65536", b'"2"', b"null", b"2.5", b"1e3", b"4294967298", b"[2]"):
            with self.subTest(sock=sock):
                tunnel = self.tunnel()
                tunnel.send_json(0, b'{"type":"stream","sock":' + sock + b',"name":"net"}')
                self.assert_fault(tunnel, "TUNNEL_SOCK")

    def test_sock_missing(self):
        tunnel = self.tunnel()
        tunnel.send_json(0, b'{"type":"stream","name":"net"}')
        self.assert_fault(tunnel, "TUNNEL_SOCK")

    def test_sock_taken(self):
        tunnel = self.tunnel()
        tunnel.open(channel=2)
        tunnel.send_json(0, b'{"type":"stream","sock":2,"name":"net"}')
        self.assert_fault(tunnel, "TUNNEL_SOCK")

    def test_unknown_name(self):
        tunnel = self.tunnel()
        self.assert_refused(tunnel, tunnel.open("udp"), "substreams of this name are not known")

    def test_connect_ports(self):
        for port in (0, 65536, -1, "80", None, 80.5, True, [80]):
            with self.subTest(port=port):
                tunnel = self.tunnel()
                substream = tunnel.open()
                substream.connect(port)
                self.assert_refused(tunnel, substream, PORT)
        tunnel = self.tunnel()
        substream = tunnel.open()
        substream.emit("_pls_connect")
        self.assert_refused(tunnel, substream, PORT)

    def test_connect_hosts(self):
        for host in ("", None, "h" * 300, "h" * 254, "a b", " a", "a\tb", "ä.example", 127, {}):
            with self.subTest(host=host):
                tunnel = self.tunnel()
                substream = tunnel.open()
                substream.connect(80, host)
                self.assert_refused(tunnel, substream, HOST)
        tunnel = self.tunnel()
        substream = tunnel.open()
        substream.emit("_pls_connect", 80)
        self.assert_refused(tunnel, substream, HOST)

    def test_connect_host_with_nul(self):
        tunnel = self.tunnel()
        tunnel.open().connect(80, "a\0b")
        self.assert_fault(tunnel, "TUNNEL_JSON")

    def test_connect_twice(self):
        target = self.target(targets.echo)
        tunnel = self.tunnel()
        substream = tunnel.dial(target.port)
        substream.connect(target.port)
        self.assert_refused(tunnel, substream, "already connecting")
        substream = tunnel.open()
        tunnel.send_raw(frame(substream.channel, JSON, compact(
            {"event": "custom", "emitArgs": ["_pls_connect", target.port, "127.0.0.1"]})) * 2)
        self.assert_refused(tunnel, substream, "already connecting")

    def test_timeouts(self):
        for value in (b"-1", b"2147483648", b"1e300", b'"150"', b"null", b"[]"):
            with self.subTest(value=value):
                tunnel = self.tunnel()
                substream = tunnel.open()
                tunnel.send_json(substream.channel, b'{"event":"custom","emitArgs":["_pls_timeout",' + value + b"]}")
                self.assert_refused(tunnel, substream, MILLISECONDS)
        tunnel = self.tunnel()
        tunnel.open()
        tunnel.send_json(2, b'{"event":"custom","emitArgs":["_pls_timeout",NaN]}')
        self.assert_fault(tunnel, "TUNNEL_JSON")


class Floods(BadInputTest):
    """Much of what is allowed one by one. None may cost memory without bound, nor hold up the bystander."""

    def flood(self, tunnel, piece, times=40):
        """Sends without reading, until the server takes no more or all is sent."""
        until = deadline(3)
        for _ in range(times):
            tunnel.unsent += piece
            while tunnel.unsent and not tunnel.ended:
                tunnel._write()
                if not tunnel.unsent:
                    break
                if time.monotonic() > until:
                    return False
                if not wait_writable(tunnel, until):
                    return False
        return True

    def assert_bounded(self, before, most=48 << 20):
        self.assertLess(self.server.resident() - before, most)

    def test_opens(self):
        before = self.server.resident()
        tunnel = self.tunnel()
        opens = b"".join(frame(0, JSON, b'{"type":"stream","sock":%d,"name":"net"}' % sock)
                         for sock in range(2, 65536, 2))
        self.flood(tunnel, opens, 1)
        self.assert_goes_on(self.bystander)
        self.assert_bounded(before)

    def test_opens_beyond_the_limit_are_refused(self):
        tunnel = self.tunnel()
        substreams = [tunnel.open() for _ in range(1025)]
        self.assertEqual(substreams[-1].wait_over()[0], "too many substreams")
        self.assertFalse(any(substream.over for substream in substreams[:-1]))
        for substream in substreams[:-1]:
            tunnel.post_raw(frame(substream.channel, JSON, b'{"event":"end"}'))
        for substream in substreams[:-1]:
            substream.wait_over()
        self.assert_goes_on(tunnel)

    def test_tiny_frames(self):
        before = self.server.resident()
        target = self.target(targets.sink)
        tunnel = self.tunnel()
        tunnel.dial(target.port)
        self.flood(tunnel, frame(2, DATA, b"x") * 20000 + frame(2, DATA) * 20000, 20)
        self.assert_goes_on(self.bystander)
        self.assert_bounded(before)

    def test_json(self):
        before = self.server.resident()
        tunnel = self.tunnel()
        tunnel.open()
        ignored = frame(0, JSON, b'{"type":"weather","forecast":[%s]}' % b",".join([b"1"] * 1000))
        told = frame(2, JSON, b'{"event":"custom","emitArgs":["_pls_timeout",1000]}')
        self.flood(tunnel, ignored * 50 + told * 1000, 20)
        self.assert_goes_on(self.bystander)
        self.assert_bounded(before)

    def test_tokens(self):
        """Each is answered; an offender who doesn't read the answers is no longer read."""
        before = self.server.resident()
        tunnel = self.connect()
        self.flood(tunnel, frame(0, JSON, b'{"type":"message","object":{"token":"WRONG"}}') * 5000, 40)
        self.assert_goes_on(self.bystander)
        self.assert_bounded(before)

    def test_pings(self):
        before = self.server.resident()
        tunnel = self.tunnel(("ping",))
        self.flood(tunnel, frame(0, PING, b"12345678") * 20000, 40)
        self.assert_goes_on(self.bystander)
        self.assert_bounded(before)

    def test_refused_opens_that_nobody_reads(self):
        before = self.server.resident()
        tunnel = self.tunnel()
        refused = b"".join(frame(0, JSON, b'{"type":"stream","sock":%d,"name":"udp"}' % sock)
                           for sock in range(2, 65536, 2))
        self.flood(tunnel, refused, 1)
        self.assert_goes_on(self.bystander)
        self.assert_bounded(before)

    def test_data_for_a_deaf_target(self):
        """Without flow the tunnel's buffer fills, reading stops, and the stalled substream is aborted; its sibling goes on."""
        before = self.server.resident()
        target = self.target(targets.deaf)
        echo = self.target(targets.echo)
        tunnel = self.tunnel()
        deaf = tunnel.dial(target.port)
        sibling = tunnel.dial(echo.port)
        # A token's answer says that all before it was read; so no more than this is on its way when the substream is aborted.
        while not deaf.over:
            tunnel.unsent += frame(deaf.channel, DATA, bytes(16000)) * 16
            tunnel.post_token("round-trip")
            tunnel.wait(lambda: tunnel.control or deaf.over, "a round trip or the stall's end")
            tunnel.control.clear()
        tunnel.unsent += frame(sibling.channel, DATA, b"sibling")
        self.assertEqual(sibling.recv(7), b"sibling")
        self.assertEqual(deaf.wait_over()[0], "stalled: the target takes no data")
        self.assert_bounded(before)
        tunnel.close()

    def test_much_on_its_way_to_a_deaf_target(self):
        """A device that stops at `error`, with all that its own and our kernel held for the substream: dropped, no fault."""
        target = self.target(targets.deaf)
        echo = self.target(targets.echo)
        tunnel = self.tunnel()
        deaf = tunnel.dial(target.port)
        sibling = tunnel.dial(echo.port)
        while not deaf.over and not tunnel.ended:
            if not tunnel.unsent:
                tunnel.unsent += frame(deaf.channel, DATA, bytes(16000)) * 4
            try:
                tunnel.pump(deadline(), "room to write")
            except Closed:
                pass
        self.assertEqual(tunnel.fault, None)
        self.assertEqual(deaf.wait_over()[0], "stalled: the target takes no data")
        tunnel.send_raw(frame(sibling.channel, DATA, b"sibling"), deadline(40))
        self.assertEqual(sibling.recv(7, 40), b"sibling")

    def test_downloads_that_nobody_reads(self):
        """A device that doesn't read its tunnel isn't sent more than what is on its way: the target is not read."""
        def pour(connection, target):
            try:
                while True:
                    connection.sendall(bytes(65536))
            except OSError as error:
                target.note(error)

        before = self.server.resident()
        target = self.target(pour)
        tunnel = self.tunnel()
        substreams = [tunnel.open() for _ in range(20)]
        for substream in substreams:
            substream.connect(target.port)
        target.wait(lambda: target.connections == 20)
        self.assert_goes_on(self.bystander)
        self.assert_bounded(before)
        tunnel.close()
        target.wait_seen(20)


def wait_writable(tunnel, until):
    left = until - time.monotonic()
    return left > 0 and bool(select.select([], [tunnel.sock], [], left)[1])


class Connections(BadInputTest):
    def plain(self):
        sock = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
        self.addCleanup(sock.close)
        return sock

    def assert_ends(self, sock):
        try:
            while sock.recv(4096):
                pass
        except ConnectionResetError:
            pass
        self.server.wait_log("tunnel closed", self.log_start)

    def test_bytes_before_tls(self):
        for start in b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(2000), b"\x16\x03\x01\xff\xff" + bytes(5000):
            with self.subTest(start=start[:20]):
                self.log_start = len(self.server.lines)
                sock = self.plain()
                sock.sendall(start)
                self.assert_ends(sock)

    def test_silence_before_tls(self):
        self.assert_ends(self.plain())

    def test_tls_that_stalls_in_the_handshake(self):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            client.do_handshake()
        hello = outgoing.read()
        for part in (hello[:50], hello):
            with self.subTest(bytes=len(part)):
                self.log_start = len(self.server.lines)
                sock = self.plain()
                sock.sendall(part)
                self.assert_ends(sock)

    def test_auth_never_sent(self):
        self.assert_fault(self.connect(), "TUNNEL_AUTH_TIMEOUT")

    def test_wrong_tokens_for_ever(self):
        tunnel = self.connect()
        try:
            while True:
                self.assertFalse(tunnel.authenticate("WRONG"))
        except (Closed, AssertionError):
            pass
        self.assert_fault(tunnel, "TUNNEL_AUTH_TIMEOUT")

    def test_reset_at_each_step(self):
        """The connection is reset, at each step of a substream's life."""
        echo = self.target(targets.echo)
        deaf = self.target(targets.deaf)

        def opened(tunnel):
            tunnel.open()

        def dialling(tunnel):
            tunnel.open().connect(80, "192.0.2.1")  # a documentation address: nobody answers, or the network says so

        def looking_up(tunnel):
            tunnel.open().connect(80, "no-such-host.invalid")

        def connected(tunnel):
            tunnel.dial(echo.port)

        def sending(tunnel):
            tunnel.dial(deaf.port).send(bytes(60000))

        def half_closed(tunnel):
            tunnel.dial(deaf.port).end()

        def refused(tunnel):
            tunnel.open().connect(0)

        def closed(tunnel):
            substream = tunnel.dial(echo.port)
            substream.end()
            substream.wait_over()

        for step in (opened, dialling, looking_up, connected, sending, half_closed, refused, closed):
            for features in (None, ("flow", "reset")):
                with self.subTest(step=step.__name__, features=features):
                    start = len(self.server.lines)
                    tunnel = self.tunnel(features)
                    step(tunnel)
                    tunnel.abort()
                    self.server.wait_log("tunnel closed", start)

    def test_substream_reset_at_each_step(self):
        """The same by reset frames, on one tunnel that goes on."""
        echo = self.target(targets.echo)
        deaf = self.target(targets.deaf)
        tunnel = self.tunnel(("flow", "reset"))

        def resets(substream):
            substream.send_reset()
            self.assertIsNone(substream.wait_over())
            self.assertEqual(substream.all_events[-1], "reset")

        resets(tunnel.open())
        substream = tunnel.open()
        substream.connect(80, "192.0.2.1")
        substream.send_reset()
        substream.wait_over()
        resets(tunnel.dial(echo.port))
        substream = tunnel.dial(deaf.port)
        substream.send(bytes(60000))
        resets(substream)
        substream = tunnel.dial(deaf.port)
        substream.end()
        resets(substream)
        substream = tunnel.open()
        substream.connect(0)
        substream.send_reset()
        substream.wait_over()
        substream = tunnel.dial(echo.port)
        substream.end()
        substream.send_reset()
        substream.wait_over()
        self.assert_goes_on(tunnel)


class Memory(ServerTest):
    """Memory returns to where it was: rounds of offenders, after the first of which the process grows no more."""

    options = {"workers": 1}

    def offend(self):
        offences = [b"\0\0", frame(0, 9), frame(0, JSON, b"null"), frame(2, DATA, b"x"),
                    frame(0, JSON, b'{"type":"stream","sock":3,"name":"net"}')]
        for offence in offences:
            tunnel = Tunnel.connect("127.0.0.1", self.server.port)
            tunnel.authenticate(TOKEN)
            for _ in range(100):
                tunnel.open()
            tunnel.send_raw(frame(2, DATA, bytes(16000)) * 20 if offence != frame(2, DATA, b"x") else b"")
            tunnel.post_raw(offence if offence != frame(2, DATA, b"x") else frame(60000, DATA, b"x"))
            self.assertIsNotNone(tunnel.wait_end())
            tunnel.close()
        self.server.wait_metrics(lambda now: now["streamplex_tunnels"] == 0 and now["streamplex_substreams"] == 0 and
                                 now["streamplex_buffered_bytes"] == 0, "something is left")

    def test_memory_returns(self):
        for _ in range(6):
            self.offend()
        before = self.server.resident()
        for _ in range(12):
            self.offend()
        self.assertLess(self.server.resident() - before, 6 << 20)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.server.process.pid}/fd"))

    def test_descriptors_return(self):
        """One kept of each offender would be 15 more; two may be opened once, when they are first needed."""
        most = self.descriptors() + 2
        for _ in range(3):
            self.offend()
        # The last connections, of offenders and to the metrics, are closed when their peers' ends have been read.
        until = deadline()
        while self.descriptors() > most:
            self.assertLess(time.monotonic(), until, f"{self.descriptors()} descriptors, where there were {most - 2}")
            select.select([], [], [], 0.02)


if __name__ == "__main__":
    unittest.main()
