"""Visitors and agents that mean no good, or know no better."""

import os
import re
import socket
import ssl
import struct
import subprocess
import threading

import targets
from edge import DOMAIN, Agent, EdgeServer, EdgeTest, header, page, read_answer, tokens_file
from plex import DATA, WAIT, Closed, Tunnel
from server import TOKEN


class SmugglingTest(EdgeTest):
    """What is refused doesn't reach the service; the service here repairs nothing (edge.py)."""

    CASES = [
        ("both lengths", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        ("two lengths", b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello!"),
        ("equal lengths twice", b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"),
        ("length list", b"Content-Length: 5, 5\r\n", b"hello"),
        ("length with sign", b"Content-Length: +5\r\n", b"hello"),
        ("length with blank", b"Content-Length: 5 5\r\n", b"hello"),
        ("length in hex", b"Content-Length: 0x5\r\n", b"hello"),
        ("huge length", b"Content-Length: 99999999999999999999\r\n", b""),
        ("unknown coding", b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
        ("chunked twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        ("chunked with tab", b"Transfer-Encoding:\x0bchunked\r\n", b"0\r\n\r\n"),
        ("quoted chunked", b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n"),
        ("xchunked", b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
        ("space before the colon", b"Content-Length : 5\r\n", b"hello"),
        ("folded line", b"X-A: 1\r\n Content-Length: 5\r\n", b""),
        ("bare CR", b"X-A: 1\rContent-Length: 5\r\n", b""),
        ("bare LF", b"X-A: 1\nContent-Length: 5\r\n", b""),
        ("NUL", b"X-A: \0\r\n", b""),
        ("no colon", b"X-A\r\n", b""),
        ("empty name", b": x\r\n", b""),
        ("second Host", b"Host: other.example\r\n", b""),
        ("bad chunk size", b"Transfer-Encoding: chunked\r\n", b"0x5\r\nhello\r\n0\r\n\r\n"),
        ("negative chunk size", b"Transfer-Encoding: chunked\r\n", b"-5\r\nhello\r\n0\r\n\r\n"),
        ("chunk size overflow", b"Transfer-Encoding: chunked\r\n", b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
        ("chunk without CRLF", b"Transfer-Encoding: chunked\r\n", b"5\r\nhelloXX0\r\n\r\n"),
        ("chunk line ends in LF", b"Transfer-Encoding: chunked\r\n", b"5\nhello\r\n0\r\n\r\n"),
        ("trailer that frames", b"Transfer-Encoding: chunked\r\n", b"0\r\nContent-Length: 5\r\n\r\n"),
    ]

    def test_each_attempt_is_refused(self):
        service = self.service()
        agent = self.agent("--port", str(service.port), "--name", "smuggling")
        follow = b"GET /smuggled HTTP/1.1\r\nHost: " + agent.host.encode() + b"\r\n\r\n"
        for name, lines, body in self.CASES:
            with self.subTest(name), self.server.raw() as visitor:
                visitor.sendall(b"POST / HTTP/1.1\r\nHost: " + agent.host.encode() + b"\r\n" + lines + b"\r\n" + body + follow)
                got = b""
                try:
                    while piece := visitor.recv(65536):
                        got += piece
                except ConnectionResetError:
                    pass
                self.assertTrue(not got or got.startswith(b"HTTP/1.1 400"), got)
                self.assertEqual(got.count(b"HTTP/1.1 "), got.count(b"HTTP/1.1 400"), got)
        self.assertFalse([head for head, _ in service.requests if b"smuggled" in head])
        self.assertEqual(self.server.curl(agent.url)[0], 200)

    def test_request_lines(self):
        service = self.service()
        agent = self.agent("--port", str(service.port), "--name", "lines")
        host = b"Host: " + agent.host.encode() + b"\r\n"
        for line, lines, status in (
                (b"CONNECT example.com:443 HTTP/1.1", host, b"405"),
                (b"FROBNICATE / HTTP/1.1", host, b"501"),
                (b"GET / HTTP/1.1", b"", b"400"),
                (b"GET / HTTP/3.0", host, b"505"),
                (b"GET  / HTTP/1.1", host, b"400"),
                (b"GET / HTTP/1.1 ", host, b"400"),
                (b"GET /\x7f HTTP/1.1", host, b"400")):
            with self.subTest(line), self.server.raw() as visitor:
                head, _ = self.exchange(visitor, line + b"\r\n" + lines + b"\r\n")
                self.assertTrue(head.startswith(b"HTTP/1.1 " + status), head)
        self.assertEqual(service.requests, [])

    def test_answers_that_frame_themselves_twice(self):
        answers = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
            b"HTTP/1.1 200 OK\r\nX-A: 1\r\n Set-Cookie: a\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        ]
        current = []
        service = self.service(lambda request, connection: current[0])
        agent = self.agent("--port", str(service.port), "--name", "answers")
        for answer in answers:
            with self.subTest(answer):
                current[:] = [answer]
                status, head, _ = self.server.curl(agent.url)
                self.assertEqual(status, 502)
                self.assertIn("SERVICE_BROKEN", head)


class VisitorTest(EdgeTest):
    arguments = ("--head-timeout", "2s")

    def test_garbage_is_not_tls(self):
        for garbage in (b"GET / HTTP/1.0\r\n\r\n", os.urandom(300), b"\x16\x03\x01\xff\xff" + b"\0" * 100,
                        b"\x16\x03\x01\0\4\1\0\0\0" + b"\x15\x03\x01\0\2\2\x28"):
            with self.server.raw(self.server.https_port) as visitor:
                visitor.sendall(garbage)
                visitor.shutdown(socket.SHUT_WR)
                try:
                    targets.read_all(visitor)
                except ConnectionResetError:
                    pass

    def test_half_open_visitors_dont_stop_others(self):
        service = self.service()
        agent = self.agent("--port", str(service.port), "--name", "half-open")
        held = []
        try:
            for i in range(1000):
                visitor = self.server.raw(self.server.https_port if i % 2 else self.server.http_port)
                visitor.sendall(b"G" if i % 2 == 0 else b"\x16\x03")
                held.append(visitor)
            self.assertEqual(self.server.curl(agent.url)[0], 200)
            for visitor in held[:10]:  # and each of them has its end
                try:
                    targets.read_all(visitor)
                except ConnectionResetError:
                    pass
        finally:
            for visitor in held:
                visitor.close()


class AgentTest(EdgeTest):
    """Agents of this file's own making, which speak the wire and keep no rule."""

    def lying_agent(self, name, kind="tcp", service="s"):
        tunnel = Tunnel.connect("127.0.0.1", self.server.port)
        self.addCleanup(tunnel.close)
        self.assertTrue(tunnel.authenticate(TOKEN, ["flow", "ping", "reset", "goaway", "inbound"]))
        tunnel.send_json(0, {"type": "message", "object": {"register": {
            "service": service, "name": name, "type": kind, "instance": name}}})
        answer = tunnel.next_control().json
        self.assertIn("registered", answer["object"], answer)
        return tunnel, answer["object"]["registered"]

    def assert_edge_lives(self):
        service = self.service()
        agent = self.agent("--port", str(service.port), "--name", "lives")
        self.assertEqual(self.server.curl(agent.url)[0], 200)

    def test_agent_that_opens_server_side_channels(self):
        tunnel, socket_ = self.lying_agent("opens")
        tunnel.send_json(0, {"type": "stream", "sock": 1, "name": "inbound", "service": "s", "visitor": "x"})
        tunnel.wait_end()
        self.assert_edge_lives()

    def test_agent_that_answers_on_channels_never_opened(self):
        tunnel, socket_ = self.lying_agent("never")
        tunnel.send_frame(7, DATA, b"for whom?")
        tunnel.wait_end()
        self.assert_edge_lives()

    def test_agent_that_overruns_credit(self):
        tunnel, socket_ = self.lying_agent("overruns")
        with self.server.raw(socket_["port"]) as visitor:
            visitor.sendall(b"x")
            tunnel.wait(lambda: tunnel.arrived, "the visitor")
            for _ in range(400):
                try:
                    tunnel.send_frame(tunnel.arrived[0].channel, DATA, b"x" * 60000)
                except (OSError, Closed):
                    break
            tunnel.wait_end()
        self.assertEqual(tunnel.fault, "credit overrun")
        self.assert_edge_lives()

    def test_bad_registrations_are_refused_one_by_one(self):
        tunnel, _ = self.lying_agent("registers")
        for bad in ({"service": "b"}, {"service": "b", "name": "", "type": "tcp", "instance": "i"},
                    {"service": "b", "name": "n", "type": "gopher", "instance": "i"},
                    {"service": "b", "name": "n\n", "type": "tcp", "instance": "i"},
                    {"service": "b", "name": "n", "type": "http", "instance": "i", "hostname": "../etc"},
                    {"service": "b", "name": "n", "type": "http", "instance": "i", "host_header": "a\r\nX: y"},
                    {"service": "b", "name": 5, "type": "http", "instance": "i"}):
            tunnel.send_json(0, {"type": "message", "object": {"register": bad}})
            answer = tunnel.next_control().json
            self.assertIn("refused", answer["object"], bad)
        self.assert_edge_lives()

    def test_agent_cannot_serve_anothers_socket(self):
        service = self.service()
        server = EdgeServer("--token-file", tokens_file(self.folder(), "stranger:another-token"))
        self.addCleanup(server.stop)
        mine = self.agent("--port", str(service.port), "--name", "mine", "--hostname", "mine-alone", server=server)
        tunnel = Tunnel.connect("127.0.0.1", server.port)
        self.addCleanup(tunnel.close)
        self.assertTrue(tunnel.authenticate("another-token", ["flow", "ping", "reset", "goaway", "inbound"]))
        tunnel.send_json(0, {"type": "message", "object": {"register": {
            "service": "s", "name": "mine", "type": "https", "instance": "i", "hostname": mine.host}}})
        answer = tunnel.next_control().json
        self.assertEqual(answer["object"]["refused"]["code"], "NAME_TAKEN")
        for _ in range(4):
            self.assertEqual(server.curl(mine.url)[0], 200)

    def test_agent_without_inbound_gets_no_visitors(self):
        tunnel = Tunnel.connect("127.0.0.1", self.server.port)
        self.addCleanup(tunnel.close)
        self.assertTrue(tunnel.authenticate(TOKEN))
        tunnel.send_json(0, {"type": "message", "object": {"register": {
            "service": "s", "name": "legacy", "type": "tcp", "instance": "i"}}})
        tunnel.round_trip()
        self.assert_edge_lives()


class DescriptorTest(EdgeTest):
    def test_accept_works_again_after_descriptors_ran_out(self):
        limited = EdgeServer("--max-visitors", "100000", "--max-visitors-per-address", "100000")
        self.addCleanup(limited.stop)
        service = self.service()
        agent = self.agent("--port", str(service.port), "--name", "descriptors", server=limited)
        pid = limited.process.pid
        import resource
        used = len(os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 20, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        held = [limited.raw() for _ in range(60)]
        limited.wait_log("can't accept")
        spent = cpu(pid)
        for visitor in held:
            visitor.close()
        self.assertEqual(limited.curl(agent.url)[0], 200)
        self.assertLess(cpu(pid) - spent, 3.0, "nothing spins")


def cpu(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
