"""Devices go out: dialling, relaying, half-close, resets, TLS targets, names with several addresses."""

import hashlib
import random
import socket
import ssl
import threading
import unittest

import targets
from plex import JSON, frame
from server import TOKEN, Server, ServerTest, certificates

V1 = ("flow", "ping", "reset", "goaway")


class Relay(ServerTest):
    arguments = ("--half-open-timeout", "400ms", "--dial-timeout", "700ms")

    def both(self):
        yield self.tunnel()
        yield self.tunnel(V1)

    def test_echo(self):
        target = self.target(targets.echo)
        for tunnel in self.both():
            substream = tunnel.dial(target.port)
            for size in 1, 5, 16379, 16380, 60000:
                data = random.Random(size).randbytes(size)
                substream.send(data, size=65532)
                self.assertEqual(substream.recv(size), data)
            substream.end()
            self.assertEqual(substream.wait_end(), b"")
            self.assertIsNone(substream.wait_over())
            self.assertEqual(substream.all_events, ["connect", "end", "close"])

    def test_connect_tells_its_address_to_v1(self):
        target = self.target(targets.echo)
        legacy, v1 = self.both()
        self.assertIsNone(legacy.dial(target.port).address)
        self.assertEqual(v1.dial(target.port).address, f"127.0.0.1:{target.port}")

    def test_half_close_by_the_device(self):
        """The target sees the end, and may go on for long after it."""
        def later(connection, target):
            target.note(targets.read_all(connection))
            connection.sendall(b"after" * 200000)

        target = self.target(later)
        for tunnel in self.both():
            substream = tunnel.dial(target.port)
            substream.send(b"all I have")
            substream.end()
            self.assertEqual(substream.wait_end(), b"after" * 200000)
            self.assertIsNone(substream.wait_over())
        self.assertEqual(target.wait_seen(2), [b"all I have"] * 2)

    def test_half_close_by_the_target(self):
        """The device's upload goes on after the target's end."""
        def early(connection, target):
            connection.sendall(b"bye")
            connection.shutdown(socket.SHUT_WR)
            target.note(len(targets.read_all(connection)))

        target = self.target(early)
        for tunnel in self.both():
            substream = tunnel.dial(target.port)
            self.assertEqual(substream.wait_end(), b"bye")
            substream.send(bytes(3000000))
            substream.end()
            self.assertIsNone(substream.wait_over())
        self.assertEqual(target.wait_seen(2), [3000000] * 2)

    def test_half_open_limit_is_for_legacy(self):
        """A legacy device that never says end gets its close; a v1 device is trusted to say."""
        def early(connection, target):
            connection.sendall(b"bye")
            connection.shutdown(socket.SHUT_WR)
            target.note(targets.read_all(connection))

        target = self.target(early)
        legacy, v1 = self.both()
        patient = v1.dial(target.port)
        self.assertEqual(patient.wait_end(), b"bye")
        impatient = legacy.dial(target.port)
        self.assertIsNone(impatient.wait_over())
        self.assertEqual(impatient.all_events, ["connect", "end", "close"])
        patient.send(b"half a second later")
        patient.end()
        self.assertIsNone(patient.wait_over())
        self.assertIn(b"half a second later", target.wait_seen(2))

    def test_end_before_connect_was_asked_for(self):
        for tunnel in self.both():
            substream = tunnel.open()
            substream.end()
            self.assertIsNone(substream.wait_over())

    def test_big_both_ways(self):
        """16 MiB up and 16 MiB down at once, and not a byte of them wrong."""
        size = 16 << 20
        up, down = random.Random(1).randbytes(size), random.Random(2).randbytes(size)

        def both_ways(connection, target):
            writer = threading.Thread(target=connection.sendall, args=(down,))
            writer.start()
            digest = hashlib.sha256()
            while piece := connection.recv(262144):
                digest.update(piece)
            writer.join()
            target.note(digest.hexdigest())

        target = self.target(both_ways)
        for count, tunnel in enumerate(self.both(), 1):
            substream = tunnel.dial(target.port)
            substream.keep = False
            substream.send(up, seconds=60)
            substream.end()
            substream.wait(lambda: substream.over, "close", 60)
            self.assertEqual(substream.received, size)
            self.assertEqual(substream.digest.digest(), hashlib.sha256(down).digest())
            self.assertEqual(target.wait_seen(count)[-1], hashlib.sha256(up).hexdigest())

    def test_many_at_once(self):
        target = self.target(targets.echo, backlog=256)
        for tunnel in self.both():
            substreams = [tunnel.open() for _ in range(100)]
            for substream in substreams:
                substream.connect(target.port)
            for substream in substreams:
                substream.wait_event("connect")
                substream.send(b"%d" % substream.channel)
                substream.end()
            for substream in substreams:
                self.assertEqual(substream.wait_end(), b"%d" % substream.channel)
                self.assertIsNone(substream.wait_over())

    def test_ids_are_reused_for_ever(self):
        """More substreams than there are ids, one after the other, on one tunnel."""
        tunnel = self.tunnel()
        for _ in range(600):
            batch = [tunnel.open() for _ in range(60)]
            for substream in batch:
                tunnel.post_raw(frame(substream.channel, JSON, b'{"event":"end"}'))
            for substream in batch:
                substream.wait_over()
        self.assertTrue(tunnel.next_id < 65536)
        self.assert_goes_on(tunnel)

    def test_data_before_connect(self):
        """Everything at once: opening, data, connecting, more data, end. Nothing is lost."""
        target = self.target(lambda connection, target: target.note(targets.read_all(connection)))
        for count, tunnel in enumerate(self.both(), 1):
            substream = tunnel.open()
            substream.send(b"early ")
            substream.connect(target.port)
            substream.send(b"not so early")
            substream.end()
            self.assertIsNone(substream.wait_over())
            self.assertEqual(target.wait_seen(count)[-1], b"early not so early")

    def test_target_resets(self):
        target = self.target(targets.reset)
        legacy, v1 = self.both()
        substream = legacy.dial(target.port)
        substream.send(b"x")
        self.assertEqual(substream.wait_over(), ("read ECONNRESET", None))
        self.assertEqual(substream.all_events, ["connect", "error", "end", "close"])
        substream = v1.dial(target.port)
        substream.send(b"x")
        self.assertEqual(substream.wait_over(), ("read ECONNRESET", "ECONNRESET"))
        self.assertEqual(substream.all_events, ["connect", "error", "reset"])

    def test_device_resets(self):
        """The target sees a reset, not an end: what it got may not be all."""
        target = self.target(targets.sink)
        tunnel = self.tunnel(V1)
        substream = tunnel.dial(target.port)
        substream.send(b"12345")
        target.wait(lambda: target.connections == 1)
        substream.send_reset()
        self.assertIsNone(substream.wait_over())
        self.assertEqual(target.wait_seen()[0][0], "reset")

    def test_tunnel_cut(self):
        """When the tunnel dies, targets in the middle of things see a reset."""
        target = self.target(targets.sink)
        for tunnel in self.both():
            tunnel.dial(target.port).send(b"12345")
            tunnel.abort()
        self.assertEqual([seen[0] for seen in target.wait_seen(2)], ["reset"] * 2)

    def test_refused(self):
        for host in "127.0.0.1", "::1":
            sock, port = targets.closed_port(host)
            self.addCleanup(sock.close)
            legacy, v1 = self.both()
            substream = legacy.open()
            substream.connect(port, host)
            self.assertEqual(substream.wait_over(), (f"connect ECONNREFUSED {host}:{port}", None))
            substream = v1.open()
            substream.connect(port, host)
            self.assertEqual(substream.wait_over(), (f"connect ECONNREFUSED {host}:{port}", "ECONNREFUSED"))
            self.assertEqual(substream.all_events, ["error", "reset"])

    def test_dial_timeout(self):
        """A listener whose queue is full answers nothing."""
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            self.addCleanup(filler.close)
        tunnel = self.tunnel(V1)
        substream = tunnel.open()
        port = listener.getsockname()[1]
        substream.connect(port)
        self.assertEqual(substream.wait_over(), (f"connect ETIMEDOUT 127.0.0.1:{port}", "ETIMEDOUT"))

    def test_lookup_fails(self):
        tunnel = self.tunnel(V1)
        for host in "no-such-host.invalid", "a..b.invalid", "-", "x" * 64 + ".invalid", "127.0.0.1.invalid":
            with self.subTest(host=host):
                substream = tunnel.open()
                substream.connect(80, host)
                self.assertEqual(substream.wait_over(), (f"getaddrinfo ENOTFOUND {host}", "ENOTFOUND"))
                self.assertEqual(substream.all_events, ["lookup", "error", "reset"])

    def test_idle_timeout_is_told_again_after_traffic(self):
        target = self.target(targets.echo)
        tunnel = self.tunnel()
        substream = tunnel.dial(target.port)
        substream.timeout(100)
        substream.wait_event("timeout")
        substream.send(b"x")
        self.assertEqual(substream.recv(1), b"x")
        substream.wait_event("timeout")
        substream.timeout(0)
        tunnel.round_trip()
        self.assertFalse(substream.events)

    def test_each_substream_leaves_a_line(self):
        target = self.target(targets.echo)
        substream = self.tunnel().dial(target.port, "localhost")
        substream.send(b"12345")
        substream.end()
        self.assertIsNone(substream.wait_over())
        line = self.server.wait_log("substream closed", self.log_start, port=target.port)
        self.assertEqual((line["substream"], line["host"], line["bytes_up"], line["bytes_down"]), (2, "localhost", 5, 5))
        self.assertIn(line["address"], (f"127.0.0.1:{target.port}", f"[::1]:{target.port}"))
        for field in "tunnel", "user", "duration_ms", "reason":
            self.assertIn(field, line)

    def test_no_token_is_logged(self):
        self.tunnel()
        self.assertNotIn(TOKEN, "".join(map(str, self.server.lines + self.server.other)))


class Names(ServerTest):
    """Names of two addresses, as the server's /etc/hosts says."""

    options = {"hosts": "127.0.0.1 both\n::1 both\n127.0.0.1 four\n::1 six\n"}

    def test_only_one_family_answers(self):
        for host in "127.0.0.1", "::1":
            target = self.target(targets.echo, host=host)
            substream = self.tunnel(V1).dial(target.port, "both")
            self.assertEqual(substream.all_events, ["lookup", "connect"])
            shown = f"[{host}]" if ":" in host else host
            self.assertEqual(substream.address, f"{shown}:{target.port}")

    def test_nobody_answers(self):
        sock, port = targets.closed_port()
        self.addCleanup(sock.close)
        substream = self.tunnel().open()
        substream.connect(port, "both")
        error = substream.wait_over()
        self.assertRegex(error[0], rf"^connect ECONNREFUSED (127\.0\.0\.1|::1):{port}$")

    def test_the_first_address_hangs(self):
        """The other address isn't held up by one that answers nothing (RFC 8305)."""
        listener = socket.socket(socket.AF_INET6)
        self.addCleanup(listener.close)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        target = self.target(targets.echo)
        listener.bind(("::1", target.port))
        listener.listen(0)
        for _ in range(3):
            filler = socket.socket(socket.AF_INET6)
            filler.setblocking(False)
            filler.connect_ex(("::1", target.port))
            self.addCleanup(filler.close)
        substream = self.tunnel(V1).open()
        substream.connect(target.port, "both")
        substream.wait_event("connect", 5)
        self.assertEqual(substream.address, f"127.0.0.1:{target.port}")

    def test_ipv6_target(self):
        target = self.target(targets.echo, host="::1")
        for host in "::1", "six", "0:0:0:0:0:0:0:1":
            substream = self.tunnel().dial(target.port, host)
            substream.send(b"six")
            self.assertEqual(substream.recv(3), b"six")


class Tls(ServerTest):
    arguments = ("--dial-timeout", "1s")

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.arguments, environment={"SSL_CERT_FILE": certificates().ca})

    def tls_target(self, name, serve=targets.echo, **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificates().make(name, **options))
        self.names = []
        context.sni_callback = lambda connection, name, context: self.names.append(name)
        return self.target(serve, context=context)

    def fails(self, target, host="localhost"):
        substream = self.tunnel(V1).open("tls")
        substream.connect(target.port, host)
        error = substream.wait_over()
        self.assertNotIn("secureConnect", substream.all_events)
        return error

    def test_trusted(self):
        target = self.tls_target("trusted-target")
        for features in None, V1:
            substream = self.tunnel(features).dial(target.port, "localhost", "tls")
            self.assertEqual(substream.all_events, ["lookup", "connect", "secureConnect"])
            data = random.Random(3).randbytes(200000)
            substream.send(data)
            self.assertEqual(substream.recv(len(data)), data)
            substream.end()
            self.assertIsNone(substream.wait_over())
        self.assertEqual(self.names, ["localhost"] * 2)

    def test_trusted_by_address(self):
        target = self.tls_target("trusted-target")
        substream = self.tunnel().dial(target.port, "127.0.0.1", "tls")
        self.assertEqual(substream.all_events, ["connect", "secureConnect"])
        self.assertEqual(self.names, [None])  # an address isn't a server name (RFC 6066)

    def test_self_signed(self):
        target = self.tls_target("self-signed-target", self_signed=True)
        self.assertEqual(self.fails(target), ("self-signed certificate", "DEPTH_ZERO_SELF_SIGNED_CERT"))

    def test_other_name(self):
        target = self.tls_target("other-name", names="DNS:other.example")
        message, code = self.fails(target)
        self.assertRegex(message, "(?i)hostname mismatch")
        self.assertTrue(code)

    def test_other_address(self):
        target = self.tls_target("other-name", names="DNS:other.example")
        message, code = self.fails(target, "127.0.0.1")
        self.assertRegex(message, "(?i)address mismatch")
        self.assertTrue(code)

    def test_target_that_speaks_no_tls(self):
        def plain(connection, target):
            connection.sendall(b"220 hello, this is SMTP\r\n")
            targets.read_all(connection)

        message, code = self.fails(self.target(plain))
        self.assertTrue(message and code)

    def test_target_that_says_nothing(self):
        message, code = self.fails(self.target(targets.sink))
        self.assertEqual(code, "ETIMEDOUT")

    def test_target_closes_in_the_handshake(self):
        message, code = self.fails(self.target(lambda connection, target: None))
        self.assertTrue(message and code)

    def test_others_go_on(self):
        """The first proxy died of an untrusted certificate, and every tunnel with it."""
        bystander = self.tunnel()
        self.fails(self.tls_target("self-signed-target", self_signed=True))
        self.assert_goes_on(bystander)

    def test_data_before_secure_connect(self):
        target = self.tls_target("trusted-target")
        substream = self.tunnel().open("tls")
        substream.send(b"early")
        substream.connect(target.port, "localhost")
        self.assertEqual(substream.recv(5), b"early")

    def test_target_ends_first(self):
        def bye(connection, target):
            connection.sendall(b"bye")
            connection.unwrap()

        substream = self.tunnel().dial(self.tls_target("trusted-target", bye).port, "localhost", "tls")
        self.assertEqual(substream.wait_end(), b"bye")
        substream.end()
        self.assertIsNone(substream.wait_over())


if __name__ == "__main__":
    unittest.main()
