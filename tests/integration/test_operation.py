"""Running it: caps, sockets passed by a service manager, its notifications, the admin listener, the log."""

import fcntl
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

import targets
from plex import WAIT, Closed, Tunnel
from server import TOKEN, Server, ServerTest, certificates, program

V1 = ("flow", "ping", "reset")


# Passes sockets as a service manager does: descriptors from 3 on, and variables that name this very process.
LAUNCHER = """import os, sys
for count, fd in enumerate(map(int, sys.argv[1].split(","))):
    os.dup2(fd, 3 + count, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count + 1), LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])
"""


class Caps(unittest.TestCase):
    def start(self, *arguments, **options):
        self.server = Server(*arguments, **options)
        self.addCleanup(self.server.stop)

    def connect(self):
        tunnel = Tunnel.connect("127.0.0.1", self.server.port)
        self.addCleanup(tunnel.close)
        return tunnel

    def tunnel(self, features=None):
        tunnel = self.connect()
        self.assertTrue(tunnel.authenticate(TOKEN, features))
        return tunnel

    def assert_no_more(self):
        with self.assertRaises((OSError, ssl.SSLError)):
            self.connect()
        self.server.wait_log("connection refused")

    def check_cap(self, setting):
        self.start(setting, "3")
        tunnels = [self.tunnel() for _ in range(3)]
        self.assert_no_more()
        tunnels[0].close()
        self.server.wait_log("tunnel closed")
        self.server.wait_metrics(lambda now: now["streamplex_tunnels"] == 2, "a closed tunnel is counted")
        self.tunnel()

    def test_tunnels(self):
        self.check_cap("--max-tunnels")

    def test_tunnels_of_an_address(self):
        self.check_cap("--max-tunnels-per-address")

    def check_unauthed(self, setting):
        self.start(setting, "3")
        self.tunnel()  # authenticated: not counted
        waiting = [self.connect() for _ in range(3)]
        self.assert_no_more()
        self.assertTrue(waiting[0].authenticate(TOKEN))
        self.tunnel()

    def test_unauthed(self):
        self.check_unauthed("--max-unauthed")

    def test_unauthed_of_an_address(self):
        self.check_unauthed("--max-unauthed-per-address")

    def test_dials(self):
        self.start("--max-dials", "2", "--dial-timeout", "30s")
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
        substreams = [tunnel.open() for _ in range(3)]
        for substream in substreams:
            substream.connect(listener.getsockname()[1])
        self.assertEqual(substreams[2].wait_over(), ("too many dials under way", "EAGAIN"))
        substreams[0].send_reset()
        substreams[0].wait_over()
        with targets.Target(targets.echo) as target:
            tunnel.dial(target.port)

    def test_credit_of_a_tunnel(self):
        """Under pressure windows aren't refilled, but to a frame: everybody goes on, slowly, and the sum is bounded."""
        self.start("--credit-limit", "256k")
        with targets.Target(targets.deaf) as deaf, targets.Target(targets.echo) as echo:
            tunnel = self.tunnel(V1)
            for _ in range(6):
                tunnel.dial(deaf.port)
            substream = tunnel.dial(echo.port)
            data = bytes(range(256)) * 4000
            substream.send(data)
            self.assertEqual(substream.recv(len(data)), data)
            self.assertLessEqual(self.server.metrics()["streamplex_credit_bytes"], 7 * 65536)


class ServiceManager(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.notices.close)
        self.notices.bind(os.path.join(folder.name, "notify"))
        self.notices.settimeout(WAIT)
        self.environment = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": os.path.join(folder.name, "notify")}

    def next_notice(self, wanted):
        while True:
            notice = self.notices.recv(4096).decode()
            if wanted in notice:
                return notice

    def start(self, *arguments, fds=(), names=""):
        certificate, key = certificates().make("rsa-server", rsa=True)
        command = [program(), "serve", "--cert", certificate, "--key", key, "--token", TOKEN, "--egress-allow", "127.0.0.0/8",
                   "--log-format", "json", "--drain", "500ms", *arguments]
        if fds:
            command = [sys.executable, "-c", LAUNCHER, ",".join(map(str, fds)), names] + command
        process = subprocess.Popen(command, env=self.environment, pass_fds=fds, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def listen(self):
        """A socket whose descriptor is well above those that it is moved to."""
        with socket.create_server(("127.0.0.1", 0)) as sock:
            fd = fcntl.fcntl(sock, fcntl.F_DUPFD, 50)
        passed = socket.socket(fileno=fd)
        self.addCleanup(passed.close)
        return passed

    def check(self, port, **options):
        with Tunnel.connect("127.0.0.1", port, **options) as tunnel:
            self.assertTrue(tunnel.authenticate(TOKEN))
            with targets.Target(targets.echo) as target:
                substream = tunnel.dial(target.port)
                substream.send(b"passed")
                self.assertEqual(substream.recv(6), b"passed")

    def test_notices(self):
        process = self.start("--listen", "127.0.0.1:0")
        self.next_notice("READY=1")
        process.send_signal(signal.SIGHUP)
        self.next_notice("RELOADING=1")
        self.next_notice("READY=1")
        process.terminate()
        self.next_notice("STOPPING=1")
        self.assertEqual(process.wait(WAIT), 0)

    def test_watchdog(self):
        self.environment["WATCHDOG_USEC"] = "400000"
        process = self.start("--listen", "127.0.0.1:0")
        for _ in range(3):
            self.next_notice("WATCHDOG=1")
        process.terminate()
        self.assertEqual(process.wait(WAIT), 0)

    def test_sockets_passed(self):
        sockets = [self.listen(), self.listen()]
        process = self.start(fds=[sock.fileno() for sock in sockets], names="tunnels:tunnels-old")
        self.next_notice("READY=1")
        for sock in sockets:
            self.check(sock.getsockname()[1])
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname = False
        old.verify_mode = ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises((OSError, ssl.SSLError)):
            Tunnel.connect("127.0.0.1", sockets[0].getsockname()[1], context=old)
        self.check(sockets[1].getsockname()[1], context=old)
        process.terminate()
        self.assertEqual(process.wait(WAIT), 0)

    def test_sockets_of_the_edge_passed(self):
        """They are visitors', by their names; and tunnels go on where --listen says."""
        sockets = [self.listen() for _ in range(3)]
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        arguments = ("--state", folder.name, "--edge-http", "192.0.2.1:1", "--edge-https", "192.0.2.1:2", "--shared-443",
                     "192.0.2.1:3", "--listen", "127.0.0.1:0")
        process = self.start(*arguments, fds=[sock.fileno() for sock in sockets], names="edge-https:edge-http:shared-443")
        self.next_notice("READY=1")
        https, plain, shared = (sock.getsockname()[1] for sock in sockets)
        connection = http.client.HTTPConnection("127.0.0.1", plain, timeout=WAIT)
        self.addCleanup(connection.close)
        connection.request("GET", "/")
        self.assertEqual(connection.getresponse().getheader("X-Streamplex-Error"), "UNKNOWN_NAME")
        context = ssl.create_default_context(cafile=os.path.join(folder.name, "ca.pem"))
        secure = http.client.HTTPSConnection("a.edge.localhost", https, timeout=WAIT, context=context)
        secure._create_connection = lambda address, *rest: socket.create_connection(("127.0.0.1", https), WAIT)
        self.addCleanup(secure.close)
        secure.request("GET", "/")
        self.assertEqual(secure.getresponse().status, 404)
        self.check(shared, name=None)
        process.terminate()
        self.assertEqual(process.wait(WAIT), 0)

    def test_sockets_of_an_edge_that_is_off(self):
        sock = self.listen()
        process = self.start("--listen", "127.0.0.1:0", fds=[sock.fileno()], names="edge-http")
        error = process.stderr.read().decode()
        self.assertEqual(process.wait(WAIT), 1)
        self.assertIn("a socket named edge-http was passed, but the edge is off: give --edge-http, too", error)


class Admin(ServerTest):
    def request(self, method, path, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.ports("admin")[0], timeout=WAIT)
        self.addCleanup(connection.close)
        connection.request(method, path, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers

    def test_metrics_are_prometheus_text(self):
        self.tunnel()
        status, text, headers = self.request("GET", "/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("text/plain"))
        self.assertTrue(text.endswith("\n"))
        declared = set()
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                declared.add(line.split()[2])
            elif not line.startswith("#"):
                self.assertRegex(line, r'^[a-z_]+(\{[a-z_]+="[^"]*"\})? -?[0-9.e+]+$')
                self.assertIn(re.split("[{ ]", line)[0], declared)
        for name in ("tunnels", "substreams", "bytes_from_devices_total", "dials_total", "handshakes_total", "auth_total",
                     "stalls_total", "buffered_bytes"):
            self.assertIn("streamplex_" + name, declared)

    def test_other_requests(self):
        self.assertEqual(self.request("GET", "/nothing")[0], 404)
        self.assertEqual(self.request("POST", "/metrics")[0], 405)
        self.assertEqual(self.request("GET", "/healthz")[0], 200)

    def test_garbage(self):
        for data in b"\0" * 1000, b"GET /metrics\r\n\r\n", b"GET /metrics HTTP/1.1\r\nHost : x\r\n\r\n", b"A" * 100000:
            with socket.create_connection(("127.0.0.1", self.server.ports("admin")[0]), WAIT) as sock:
                try:
                    sock.sendall(data)
                    answer = sock.recv(1000)
                except ConnectionError:
                    answer = b""
                self.assertNotIn(b" 200 ", answer)
        self.assertEqual(self.request("GET", "/healthz")[0], 200)

    def test_it_is_not_for_devices(self):
        other = Server(egress_allow=())
        self.addCleanup(other.stop)
        tunnel = Tunnel.connect("127.0.0.1", other.port)
        self.addCleanup(tunnel.close)
        self.assertTrue(tunnel.authenticate(TOKEN, V1))
        substream = tunnel.open()
        substream.connect(other.ports("admin")[0])
        self.assertEqual(substream.wait_over()[1], "EACCES")


class TextLog(unittest.TestCase):
    def test_a_line_an_event(self):
        certificate, key = certificates().make("server")
        process = subprocess.Popen([program(), "serve", "--listen", "127.0.0.1:0", "--cert", certificate, "--key", key,
                                    "--token", TOKEN, "--log-format", "text"], env={"PATH": os.environ["PATH"]},
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            line = process.stderr.readline()
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\S+Z info +listening listener=tunnels address=127\.0\.0\.1:\d+$")
            port = int(line.rsplit(":", 1)[1])
            with Tunnel.connect("127.0.0.1", port) as tunnel:
                self.assertTrue(tunnel.authenticate(TOKEN))
                # What a device says can't forge a line.
                substream = tunnel.open()
                substream.connect(1, 'x"\\=y')
                substream.wait_over()
                with self.assertRaises(Closed):
                    tunnel.send_raw(b"\0\0")
                    tunnel.wait(lambda: False, "the end")
        finally:
            process.terminate()
            rest = process.communicate(timeout=WAIT)[1]
        self.assertEqual(process.returncode, 0, rest)
        for line in rest.splitlines():
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\S+Z (debug|info|warning|error) +\S")
        self.assertIn("substream closed", rest)
        self.assertIn("tunnel fault", rest)


if __name__ == "__main__":
    unittest.main()
