"""Recorded conversations of devices with the first proxy, replayed against the server: the device's bytes as they were
recorded, cut as they were cut, and the server's frames compared with the recorded ones, ports exchanged.

The recordings live in tests/vectors/recorded.txt; here is what needs a real target.
"""

import ssl
import unittest

import targets
from plex import DATA, JSON, Frame, frame
from server import TOKEN, Server, ServerTest, certificates

CONNECT = b'{"event":"custom","emitArgs":["connect"]}'
LOOKUP = b'{"event":"custom","emitArgs":["lookup"]}'
SECURE = b'{"event":"custom","emitArgs":["secureConnect"]}'
TIMEOUT = b'{"event":"custom","emitArgs":["timeout"]}'
END = b'{"event":"end"}'
CLOSE = b'{"event":"custom","emitArgs":["close"]}'
AUTHED = b'{"type":"message","object":{"authed":true}}'
REFUSED = b'{"type":"message","object":{"authed":false}}'
TOKEN_MESSAGE = b'{"type":"message","object":{"token":"' + TOKEN.encode() + b'"}}'


def stream(channel, name=b"net"):
    return b'{"type":"stream","sock":%d,"name":"%s"}' % (channel, name)


def pls_connect(port, host=b"127.0.0.1"):
    return b'{"event":"custom","emitArgs":["_pls_connect",%d,"%s"]}' % (port, host)


class Script:
    """A tunnel of which only bytes are known: what is sent, and the very frames that must come."""

    def __init__(self, tunnel):
        self.tunnel = tunnel
        self.tunnel._take = self._take
        self.frames = []

    def _take(self, taken):
        last = self.frames[-1] if self.frames else None
        if taken.type == DATA and last and last[:2] == (taken.channel, DATA):
            self.frames[-1] = Frame(taken.channel, DATA, last.payload + taken.payload)
        else:
            self.frames.append(taken)

    def send(self, channel, kind, payload):
        self.tunnel.send_raw(frame(channel, kind, payload))

    def json(self, channel, payload):
        self.send(channel, JSON, payload)

    def expect(self, *frames):
        """The next frames, exactly. Data may come in several frames; of the recordings' it is the bytes that count."""
        for channel, kind, payload in frames:
            def there():
                return self.frames and (self.frames[0].type != DATA or len(self.frames[0].payload) >= len(payload))
            self.tunnel.wait(there, f"{channel} {kind} {payload[:80]}")
            got = self.frames[0]
            if kind == DATA and got.type == DATA and len(got.payload) > len(payload):
                self.frames[0] = got._replace(payload=got.payload[len(payload):])
                got = got._replace(payload=got.payload[:len(payload)])
            else:
                del self.frames[0]
            if got != Frame(channel, kind, payload):
                raise AssertionError(f"{got} came instead of {Frame(channel, kind, payload)}")


class Traces(ServerTest):
    def setUp(self):
        super().setUp()
        self.script = Script(self.connect())

    def begin(self):
        self.script.json(0, TOKEN_MESSAGE)
        self.script.expect((0, JSON, AUTHED))

    def begin_dial(self, port, host=b"127.0.0.1", name=b"net", channel=2):
        self.script.json(0, stream(channel, name))
        self.script.json(channel, pls_connect(port, host))

    def assert_quiet_end(self):
        """Nothing more comes, though the server has seen all that was sent."""
        self.script.json(0, b'{"type":"message","object":{"token":"WRONG"}}')
        self.script.expect((0, JSON, REFUSED))
        self.assertEqual(self.script.frames, [])

    def test_auth_ok(self):
        self.begin()
        self.assert_quiet_end()

    def test_auth_fail_leaves_the_tunnel_open(self):
        self.script.json(0, b'{"type":"message","object":{"token":"WRONG"}}')
        self.script.expect((0, JSON, REFUSED))
        self.begin()

    def test_messages_in_pieces(self):
        for byte in frame(0, JSON, TOKEN_MESSAGE):
            self.script.tunnel.send_raw(bytes([byte]))
        self.script.expect((0, JSON, AUTHED))

    def test_stream_before_auth(self):
        self.begin_dial(9)
        self.script.expect((0, JSON, b'{"type":"message","object":{"error":"Not authorized!"}}'))
        self.assertIsNone(self.script.tunnel.wait_end())
        self.assertEqual(self.script.frames, [])

    def test_net_echo_device_ends(self):
        target = self.target(targets.echo)
        self.begin()
        self.begin_dial(target.port)
        self.script.expect((2, JSON, CONNECT))
        self.script.send(2, DATA, b"hello")
        self.script.expect((2, DATA, b"hello"))
        self.script.json(2, END)
        self.script.expect((2, JSON, END), (2, JSON, CLOSE))
        self.assert_quiet_end()

    def test_device_destroys_right_after_a_write(self):
        target = self.target(targets.echo)
        self.begin()
        self.begin_dial(target.port)
        self.script.expect((2, JSON, CONNECT))
        self.script.send(2, DATA, b"x")
        self.script.json(2, END)
        self.script.expect((2, DATA, b"x"), (2, JSON, END), (2, JSON, CLOSE))
        self.assert_quiet_end()

    def test_net_lookup_fails(self):
        self.begin()
        self.begin_dial(80, b"no-such-host.invalid")
        self.script.expect(
            (2, JSON, LOOKUP),
            (2, JSON, b'{"event":"error","message":"getaddrinfo ENOTFOUND no-such-host.invalid"}'),
            (2, JSON, END), (2, JSON, CLOSE))
        self.assert_quiet_end()

    def test_net_lookup_localhost(self):
        target = self.target(targets.echo)
        self.begin()
        self.begin_dial(target.port, b"localhost")
        self.script.expect((2, JSON, LOOKUP), (2, JSON, CONNECT))
        self.script.send(2, DATA, b"x")
        self.script.expect((2, DATA, b"x"))
        self.script.json(2, END)
        self.script.expect((2, JSON, END), (2, JSON, CLOSE))

    def test_net_refused(self):
        sock, port = targets.closed_port()
        self.addCleanup(sock.close)
        self.begin()
        self.begin_dial(port)
        self.script.expect(
            (2, JSON, b'{"event":"error","message":"connect ECONNREFUSED 127.0.0.1:%d"}' % port),
            (2, JSON, END), (2, JSON, CLOSE))
        self.assert_quiet_end()

    def test_net_target_ends_first(self):
        def bye(connection, target):
            connection.sendall(b"bye")

        target = self.target(bye)
        self.begin()
        self.begin_dial(target.port)
        self.script.expect((2, JSON, CONNECT), (2, DATA, b"bye"), (2, JSON, END))
        self.script.json(2, END)
        self.script.expect((2, JSON, CLOSE))
        self.assert_quiet_end()

    def test_timeout_after_150_ms_and_the_socket_stays_open(self):
        target = self.target(targets.echo)
        self.begin()
        self.begin_dial(target.port)
        self.script.expect((2, JSON, CONNECT))
        self.script.json(2, b'{"event":"custom","emitArgs":["_pls_timeout",150]}')
        self.script.expect((2, JSON, TIMEOUT))
        self.script.send(2, DATA, b"still open")
        self.script.expect((2, DATA, b"still open"))

    def test_two_streams(self):
        target = self.target(targets.echo)
        self.begin()
        self.begin_dial(target.port, channel=2)
        self.begin_dial(target.port, channel=4)
        by_channel = {2: [], 4: []}
        script = self.script

        def told(channel, payload):
            script.tunnel.wait(lambda: any(f == Frame(channel, JSON, payload) for f in script.frames), payload)

        told(2, CONNECT)
        told(4, CONNECT)
        script.send(2, DATA, b"a" * 10)
        script.send(4, DATA, b"b" * 10)
        script.json(2, END)
        script.json(4, END)
        told(2, CLOSE)
        told(4, CLOSE)
        for taken in script.frames:
            by_channel[taken.channel].append(taken[1:])
        for channel, letter in (2, b"a"), (4, b"b"):
            self.assertEqual(by_channel[channel], [(JSON, CONNECT), (DATA, letter * 10), (JSON, END), (JSON, CLOSE)])

    def test_big_both_ways(self):
        target = self.target(targets.echo)
        self.begin()
        self.begin_dial(target.port)
        self.script.expect((2, JSON, CONNECT))
        for letter in b"ABCDEFGHIJ":
            self.script.send(2, DATA, bytes([letter]) * 20000)
        for letter in b"ABCDEFGHIJ":
            self.script.expect((2, DATA, bytes([letter]) * 20000))
        self.script.json(2, END)
        self.script.expect((2, JSON, END), (2, JSON, CLOSE))
        self.assert_quiet_end()


class TlsTraces(Traces):
    """The recordings with TLS targets; and all the others once more, since the trust store changes nothing for them."""

    options = {}

    @classmethod
    def setUpClass(cls):
        cls.server = Server(environment={"SSL_CERT_FILE": certificates().ca})

    def tls_target(self, name, **options):
        certificate, key = certificates().make(name, **options)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return self.target(targets.echo, context=context)

    def test_tls_echo(self):
        target = self.tls_target("trusted-target")
        self.begin()
        self.begin_dial(target.port, b"localhost", b"tls")
        self.script.expect((2, JSON, LOOKUP), (2, JSON, CONNECT), (2, JSON, SECURE))
        self.script.send(2, DATA, b"secret")
        self.script.expect((2, DATA, b"secret"))
        self.script.json(2, END)
        self.script.expect((2, JSON, END), (2, JSON, CLOSE))
        self.assert_quiet_end()

    def test_tls_untrusted(self):
        target = self.tls_target("self-signed-target", self_signed=True)
        self.begin()
        self.begin_dial(target.port, b"localhost", b"tls")
        self.script.expect(
            (2, JSON, LOOKUP), (2, JSON, CONNECT),
            (2, JSON, b'{"event":"error","message":"self-signed certificate"}'), (2, JSON, END), (2, JSON, CLOSE))
        self.assert_quiet_end()


if __name__ == "__main__":
    unittest.main()
