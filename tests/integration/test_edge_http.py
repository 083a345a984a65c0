"""HTTP and HTTPS sockets: what visitors and services see of each other."""

import base64
import concurrent.futures
import hashlib
import json
import os
import re
import socket
import ssl
import struct
import threading

from edge import DOMAIN, EdgeTest, header, page, read_answer
from plex import WAIT
from targets import closed_port, reset_now, sink

LARGE = os.urandom(1 << 16) * 128  # 8 MiB


def chunked(*chunks, trailers=b""):
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"


class HttpCase(EdgeTest):
    def serve(self, answer=None, *arguments, **options):
        """A service and its agent: (service, agent)."""
        service = self.service(answer or (lambda request, connection: page()))
        agent = self.agent("--port", str(service.port), "--name", self.id().rsplit(".", 1)[1][:60], *arguments, **options)
        return service, agent

    def get(self, agent, path="/", *lines, method="GET", version="1.1"):
        extra = "".join(line + "\r\n" for line in lines)
        return f"{method} {path} HTTP/{version}\r\nHost: {agent.host}\r\n{extra}\r\n".encode()


class RequestTest(HttpCase):
    def test_https_and_http_reach_the_service(self):
        service, agent = self.serve(lambda request, connection: page(b"from the device"))
        self.assertRegex(agent.url, rf"^https://[a-z]+-[a-z]+-\d{{4}}\.{re.escape(DOMAIN)}:{self.server.https_port}$")
        self.assertEqual(self.server.curl(agent.url + "/")[::2], (200, b"from the device"))
        plain = f"http://{agent.host}:{self.server.http_port}/"
        self.assertEqual(self.server.curl(plain)[::2], (200, b"from the device"))

    def test_https_only_redirects(self):
        service, agent = self.serve(None, "--https-only")
        status, head, _ = self.server.curl(f"http://{agent.host}:{self.server.http_port}/a?b=c")
        self.assertEqual(status, 308)
        self.assertIn(f"{agent.url}/a?b=c", head)
        self.assertEqual(service.requests, [])

    def test_forwarding_headers_come_from_the_connection(self):
        service, agent = self.serve()
        lies = ["X-Forwarded-For: 198.51.100.1", "X-Real-IP: 198.51.100.2", "Forwarded: for=198.51.100.3",
                "X-Forwarded-Proto: ftp", "X-Forwarded-Host: evil.example"]
        with self.server.tls(agent.host) as visitor:
            self.exchange(visitor, self.get(agent, "/", *lies))
        head = service.wait_requests()[0][0]
        self.assertEqual(header(head, "x-forwarded-for"), "127.0.0.1")
        self.assertEqual(header(head, "x-real-ip"), "127.0.0.1")
        self.assertEqual(header(head, "x-forwarded-proto"), "https")
        self.assertEqual(header(head, "x-forwarded-host"), agent.host)
        self.assertIn("for=127.0.0.1", header(head, "forwarded").replace('"', ""))
        self.assertIn("proto=https", header(head, "forwarded"))
        self.assertNotIn(b"198.51.100", head)
        self.assertNotIn(b"evil.example", head)

    def test_host_header_is_rewritten(self):
        service, agent = self.serve(None, "--host-header", "intern.example:8080")
        with self.server.tls(agent.host) as visitor:
            self.exchange(visitor, self.get(agent))
        head = service.wait_requests()[0][0]
        self.assertEqual(header(head, "host"), "intern.example:8080")
        self.assertEqual(header(head, "x-forwarded-host"), agent.host)

    def test_hop_by_hop_headers_stay(self):
        service, agent = self.serve(lambda request, connection: page(b"x", b"200 OK", b"Connection: x-inner",
                                                                     b"X-Inner: 1", b"X-Outer: 2"))
        with self.server.tls(agent.host) as visitor:
            head, _ = self.exchange(visitor, self.get(agent, "/", "Connection: keep-alive, x-secret", "X-Secret: 1",
                                                      "Proxy-Connection: keep-alive", "TE: trailers", "X-Other: 2"))
        got = service.wait_requests()[0][0]
        self.assertIsNone(header(got, "x-secret"))
        self.assertIsNone(header(got, "proxy-connection"))
        self.assertEqual(header(got, "x-other"), "2")
        self.assertIsNone(header(head, "x-inner"))
        self.assertEqual(header(head, "x-outer"), "2")

    def test_keep_alive_and_pipelining(self):
        count = iter(range(100))
        service, agent = self.serve(lambda request, connection: page(b"%d" % next(count)))
        with self.server.tls(agent.host) as visitor:
            for i in range(3):
                self.assertEqual(self.exchange(visitor, self.get(agent))[1], b"%d" % i)
            visitor.sendall(self.get(agent, "/a") + self.get(agent, "/b") + self.get(agent, "/c"))
            got = b""
            while got.count(b"HTTP/1.1 200") < 3 or not got.endswith(b"5"):
                got += visitor.recv(65536)
        self.assertEqual(re.findall(rb"\r\n\r\n(\d)", got), [b"3", b"4", b"5"])
        self.assertEqual(service.target.connections, 1, "one connection carries one visitor's requests")

    def test_visitors_share_no_connection(self):
        service, agent = self.serve()
        for _ in range(2):
            with self.server.tls(agent.host) as visitor:
                self.exchange(visitor, self.get(agent))
        self.assertEqual(service.target.connections, 2)

    def test_http10_without_keep_alive(self):
        service, agent = self.serve()
        with self.server.raw() as visitor:
            visitor.sendall(self.get(agent, version="1.0"))
            got = b""
            while piece := visitor.recv(65536):
                got += piece
        self.assertTrue(got.endswith(b"\r\n\r\nhello"), got)

    def test_chunks_and_trailers_both_ways(self):
        def answer(request, connection):
            return (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" +
                    chunked(b"one", b"two", trailers=b"X-Sum: 6\r\n"))

        service, agent = self.serve(answer)
        with self.server.tls(agent.host) as visitor:
            visitor.sendall(self.get(agent, "/", "Transfer-Encoding: chunked", "Trailer: X-Check", method="POST") +
                            chunked(b"abc", b"defgh", trailers=b"X-Check: 8\r\n"))
            got = b""
            while not got.endswith(b"\r\n\r\n") or b"0\r\n" not in got:
                got += visitor.recv(65536)
        body = service.wait_requests()[0][1]
        self.assertEqual(b"".join(re.findall(rb"[0-9a-f]+\r\n([a-z]+)\r\n", body)), b"abcdefgh")
        self.assertIn(b"X-Check: 8", body)
        self.assertIn(b"X-Sum: 6", got)
        self.assertEqual(b"".join(re.findall(rb"\r\n3\r\n(\w+)", got)), b"onetwo")

    def test_large_bodies_both_ways(self):
        def answer(request, connection):
            return page(hashlib.sha256(request[1]).hexdigest().encode() + LARGE)

        service, agent = self.serve(answer)
        status, _, body = self.server.curl(agent.url + "/up", "--data-binary", "@-", "-H", "Expect:", input=LARGE)
        self.assertEqual(status, 200)
        self.assertEqual(body[:64].decode(), hashlib.sha256(LARGE).hexdigest())
        self.assertEqual(body[64:], LARGE)

    def test_expect_100_continue_is_the_services(self):
        def answer(request, connection):
            return page(request[1])

        asked = threading.Event()

        def slow(connection, target):
            buffer = b""
            while b"\r\n\r\n" not in buffer:
                buffer += connection.recv(65536)
            target.note(buffer)
            asked.wait(WAIT)
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = buffer.split(b"\r\n\r\n", 1)[1]
            while len(body) < 5:
                body += connection.recv(65536)
            connection.sendall(page(body))

        target = self.target(slow)
        agent = self.agent("--port", str(target.port), "--name", "expect")
        with self.server.tls(agent.host) as visitor:
            visitor.sendall(self.get(agent, "/", "Expect: 100-continue", "Content-Length: 5", method="PUT"))
            target.wait_seen()
            asked.set()
            head, _ = read_answer(visitor, head_only=True)
            self.assertTrue(head.startswith(b"HTTP/1.1 100"), head)
            visitor.sendall(b"12345")
            self.assertEqual(read_answer(visitor)[1], b"12345")

    def test_head_has_no_body(self):
        service, agent = self.serve(lambda request, connection: page() if request[0].startswith(b"GET") else
                                    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        with self.server.tls(agent.host) as visitor:
            visitor.sendall(self.get(agent, method="HEAD"))
            head, _ = read_answer(visitor, head_only=True)
            self.assertEqual(header(head, "content-length"), "5")
            self.assertEqual(self.exchange(visitor, self.get(agent))[1], b"hello")

    def test_answer_without_length(self):
        def answer(request, connection):
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")
            return None

        service, agent = self.serve(answer)
        status, _, body = self.server.curl(agent.url + "/", agent.url + "/")
        self.assertEqual((status, body), (200, b"until the end" * 2))

    def test_events_arrive_as_they_come(self):
        go_on = threading.Event()

        def events(connection, target):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            connection.sendall(b"data: 1\n\n")
            go_on.wait(WAIT)
            connection.sendall(b"data: 2\n\n")

        target = self.target(events)
        agent = self.agent("--port", str(target.port), "--name", "events")
        with self.server.tls(agent.host) as visitor:
            visitor.sendall(self.get(agent))
            got = b""
            while b"data: 1\n\n" not in got:
                got += visitor.recv(65536)
            self.assertNotIn(b"data: 2", got)
            go_on.set()
            while b"data: 2\n\n" not in got:
                got += visitor.recv(65536)

    def test_upgrade_is_raw_only_after_101(self):
        def serve(connection, target):
            buffer = b""
            while b"\r\n\r\n" not in buffer:
                buffer += connection.recv(65536)
            target.note(buffer)
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            while piece := connection.recv(65536):
                connection.sendall(piece.upper())

        target = self.target(serve)
        agent = self.agent("--port", str(target.port), "--name", "upgrade")
        with self.server.tls(agent.host) as visitor:
            visitor.sendall(self.get(agent, "/", "Connection: upgrade, HTTP2-Settings", "Upgrade: echo",
                                     "HTTP2-Settings: AAMAAABkAAQAAP__") + b"early")
            head = target.wait_seen()[0]
            self.assertTrue(head.endswith(b"\r\n\r\n"), "what follows the head is held until 101")
            self.assertNotIn(b"HTTP2", head)
            head, got = read_answer(visitor, head_only=True)
            self.assertTrue(head.startswith(b"HTTP/1.1 101"))
            visitor.sendall(b" and late")
            while len(got) < 14:
                got += visitor.recv(65536)
            self.assertEqual(got, b"EARLY AND LATE")

    def test_refused_upgrade_goes_on_as_http(self):
        service, agent = self.serve(lambda request, connection: page(b"no"))
        with self.server.tls(agent.host) as visitor:
            request = self.get(agent, "/", "Connection: Upgrade", "Upgrade: websocket")
            self.assertEqual(self.exchange(visitor, request)[1], b"no")
            self.assertEqual(self.exchange(visitor, self.get(agent))[1], b"no")

    def test_h2c_is_taken_out(self):
        service, agent = self.serve()
        with self.server.raw() as visitor:
            self.exchange(visitor, self.get(agent, "/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                                            "HTTP2-Settings: AAMAAABkAAQAAP__"))
        head = service.wait_requests()[0][0]
        self.assertIsNone(header(head, "upgrade"))
        self.assertIsNone(header(head, "http2-settings"))

    def test_answer_before_the_body_is_all_there(self):
        def early(connection, target):
            buffer = b""
            while b"\r\n\r\n" not in buffer:
                buffer += connection.recv(65536)
            connection.sendall(page(b"too big", b"413 Content Too Large", b"Connection: close"))
            while connection.recv(65536):
                pass

        target = self.target(early)
        agent = self.agent("--port", str(target.port), "--name", "early")
        with self.server.tls(agent.host) as visitor:
            visitor.sendall(self.get(agent, "/", "Content-Length: 1000000", method="POST") + b"x" * 1000)
            head, body = read_answer(visitor)
            self.assertTrue(head.startswith(b"HTTP/1.1 413"), head)
            self.assertEqual(body, b"too big")


class RouteTest(HttpCase):
    def test_another_host_over_tls_is_misdirected(self):
        service, agent = self.serve()
        other = self.agent("--port", str(service.port), "--name", "misdirected-other")
        with self.server.tls(agent.host) as visitor:
            self.exchange(visitor, self.get(agent))
            head, _ = self.exchange(visitor, self.get(other))
        self.assertTrue(head.startswith(b"HTTP/1.1 421"), head)
        self.assertEqual(header(head, "x-streamplex-error"), "MISDIRECTED")

    def test_another_host_over_plain_http_is_routed_again(self):
        services, agents = [], []
        for i in range(4):  # with two workers, at least one pair needs a link
            service = self.service(lambda request, connection, i=i: page(b"%d" % i))
            services.append(service)
            agents.append(self.agent("--port", str(service.port), "--name", f"again-{i}"))
        with self.server.raw() as visitor:
            for turn in range(2):
                for i, agent in enumerate(agents):
                    self.assertEqual(self.exchange(visitor, self.get(agent))[1], b"%d" % i)

    def test_bodies_over_a_link(self):
        """Both ways, on connections that began at another agent's worker."""
        def answer(request, connection):
            return page(request[1][::-1])

        service = self.service(answer)
        agents = [self.agent("--port", str(service.port), "--name", f"link-{i}") for i in range(4)]
        body = LARGE[:1 << 20]
        for first in agents[:2]:
            with self.server.raw() as visitor:
                self.exchange(visitor, self.get(first))
                for agent in agents:
                    request = self.get(agent, "/", f"Content-Length: {len(body)}", method="POST")
                    self.assertEqual(self.exchange(visitor, request + body)[1], body[::-1])

    def test_no_sni_goes_by_host(self):
        service, agent = self.serve(lambda request, connection: page(b"by host"))
        for _ in range(4):
            with self.server.tls(None) as visitor:
                self.assertEqual(self.exchange(visitor, self.get(agent))[1], b"by host")

    def test_unknown_name(self):
        status, head, body = self.server.curl(f"https://never-heard-of-1234.{DOMAIN}:{self.server.https_port}/")
        self.assertEqual(status, 404)
        self.assertIn("x-streamplex-error: unknown_name", head.lower())
        self.assertTrue(body)
        status, head, body = self.server.curl(f"http://never-heard-of-1234.{DOMAIN}:{self.server.http_port}/",
                                              "-H", "Accept: application/json")
        self.assertEqual(status, 404)
        self.assertIn("UNKNOWN_NAME", json.dumps(json.loads(body)))

    def test_agent_gone_is_503_and_back_is_200(self):
        service = self.service()
        first = self.agent("--port", str(service.port), "--name", "comes-back")
        url = first.url
        self.assertEqual(self.server.curl(url)[0], 200)
        first.stop()
        self.server.wait_log("tunnel closed", self.log_start)
        status, head, _ = self.server.curl(url)
        self.assertEqual(status, 503)
        self.assertRegex(head, r"(?i)retry-after: \d+")
        self.assertIn("NO_AGENT", head)
        again = self.agent("--port", str(service.port), "--name", "comes-back")
        self.assertEqual(again.url, url)
        self.assertEqual(self.server.curl(url)[0], 200)

    def test_no_service_is_502(self):
        held, port = closed_port()
        agent = self.agent("--port", str(port), "--name", "nothing-there")
        with held:
            status, head, _ = self.server.curl(agent.url)
        self.assertEqual(status, 502)
        self.assertIn("SERVICE_REFUSED", head)

    def test_service_that_is_not_http_is_502(self):
        def ssh(connection, target):
            connection.sendall(b"SSH-2.0-nothing\r\n")
            connection.recv(65536)

        agent = self.agent("--port", str(self.target(ssh).port), "--name", "not-http")
        status, head, _ = self.server.curl(agent.url)
        self.assertEqual(status, 502)
        self.assertIn("SERVICE_BROKEN", head)

    def test_service_gone_in_mid_answer_is_seen(self):
        def half(connection, target):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
            reset_now(connection)

        agent = self.agent("--port", str(self.target(half).port), "--name", "half")
        with self.assertRaises(AssertionError):
            self.server.curl(agent.url)

    def test_visitor_gone_in_mid_upload_is_seen(self):
        def note_first(connection, target):
            connection.recv(65536)
            target.note("begun")
            sink(connection, target)

        target = self.target(note_first)
        agent = self.agent("--port", str(target.port), "--name", "gone-upload")
        with self.server.tls(agent.host) as visitor:
            visitor.sendall(self.get(agent, "/", "Content-Length: 1000000", method="POST") + b"x" * 1000)
            target.wait_seen()
            reset_now(visitor)
        self.assertEqual(target.wait_seen(2)[1][0], "reset")


class SlowTest(HttpCase):
    arguments = ("--head-timeout", "300ms", "--answer-timeout", "400ms", "--max-head", "2k", "--max-visitors", "40",
                 "--keepalive-timeout", "500ms")

    def test_slow_head_is_408(self):
        with self.server.raw() as visitor:
            visitor.sendall(b"GET / HT")
            head, _ = read_answer(visitor)
        self.assertTrue(head.startswith(b"HTTP/1.1 408"), head)

    def test_silent_service_is_504(self):
        def silent(connection, target):
            target.released.wait(WAIT)

        agent = self.agent("--port", str(self.target(silent).port), "--name", "silent")
        status, head, _ = self.server.curl(agent.url)
        self.assertEqual(status, 504)
        self.assertIn("SERVICE_SILENT", head)

    def test_large_head_is_431(self):
        service, agent = self.serve()
        with self.server.raw() as visitor:
            head, _ = self.exchange(visitor, self.get(agent, "/", "X-Long: " + "x" * 4000))
        self.assertTrue(head.startswith(b"HTTP/1.1 431"), head)

    def test_idle_keep_alive_closes(self):
        service, agent = self.serve()
        with self.server.raw() as visitor:
            self.exchange(visitor, self.get(agent))
            self.assertEqual(visitor.recv(1), b"")

    def test_too_many_visitors_is_503(self):
        service, agent = self.serve()
        held = [self.server.raw() for _ in range(40)]
        try:
            for visitor in held:
                visitor.sendall(b"G")  # without a byte nobody is accepted for a second
            # Workers accept side by side: the last to come needn't be the last to be counted.
            self.server.wait_metrics(lambda values: values["streamplex_edge_visitors"] >= 40, "40 visitors")
            with self.server.raw() as visitor:
                visitor.sendall(self.get(agent))
                head, _ = read_answer(visitor)
            self.assertTrue(head.startswith(b"HTTP/1.1 503"), head)
            self.assertEqual(header(head, "x-streamplex-error"), "TOO_MANY_CONNECTIONS")
            self.assertRegex(header(head, "date"), r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")
        finally:
            for connection in held:
                connection.close()


class TrustedTest(HttpCase):
    arguments = ("--trusted-proxies", "127.0.0.0/8")

    def test_headers_of_a_trusted_proxy_are_kept(self):
        service, agent = self.serve()
        with self.server.raw() as visitor:
            self.exchange(visitor, self.get(agent, "/", "X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: https"))
        head = service.wait_requests()[0][0]
        self.assertEqual(header(head, "x-forwarded-for"), "198.51.100.1, 127.0.0.1")
        self.assertEqual(header(head, "x-forwarded-proto"), "https")

    def test_proxy_header_v1_and_v2(self):
        service, agent = self.serve()
        v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack(">H", 12) + socket.inet_aton("203.0.113.9") + \
            socket.inet_aton("192.0.2.1") + struct.pack(">HH", 4711, 80)
        for prelude in (b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\n", v2):
            with self.server.raw() as visitor:
                self.exchange(visitor, prelude + self.get(agent))
        for head, _ in service.wait_requests(2):
            self.assertEqual(header(head, "x-real-ip"), "203.0.113.9")
        self.assertTrue(agent.wait_visit(r"^203\.0\.113\.9 "))

    def test_proxy_header_before_tls(self):
        service, agent = self.serve()
        plain = self.server.raw(self.server.https_port)
        plain.sendall(b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 443\r\n")
        context = ssl.create_default_context(cafile=self.server.edge_ca)
        with context.wrap_socket(plain, server_hostname=agent.host) as visitor:
            self.exchange(visitor, self.get(agent))
        head = service.wait_requests()[0][0]
        self.assertEqual(header(head, "x-real-ip"), "2001:db8::9")
        self.assertIn('for="[2001:db8::9]"', header(head, "forwarded"))


class LogTest(HttpCase):
    def test_live_log_line(self):
        service, agent = self.serve(lambda request, connection: page(b"x" * 432))
        self.server.curl(agent.url + "/", "-A", "curl/7.64.0")
        line = agent.wait_visit("GET / ")
        self.assertRegex(line, r'^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET / HTTP/1\.1" 200 432 '
                               r'"-" "curl/7\.64\.0" response_time="\d+\.\d{3} sec"')

    def test_json_log(self):
        service = self.service()
        agent = self.agent("--port", str(service.port), "--name", "as-json", "--json", wait=False)
        agent.wait(lambda: any('"url"' in line or " - http" in line for line in agent.lines), "the URL")
        url = re.search(r"https://[^\"\s]+", "\n".join(agent.lines)).group(0)
        self.server.curl(url + "/x?y")
        agent.wait(lambda: any('"/x?y"' in line for line in agent.lines), "a visit as JSON")
        visit = json.loads([line for line in agent.lines if '"/x?y"' in line][0])
        self.assertEqual((visit["status"], visit["method"]), (200, "GET"))

    def test_what_a_visitor_sends_cant_forge_a_line(self):
        service, agent = self.serve()
        with self.server.tls(agent.host) as visitor:
            self.exchange(visitor, self.get(agent, "/", 'User-Agent: a" 200 1 "\x1b[2J'.replace("\x1b", "\t")))
        line = agent.wait_visit("GET / ")
        self.assertNotIn("\x1b", line)
        self.assertNotIn('"a" 200', line)


class AccessLogTest(HttpCase):
    def test_access_log_and_reopening(self):
        import signal
        from edge import EdgeServer
        path = os.path.join(self.folder(), "access.log")
        server = EdgeServer("--access-log", path)
        self.addCleanup(server.stop)
        service = self.service()
        agent = self.agent("--port", str(service.port), "--name", "logged", server=server)
        server.curl(agent.url + "/one")
        agent.wait_visit("GET /one ")
        with open(path) as file:
            self.assertIn('"GET /one HTTP/1.1" 200 5', file.read())
        os.rename(path, path + ".1")
        start = len(server.lines)
        server.signal(signal.SIGHUP)
        server.wait_log("configuration reloaded", start)
        server.curl(agent.url + "/two")
        agent.wait_visit("GET /two ")
        with open(path) as file:
            self.assertIn("GET /two", file.read())


class WebSocketTest(HttpCase):
    """Many at once; the frames are this file's own reading of RFC 6455."""

    @staticmethod
    def serve_websocket(connection, target):
        buffer = b""
        while b"\r\n\r\n" not in buffer:
            buffer += connection.recv(65536)
        key = header(buffer, "sec-websocket-key").encode()
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        connection.settimeout(WAIT * 6)
        while True:
            frame = connection.recv(65536)
            if len(frame) < 6:
                return
            mask, body = frame[2:6], frame[6:]
            body = bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))
            connection.sendall(b"\x81" + bytes([len(body)]) + body)

    def open_one(self, agent):
        visitor = self.server.tls(agent.host)
        key = base64.b64encode(os.urandom(16)).decode()
        visitor.sendall(self.get(agent, "/ws", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                                 f"Sec-WebSocket-Key: {key}"))
        head, _ = read_answer(visitor, head_only=True)
        self.assertTrue(head.startswith(b"HTTP/1.1 101"), head)
        return visitor

    def echo(self, visitor, text):
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(text))
        visitor.sendall(b"\x81" + bytes([0x80 | len(text)]) + mask + masked)
        got = b""
        while len(got) < len(text) + 2:
            got += visitor.recv(65536)
        return got[2:]

    def test_a_thousand_websockets(self):
        target = self.target(self.serve_websocket, backlog=1024)
        agent = self.agent("--port", str(target.port), "--name", "thousand")
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            visitors = list(pool.map(lambda _: self.open_one(agent), range(1000)))
        try:
            for i, visitor in enumerate(visitors):
                text = b"%d" % i
                self.assertEqual(self.echo(visitor, text), text)
        finally:
            for visitor in visitors:
                visitor.close()
