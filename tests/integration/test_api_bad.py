"""What goes wrong at the API: bad input of every kind, tokens that aren't, a full disk, a database that is no use."""

import base64
import glob
import hashlib
import hmac
import json
import os
import re
import resource
import signal
import sqlite3
import subprocess
import time
import uuid

import targets
from api import PASSWORD, ApiServer, ApiTest
from edge import page
from plex import WAIT, Tunnel
from server import die_with_parent, program

NOBODY = str(uuid.UUID(int=1))
NASTY = "a\x1b[31m\nb\u202ec\x7f\x85"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(key, claims, head=None, sign=hashlib.sha256):
    """A JSON Web Token of our own making."""
    text = ".".join(base64url(json.dumps(part, separators=(",", ":")).encode())
                    for part in (head or {"alg": "HS256", "typ": "JWT"}, claims))
    return text + "." + base64url(hmac.new(key, text.encode(), sign).digest())


def claims_of(login):
    part = login.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class BadApiTest(ApiTest):
    def ask(self, *arguments, **options):
        """One request, on a connection of its own. What is refused is said in the one form that there is."""
        answer = self.server.api(*arguments, **options)
        self.assertLess(answer.status, 504, answer)
        self.assertNotEqual(answer.status, 500, answer)
        if answer.status >= 400:
            self.assertEqual(list(answer.json), ["error"])
            self.assertEqual(sorted(answer.json["error"]), ["code", "message"])
            self.assertTrue(answer.json["error"]["message"])
        return answer

    def refused(self, status, *arguments, **options):
        answer = self.ask(*arguments, **options)
        self.assertEqual(answer.status, status, (arguments, answer))
        return answer


class BodyTest(BadApiTest):
    PATHS = (("POST", "/login"), ("POST", "/socket"), ("POST", "/connect"), ("POST", "/token"))

    def test_bodies_that_are_no_json_objects(self):
        _, login = self.account()
        bodies = (b"{", b"}", b"nul", b'{"a":}', b"{'a':1}", b'{"name":"a","name":"b"}', b'{"name":"\xff\xfe"}', b"\x00",
                  b'{"name":"a\\u0000b"}', b'{"name":"\\ud800"}', b'{"a":1e999}', b'{"a":123456789012345678901234567890}',
                  b'{} {}', b"\xef\xbb\xbf{}", b'"text"', b"[]", b"1", b"true", b"null", b"[{}]")
        for method, path in self.PATHS:
            for body in bodies:
                self.refused(400, method, path, body, login)

    def test_values_of_all_wrong_kinds(self):
        _, login = self.account()
        others = (1, -1, 1.5, True, [], {}, ["a"], {"a": 1}, "", "x" * 70000)
        good = {"name": "kinds", "socket_type": "https"}
        for key in ("name", "socket_type", "hostname", "description", "host_header", "protected_username", "client_ca"):
            for other in others:
                if isinstance(other, str) and key in ("hostname", "description", "host_header", "protected_username",
                                                      "client_ca") and not other:
                    continue  # empty is none
                status = 413 if isinstance(other, str) and other else 422
                self.refused(status, "POST", "/socket", good | {key: other}, login)
        for key in ("protected_socket", "https_only", "cloud_authentication_enabled"):
            for other in (0, 1, "true", [], {}, "yes"):
                self.refused(422, "POST", "/socket", good | {key: other}, login)
        for key in ("rate", "visitor_rate", "max_connections"):
            for other in (-1, 1.5, "1", True, [1], {}, 2 ** 32, 2 ** 63 - 1):
                self.refused(422, "POST", "/socket", good | {key: other}, login)
        for key in ("allow", "deny"):
            for other in (1, "10.0.0.0/8", {}, [1], [[]], ["10.0.0.0/33"], ["x"], ["10.0.0.0/8,::/0"], [""], [None],
                          ["10.0.0.1/8x"], ["1.2.3.4/"], ["::1"] * 1000):
                self.refused(422, "POST", "/socket", good | {key: other}, login)
        self.assertEqual(self.ask("GET", "/socket", None, login).json, [], "nothing was made by the way")

    def test_tokens_of_wrong_values(self):
        _, login = self.account()
        for key in ("max_tunnels", "max_substreams", "bytes_per_second", "bytes_per_month", "expires"):
            for other in (-1, 0.5, "1", True, [], {}):
                self.refused(422, "POST", "/token", {"name": "t", key: other}, login)
        for key in ("egress_allow", "egress_deny"):
            for other in (1, "0.0.0.0/0", [1], ["nonsense/0"], ["1.2.3.4:99999"], ["a\nb"]):
                self.refused(422, "POST", "/token", {"name": "t", key: other}, login)
        self.refused(422, "POST", "/token", {"name": "t", "expires": 1}, login)  # it would be dead at once
        self.assertEqual(self.ask("GET", "/token", None, login).json, [])

    def test_users_of_wrong_values(self):
        for key in ("name", "email", "password"):
            for other in (None, 1, True, [], {}, "", "x" * 5000):
                answer = self.server.admin("POST", "/admin/user",
                                           {"name": "n", "email": "wrong@example.com", "password": PASSWORD} | {key: other})
                self.assertEqual(answer.status, 422, (key, other, answer))
        for email in ("@", "a@", "@b", "a b@c.example", "a@b@c", "a@b\n.example", "<a@b.example>", "a@b.example\r\nBcc: x@y.example"):
            answer = self.server.admin("POST", "/admin/user", {"name": "n", "email": email, "password": PASSWORD})
            self.assertEqual(answer.status, 422, (email, answer))

    def test_large_bodies(self):
        _, login = self.account()
        large = b'{"name":"' + b"x" * (1 << 20) + b'"}'
        for method, path in self.PATHS:
            connection = self.server.connection()
            try:
                answer = self.server.ask(connection, method, path, large, login)
                self.assertEqual(answer.status, 413, answer)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it was answered before all was sent, and hung up on
            finally:
                connection.close()
        self.assertEqual(self.ask("GET", "/socket", None, login).json, [])

    def test_deep_nesting(self):
        _, login = self.account()
        for deep in (b"[" * 30000, b'{"a":' * 10000, b'{"a":' * 5000 + b"1" + b"}" * 5000,
                     b'{"name":' + b"[" * 20000 + b"]" * 20000 + b"}"):
            for method, path in self.PATHS:
                self.refused(400, method, path, deep, login)

    def test_wrong_content_types(self):
        _, login = self.account()
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"):
            self.refused(415, "POST", "/socket", b"{}", login, headers={"Content-Type": kind})


class PathTest(BadApiTest):
    def test_wrong_methods(self):
        _, login = self.account()
        for path, allowed in (("/login", "POST"), ("/socket", "GET, HEAD, POST"), (f"/socket/{NOBODY}", "GET, HEAD, PUT, DELETE"),
                              ("/token", "GET, HEAD, POST"), ("/openapi.json", "GET, HEAD")):
            for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} - set(allowed.split(", ")):
                answer = self.refused(405, method, path, b"{}" if method in ("POST", "PUT", "PATCH") else None, login)
                self.assertEqual(answer.headers["Allow"], allowed)

    def test_wrong_paths_and_ids(self):
        _, login = self.account()
        for path in ("/", "//", "/nothing", "/socket/", "/socket//tunnel", "/login/", "/Socket", "/socket/..", "/admin/user",
                     f"/socket/{NOBODY}", f"/socket/{NOBODY}/tunnel", f"/socket/{NOBODY}/tunnel/{NOBODY}", "/socket/1",
                     "/socket/-1", "/socket/99999999999999999999999", "/socket/" + "a" * 3000, "/socket/%27%20OR%201=1--",
                     "/socket/%2e%2e%2f", "/socket/%ff%fe", f"/user/{NOBODY}", "/user/0", "/user/-1", "/user/%20"):
            self.refused(404, "GET", path, None, login)
        for path in ("/socket/%", "/socket/%0", "/socket/%zz", "/socket/%00", "/socket/a%00b"):
            self.assertIn(self.ask("GET", path, None, login).status, (400, 404), path)
        for path in (f"/socket/{NOBODY}", f"/socket/{NOBODY}/tunnel/{NOBODY}", f"/token/{NOBODY}", "/token/x"):
            self.refused(404, "DELETE", path, None, login)

    def test_what_is_another_accounts_does_not_exist(self):
        user, login = self.account()
        self.server.add_user("mallory@example.com")
        other = self.server.login("mallory@example.com")
        made = self.ask("POST", "/connect", {"name": "hers", "socket_type": "https"}, login).json
        _, token = self.server.device_token(login)
        socket_path, tunnel = f"/socket/{made['socket_id']}", made["tunnels"][0]["tunnel_id"]
        mine = self.ask("POST", "/socket", {"name": "his", "socket_type": "https"}, other).json["socket_id"]
        for method, path, body in (
                ("GET", socket_path, None), ("PUT", socket_path, {"name": "taken"}), ("DELETE", socket_path, None),
                ("GET", socket_path + "/tunnel", None), ("POST", socket_path + "/tunnel", {}),
                ("GET", f"{socket_path}/tunnel/{tunnel}", None), ("DELETE", f"{socket_path}/tunnel/{tunnel}", None),
                ("GET", f"/socket/{mine}/tunnel/{tunnel}", None), ("DELETE", f"/socket/{mine}/tunnel/{tunnel}", None),
                ("DELETE", f"/token/{token}", None), ("GET", f"/user/{user['user_id']}", None),
                ("PUT", f"/user/{user['user_id']}", {"name": "taken"})):
            there = self.refused(404, method, path, body, other)
            nowhere = self.refused(404, method, path.replace(made["socket_id"], NOBODY).replace(tunnel, NOBODY)
                                   .replace(token, NOBODY).replace(user["user_id"], NOBODY), body, other)
            self.assertEqual(there.json, nowhere.json, "what exists isn't told from what doesn't")
        self.assertEqual([one["name"] for one in self.ask("GET", "/socket", None, other).json], ["his"])
        self.assertEqual(self.ask("GET", socket_path, None, login).json["name"], "hers")
        self.assertEqual(len(self.ask("GET", "/token", None, login).json), 1)

    def test_the_document_says_what_is_answered(self):
        """Each path and method of /openapi.json: without a login, with one, and as the operator; with an empty body."""
        _, login = self.account()
        document = self.ask("GET", "/openapi.json").json
        self.assertEqual(document["openapi"][:3], "3.1")
        count = 0
        for path, methods in document["paths"].items():
            for method in set(methods) & {"get", "post", "put", "delete"}:
                responses = methods[method]["responses"]
                asked = re.sub(r"{\w+}", NOBODY, path)
                body = {} if "requestBody" in methods[method] else None
                if path.startswith("/admin/"):
                    answers = [self.server.admin(method.upper(), asked, body)]
                else:
                    answers = [self.server.api(method.upper(), asked, body, token) for token in (None, login)]
                    if path == "/logout":
                        login = self.server.login(self.account_email())
                for answer in answers:
                    self.assertIn(str(answer.status), responses, (method, path, answer))
                    count += 1
        self.assertGreater(count, 50)

    def account_email(self):
        return self.id().rsplit(".", 1)[1][:50] + "@example.com"

    def test_another_accounts_host_name_is_taken(self):
        _, login = self.account()
        self.server.add_user("squatter@example.com")
        other = self.server.login("squatter@example.com")
        body = {"name": "n", "socket_type": "https", "hostname": "only-hers"}
        self.assertEqual(self.ask("POST", "/socket", body, login).status, 200)
        self.refused(409, "POST", "/socket", body, other)
        self.refused(409, "POST", "/connect", body, other)


class NameTest(BadApiTest):
    def test_sql_is_a_name_like_others(self):
        _, login = self.account()
        names = ("'; DROP TABLE sockets; --", '" OR ""="', "Robert'); DELETE FROM accounts;--", "%s%n%x", "a\\'b", "?1", "${x}")
        for name in names:
            made = self.ask("POST", "/socket", {"name": name, "socket_type": "https", "description": name}, login)
            self.assertEqual(made.status, 200, made)
            self.assertEqual((made.json["name"], made.json["description"]), (name, name))
            self.assertEqual(self.ask("POST", "/token", {"name": name}, login).status, 200)
        self.assertEqual(sorted(one["name"] for one in self.ask("GET", "/socket", None, login).json), sorted(names))
        self.refused(401, "POST", "/login", {"email": "' OR 1=1 --", "password": "' OR 1=1 --"})
        with sqlite3.connect(f"file:{self.server.state}/streamplex.db?mode=ro", uri=True) as database:
            kept = [row[0] for row in database.execute("select name from sockets")]
        self.assertTrue(set(names) <= set(kept))

    def test_unicode_is_kept_and_control_characters_are_refused(self):
        _, login = self.account()
        for name in ("Größe", "日本語", "🦆", "e\u0301", "a\u202eb", "\u200b", "\ufeff"):
            made = self.ask("POST", "/socket", {"name": name, "socket_type": "https"}, login)
            self.assertIn(made.status, (200, 422), made)
            if made.status == 200:
                self.assertEqual(made.json["name"], name)
                self.assertEqual(self.ask("GET", f"/socket/{made.json['socket_id']}", None, login).json["name"], name)
        for bad in ("a\nb", "a\rb", "\x1b[31m", "a\x7f", "a\x85b", "a\tb"):
            for body in ({"name": bad}, {"name": "n", "description": bad}, {"name": "n", "host_header": bad},
                         {"name": "n", "hostname": bad}, {"name": "n", "protected_socket": True, "protected_username": bad,
                                                          "protected_password": "p"}):
                self.refused(422, "POST", "/socket", body | {"socket_type": "https"}, login)
            self.refused(422, "POST", "/token", {"name": bad}, login)

    def test_tables_and_logs_escape(self):
        """A direction mark is no control character, but it turns what stands after it; a device's words may be any."""
        _, login = self.account()
        secret, _ = self.server.device_token(login)
        made = self.ask("POST", "/token", {"name": "turn\u202eed"}, login)
        environment = os.environ | {"LANG": "C.UTF-8"}
        done = subprocess.run([program(), "admin", "token", "ls", "--admin-socket", self.server.admin_path],
                              capture_output=True, timeout=WAIT, env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("\u202e".encode(), done.stdout)
        if made.status == 200:
            self.assertIn(b"turn\\u202eed", done.stdout)
        tunnel = Tunnel.connect("127.0.0.1", self.server.port)
        self.addCleanup(tunnel.close)
        self.assertTrue(tunnel.authenticate(secret, ["inbound"]))
        word, facts = tunnel.register("web", NASTY)
        self.assertEqual(word, "refused", facts)
        for line in self.server.other:
            self.assertNotIn("\x1b", line)


class LoginTest(BadApiTest):
    def key(self):
        with open(os.path.join(self.server.state, "jwt.key"), "rb") as file:
            return file.read()

    def test_tokens_that_are_not(self):
        _, login = self.account()
        claims = claims_of(login)
        head, body, signature = login.split(".")
        key = self.key()
        self.assertEqual(self.ask("GET", "/socket", None, forge(key, claims)).status, 200, "the forging itself works")
        now = int(time.time())
        none = [base64url(json.dumps({"alg": alg, "typ": "JWT"}, separators=(",", ":")).encode()) + f".{body}."
                for alg in ("none", "None", "NONE", "nOnE", "")]
        bad = none + [one + signature for one in none] + [
            forge(key, claims, {"alg": "HS512", "typ": "JWT"}, hashlib.sha512), forge(key, claims, {"alg": "HS256"}),
            forge(key, claims, {"typ": "JWT", "alg": "HS256"}), forge(key, claims, {"alg": "RS256", "typ": "JWT"}),
            forge(b"", claims), forge(b"\0" * 32, claims), forge(key[:31], claims),
            forge(key, claims | {"exp": now - 1}), forge(key, claims | {"exp": 0}), forge(key, claims | {"exp": str(now + 99)}),
            forge(key, claims | {"iat": now + 3600, "exp": now + 7200}), forge(key, claims | {"user_id": claims["user_id"] + 1000}),
            forge(key, claims | {"gen": claims["gen"] + 1}), forge(key, claims | {"user_id": -1}),
            forge(key, claims | {"user_id": None}), forge(key, claims | {"jti": ["x"]}), forge(key, []), forge(key, "x"),
            forge(key, {name: value for name, value in claims.items() if name != "exp"}),
            forge(key, {name: value for name, value in claims.items() if name != "jti"}),
            head, f"{head}.{body}", f"{head}.{body}.", f".{body}.{signature}", f"{head}..{signature}", f"{login}.", f".{login}",
            f"{login}=", f"{head}.{body}.{signature}{signature}", login + "A" * 5000, "..", ".", "eyJ", "sp_", "sp_" + "a" * 43,
            "null", "undefined"] + [login[:cut] for cut in range(0, len(login), 7)][1:]
        connection = self.server.connection()
        self.addCleanup(connection.close)
        for token in bad:
            answer = self.server.ask(connection, "GET", "/socket", None, token)
            self.assertEqual(answer.status, 401, (token, answer))
            self.assertIn("error", answer.json)
        self.refused(401, "GET", "/socket")
        self.assertEqual(self.ask("GET", "/socket", headers={"Authorization": "Bearer " + login}).status, 200)
        for value in ("Bearer", "Bearer ", "Basic " + login, login, "Bearer " + login + " x"):
            self.refused(401, "GET", "/socket", headers={"Authorization": value})
        said = json.dumps(self.server.lines)
        self.assertNotIn(login, said, "no token stands in the log")
        self.assertNotIn(signature, said)

    def test_an_expired_one_says_so(self):
        _, login = self.account()
        now = int(time.time())
        answer = self.refused(401, "GET", "/socket", None, forge(self.key(), claims_of(login) | {"iat": now - 9, "exp": now - 1}))
        self.assertEqual(answer.json["error"]["code"], "LOGIN_EXPIRED")

    def test_logged_out_and_older_ones(self):
        user, login = self.account()
        second = self.server.login(user["email"])
        self.assertEqual(self.ask("POST", "/logout", {}, login).status, 204)
        self.refused(401, "GET", "/socket", None, login)
        self.assertEqual(self.ask("GET", "/socket", None, second).status, 200)
        third = self.ask("POST", "/login/refresh", {}, second).json["token"]
        self.refused(403, "PUT", f"/user/{user['user_id']}", {"password": "another one 22", "current_password": "wrong"}, third)
        changed = self.ask("PUT", f"/user/{user['user_id']}", {"password": "another one 22", "current_password": PASSWORD}, third)
        if changed.status == 429:  # after a wrong one, the account waits
            time_left = int(changed.headers["Retry-After"])
            self.assertLess(time_left, 10)
            changed = self.server.admin("PUT", f"/admin/user/{user['user_id']}", {"password": "another one 22"})
        self.assertEqual(changed.status, 200, changed)
        for old in (second, third):
            self.refused(401, "GET", "/socket", None, old)
        fourth = self.server.login(user["email"], "another one 22")
        self.assertEqual(self.ask("POST", "/logout", {"all": True}, fourth).status, 204)
        self.refused(401, "GET", "/socket", None, fourth)

    def test_a_device_token_is_no_login(self):
        _, login = self.account()
        secret, _ = self.server.device_token(login)
        for method, path in (("GET", "/socket"), ("GET", "/token"), ("POST", "/token")):
            self.refused(401, method, path, {"name": "x"} if method == "POST" else None, secret)

    def test_wrong_passwords_wait_longer_and_longer(self):
        user, _ = self.account()
        waits = []
        for _ in range(12):
            answer = self.ask("POST", "/login", {"email": user["email"], "password": "wrong wrong"})
            if answer.status == 429:
                self.assertGreater(int(answer.headers["Retry-After"]), 0)
                waits.append(answer.status)
        self.assertTrue(waits)
        good = self.ask("POST", "/login", {"email": user["email"], "password": PASSWORD})
        self.assertEqual(good.status, 429, "the right one waits, too: else guesses would be told apart")


class FaultTest(ApiTest):
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

    def files(self):
        """What the database's files hold."""
        held = {}
        for path in glob.glob(os.path.join(self.state, "streamplex.db*")):
            with open(path, "rb") as file:
                held[path] = file.read()
        return held

    def refused_start(self):
        """What a server says that can't start on the state folder."""
        done = subprocess.run([program(), "serve", "--state", self.state, "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0",
                               "--edge-https", "127.0.0.1:0", "--edge-domain", "tunnel.test", "--token", "t"],
                              capture_output=True, text=True, timeout=WAIT, preexec_fn=die_with_parent)
        self.assertNotEqual(done.returncode, 0)
        self.assertGreaterEqual(done.returncode, 0, done.stderr)
        return done.stderr

    def test_a_full_disk(self):
        server = self.start()
        server.add_user()
        login = server.login()
        made = server.api("POST", "/socket", {"name": "before", "socket_type": "https"}, login).json
        service = self.service(lambda request, connection: page(b"goes on"))
        agent = self.agent("--port", str(service.port), "--name", "before", server=server, token=login)
        tunnel = Tunnel.connect("127.0.0.1", server.port)
        self.addCleanup(tunnel.close)
        self.assertTrue(tunnel.authenticate(login))
        old = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        for method, path, body in (
                ("POST", "/socket", {"name": "after", "socket_type": "https"}), ("POST", "/token", {"name": "after"}),
                ("POST", "/connect", {"name": "after", "socket_type": "tcp"}),
                ("PUT", f"/socket/{made['socket_id']}", {"description": "after"}),
                ("POST", f"/socket/{made['socket_id']}/tunnel", {}), ("DELETE", f"/socket/{made['socket_id']}", None),
                ("POST", "/logout", {})):
            answer = server.api(method, path, body, login)
            self.assertEqual((answer.status, answer.json["error"]["code"]), (503, "STORE_FAILED"), (path, answer))
            self.assertTrue(answer.headers["Retry-After"])
        answer = server.admin("POST", "/admin/backup", {"file": os.path.join(self.folder(), "backup.db")})
        self.assertEqual(answer.status, 503, answer)
        self.assertEqual([one["name"] for one in server.api("GET", "/socket", None, login).json], ["before"])
        self.assertEqual(server.api("GET", "/token", None, login).json, [])
        self.assertEqual(server.curl(agent.url + "/")[::2], (200, b"goes on"), server.lines[-40:])
        with targets.Target(targets.echo) as target:
            substream = tunnel.dial(target.port)
            substream.send(b"x")
            self.assertEqual(substream.recv(1), b"x")
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, old)
        answer = server.api("POST", "/socket", {"name": "after", "socket_type": "https"}, login)
        self.assertEqual(answer.status, 200, "there is room again")
        server.signal(signal.SIGKILL)
        server.wait_exit()
        server = self.start()
        kept = {one["name"]: one.get("description") or "" for one in server.api("GET", "/socket", None, login).json}
        self.assertEqual(kept, {"before": "", "after": ""}, "nothing was half written")
        server.stop()

    def test_a_database_that_is_locked_while_we_run(self):
        server = self.start()
        server.add_user()
        login = server.login()
        other = sqlite3.connect(os.path.join(self.state, "streamplex.db"), isolation_level=None)
        self.addCleanup(other.close)
        other.execute("begin immediate")
        answer = server.api("POST", "/socket", {"name": "n", "socket_type": "https"}, login)
        self.assertEqual((answer.status, answer.json["error"]["code"]), (503, "STORE_FAILED"), answer)
        self.assertEqual(server.api("GET", "/socket", None, login).json, [])
        other.execute("rollback")
        self.assertEqual(server.api("POST", "/socket", {"name": "n", "socket_type": "https"}, login).status, 200)
        server.stop()

    def test_a_database_that_is_no_use(self):
        server = self.start()
        server.add_user()
        server.stop()
        path = os.path.join(self.state, "streamplex.db")
        with open(path, "rb") as file:
            good = file.read()
        half = good[:4096] + os.urandom(len(good) // 2 - 4096) + good[len(good) // 2:]
        for content, expected in ((b"not a database at all " * 300, "not a database"), (good[:len(good) // 2], "damaged"),
                                  (half, "damaged"), (good[:18], "not a database|damaged")):
            with open(path, "wb") as file:
                file.write(content)
            before = self.files()
            self.assertRegex(self.refused_start(), expected)
            self.assertEqual(self.files()[path], before[path], "left as it was")
        with open(path, "wb") as file:
            file.write(good)
        server = self.start()
        server.login()
        server.stop()

    def test_a_database_of_a_later_version(self):
        server = self.start()
        server.stop()
        path = os.path.join(self.state, "streamplex.db")
        with sqlite3.connect(path) as database:
            database.execute("update schema_version set version = version + 1")
        database.close()
        with open(path, "rb") as file:
            before = file.read()
        self.assertIn("newer version", self.refused_start())
        with open(path, "rb") as file:
            self.assertEqual(file.read(), before)

    def test_a_second_server_on_the_folder(self):
        server = self.start()
        server.add_user()
        said = self.refused_start()
        self.assertIn(f"another server (process {server.process.pid}) works on the state folder", said)
        server.login()
        self.assertEqual(server.admin("GET", "/admin/user").status, 200, "its admin socket is still there")
        server.stop()

    def test_a_backup_takes_the_place_of_the_store(self):
        server = self.start()
        server.add_user()
        login = server.login()
        secret, _ = server.device_token(login)
        kept = server.api("POST", "/socket", {"name": "kept", "socket_type": "https"}, login).json
        file = os.path.join(self.folder(), "backup.db")
        self.assertEqual(server.admin("POST", "/admin/backup", {"file": file}).status, 200)
        server.api("POST", "/socket", {"name": "later", "socket_type": "https"}, login)
        server.signal(signal.SIGKILL)
        server.wait_exit()
        for path in glob.glob(os.path.join(self.state, "streamplex.db*")):
            os.unlink(path)
        os.rename(file, os.path.join(self.state, "streamplex.db"))
        server = self.start()
        sockets = server.api("GET", "/socket", None, server.login()).json
        self.assertEqual([(one["name"], one["dnsname"]) for one in sockets], [("kept", kept["dnsname"])])
        tunnel = Tunnel.connect("127.0.0.1", server.port)
        self.addCleanup(tunnel.close)
        self.assertTrue(tunnel.authenticate(secret))
        server.stop()

    def test_a_key_that_is_no_key(self):
        server = self.start()
        server.stop()
        path = os.path.join(self.state, "jwt.key")
        with open(path, "wb") as file:
            file.write(b"short")
        self.assertIn("jwt.key", self.refused_start())
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"short")
