"""The edge as an agent sees it that was written from the document alone: what comes through the tunnel for a visitor, and
what the visitor gets. No program of ours but the server takes part."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

from edge import DOMAIN, EdgeServer
from plex import FEATURES, WAIT, Tunnel
from server import TOKEN, Server, certificates, program

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n"


class TunnelCase(unittest.TestCase):
    arguments, options = (), {}

    @classmethod
    def setUpClass(cls):
        cls.server = EdgeServer(*cls.arguments, **cls.options)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def agent(self, port=None, **options):
        tunnel = Tunnel.connect("127.0.0.1", port or self.server.port, **options)
        self.addCleanup(tunnel.close)
        self.assertTrue(tunnel.authenticate(TOKEN, FEATURES))
        self.assertIn("inbound", tunnel.granted["features"])
        return tunnel

    def socket_of(self, tunnel, service="web", name=None, kind="https", **more):
        word, facts = tunnel.register(service, name or self.id().rsplit(".", 1)[1][:64], kind, **more)
        self.assertEqual(word, "registered", facts)
        return facts

    def visit(self, url, *arguments):
        """curl, which runs while the tunnel is pumped."""
        scheme, _, rest = url.partition("://")
        host, _, port = rest.partition("/")[0].partition(":")
        command = ["curl", "-sS", "-i", "--noproxy", "*", "--cacert", self.server.edge_ca, "--max-time", str(2 * WAIT),
                   "--resolve", f"{host}:{port}:127.0.0.1", *arguments, url]
        visitor = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(visitor.kill)
        return visitor

    def output(self, visitor):
        return visitor.communicate(timeout=2 * WAIT)[0].decode()

    def head(self, substream):
        substream.wait(lambda: b"\r\n\r\n" in substream.data, "a request's head")
        head, _, rest = bytes(substream.data).partition(b"\r\n\r\n")
        del substream.data[:]
        substream.data += rest
        return head.decode().split("\r\n")

    def answer(self, tunnel, answer=ANSWER):
        """Takes one visitor and answers its request, as a service does that closes. Returns the substream and the head."""
        substream = tunnel.accept()
        head = self.head(substream)
        substream.emit("connect")
        self.finish(substream, answer)
        return substream, head

    def finish(self, substream, answer=ANSWER):
        """The service answers and ends; so does the visitor, and the substream is over."""
        substream.send(answer)
        substream.end()
        substream.wait(lambda: substream.end_received or substream.over, "the visitor's end")
        if not substream.over:
            substream.close()


class HttpTest(TunnelCase):
    def test_curl_gets_a_page_over_https(self):
        tunnel = self.agent()
        facts = self.socket_of(tunnel, name="Youpi")
        self.assertTrue(facts["hostname"].endswith("." + DOMAIN))
        self.assertEqual(facts["port"], self.server.https_port)
        self.assertEqual(facts["url"], f"https://{facts['hostname']}:{self.server.https_port}")
        visitor = self.visit(facts["url"] + "/page?x=1", "-A", "a-visitor")
        substream, head = self.answer(tunnel)
        self.assertEqual(substream.service, "web")
        self.assertTrue(substream.visitor.startswith("127.0.0.1"))
        self.assertEqual(head[0], "GET /page?x=1 HTTP/1.1")
        self.assertIn(f"Host: {facts['hostname']}:{self.server.https_port}", head)
        self.assertIn("X-Forwarded-Proto: https", head)
        self.assertIn("X-Forwarded-For: 127.0.0.1", head)
        output = self.output(visitor)
        self.assertTrue(output.startswith("HTTP/1.1 200"), output)
        self.assertTrue(output.endswith("hello\n"), output)
        tunnel.wait(lambda: tunnel.visits, "word of the visit")
        visit = tunnel.visits[0]
        self.assertEqual((visit["service"], visit["status"], visit["bytes_out"], visit["visitor"], visit["user_agent"]),
                         ("web", 200, 6, "127.0.0.1", "a-visitor"))
        self.assertEqual(visit["substream"], substream.channel)

    def test_curl_gets_a_page_over_http(self):
        tunnel = self.agent()
        facts = self.socket_of(tunnel, kind="http")
        visitor = self.visit(f"http://{facts['hostname']}:{self.server.http_port}/")
        _, head = self.answer(tunnel)
        self.assertIn("X-Forwarded-Proto: http", head)
        self.assertIn("hello", self.output(visitor))

    def test_upload_reaches_the_service_whole(self):
        tunnel = self.agent()
        facts = self.socket_of(tunnel)
        body = os.urandom(300000)
        visitor = subprocess.Popen(
            ["curl", "-sS", "--noproxy", "*", "--cacert", self.server.edge_ca, "--max-time", str(2 * WAIT), "--resolve",
             f"{facts['hostname']}:{facts['port']}:127.0.0.1", "--data-binary", "@-", facts["url"]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(visitor.kill)
        visitor.stdin.write(body)
        visitor.stdin.close()
        substream = tunnel.accept()
        substream.emit("connect")
        head = self.head(substream)
        self.assertIn("Content-Length: 300000", head)
        substream.wait(lambda: len(substream.data) >= len(body), "the body")
        self.assertEqual(bytes(substream.data), body)
        self.finish(substream)
        self.assertEqual(visitor.stdout.read(), b"hello\n")
        self.assertEqual(visitor.wait(WAIT), 0)

    def test_many_workers_and_visitors(self):
        """Some come to the tunnel's worker, others to another one."""
        tunnel = self.agent()
        facts = self.socket_of(tunnel)
        for _ in range(6):
            visitors = [self.visit(facts["url"]) for _ in range(2)]
            for _ in visitors:
                self.answer(tunnel)
            for visitor in visitors:
                self.assertIn("hello", self.output(visitor))

    def test_names_without_agent_and_unknown_names(self):
        tunnel = self.agent()
        facts = self.socket_of(tunnel)
        tunnel.close()
        self.server.wait_log("tunnel closed")
        output = ""
        for _ in range(100):  # the registry hears of it a moment later
            output = self.output(self.visit(facts["url"]))
            if "NO_AGENT" in output:
                break
        self.assertTrue(output.startswith("HTTP/1.1 503"), output)
        output = self.output(self.visit(f"https://nobody-here-0000.{DOMAIN}:{self.server.https_port}"))
        self.assertTrue(output.startswith("HTTP/1.1 404"), output)
        self.assertIn("X-Streamplex-Error: UNKNOWN_NAME", output)

    def test_service_that_refuses(self):
        tunnel = self.agent()
        visitor = self.visit(self.socket_of(tunnel)["url"])
        substream = tunnel.accept()
        tunnel.send_json(substream.channel, {"event": "error", "message": "connect ECONNREFUSED 127.0.0.1:8080",
                                             "code": "ECONNREFUSED"})
        substream.end()
        substream.close()
        output = self.output(visitor)
        self.assertTrue(output.startswith("HTTP/1.1 502"), output)
        self.assertIn("X-Streamplex-Error: SERVICE_REFUSED", output)

    def test_service_that_refuses_by_reset(self):
        tunnel = self.agent()
        visitor = self.visit(self.socket_of(tunnel)["url"])
        substream = tunnel.accept()
        tunnel.send_json(substream.channel, {"event": "error", "message": "connect ECONNREFUSED 127.0.0.1:8080",
                                             "code": "ECONNREFUSED"})
        substream.send_reset()
        substream.over = True
        self.assertIn("X-Streamplex-Error: SERVICE_REFUSED", self.output(visitor))

    def test_metrics_count_visits(self):
        before = self.server.metrics()
        tunnel = self.agent()
        visitor = self.visit(self.socket_of(tunnel)["url"])
        self.answer(tunnel)
        self.output(visitor)
        visits = "streamplex_edge_visits_total"
        handshakes = 'streamplex_edge_handshakes_total{result="completed"}'
        self.server.wait_metrics(lambda now: now[visits] == before[visits] + 1 and now["streamplex_edge_visitors"] == 0
                                 and now[handshakes] == before[handshakes] + 1, "the visit isn't counted")


class PortTest(TunnelCase):
    def test_bytes_both_ways(self):
        tunnel = self.agent()
        facts = self.socket_of(tunnel, kind="tcp")
        self.assertEqual(facts["url"], f"{DOMAIN}:{facts['port']}")
        visitor = socket.create_connection(("127.0.0.1", facts["port"]), WAIT)
        self.addCleanup(visitor.close)
        visitor.settimeout(WAIT)
        substream = tunnel.accept()
        substream.emit("connect")
        visitor.sendall(b"to the service")
        substream.wait(lambda: len(substream.data) == 14, "the bytes")
        substream.send(b"to the visitor")
        self.assertEqual(visitor.recv(100), b"to the visitor")
        visitor.shutdown(socket.SHUT_WR)
        substream.wait(lambda: substream.end_received, "the visitor's end")
        substream.send(b", still")
        substream.end()
        self.assertEqual(visitor.recv(100), b", still")
        self.assertEqual(visitor.recv(100), b"")


class SharedTest(TunnelCase):
    options = {"shared": True}

    def test_a_tunnel_and_its_visitors_at_one_port(self):
        tunnel = self.agent(self.server.shared_port, name=None)  # without SNI
        facts = self.socket_of(tunnel)
        visitor = self.visit(f"https://{facts['hostname']}:{self.server.shared_port}/")
        self.answer(tunnel)
        self.assertIn("hello", self.output(visitor))
        metrics = self.server.wait_metrics(lambda now: now["streamplex_edge_visitors"] == 0, "visitors are left")
        self.assertEqual(metrics["streamplex_tunnels_authed"], 1)


class ReloadTest(TunnelCase):
    """Everything of the edge that SIGHUP changes, and nobody is dropped."""

    def test_reload_keeps_tunnels_sockets_and_visitors(self):
        tunnel = self.agent()
        facts = self.socket_of(tunnel)
        visitor = self.visit(facts["url"])
        substream = tunnel.accept()
        start = len(self.server.lines)
        self.server.signal(signal.SIGHUP)
        self.server.wait_log("configuration reloaded", start)
        self.head(substream)
        substream.emit("connect")
        self.finish(substream)
        self.assertIn("hello", self.output(visitor))
        visitor = self.visit(facts["url"])
        self.answer(tunnel)
        self.assertIn("hello", self.output(visitor))


class SwitchTest(unittest.TestCase):
    def test_the_edge_is_not_switched_off_by_a_reload(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("[serve]\nedge-http = 127.0.0.1:0\n")
            file.flush()
            server = Server("--config", file.name)
            self.addCleanup(server.stop)
            server.wait_log("ready")
            port = server.ports("edge-http")[0]
            file.truncate(0)
            start = len(server.lines)
            server.signal(signal.SIGHUP)
            self.assertIn("edge is switched off by a restart", server.wait_log("reload failed", start)["message"])
            with socket.create_connection(("127.0.0.1", port), WAIT) as visitor:
                visitor.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertTrue(visitor.recv(100).startswith(b"HTTP/1.1 404"))


class CertificateTest(TunnelCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="streamplex-edge-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.log = os.path.join(cls.folder, "access.log")
        cls.put("first")
        cls.arguments = ("--edge-cert", cls.path("edge.pem"), "--edge-key", cls.path("edge.key"), "--access-log", cls.log)
        super().setUpClass()
        cls.server.edge_ca = certificates().ca

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    @classmethod
    def put(cls, name):
        """As a careful program replaces files."""
        for made, place in zip(certificates().make(name, f"DNS:*.{DOMAIN}"), ("edge.pem", "edge.key")):
            shutil.copy(made, cls.path("new"))
            os.rename(cls.path("new"), cls.path(place))

    def presented(self):
        with self.server.tls(f"a.{DOMAIN}") as visitor:
            return dict(pair for names in visitor.getpeercert()["subject"] for pair in names)["commonName"]

    def page(self, tunnel, facts):
        visitor = self.visit(facts["url"])
        self.answer(tunnel)
        self.assertIn("hello", self.output(visitor))

    def test_an_empty_folder_waits_for_its_first_certificate(self):
        """As HTTP-01 needs it: the server that is to answer the CA has no certificate yet."""
        folder = tempfile.mkdtemp(prefix="streamplex-certs-")
        self.addCleanup(shutil.rmtree, folder, True)
        server = EdgeServer("--edge-certs", folder, "--edge-custom-domains", "shop.example")
        self.addCleanup(server.stop)
        for made, place in zip(certificates().make("shop", "DNS:shop.example"), ("key", "pem")[::-1]):
            shutil.copy(made, os.path.join(folder, f"shop.example.{place}"))
        own_ca = server.edge_ca
        start = len(server.lines)
        server.signal(signal.SIGHUP)
        server.wait_log("configuration reloaded", start)
        server.edge_ca = certificates().ca
        server.tls("shop.example").close()
        server.edge_ca = own_ca
        server.tls(f"any.{DOMAIN}").close()
        checked = subprocess.run([program(), "serve", "--check-config", "--state", server.state, "--edge-http", "127.0.0.1:0",
                                  "--edge-certs", tempfile.mkdtemp(dir=folder)], capture_output=True, timeout=WAIT)
        self.assertEqual(checked.returncode, 0, checked.stderr)

    def test_changed_files_are_taken_up_and_bad_ones_not(self):
        tunnel = self.agent()
        facts = self.socket_of(tunnel)
        self.assertEqual(self.presented(), "first")
        visitor = self.visit(facts["url"])
        substream = tunnel.accept()
        start = len(self.server.lines)
        self.put("second")
        self.server.wait_log("certificate files have changed and were read again", start)
        self.assertEqual(self.presented(), "second")
        self.head(substream)
        substream.emit("connect")
        self.finish(substream)
        self.assertIn("hello", self.output(visitor))
        start = len(self.server.lines)
        with open(self.path("edge.pem"), "w") as file:
            file.write("no certificate")
        self.assertEqual(self.server.wait_log("certificate files have changed, those", start)["level"], "error")
        self.assertEqual(self.presented(), "second")
        start = len(self.server.lines)
        self.server.signal(signal.SIGHUP)
        self.assertEqual(self.server.wait_log("reload failed", start)["level"], "error")
        self.page(tunnel, facts)
        self.put("first")
        start = len(self.server.lines)
        self.server.signal(signal.SIGHUP)
        self.server.wait_log("configuration reloaded", start)
        self.assertEqual(self.presented(), "first")
        self.page(tunnel, facts)

    def test_access_log_is_opened_anew_at_a_reload(self):
        tunnel = self.agent()
        facts = self.socket_of(tunnel)
        self.page(tunnel, facts)
        tunnel.wait(lambda: tunnel.visits, "word of the visit")
        os.rename(self.log, self.log + ".1")
        start = len(self.server.lines)
        self.server.signal(signal.SIGHUP)
        self.server.wait_log("configuration reloaded", start)
        self.page(tunnel, facts)
        tunnel.wait(lambda: len(tunnel.visits) == 2, "word of the second visit")
        for path in (self.log, self.log + ".1"):
            with open(path) as file:
                self.assertIn('"GET / HTTP/1.1" 200 6', file.read())


class CapTest(TunnelCase):
    arguments = ("--max-visitors", "1")

    def test_one_too_many_is_told_over_http_and_closed_over_tls(self):
        with self.server.raw() as first:
            first.sendall(b"G")  # without a byte nobody is accepted
            self.server.wait_metrics(lambda now: now["streamplex_edge_visitors"] == 1, "the visitor isn't there")
            output = self.output(self.visit(f"http://a.{DOMAIN}:{self.server.http_port}/"))
            self.assertTrue(output.startswith("HTTP/1.1 503"), output)
            self.assertIn("X-Streamplex-Error: TOO_MANY_CONNECTIONS", output)
            with self.assertRaises(OSError):
                self.server.tls(f"a.{DOMAIN}").close()
        self.server.wait_metrics(lambda now: now["streamplex_edge_visitors"] == 0, "the visitor isn't gone")
        self.assertEqual(self.server.metrics()["streamplex_edge_refused_total"], 2)
        output = self.output(self.visit(f"http://a.{DOMAIN}:{self.server.http_port}/"))
        self.assertTrue(output.startswith("HTTP/1.1 404"), output)


class DrainTest(unittest.TestCase):
    def test_drain_waits_for_a_visitor_and_then_ends(self):
        server = EdgeServer(drain="20s")
        try:
            case = HttpTest("visit")
            case.server = server
            tunnel = case.agent()
            visitor = case.visit(case.socket_of(tunnel, name="x")["url"])
            substream = tunnel.accept()
            case.head(substream)
            server.signal(signal.SIGTERM)
            tunnel.wait(lambda: tunnel.goaway is not None, "goaway")
            substream.emit("connect")
            case.finish(substream)
            self.assertIn("hello", case.output(visitor))
            tunnel.wait_end()
            self.assertEqual(server.wait_exit(), 0)
            self.assertFalse(server.find("drain time is over"))
            case.doCleanups()
        finally:
            server.stop()


if __name__ == "__main__":
    unittest.main()
