"""Accounts, their API, and what their tokens allow, against the real program."""

import os
import signal
import socket
import sqlite3
import stat
import subprocess
import time

from api import PASSWORD, ApiServer, ApiTest, UnixConnection
from edge import DOMAIN, page, read_answer
from plex import WAIT, Tunnel
from server import TOKEN, certificates
from targets import echo, sink


class StoryTest(ApiTest):
    def test_from_an_account_to_a_visit(self):
        user, login = self.account()
        made = self.server.api("POST", "/socket", {"name": "story", "socket_type": "https"}, login)
        self.assertEqual(made.status, 200, made)
        self.assertEqual(made.json["online"], 0)
        self.assertTrue(made.json["dnsname"].endswith("." + DOMAIN))
        url = made.json["url"]
        self.assertEqual(self.server.curl(url + "/")[0], 503)
        service = self.service(lambda request, connection: page(b"from the device"))
        agent = self.agent("--port", str(service.port), "--name", "story", token=login)
        self.assertEqual(agent.url, url)
        self.assertEqual(self.server.curl(url + "/")[::2], (200, b"from the device"))
        shown = self.server.api("GET", f"/socket/{made.json['socket_id']}", None, login)
        self.assertEqual((shown.json["online"], shown.json["user_name"]), (1, user["email"]))
        self.assertEqual(self.server.api("GET", "/socket", None, login).json[0]["socket_id"], made.json["socket_id"])
        gone = self.server.api("DELETE", f"/socket/{made.json['socket_id']}", None, login)
        self.assertEqual(gone.status, 204, gone)
        self.assertEqual(self.server.curl(url + "/")[0], 404)

    def test_connect_makes_socket_and_tunnel(self):
        _, login = self.account()
        made = self.server.api("POST", "/connect", {"name": "both", "socket_type": "http"}, login)
        self.assertEqual(made.status, 200, made)
        self.assertEqual(len(made.json["tunnels"]), 1)
        self.assertEqual(made.json["tunnels"][0]["tunnel_server"], f"{DOMAIN}:{self.server.port}")

    def test_a_changed_socket_is_what_visitors_see(self):
        _, login = self.account()
        service = self.service(lambda request, connection: page(b"kept"))
        agent = self.agent("--port", str(service.port), "--name", "changed", token=login)
        known = self.server.api("GET", "/socket", None, login).json[0]
        self.assertEqual(self.server.curl(agent.url + "/")[0], 200)
        changed = self.server.api("PUT", f"/socket/{known['socket_id']}", {
            "protected_socket": True, "protected_username": "bob", "protected_password": "hunter22"}, login)
        self.assertEqual(changed.status, 200, changed)
        self.assertEqual(self.server.curl(agent.url + "/")[0], 401)
        self.assertEqual(self.server.curl(agent.url + "/", "-u", "bob:hunter22")[::2], (200, b"kept"))

    def test_shared_tokens_go_on_as_before(self):
        service = self.service(lambda request, connection: page(b"by token"))
        agent = self.agent("--port", str(service.port), "--name", "by-token")
        self.assertEqual(self.server.curl(agent.url + "/")[::2], (200, b"by token"))

    def test_the_name_of_the_api_is_nobodys(self):
        _, login = self.account()
        for asked in ("api", f"API.{DOMAIN}"):
            answer = self.server.api("POST", "/socket", {"name": "mine", "socket_type": "https", "hostname": asked}, login)
            self.assertEqual(answer.status, 409, answer)
        tunnel = self.tunnel(TOKEN)
        self.assertEqual(self.refusal(tunnel, "web", hostname="api"), "NAME_TAKEN")

    def tunnel(self, token):
        tunnel = Tunnel.connect("127.0.0.1", self.server.port)
        self.addCleanup(tunnel.close)
        self.assertTrue(tunnel.authenticate(token, ["inbound"]))
        return tunnel

    def refusal(self, tunnel, name, **more):
        word, facts = tunnel.register("web", name, **more)
        self.assertEqual(word, "refused")
        return facts["code"]


class TokenTest(ApiTest):
    def connect(self, token, features=None):
        tunnel = Tunnel.connect("127.0.0.1", self.server.port)
        self.addCleanup(tunnel.close)
        return tunnel, tunnel.authenticate(token, features)

    def test_a_revoked_token_ends_its_tunnels_within_a_second(self):
        _, login = self.account()
        secret, identity = self.server.device_token(login)
        other_secret, _ = self.server.device_token(login)
        tunnel, accepted = self.connect(secret)
        other, other_accepted = self.connect(other_secret)
        self.assertTrue(accepted and other_accepted)
        started = time.monotonic()
        self.assertEqual(self.server.api("DELETE", f"/token/{identity}", None, login).status, 204)
        tunnel.wait_end()
        self.assertLess(time.monotonic() - started, 1)
        self.server.wait_log("tunnel closed", self.log_start, reason="its token was revoked")
        self.assertFalse(self.connect(secret)[1])
        self.assert_goes_on(other)

    def assert_goes_on(self, tunnel):
        with self.target(echo) as target:
            substream = tunnel.dial(target.port)
            substream.send(b"x")
            self.assertEqual(substream.recv(1), b"x")

    def test_a_logout_ends_the_tunnels_of_its_login(self):
        user, login = self.account()
        refreshed = self.server.api("POST", "/login/refresh", {}, login).json["token"]
        secret, _ = self.server.device_token(login)
        tunnels = [self.connect(token) for token in (login, refreshed, self.server.login(user["email"]), secret)]
        self.assertTrue(all(accepted for _, accepted in tunnels))
        started = time.monotonic()
        self.assertEqual(self.server.api("POST", "/logout", {}, login).status, 204)
        for tunnel, _ in tunnels[:2]:
            tunnel.wait_end()
        self.assertLess(time.monotonic() - started, 1)
        self.server.wait_log("tunnel closed", self.log_start, reason="its login was ended")
        for token in (login, refreshed):
            self.assertFalse(self.connect(token)[1])
        for tunnel, _ in tunnels[2:]:
            self.assert_goes_on(tunnel)

    def test_a_logout_of_all_ends_the_tunnels_of_every_login(self):
        user, login = self.account()
        others, other_accepted = self.connect(self.server.login(user["email"]))
        device, device_accepted = self.connect(self.server.device_token(login)[0])
        tunnel, accepted = self.connect(login)
        self.assertTrue(accepted and other_accepted and device_accepted)
        self.assertEqual(self.server.api("POST", "/logout", {"all": True}, login).status, 204)
        tunnel.wait_end()
        others.wait_end()
        self.assert_goes_on(device)

    def test_a_new_password_ends_the_tunnels_of_every_login(self):
        user, login = self.account()
        device, device_accepted = self.connect(self.server.device_token(login)[0])
        tunnel, accepted = self.connect(login)
        self.assertTrue(accepted and device_accepted)
        answer = self.server.admin("PUT", f"/admin/user/{user['user_id']}", {"password": "another one 22"})
        self.assertEqual(answer.status, 200, answer)
        tunnel.wait_end()
        self.assert_goes_on(device)

    def test_a_disabled_account_ends_its_tunnels(self):
        user, login = self.account()
        tunnel, accepted = self.connect(login)
        self.assertTrue(accepted)
        answer = self.server.admin("PUT", f"/admin/user/{user['user_id']}", {"state": "disabled"})
        self.assertLess(answer.status, 300, answer)
        tunnel.wait_end()
        self.assertFalse(self.connect(login)[1])

    def test_forged_and_truncated_tokens_are_refused(self):
        _, login = self.account()
        secret, _ = self.server.device_token(login)
        head, claims, signature = login.split(".")
        none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + claims + "."
        other = secret[:10] + ("y" if secret[10] == "x" else "x") + secret[11:]
        for bad in (secret[:-1], secret + "a", "sp_", other, login[:-2],
                    f"{head}.{claims}.{signature[::-1]}", none, "eyJ"):
            self.assertFalse(self.connect(bad)[1], bad)

    def test_as_many_tunnels_as_the_token_says(self):
        _, login = self.account()
        secret, _ = self.server.device_token(login, max_tunnels=2)
        first, _ = self.connect(secret)
        self.assertTrue(self.connect(secret)[1])
        self.assertFalse(self.connect(secret)[1])
        first.close()
        self.server.wait_log("tunnel closed", self.log_start)
        self.assertTrue(self.connect(secret)[1])

    def test_as_many_substreams_as_the_token_says(self):
        _, login = self.account()
        secret, _ = self.server.device_token(login, max_substreams=1)
        tunnel, _ = self.connect(secret, ["flow", "reset"])
        with self.target(echo) as target:
            first = tunnel.dial(target.port)
            first.send(b"a")
            self.assertEqual(first.recv(1), b"a")
            second = tunnel.open()
            self.assertIsNotNone(second.wait_over())
            first.send(b"b")
            self.assertEqual(first.recv(1), b"b")

    def test_egress_rules_narrow(self):
        _, login = self.account()
        with self.target(echo) as good, self.target(echo) as bad:
            secret, _ = self.server.device_token(login, egress_allow=[f"127.0.0.1/32:{good.port}"])
            tunnel, _ = self.connect(secret)
            substream = tunnel.dial(good.port)
            substream.send(b"x")
            self.assertEqual(substream.recv(1), b"x")
            refused = tunnel.open()
            refused.connect(bad.port)
            refused.wait_over()
            self.server.wait_log("dial refused", self.log_start, rule="the token's allow list")

    def test_sockets_of_its_scope_alone(self):
        _, login = self.account()
        for name in ("mine", "other"):
            self.assertEqual(self.server.api("POST", "/socket", {"name": name, "socket_type": "https",
                                                                 "hostname": name + "-of-scope"}, login).status, 200)
        secret, _ = self.server.device_token(login, sockets=["mine", "new"])
        tunnel, _ = self.connect(secret, ["inbound"])

        def register(name, **more):
            word, facts = tunnel.register("web", name, **more)
            return facts["code"] if word == "refused" else facts["hostname"]

        self.assertEqual(register("other"), "TOKEN_SCOPE")
        self.assertEqual(register("mine", hostname="other-of-scope"), "TOKEN_SCOPE")
        self.assertEqual(register("mine", hostname="moved-elsewhere"), "TOKEN_SCOPE")
        self.assertEqual(register("mine"), f"mine-of-scope.{DOMAIN}")
        self.assertTrue(register("new").endswith(DOMAIN))

    def test_bytes_per_second(self):
        _, login = self.account()
        secret, _ = self.server.device_token(login, bytes_per_second=200000)
        tunnel, _ = self.connect(secret)
        with self.target(sink) as target:
            substream = tunnel.dial(target.port)
            started = time.monotonic()
            substream.send(b"x" * 600000, seconds=20)
            substream.end()
            substream.wait_over(20)
            took = time.monotonic() - started
        # a second's worth is there at once, the rest comes by and by
        self.assertGreater(took, 1.5)
        self.assertLess(took, 12)

    def test_used_up_bytes(self):
        user, login = self.account()
        service = self.service(lambda request, connection: page(b"x" * 2000))
        agent = self.agent("--port", str(service.port), "--name", "used-up", token=login)
        self.assertEqual(self.server.curl(agent.url + "/")[0], 200)
        answer = self.server.admin("PUT", f"/admin/quota/{user['user_id']}", {"quota_bytes": 1000})
        self.assertLess(answer.status, 300, answer)
        self.server.wait_log("this month's bytes are used up", self.log_start, owner=user["user_id"])
        status, head, _ = self.server.curl(agent.url + "/")
        self.assertEqual(status, 503)
        self.assertIn("QUOTA_EXCEEDED", head)
        tunnel, accepted = self.connect(login)
        self.assertTrue(accepted)
        with self.target(echo) as target:
            substream = tunnel.open()
            substream.connect(target.port)
            substream.wait_event("error")
        self.assertLess(self.server.admin("PUT", f"/admin/quota/{user['user_id']}", {"quota_bytes": 0}).status, 300)
        deadline = time.monotonic() + WAIT
        while self.server.curl(agent.url + "/")[0] != 200:
            self.assertLess(time.monotonic(), deadline)


class HttpTest(ApiTest):
    def raw(self, *pieces, lines=1):
        """What the API answers to raw bytes: a list of (head, body)."""
        connection = self.server.connection().sock
        self.addCleanup(connection.close)
        for piece in pieces:
            connection.sendall(piece)
        return [read_answer(connection) for _ in range(lines)]

    def status(self, *pieces):
        return int(self.raw(*pieces)[0][0].split()[1])

    def test_refusals(self):
        head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
        post = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        for expected, request in (
                (400, b"GET /healthz\r\n\r\n"), (400, head + b"A : b\r\n\r\n"), (400, head + b" fold\r\n\r\n"),
                (400, b"GET /healthz HTTP/1.1\r\n\r\n"), (400, head + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
                (400, head + b"x-access-token: a\r\nx-access-token: b\r\n\r\n"), (405, b"DELETE /login HTTP/1.1\r\nHost: a\r\n\r\n"),
                (411, post + b"\r\n"), (413, post + b"Content-Length: 1048576\r\n\r\n"),
                (413, post + b"Transfer-Encoding: chunked\r\n\r\n11000\r\n" + b"x" * 0x11000),
                (431, head + b"A: " + b"b" * 20000 + b"\r\n\r\n"), (505, b"GET / HTTP/1.2\r\nHost: a\r\n\r\n")):
            self.assertEqual(self.status(request), expected, request[:80])

    def test_requests_follow_each_other(self):
        one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        connection = self.server.connection().sock
        self.addCleanup(connection.close)
        connection.sendall(one * 50)
        buffer = b""
        while buffer.count(b"HTTP/1.1 200 OK\r\n") < 50:
            piece = connection.recv(65536)
            self.assertTrue(piece)
            buffer += piece

    def test_a_request_in_pieces(self):
        body = b'{"email":"a@example.com","password":"%s"}' % (b"x" * 100)
        request = b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        whole = request + body
        self.assertEqual(self.status(*(whole[i:i + 1] for i in range(len(whole)))), 401)

    def test_chunks_and_continue(self):
        head = b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        chunks = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        self.assertEqual(self.status(head + chunks), 422)
        connection = self.server.connection().sock
        self.addCleanup(connection.close)
        connection.sendall(head + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        self.assertTrue(read_answer(connection, True)[0].startswith(b"HTTP/1.1 100"))
        connection.sendall(b"{}")
        self.assertTrue(read_answer(connection)[0].startswith(b"HTTP/1.1 422"))

    def test_head_has_no_body(self):
        head = b"HEAD /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"
        get = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        connection = self.server.connection().sock
        self.addCleanup(connection.close)
        connection.sendall(head + get)
        buffer = b""
        while piece := connection.recv(65536):
            buffer += piece
        first, _, rest = buffer.partition(b"\r\n\r\n")
        self.assertIn(b"Content-Length: ", first)
        self.assertTrue(rest.startswith(b"HTTP/1.1 200"), rest[:60])

    def test_a_large_list_arrives_whole(self):
        _, login = self.account()
        for number in range(100):
            made = self.server.api("POST", "/socket", {"name": f"n{number}", "socket_type": "https",
                                                       "description": "d" * 1000}, login)
            self.assertEqual(made.status, 200, made)
        self.assertEqual(len(self.server.api("GET", "/socket", None, login).json), 100)

    def test_metrics(self):
        before = self.server.metrics()
        self.assertEqual(self.server.api("POST", "/login", {"email": "no@example.com", "password": "wrong-one"}).status, 401)
        after = self.server.metrics()
        for name in ('streamplex_api_answers_total{class="4xx"}', 'streamplex_logins_total{result="refused"}'):
            self.assertEqual(after[name] - before[name], 1, name)
        self.assertEqual(after["streamplex_logins_pending"], 0)

    def test_curl(self):
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", certificates().ca, "--max-time", "20",
                               "-w", "%{http_code}", f"https://localhost:{self.server.api_port}/healthz"],
                              capture_output=True, timeout=WAIT)
        self.assertTrue(done.stdout.endswith(b"200"), done)


class EdgeApiTest(ApiTest):
    def test_api_on_the_edge(self):
        connection = self.server.connection(self.server.https_port, f"api.{DOMAIN}")
        self.addCleanup(connection.close)
        for _ in range(3):
            self.assertEqual(self.server.ask(connection, "GET", "/healthz").status, 200)

    def test_plain_http_leads_to_https(self):
        status, head, _ = self.server.curl(f"http://api.{DOMAIN}:{self.server.http_port}/socket?a=b")
        self.assertEqual(status, 308)
        self.assertIn(f"https://api.{DOMAIN}:{self.server.https_port}/socket?a=b", head)


class OperatorTest(ApiTest):
    def test_only_its_owner_gets_to_the_socket(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.server.admin_path).st_mode), 0o600)

    def test_the_operators_paths_are_not_in_the_api(self):
        _, login = self.account()
        self.assertEqual(self.server.api("GET", "/admin/user", None, login).status, 404)

    def test_tunnels_are_listed_and_closed(self):
        user, login = self.account()
        secret, identity = self.server.device_token(login)
        tunnel = Tunnel.connect("127.0.0.1", self.server.port)
        self.addCleanup(tunnel.close)
        self.assertTrue(tunnel.authenticate(secret))
        with self.target(echo) as target:
            substream = tunnel.dial(target.port)
            substream.send(b"x" * 1000)
            substream.recv(1000)
            listed = [one for one in self.server.admin("GET", "/admin/tunnel").json if one["owner"] == user["user_id"]]
        self.assertEqual(len(listed), 1)
        self.assertEqual((listed[0]["token_id"], listed[0]["substreams"]), (identity, 1))
        self.assertGreater(listed[0]["bytes_in"], 1000)
        self.assertGreater(listed[0]["rtt"], 0)
        self.assertEqual(self.server.admin("DELETE", f"/admin/tunnel/{listed[0]['tunnel_id']}").status, 204)
        tunnel.wait_end()
        self.assertEqual(self.server.admin("DELETE", f"/admin/tunnel/{listed[0]['tunnel_id']}").status, 404)

    def test_backup_of_a_running_server(self):
        self.account()
        file = os.path.join(self.folder(), "backup.db")
        answer = self.server.admin("POST", "/admin/backup", {"file": file})
        self.assertEqual(answer.status, 200, answer)
        with sqlite3.connect(file) as database:
            self.assertGreater(database.execute("select count(*) from accounts").fetchone()[0], 0)
        self.assertNotEqual(self.server.admin("POST", "/admin/backup", {"file": file}).status, 200)


class LifeTest(ApiTest):
    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    def setUp(self):
        self.state = self.folder()

    def start(self, *arguments):
        server = ApiServer(*arguments, state=self.state)
        self.addCleanup(server.kill)
        return server

    def test_all_is_there_after_a_kill(self):
        server = self.start()
        server.add_user()
        login = server.login()
        secret, _ = server.device_token(login)
        made = server.api("POST", "/socket", {"name": "kept", "socket_type": "https"}, login).json
        server.signal(signal.SIGKILL)
        server.wait_exit()
        self.assertTrue(os.path.exists(server.admin_path))  # nobody removed it
        server = self.start()
        self.assertEqual(server.api("GET", "/socket", None, login).json[0]["dnsname"], made["dnsname"])
        tunnel = Tunnel.connect("127.0.0.1", server.port)
        self.addCleanup(tunnel.close)
        self.assertTrue(tunnel.authenticate(secret))
        self.assertEqual(server.admin("GET", "/admin/user").status, 200)
        server.stop()
        self.assertFalse(os.path.exists(server.admin_path))

    def test_the_key_is_private(self):
        server = self.start()
        key = os.path.join(self.state, "jwt.key")
        self.assertEqual((stat.S_IMODE(os.stat(key).st_mode), os.stat(key).st_size), (0o600, 32))
        server.stop()

    def test_registration_by_a_link(self):
        server = self.start("--registration", "confirm")
        answer = server.api("POST", "/user", {"name": "Eve", "email": "eve@example.com", "password": PASSWORD})
        self.assertLess(answer.status, 300, answer)
        self.assertNotEqual(server.api("POST", "/login", {"email": "eve@example.com", "password": PASSWORD}).status, 200)
        link = server.wait_log("an account waits to be confirmed")["link"]
        self.assertTrue(link.startswith(f"https://api.{DOMAIN}:{server.https_port}/confirm?code="), link)
        status, _, body = server.curl(link)
        self.assertEqual(status, 200, body)
        server.login("eve@example.com")
        server.stop()

    def test_a_link_that_has_expired_is_replaced(self):
        arguments = ("--registration", "confirm")
        eve = {"name": "Eve", "email": "eve@example.com", "password": PASSWORD}
        server = self.start(*arguments)
        self.assertEqual(server.api("POST", "/user", eve).status, 200)
        query = "/confirm?" + server.wait_log("an account waits to be confirmed")["link"].split("?")[1]
        server.stop()
        with sqlite3.connect(os.path.join(self.state, "streamplex.db")) as database:  # a day later
            database.execute("UPDATE accounts SET created = created - 86400")
        database.close()
        server = self.start(*arguments)
        late = server.api("GET", query)
        self.assertEqual(late.status, 410)
        self.assertIn(b"expired", late.bytes)
        self.assertEqual(server.api("POST", "/user", eve).status, 200)
        new = "/confirm?" + server.wait_log("an account waits to be confirmed")["link"].split("?")[1]
        self.assertEqual(server.api("GET", query).status, 404)
        self.assertEqual(server.api("GET", new).status, 200)
        server.login(eve["email"])
        server.stop()

    def test_registration_is_closed(self):
        server = self.start()
        answer = server.api("POST", "/user", {"name": "Eve", "email": "eve@example.com", "password": PASSWORD})
        self.assertEqual(answer.status, 403, answer)
        server.stop()

    def test_a_reload_keeps_connections(self):
        server = self.start()
        connection = server.connection()
        self.addCleanup(connection.close)
        self.assertEqual(server.ask(connection, "GET", "/healthz").status, 200)
        server.signal(signal.SIGHUP)
        server.wait_log("configuration reloaded")
        self.assertEqual(server.ask(connection, "GET", "/healthz").status, 200)
        self.assertEqual(server.api("GET", "/healthz").status, 200)
        server.stop()

    def test_no_admin_socket(self):
        server = self.start("--admin-socket", "none")
        self.assertEqual(server.api("GET", "/healthz").status, 200)
        self.assertFalse(os.path.exists(server.admin_path))
        server.stop()

    def test_a_file_of_another_kind_stays(self):
        path = os.path.join(self.state, "precious")
        with open(path, "w") as file:
            file.write("data")
        with self.assertRaises(AssertionError):
            self.start("--admin-socket", path)
        with open(path) as file:
            self.assertEqual(file.read(), "data")

    def test_connections_have_a_cap(self):
        server = self.start("--max-api-connections", "2")
        held = [server.connection(), server.connection()]
        for connection in held:
            self.addCleanup(connection.close)
            self.assertEqual(server.ask(connection, "GET", "/healthz").status, 200)
        with self.assertRaises(OSError):
            server.connection()
        self.assertEqual(server.admin("GET", "/admin/user").status, 200)
        server.wait_log("api connection refused")
        server.stop()

    def test_a_client_that_goes_while_it_is_answered(self):
        server = self.start()
        for _ in range(20):
            connection = server.connection().sock
            body = b'{"email":"a@example.com","password":"12345678"}'
            connection.sendall(b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                               b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        self.assertEqual(server.api("GET", "/healthz").status, 200)
        unix = UnixConnection(server.admin_path)
        self.addCleanup(unix.close)
        self.assertEqual(server.ask(unix, "GET", "/admin/user").status, 200)
        server.stop()
