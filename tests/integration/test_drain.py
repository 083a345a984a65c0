"""Starting, stopping, and changing a server under its tunnels: signals, draining, reload, and what must not start."""

import hashlib
import os
import signal
import socket
import ssl
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path

import targets
from plex import WAIT, Tunnel
from server import TOKEN, Server, certificates, program

V1 = ("flow", "reset", "goaway", "ping")
GOING_AWAY = "the server is going away"


class ServerPerTest(unittest.TestCase):
    def start(self, *arguments, **options):
        server = Server(*arguments, **options)
        self.addCleanup(server.kill)
        return server

    def tunnel(self, server, features=None, token=TOKEN):
        tunnel = Tunnel.connect("127.0.0.1", server.port)
        self.addCleanup(tunnel.close)
        self.assertTrue(tunnel.authenticate(token, features))
        return tunnel

    def target(self, serve=targets.echo):
        target = targets.Target(serve)
        self.addCleanup(target.close)
        return target

    def assert_clean(self, server, status=0):
        self.assertEqual(server.wait_exit(), status)
        self.assertEqual([line for line in server.other if "Sanitizer" in line or "runtime error" in line], [])


class Drain(ServerPerTest):
    def test_idle_server_ends_at_once(self):
        for number in signal.SIGTERM, signal.SIGINT:
            server = self.start(drain="1m")
            server.signal(number)
            self.assert_clean(server)

    def test_idle_tunnels_dont_hold_it(self):
        server = self.start(drain="1m")
        tunnels = [self.tunnel(server), self.tunnel(server, V1)]
        server.signal(signal.SIGTERM)
        for tunnel in tunnels:
            tunnel.wait_end()
        self.assert_clean(server)

    def test_substreams_may_end(self):
        server = self.start(drain="1m")
        target = self.target()
        legacy, v1 = self.tunnel(server), self.tunnel(server, V1)
        substreams = [legacy.dial(target.port), v1.dial(target.port)]
        server.signal(signal.SIGTERM)
        server.wait_log("draining")
        v1.wait(lambda: v1.goaway is not None, "goaway")
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), 5)
        for tunnel in legacy, v1:
            late = tunnel.open()
            self.assertEqual(late.wait_over()[0], GOING_AWAY)
        for substream in substreams:
            substream.send(b"to the end")
            self.assertEqual(substream.recv(10), b"to the end")
            self.assertIsNone(server.process.poll())
            substream.end()
            self.assertIsNone(substream.wait_over())
        for tunnel in legacy, v1:
            tunnel.wait_end()
        self.assert_clean(server)

    def test_grace_time_is_over(self):
        server = self.start(drain="300ms")
        tunnel = self.tunnel(server)
        tunnel.dial(self.target().port)
        server.signal(signal.SIGTERM)
        tunnel.wait_end()
        self.assert_clean(server)

    def test_a_second_signal_ends_it_at_once(self):
        server = self.start(drain="10m")
        tunnel = self.tunnel(server)
        tunnel.dial(self.target().port)
        server.signal(signal.SIGTERM)
        server.wait_log("draining")
        server.signal(signal.SIGTERM)
        tunnel.wait_end()
        server.wait_exit()
        self.assertEqual([line for line in server.other if "Sanitizer" in line], [])

    def test_readyz(self):
        server = self.start(drain="10m")
        self.tunnel(server).dial(self.target().port)
        self.assertTrue(server.get("/readyz"))
        self.assertTrue(server.get("/healthz"))
        server.signal(signal.SIGTERM)
        server.wait_log("draining")
        with self.assertRaises(Exception) as caught:
            server.get("/readyz")
        self.assertEqual(caught.exception.code, 503)
        caught.exception.close()
        self.assertTrue(server.get("/healthz"))


class Reload(ServerPerTest):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.config = os.path.join(folder.name, "streamplex.ini")
        self.tokens = os.path.join(folder.name, "tokens")
        self.certificate = os.path.join(folder.name, "cert.pem"), os.path.join(folder.name, "key.pem")

    def write(self, path, text):
        """Whole or not at all, as an operator's tools do."""
        with open(path + ".new", "w") as file:
            file.write(text)
        os.replace(path + ".new", path)

    def use_certificate(self, name):
        for source, path in zip(certificates().make(name), self.certificate):
            with open(source) as file:
                self.write(path, file.read())

    def reload(self, server, expected="configuration reloaded"):
        start = len(server.lines)
        server.signal(signal.SIGHUP)
        return server.wait_log(expected, start)

    def presented(self, server):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", server.port), WAIT) as plain:
            with context.wrap_socket(plain) as sock:
                return hashlib.sha256(sock.getpeercert(True)).hexdigest()

    def fingerprint(self, name):
        with open(certificates().make(name)[0]) as file:
            return hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()

    def goes_on(self, substream):
        substream.send(b"goes on")
        self.assertEqual(substream.recv(7), b"goes on")

    def test_certificates(self):
        self.use_certificate("server")
        server = self.start(certificate=self.certificate)
        substream = self.tunnel(server).dial(self.target().port)
        self.assertEqual(self.presented(server), self.fingerprint("server"))
        self.use_certificate("server-of-tomorrow")
        self.reload(server)
        self.assertEqual(self.presented(server), self.fingerprint("server-of-tomorrow"))
        self.goes_on(substream)

    def test_bad_certificate_changes_nothing(self):
        self.use_certificate("server")
        server = self.start(certificate=self.certificate)
        substream = self.tunnel(server).dial(self.target().port)
        self.write(self.certificate[0], "no certificate\n")
        self.reload(server, "reload failed")
        self.assertEqual(self.presented(server), self.fingerprint("server"))
        self.goes_on(substream)
        os.unlink(self.certificate[0])
        self.reload(server, "reload failed")
        self.goes_on(substream)

    def test_tokens(self):
        self.write(self.tokens, "one:token-one\n")
        server = self.start("--token-file", self.tokens, token=None)
        substream = self.tunnel(server, token="token-one").dial(self.target().port)
        self.write(self.tokens, "two:token-two\n")
        self.reload(server)
        self.tunnel(server, token="token-two")
        tunnel = Tunnel.connect("127.0.0.1", server.port)
        self.addCleanup(tunnel.close)
        self.assertFalse(tunnel.authenticate("token-one"))
        self.goes_on(substream)

    def test_egress(self):
        target, other = self.target(), self.target()
        self.write(self.config, f"[serve]\negress-allow = 127.0.0.1/32:{target.port}\n")
        server = self.start("--config", self.config, egress_allow=())
        tunnel = self.tunnel(server)
        substream = tunnel.dial(target.port)
        refused = tunnel.open()
        refused.connect(other.port)
        self.assertEqual(refused.wait_over()[0], f"connect EACCES 127.0.0.1:{other.port}")
        self.write(self.config, f"[serve]\negress-allow = 127.0.0.1/32:{other.port}\n")
        self.reload(server)
        tunnel.dial(other.port)
        refused = tunnel.open()
        refused.connect(target.port)
        self.assertEqual(refused.wait_over()[0], f"connect EACCES 127.0.0.1:{target.port}")
        self.goes_on(substream)

    def test_limits(self):
        self.write(self.config, "[serve]\nmax-substreams = 2\n")
        server = self.start("--config", self.config)
        target = self.target()
        old = self.tunnel(server)
        substreams = [old.dial(target.port) for _ in range(2)]
        self.assertEqual(old.open().wait_over()[0], "too many substreams")
        self.write(self.config, "[serve]\nmax-substreams = 3\n")
        self.reload(server)
        new = self.tunnel(server)
        substreams += [new.dial(target.port) for _ in range(3)]
        self.assertEqual(new.open().wait_over()[0], "too many substreams")
        for substream in substreams:
            self.goes_on(substream)

    def test_bad_config_changes_nothing(self):
        self.write(self.config, f"[serve]\ntoken = {TOKEN}\n")
        server = self.start("--config", self.config, token=None)
        substream = self.tunnel(server).dial(self.target().port)
        for text in "[serve]\nno-such-setting = 1\n", "[serve]\nmax-json = lots\n", "[serve]\negress-deny = here\n":
            self.write(self.config, text)
            line = self.reload(server, "reload failed")
            self.assertRegex(line["message"], r"streamplex\.ini|egress-deny")
            self.tunnel(server)
            self.goes_on(substream)

    def test_under_load(self):
        """Reload after reload while a tunnel carries data."""
        server = self.start()
        substream = self.tunnel(server, V1).dial(self.target().port)
        for _ in range(10):
            start = len(server.lines)
            server.signal(signal.SIGHUP)
            for _ in range(5):
                self.goes_on(substream)
            server.wait_log("configuration reloaded", start)
        server.stop()


    def test_the_end_doesnt_wait_for_a_reload(self):
        """Both signals are there at once."""
        server = self.start()
        for number in signal.SIGSTOP, signal.SIGHUP, signal.SIGTERM, signal.SIGCONT:
            server.signal(number)
        self.assert_clean(server)
        self.assertEqual(server.find("configuration reloaded"), [])


class Start(unittest.TestCase):
    """What must not start, and says why in one line."""

    def run_serve(self, *arguments, environment=None):
        with tempfile.TemporaryDirectory() as state:
            done = subprocess.run([program(), "serve", "--listen", "127.0.0.1:0", "--state", state, *arguments],
                                  env={"PATH": os.environ["PATH"], **(environment or {})}, capture_output=True, text=True,
                                  timeout=WAIT * 2)
        self.assertNotIn("Sanitizer", done.stderr)
        return done

    def assert_refuses(self, pattern, *arguments, **options):
        done = self.run_serve(*arguments, **options)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, pattern)

    def test_named_certificate_that_cant_be_read(self):
        """Never a silent fall to the local CA."""
        certificate, key = certificates().make("server")
        self.assert_refuses("/no/such/cert.pem", "--cert", "/no/such/cert.pem", "--key", key, "--token", TOKEN)
        self.assert_refuses("/no/such/key.pem", "--cert", certificate, "--key", "/no/such/key.pem", "--token", TOKEN)
        self.assert_refuses("key", "--cert", certificate, "--token", TOKEN)
        self.assert_refuses("/no/such/cert.pem", environment={"CERT_FILE": "/no/such/cert.pem", "KEY_FILE": key,
                                                              "AUTH_HARDCODED": "x"})

    def test_key_of_another_certificate(self):
        self.assert_refuses("(?i)key", "--cert", certificates().make("server")[0], "--key",
                            certificates().make("server-of-tomorrow")[1], "--token", TOKEN)

    def test_port_in_use(self):
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            address = "127.0.0.1:%d" % sock.getsockname()[1]
            self.assert_refuses("(?i)in use", "--listen", address, "--token", TOKEN)

    def test_bad_settings(self):
        for arguments in (["--no-such-setting"], ["--listen", "nowhere"], ["--max-json", "x"], ["--workers", "-1"],
                          ["--drain"], ["--admin", "0.0.0.0:0"], ["--token-file", "/no/such/file"],
                          ["--auth-exec", "/no/such/program"], ["--config", "/no/such/file"], ["stray"]):
            with self.subTest(arguments=arguments):
                done = self.run_serve("--token", TOKEN, *arguments)
                self.assertNotEqual(done.returncode, 0)
                self.assertTrue(done.stderr.strip())

    def test_check_config(self):
        certificate, key = certificates().make("server")
        done = self.run_serve("--check-config", "--cert", certificate, "--key", key, "--token", TOKEN)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.run_serve("--check-config", "--cert", "/no/such/cert.pem", "--key", key, "--token", TOKEN)
        self.assertNotEqual(done.returncode, 0)

    def test_help_lists_every_setting(self):
        done = self.run_serve("--help")
        self.assertEqual(done.returncode, 0)
        for name in ("listen", "listen-old", "cert", "key", "state", "workers", "token", "token-file", "oauth", "auth-exec",
                     "egress-allow", "egress-deny", "handshake-timeout", "auth-timeout", "frame-timeout", "dial-timeout",
                     "half-open-timeout", "drain", "admin", "log-format", "config", "check-config", "egress-explain",
                     "PORT", "CERT_FILE", "KEY_FILE", "KEY_PASS", "AUTH_HARDCODED", "AUTH_TESSEL_OA2", "NUM_WORKERS"):
            self.assertIn(name, done.stdout)


class FirstRun(unittest.TestCase):
    def test_it_makes_a_ca_a_certificate_and_a_token(self):
        with tempfile.TemporaryDirectory() as parent:
            state = os.path.join(parent, "state")
            command = [program(), "serve", "--listen", "127.0.0.1:0", "--state", state, "--egress-allow", "127.0.0.0/8",
                       "--log-format", "json"]
            for run in range(2):
                process = subprocess.Popen(command, env={"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE,
                                           stderr=subprocess.PIPE, text=True)
                try:
                    welcome = []
                    for line in process.stdout:
                        welcome.append(line)
                        if "streamplex dial" in line:
                            break
                    text = "".join(welcome)
                    self.assertIn(os.path.join(state, "ca.pem"), text)
                    port = int(text.split("--server localhost:")[1].split()[0])
                    with open(os.path.join(state, "token")) as file:
                        token = file.read().strip()
                    self.assertNotIn(token, text)
                    with Tunnel.connect("127.0.0.1", port, ca=os.path.join(state, "ca.pem")) as tunnel:
                        self.assertTrue(tunnel.authenticate(token))
                    self.assertEqual(stat.S_IMODE(os.stat(state).st_mode), 0o700)
                    for name in (name for name in os.listdir(state) if not name.endswith(".pem")):
                        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(state, name)).st_mode) & 0o077, 0, name)
                    kept = [Path(state, name).read_bytes() for name in ("token", "ca.pem")]
                    if run:
                        self.assertEqual(kept, first)
                    first = kept
                finally:
                    process.terminate()
                    output = process.communicate(timeout=WAIT)
                self.assertEqual(process.returncode, 0, output)
                self.assertNotIn(token, "".join(output))


if __name__ == "__main__":
    unittest.main()
