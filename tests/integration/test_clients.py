"""Other people's TLS: the server with OpenSSL's and GnuTLS's clients, with old protocols, over IPv6, with resumption."""

import os
import select
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import targets
from plex import JSON, WAIT, Tunnel, frame
from server import TOKEN, Server, ServerTest, certificates, program

TOKEN_FRAME = frame(0, JSON, b'{"type":"message","object":{"token":"%s"}}' % TOKEN.encode())
ANSWER = frame(0, JSON, b'{"type":"message","object":{"authed":true}}')


def converse(command, wanted, sent=TOKEN_FRAME):
    """Runs a client, sends bytes through it, reads until `wanted` came; returns what came instead, or None."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = b""
    until = time.monotonic() + WAIT
    try:
        process.stdin.write(sent)
        process.stdin.flush()
        while wanted not in output:
            ready, _, _ = select.select([process.stdout], [], [], max(0, until - time.monotonic()))
            piece = os.read(process.stdout.fileno(), 65536) if ready else b""
            if not piece:
                return output
            output += piece
        return None
    except BrokenPipeError:
        return output + process.stdout.read()
    finally:
        process.kill()
        process.communicate(timeout=WAIT)


class Clients(ServerTest):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(listen=("127.0.0.1:0", "[::1]:0"), listen_old=("127.0.0.1:0",), workers=4,
                            certificate=certificates().make("rsa-server", rsa=True))
        cls.port, cls.port_six = cls.server.ports("tunnels")
        cls.port_old = cls.server.ports("tunnels-old")[0]

    def openssl(self, *arguments, port=None, host="127.0.0.1"):
        shown = f"[{host}]" if ":" in host else host
        return ["openssl", "s_client", "-quiet", "-no_ign_eof", "-nocommands", "-CAfile", certificates().ca,
                "-verify_return_error", "-verify_hostname", "localhost", "-connect", f"{shown}:{port or self.port}", *arguments]

    def test_openssl(self):
        for version in "-tls1_2", "-tls1_3":
            with self.subTest(version=version):
                self.assertIsNone(converse(self.openssl(version), ANSWER))

    def test_gnutls(self):
        for priority in "NORMAL", "NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3":
            with self.subTest(priority=priority):
                command = ["gnutls-cli", "--x509cafile", certificates().ca, "--verify-hostname", "localhost", "--priority",
                           priority, "--port", str(self.port), "127.0.0.1"]
                self.assertIsNone(converse(command, ANSWER))

    def test_old_protocols_are_refused(self):
        for version in "-tls1", "-tls1_1":
            with self.subTest(version=version):
                self.assertIsNotNone(converse(self.openssl(version, "-cipher", "ALL@SECLEVEL=0"), ANSWER))

    def test_weak_ciphers_are_refused(self):
        self.assertIsNotNone(converse(self.openssl("-tls1_2", "-cipher", "AES128-SHA@SECLEVEL=0"), ANSWER))

    def test_boards_of_2014_have_their_listener(self):
        """TLS 1.1 and 1.0, RSA key exchange, CBC."""
        for version in "-tls1", "-tls1_1":
            for cipher in "AES128-SHA", "AES256-SHA":
                with self.subTest(version=version, cipher=cipher):
                    command = self.openssl(version, "-cipher", cipher + "@SECLEVEL=0", port=self.port_old)
                    self.assertIsNone(converse(command, ANSWER))
        command = self.openssl("-tls1_2", "-cipher", "AES128-SHA@SECLEVEL=0", port=self.port_old)
        self.assertIsNone(converse(command, ANSWER))

    def test_the_log_warns_of_it(self):
        warnings = [line for line in self.server.lines if line["level"] == "warning" and "TLS 1.0" in line["message"]]
        self.assertTrue(warnings)

    def test_ipv6(self):
        self.assertIsNone(converse(self.openssl(host="::1", port=self.port_six), ANSWER))
        with Tunnel.connect("::1", self.port_six, ca=certificates().ca) as tunnel:
            self.assertTrue(tunnel.authenticate(TOKEN))
            self.assert_goes_on(tunnel)

    def test_the_certificate_is_good_for_its_names_only(self):
        with Tunnel.connect("127.0.0.1", self.port, ca=certificates().ca, name="127.0.0.1"):
            pass
        with self.assertRaises(ssl.SSLCertVerificationError):
            Tunnel.connect("127.0.0.1", self.port, ca=certificates().ca, name="example.com")

    def test_renegotiation_is_off(self):
        context = ["openssl", "s_client", "-tls1_2", "-CAfile", certificates().ca, "-connect", f"127.0.0.1:{self.port}"]
        done = subprocess.run(context, input=b"R\n", capture_output=True, timeout=WAIT)
        self.assertNotIn(b"verify return:1\nread:errno", done.stdout)
        self.assertRegex(done.stderr + done.stdout, b"(?i)no.?renegotiation|alert")

    def test_alpn_is_no_matter(self):
        self.assertIsNone(converse(self.openssl("-alpn", "h2,http/1.1"), ANSWER))

    def test_sni_is_no_matter(self):
        for arguments in ("-noservername",), ("-servername", "another.example"):
            self.assertIsNone(converse(self.openssl(*arguments), ANSWER))

    def resume(self, version, count=12):
        """How many of so many connections, spread over the workers, resumed the first one's session."""
        context = ssl.create_default_context(cafile=certificates().ca)
        context.minimum_version = context.maximum_version = version
        session, reused = None, 0
        for _ in range(count):
            with socket.create_connection(("127.0.0.1", self.port), WAIT) as plain:
                with context.wrap_socket(plain, server_hostname="localhost", session=session) as sock:
                    sock.sendall(TOKEN_FRAME)
                    self.assertTrue(sock.recv(100).startswith(ANSWER[:5]))
                    reused += sock.session_reused
                    session = session or sock.session
        return reused

    def test_sessions_resume_on_every_worker(self):
        self.assertEqual(self.resume(ssl.TLSVersion.TLSv1_2), 11)

    def test_sessions_resume_on_every_worker_tls13(self):
        context = ssl.create_default_context(cafile=certificates().ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        session = None
        for count in range(8):
            with socket.create_connection(("127.0.0.1", self.port), WAIT) as plain:
                with context.wrap_socket(plain, server_hostname="localhost", session=session) as sock:
                    sock.sendall(TOKEN_FRAME)
                    self.assertTrue(sock.recv(100).startswith(ANSWER[:5]))
                    self.assertEqual(sock.session_reused, bool(count))
                    session = sock.session

    def test_sessions_survive_a_reload(self):
        context = ssl.create_default_context(cafile=certificates().ca)
        context.maximum_version = ssl.TLSVersion.TLSv1_2

        def connect(session):
            with socket.create_connection(("127.0.0.1", self.port), WAIT) as plain:
                with context.wrap_socket(plain, server_hostname="localhost", session=session) as sock:
                    return sock.session, sock.session_reused

        session, _ = connect(None)
        start = len(self.server.lines)
        self.server.signal(signal.SIGHUP)
        self.server.wait_log("configuration reloaded", start)
        self.assertTrue(connect(session)[1])

    def test_close_notify(self):
        """The end of a tunnel is TLS's end, not a cut."""
        context = ssl.create_default_context(cafile=certificates().ca)
        with socket.create_connection(("127.0.0.1", self.port), WAIT) as plain:
            with context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as sock:
                sock.sendall(b"\0\0")
                data = b""
                while piece := sock.recv(4096):
                    data += piece
                self.assertIn(b"frame length under 3", data)

    def test_a_devices_close_notify_ends_the_tunnel(self):
        with socket.create_connection(("127.0.0.1", self.port), WAIT) as plain:
            context = ssl.create_default_context(cafile=certificates().ca)
            sock = context.wrap_socket(plain, server_hostname="localhost")
            sock.sendall(TOKEN_FRAME)
            sock.recv(100)
            sock.unwrap()
            self.server.wait_log("tunnel closed", self.log_start)

    def test_many_connections_are_spread(self):
        tunnels = [self.tunnel() for _ in range(40)]
        for tunnel in tunnels:
            self.assert_goes_on(tunnel)


class ReferenceEnvironment(unittest.TestCase):
    """A fleet's operator stops the old proxy and starts this one with the same variables."""

    def test_all_of_them(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        certificate, key = certificates().make("rsa-server", rsa=True)
        encrypted = os.path.join(folder.name, "encrypted.key")
        subprocess.run(["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:sesame", "-out", encrypted], check=True,
                       capture_output=True, timeout=WAIT)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        environment = {"PATH": os.environ["PATH"], "PORT": str(port), "CERT_FILE": certificate, "KEY_FILE": encrypted,
                       "KEY_PASS": "sesame", "AUTH_HARDCODED": "DEV-CRED", "NUM_WORKERS": "2"}
        process = subprocess.Popen([program(), "serve", "--log-format", "json", "--egress-allow", "127.0.0.0/8"],
                                   env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            for line in process.stderr:
                if b'"listening"' in line:
                    break
            for host in "127.0.0.1", "::1":
                with Tunnel.connect(host, port, ca=certificates().ca) as tunnel:
                    self.assertTrue(tunnel.authenticate("DEV-CRED"))
                    with targets.Target(targets.echo) as target:
                        substream = tunnel.dial(target.port)
                        substream.send(b"as ever")
                        self.assertEqual(substream.recv(7), b"as ever")
        finally:
            process.terminate()
            process.communicate(timeout=WAIT)
        self.assertEqual(process.returncode, 0)


if __name__ == "__main__":
    unittest.main()
