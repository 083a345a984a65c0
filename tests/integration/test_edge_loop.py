"""A service that leads back to the edge: the visit ends when it comes round again and again."""

import http.client
import http.server
import threading

from edge import EdgeTest, header
from plex import WAIT


class Proxy(http.server.ThreadingHTTPServer):
    """Sends each request on to the edge with all its headers, as HTTP/1.0 or 1.1, and counts them."""

    daemon_threads = True

    def __init__(self, edge_port, protocol):
        self.edge_port = edge_port
        self.loops = []  # of each request: its CDN-Loop
        handler = type("Handler", (Handler,), {"protocol_version": protocol})
        super().__init__(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.shutdown()
        self.thread.join(WAIT)
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.loops.append(self.headers.get_all("CDN-Loop"))
        edge = http.client.HTTPConnection("127.0.0.1", self.server.edge_port, timeout=WAIT)
        edge._http_vsn_str = self.protocol_version
        try:
            edge.putrequest("GET", self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                edge.putheader(name, value)
            edge.endheaders()
            answer = edge.getresponse()
            body = answer.read()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        finally:
            edge.close()

    def log_message(self, *arguments):
        pass


class LoopTest(EdgeTest):
    def ask(self, agent, *lines):
        """(status, head, body) of a request by plain HTTP."""
        with self.server.raw() as visitor:
            extra = "".join(line + "\r\n" for line in lines)
            head, body = self.exchange(visitor, f"GET / HTTP/1.1\r\nHost: {agent.host}\r\n{extra}\r\n".encode())
            return int(head.split()[1]), head, body

    def go_round(self, protocol):
        proxy = Proxy(self.server.http_port, protocol)
        self.addCleanup(proxy.close)
        agent = self.agent("--port", str(proxy.server_port), "--name", "round" + protocol[-1])
        status, head, body = self.ask(agent, "Accept: application/json", "CDN-Loop: first.example; v=1")
        self.assertEqual(status, 508)
        self.assertEqual(header(head, "x-streamplex-error"), "LOOP_DETECTED")
        self.assertIn(b'"error":"LOOP_DETECTED"', body)
        self.assertEqual(len(proxy.loops), 3)
        [loop] = proxy.loops[0]
        self.assertRegex(loop, r"^first\.example; v=1, streamplex-[0-9a-f]{16}$")
        name = loop.split(", ")[1]
        self.assertEqual(proxy.loops[1:], [[f"{loop}, {name}"], [f"{loop}, {name}, {name}"]])
        agent.wait_visit(r"\b508\b")
        return loop

    def test_a_proxy_that_leads_back_is_508(self):
        self.assertEqual(self.go_round("HTTP/1.0"), self.go_round("HTTP/1.1"))

    def test_an_agent_of_the_edge_itself_is_508(self):
        agent = self.agent("--port", str(self.server.http_port), "--name", "itself")
        status, head, _ = self.ask(agent)
        self.assertEqual(status, 508)
        self.assertEqual(header(head, "x-streamplex-error"), "LOOP_DETECTED")
