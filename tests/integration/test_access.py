"""Who may visit a socket, and how much: passwords, addresses, certificates, rates, counts, quotas."""

import re
import ssl
import time

import targets
from api import ApiTest
from edge import page
from plex import WAIT
from server import certificates


class AccessTest(ApiTest):
    def serve(self, kind="https", **values):
        """A socket with these rules, served by an agent: (its agent, its service, its id, its owner's login)."""
        _, login = self.account()
        made = self.server.api("POST", "/socket", {"name": "guarded", "socket_type": kind, **values}, login)
        self.assertEqual(made.status, 200, made)
        self.made = made.json
        service = self.service(lambda request, connection: page(b"let in"))
        agent = self.agent("--port", str(service.port), "--name", "guarded", "--type", kind, token=login)
        return agent, service, made.json["socket_id"], login

    def change(self, socket, login, **values):
        answer = self.server.api("PUT", f"/socket/{socket}", values, login)
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def visit(self, port, words=b""):
        """What comes first; nothing when the visitor is hung up on, which may be while it still connects."""
        try:
            with self.server.raw(port) as visitor:
                visitor.settimeout(WAIT)
                visitor.sendall(words)
                return visitor.recv(100)
        except (ConnectionResetError, BrokenPipeError):
            return b""


class PasswordTest(AccessTest):
    def test_name_and_password(self):
        agent, service, socket, login = self.serve(protected_socket=True, protected_username="ann", protected_password="s3cret: ß")
        self.assertNotIn("s3cret", str(self.server.api("GET", f"/socket/{socket}", None, login).json))
        status, head, _ = self.server.curl(agent.url + "/")
        self.assertEqual(status, 401)
        self.assertRegex(head, r'(?i)www-authenticate: Basic realm="guarded", charset="UTF-8"')
        for wrong in ("ann:", "ann:wrong", ":", "Ann:s3cret: ß", "bob:s3cret: ß"):
            self.assertIn(self.server.curl(agent.url + "/", "-u", wrong)[0], (401, 429), wrong)
        self.assertEqual(service.requests, [], "nobody got through")

    def test_credentials_stay_at_the_edge(self):
        agent, service, _, _ = self.serve(protected_socket=True, protected_username="ann", protected_password="s3cret: ß")
        for _ in range(3):
            self.assertEqual(self.server.curl(agent.url + "/", "-u", "ann:s3cret: ß")[::2], (200, b"let in"))
        for head, _ in service.requests:
            self.assertNotRegex(head, rb"(?im)^authorization:")

    def test_broken_credentials(self):
        agent, service, _, _ = self.serve(protected_socket=True, protected_username="ann", protected_password="secret22")
        for value in ("Basic", "Basic ", "Basic !!!", "Bearer x", "Basic YW5u", "Basic " + "A" * 4000, "basic  YW5uOnNlY3JldDIy="):
            self.assertIn(self.server.curl(agent.url + "/", "-H", f"Authorization: {value}")[0], (401, 429), value)
        self.assertEqual(service.requests, [])

    def test_guesses_are_slowed_down(self):
        agent, _, _, _ = self.serve(protected_socket=True, protected_username="ann", protected_password="secret22")
        seen = [self.server.curl(agent.url + "/", "-u", f"ann:guess{number}") for number in range(12)]
        late = [head for status, head, _ in seen if status == 429]
        self.assertTrue(late, [status for status, _, _ in seen])
        self.assertRegex(late[0], r"(?i)retry-after: \d+")

    def test_not_where_it_can_not_be_asked_for(self):
        _, login = self.account()
        for kind in ("tcp", "tls", "passthrough"):
            answer = self.server.api("POST", "/socket", {"name": kind, "socket_type": kind, "protected_socket": True,
                                                         "protected_username": "a", "protected_password": "secret22"}, login)
            self.assertEqual(answer.status, 422, answer)
            self.assertIn("password", answer.json["error"]["message"])


class AddressTest(AccessTest):
    def test_allow_and_deny(self):
        agent, service, socket, login = self.serve(allow=["192.0.2.0/24", "2001:db8::/32"])
        self.assertEqual(self.server.curl(agent.url + "/")[0], 403)
        self.change(socket, login, allow=["192.0.2.0/24", "127.0.0.0/8"])
        self.assertEqual(self.server.curl(agent.url + "/")[0], 200)
        self.change(socket, login, deny=["127.0.0.1/32"])
        self.assertEqual(self.server.curl(agent.url + "/")[0], 403, "a denial goes first")
        self.change(socket, login, allow=[], deny=[])
        self.assertEqual(self.server.curl(agent.url + "/")[0], 200)
        self.assertEqual(len(service.requests), 2)

    def test_ports_too(self):
        _, login = self.account()
        made = self.server.api("POST", "/socket", {"name": "p", "socket_type": "tcp", "deny": ["127.0.0.0/8"]}, login).json
        with targets.Target(targets.echo) as target:
            agent = self.agent("--port", str(target.port), "--name", "p", "--type", "tcp", token=login)
            self.assertEqual(self.visit(agent.port), b"")
            self.change(made["socket_id"], login, deny=[])
            with self.server.raw(agent.port) as visitor:
                visitor.sendall(b"hello")
                self.assertEqual(visitor.recv(5), b"hello")


class CertificateTest(AccessTest):
    def setUp(self):
        super().setUp()
        with open(certificates().ca) as file:
            self.ca = file.read()

    def own(self, name):
        certificate, key = certificates().make(name)
        return "--cert", certificate, "--key", key

    def test_https(self):
        agent, service, _, _ = self.serve(client_ca=self.ca)
        self.assertIs(self.made["client_ca"], True)
        spoof = "-H", "X-Client-Cert-Subject: CN=root"
        status, _, body = self.server.curl(agent.url + "/", *self.own("visitor"), *spoof)
        self.assertEqual((status, body), (200, b"let in"))
        said = re.findall(rb"(?im)^x-client-cert-subject:\s*(.*?)\s*$", service.requests[0][0])
        self.assertEqual(said, [b"CN=visitor"], "the verified subject, and not what the visitor says")
        certificate, key = certificates().make("stranger", self_signed=True)
        for arguments in ((), ("--cert", certificate, "--key", key)):
            status, _, _ = self.server.curl(agent.url + "/", *arguments, check=False)
            self.assertIn(status, (0, 403))
        self.assertEqual(len(service.requests), 1)

    def test_subject_is_nobodys_to_claim(self):
        agent, service, _, _ = self.serve()
        self.assertEqual(self.server.curl(agent.url + "/", "-H", "X-Client-Cert-Subject: CN=root")[0], 200)
        self.assertNotRegex(service.requests[0][0], rb"(?i)client-cert-subject")

    def test_not_over_plain_http(self):
        agent, service, _, _ = self.serve("http", client_ca=self.ca)
        host = re.sub(r":\d+$", "", agent.url.split("//")[1])
        status, _, _ = self.server.curl(f"http://{host}:{self.server.http_port}/", check=False)
        self.assertNotEqual(status, 200)
        self.assertEqual(service.requests, [])

    def test_another_names_handshake_does_not_help(self):
        agent, service, _, _ = self.serve(client_ca=self.ca)
        _, other_login = (self.server.add_user("open@example.com"), self.server.login("open@example.com"))
        other = self.agent("--port", str(service.port), "--name", "open", token=other_login)
        with self.server.tls(other.host) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {agent.host}\r\n\r\n".encode())
            self.assertRegex(connection.recv(4096), rb"HTTP/1.1 (403|421) ")
        self.assertEqual(service.requests, [])

    def test_tls(self):
        _, login = self.account()
        made = self.server.api("POST", "/socket", {"name": "t", "socket_type": "tls", "client_ca": self.ca}, login)
        self.assertEqual(made.status, 200, made)
        with targets.Target(targets.echo) as target:
            agent = self.agent("--port", str(target.port), "--name", "t", "--type", "tls", token=login)
            context = ssl.create_default_context(cafile=self.server.edge_ca)
            context.load_cert_chain(*certificates().make("visitor"))
            with context.wrap_socket(self.server.raw(agent.port), server_hostname=agent.host) as visitor:
                visitor.sendall(b"hello")
                self.assertEqual(visitor.recv(5), b"hello")
            with self.assertRaises(OSError):
                with ssl.create_default_context(cafile=self.server.edge_ca).wrap_socket(
                        self.server.raw(agent.port), server_hostname=agent.host) as visitor:
                    visitor.sendall(b"hello")
                    if not visitor.recv(5):
                        raise OSError("closed")

    def test_what_is_no_certificate(self):
        _, login = self.account()
        begin, end = "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n"
        for bad in ("x", begin, begin + end, begin + "AAAA\n" + end, begin + "!!!\n" + end, self.ca[:-60] + end):
            answer = self.server.api("POST", "/socket", {"name": "n", "socket_type": "https", "client_ca": bad}, login)
            self.assertEqual(answer.status, 422, (bad, answer))
        for kind in ("tcp", "passthrough"):
            answer = self.server.api("POST", "/socket", {"name": "n", "socket_type": kind, "client_ca": self.ca}, login)
            self.assertEqual(answer.status, 422, answer)


class LimitTest(AccessTest):
    def statuses(self, agent, count):
        """Of requests on one connection, sent at once."""
        with self.server.tls(agent.host) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {agent.host}\r\n\r\n".encode() * (count - 1) +
                               f"GET / HTTP/1.1\r\nHost: {agent.host}\r\nConnection: close\r\n\r\n".encode())
            buffer = b""
            while piece := connection.recv(65536):
                buffer += piece
        return [int(code) for code in re.findall(rb"HTTP/1.1 (\d+) ", buffer)]

    def test_rates(self):
        for key in ("rate", "visitor_rate"):
            _, login = self.account() if key == "rate" else (None, login)
            made = self.server.api("POST", "/socket", {"name": key, "socket_type": "https", key: 2}, login)
            self.assertEqual(made.status, 200, made)
            service = self.service(lambda request, connection: page(b"let in"))
            agent = self.agent("--port", str(service.port), "--name", key, token=login)
            seen = self.statuses(agent, 30)
            self.assertEqual(set(seen), {200, 429}, seen)
            self.assertLess(len(service.requests), 12)
            status, head = 429, ""
            deadline = time.monotonic() + WAIT
            while status == 429:  # it is let in again by and by
                self.assertLess(time.monotonic(), deadline)
                status, head, _ = self.server.curl(agent.url + "/")
                if status == 429:
                    self.assertRegex(head, r"(?i)retry-after: \d+")
            self.assertEqual(status, 200, head)

    def test_as_many_at_once(self):
        _, login = self.account()
        self.server.api("POST", "/socket", {"name": "few", "socket_type": "tcp", "max_connections": 2}, login)
        with targets.Target(targets.echo) as target:
            agent = self.agent("--port", str(target.port), "--name", "few", "--type", "tcp", token=login)
            held = []
            for number in range(2):
                held.append(self.server.raw(agent.port))
                self.addCleanup(held[-1].close)
                held[-1].sendall(b"a")
                self.assertEqual(held[-1].recv(1), b"a")
            self.assertEqual(self.visit(agent.port, b"b"), b"")
            held[0].close()
            deadline = time.monotonic() + WAIT
            while self.visit(agent.port, b"b") != b"b":
                self.assertLess(time.monotonic(), deadline)
            held[1].sendall(b"c")
            self.assertEqual(held[1].recv(1), b"c", "who was in stays in")

    def test_the_quota_warns_before_it_refuses(self):
        user, login = self.account()
        path = f"/admin/quota/{user['user_id']}"
        service = self.service(lambda request, connection: page(b"x" * 20000))
        agent = self.agent("--port", str(service.port), "--name", "much", token=login)
        for _ in range(5):
            self.assertEqual(self.server.curl(agent.url + "/")[0], 200)
        deadline, used = time.monotonic() + WAIT, 0
        while used < 100000:  # bytes are summed now and then
            used = self.server.admin("GET", f"/admin/user/{user['user_id']}").json["used_bytes"]
            self.assertLess(time.monotonic(), deadline)
        self.assertLess(self.server.admin("PUT", path, {"quota_bytes": 120000}).status, 300)
        self.server.wait_log("80 % of this month's bytes are used", self.log_start, owner=user["user_id"])
        status = 200
        while status == 200:
            status = self.server.curl(agent.url + "/")[0]
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(status, 503)
        self.server.wait_log("this month's bytes are used up", self.log_start, owner=user["user_id"])
