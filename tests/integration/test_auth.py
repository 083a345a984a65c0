"""Who may open a tunnel: shared tokens, an OAuth server, a program of the operator's own; and what waits meanwhile."""

import base64
import http.server
import json
import os
import stat
import tempfile
import threading
import unittest
import urllib.parse

import targets
from plex import JSON, WAIT, Tunnel, frame
from server import TOKEN, Server, ServerTest

NOT_AUTHORIZED = "Not authorized!"


class SharedTokens(ServerTest):
    @classmethod
    def setUpClass(cls):
        with tempfile.NamedTemporaryFile("w", suffix=".tokens", delete=False) as file:
            file.write("# the fleet\nfleet:token-of-the-fleet\n\ntoken-without-owner\n")
        cls.tokens = file.name
        cls.server = Server("--token", "second token", "--token-file", cls.tokens)

    @classmethod
    def tearDownClass(cls):
        os.unlink(cls.tokens)
        super().tearDownClass()

    def test_each_of_them(self):
        for token in TOKEN, "second token", "token-of-the-fleet", "token-without-owner":
            self.assert_goes_on(self.tunnel(token=token))
        self.server.wait_log("tunnel authenticated", self.log_start, user="fleet")

    def test_wrong_ones(self):
        for token in ("WRONG", TOKEN + "x", TOKEN[:-1], TOKEN.upper(), " " + TOKEN, "fleet:token-of-the-fleet", "fleet",
                      "# the fleet", "t" * 2048, "ü"):
            with self.subTest(token=token):
                tunnel = self.connect()
                self.assertFalse(tunnel.authenticate(token))
                self.assertTrue(tunnel.authenticate(TOKEN), "a refused token leaves the tunnel open")

    def test_stream_after_a_refusal(self):
        tunnel = self.connect()
        self.assertFalse(tunnel.authenticate("WRONG"))
        tunnel.open()
        self.assertEqual(tunnel.wait_end(), NOT_AUTHORIZED)

    def test_once_authed_a_refusal_changes_nothing(self):
        tunnel = self.tunnel()
        self.assertFalse(tunnel.authenticate("WRONG"))
        self.assert_goes_on(tunnel)

    def test_all_in_one_write(self):
        """Old devices may not wait for the answer."""
        target = self.target(targets.echo)
        tunnel = self.connect()
        tunnel.unsent += frame(0, JSON, json.dumps({"type": "message", "object": {"token": TOKEN}}).encode())
        substream = tunnel.open()
        substream.connect(target.port)
        substream.send(b"at once")
        self.assertEqual(substream.recv(7), b"at once")

    def test_extensions(self):
        tunnel = self.connect()
        self.assertTrue(tunnel.authenticate(TOKEN, ["flow", "teleport", "reset"], window=2048))
        self.assertEqual(tunnel.granted, {"version": 1, "features": ["flow", "reset"], "window": 65536,
                                          "max_json": 16384, "max_substreams": 1024})
        self.assert_goes_on(tunnel)

    def test_tokens_are_nowhere_in_the_log(self):
        self.connect().authenticate("a wrong but secret token")
        log = str(self.server.lines) + str(self.server.other)
        for token in TOKEN, "second token", "token-of-the-fleet", "token-without-owner", "a wrong but secret token":
            self.assertNotIn(token, log)

    def test_metrics_count(self):
        before = self.server.metrics()
        self.tunnel()
        self.connect().authenticate("WRONG")
        after = self.server.metrics()
        for result in "accepted", "refused":
            name = f'streamplex_auth_total{{result="{result}"}}'
            self.assertEqual(after[name] - before.get(name, 0), 1)


class Environment(ServerTest):
    """The reference's variables keep their meaning."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server(token=None, environment={"AUTH_HARDCODED": "DEV-CRED"})

    def test_auth_hardcoded(self):
        self.assert_goes_on(self.tunnel(token="DEV-CRED"))
        self.assertFalse(self.connect().authenticate(TOKEN))


class OAuthServer:
    """POST /oauth/token and GET /users/profile. What a token comes to is its name: `user-NAME` is NAME's."""

    def __init__(self):
        outer = self
        self.changed = threading.Condition()
        self.requests = []
        self.release = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *unused):
                pass

            def reply(self, status, value):
                body = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def note(self, thing):
                with outer.changed:
                    outer.requests.append(thing)
                    outer.changed.notify_all()

            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                token = form["api_key"][0]
                self.note((self.path, token))
                expected = "Basic " + base64.b64encode(b"an-id:a-secret").decode()
                if (self.path != "/oauth/token" or self.headers["Authorization"] != expected or
                        form["grant_type"] != ["https://tessel-grant"]):
                    self.reply(500, {"error": "the test's server doesn't like this request"})
                elif token == "slow":
                    outer.release.wait(WAIT)
                    self.reply(200, {"access_token": "access slow"})
                elif token == "slow-wrong":
                    outer.release.wait(WAIT)
                    self.reply(400, {})
                elif token == "no-json":
                    self.reply(200, b"<html>")
                elif token.startswith("status-"):
                    self.reply(int(token[7:]), {})
                else:
                    self.reply(200, {"access_token": "access " + token.removeprefix("user-"), "token_type": "bearer"})

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                access = urllib.parse.parse_qs(url.query)["access_token"][0]
                self.note((url.path, access))
                if url.path != "/users/profile" or access == "access no-profile":
                    self.reply(404, {})
                else:
                    self.reply(200, {"username": access.removeprefix("access ")})

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *unused: None  # who asked may have gone
        self.http.daemon_threads = True
        self.url = f"http://an-id:a-secret@127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def wait_request(self, thing):
        with self.changed:
            if not self.changed.wait_for(lambda: thing in self.requests, WAIT):
                raise AssertionError(f"no request {thing}, but {self.requests}")

    def close(self):
        self.release.set()
        self.http.shutdown()
        self.http.server_close()


class OAuth(ServerTest):
    """OAuth wins over the shared token, which is set too."""

    def setUp(self):
        self.oauth = OAuthServer()
        self.addCleanup(self.oauth.close)
        self.server = Server(*self.more(), environment={"AUTH_TESSEL_OA2": self.oauth.url})
        self.addCleanup(self.server.stop)
        super().setUp()

    def more(self):
        return ("--auth-check-timeout", "1s") if "timeout" in self.id() else ()

    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    def test_accepted(self):
        self.assert_goes_on(self.tunnel(token="user-anna"))
        self.server.wait_log("tunnel authenticated", user="anna")
        self.assertEqual(self.oauth.requests, [("/oauth/token", "user-anna"), ("/users/profile", "access anna")])

    def test_odd_characters_arrive(self):
        token = "user-a&b=c+d e/ü%41?#"
        self.tunnel(token=token)
        self.assertIn(("/oauth/token", token), self.oauth.requests)
        self.server.wait_log("tunnel authenticated", user="a&b=c+d e/ü%41?#")

    def test_cached(self):
        for _ in range(3):
            self.tunnel(token="user-anna")
        self.assertEqual(len(self.oauth.requests), 2)

    def test_refused(self):
        tunnel = self.connect()
        self.assertFalse(tunnel.authenticate("status-400"))
        self.server.wait_log("token refused")
        self.assertTrue(tunnel.authenticate("user-anna"))

    def test_shared_token_is_nothing(self):
        self.assertTrue(self.connect().authenticate(TOKEN), "the OAuth server takes every token")
        self.server.wait_log("tunnel authenticated", user=TOKEN)

    def test_system_errors(self):
        """Answered like a refusal, but logged and counted as ours."""
        for token in "status-500", "status-401", "status-302", "no-json", "user-no-profile":
            with self.subTest(token=token):
                tunnel = self.connect()
                self.assertFalse(tunnel.authenticate(token))
                self.assertTrue(tunnel.authenticate("user-anna"))
        self.server.wait_log("a token could not be checked")
        values = self.server.metrics()
        self.assertEqual(values['streamplex_auth_total{result="system_error"}'], 5)

    def test_server_gone(self):
        self.oauth.close()
        self.assertFalse(self.connect().authenticate("user-anna"))
        self.server.wait_log("a token could not be checked")

    def test_timeout(self):
        self.assertFalse(self.connect().authenticate("slow"))
        self.server.wait_log("a token could not be checked")

    def test_held_then_accepted(self):
        target = self.target(targets.echo)
        tunnel = self.connect()
        tunnel.post_token("slow")
        substream = tunnel.open()
        substream.connect(target.port)
        substream.send(b"held")
        substream.end()
        self.oauth.wait_request(("/oauth/token", "slow"))
        bystander = self.tunnel(token="user-anna")
        self.assert_goes_on(bystander)
        self.assertEqual(target.connections, 0)
        self.oauth.release.set()
        self.assertTrue(tunnel.next_control().json["object"]["authed"])
        self.assertEqual(substream.wait_end(), b"held")
        self.assertIsNone(substream.wait_over())

    def test_held_then_refused(self):
        target = self.target(targets.echo)
        tunnel = self.connect()
        tunnel.post_token("slow-wrong")
        tunnel.open().connect(target.port)
        self.oauth.wait_request(("/oauth/token", "slow-wrong"))
        self.oauth.release.set()
        self.assertEqual(tunnel.wait_end(), NOT_AUTHORIZED)
        self.assertEqual([taken.json["object"] for taken in tunnel.log],
                         [{"authed": False}, {"error": NOT_AUTHORIZED}])
        self.assertEqual(target.connections, 0)

    def test_held_is_bounded(self):
        """More than is held waits in the connection, and arrives when the token is accepted."""
        target = self.target(targets.sink)
        tunnel = self.connect()
        tunnel.post_token("slow")
        substreams = [tunnel.open() for _ in range(100)]
        for substream in substreams:
            substream.connect(target.port)
            tunnel.unsent += frame(substream.channel, 0, bytes(5000)) + frame(substream.channel, JSON, b'{"event":"end"}')
        tunnel.post_raw(b"")
        self.oauth.wait_request(("/oauth/token", "slow"))
        self.oauth.release.set()
        for substream in substreams:
            self.assertIsNone(substream.wait_over())
        self.assertEqual(target.wait_seen(100), [("end", 5000)] * 100)

    def test_a_token_replaces_the_pending_one(self):
        tunnel = self.connect()
        tunnel.post_token("slow-wrong")
        self.oauth.wait_request(("/oauth/token", "slow-wrong"))
        tunnel.post_token("user-anna")
        self.assertEqual(tunnel.next_control().json["object"], {"authed": True})
        self.oauth.release.set()
        self.assert_goes_on(tunnel)
        self.assertEqual(len(tunnel.control), 0, "only the newest is answered")

    def test_tunnel_gone_while_checked(self):
        tunnel = self.connect()
        tunnel.post_token("slow")
        self.oauth.wait_request(("/oauth/token", "slow"))
        tunnel.abort()
        self.server.wait_log("tunnel closed")
        self.oauth.release.set()
        self.assert_goes_on(self.tunnel(token="user-anna"))

    def test_extensions_after_a_wait(self):
        tunnel = self.connect()
        tunnel.post_token("slow", ["flow", "ping"])
        self.oauth.wait_request(("/oauth/token", "slow"))
        self.oauth.release.set()
        self.assertEqual(tunnel.next_control().json["object"]["streamplex"]["features"], ["flow", "ping"])

    def test_frames_while_extensions_are_asked_for(self):
        tunnel = self.connect()
        tunnel.post_token("slow", ["flow", "ping"])
        self.oauth.wait_request(("/oauth/token", "slow"))
        tunnel.open()
        self.assertEqual(tunnel.wait_end(), "extension frame breaks its rule")

    def test_secrets_are_nowhere_in_the_log(self):
        self.connect().authenticate("status-500")
        self.connect().authenticate("user-anna")
        log = str(self.server.lines) + str(self.server.other)
        for secret in "a-secret", "status-500", "user-anna", "access anna":
            self.assertNotIn(secret, log)


class Program(ServerTest):
    """--auth-exec: the token on its standard input, the user's name on its standard output, 0 or 1."""

    SCRIPT = """#!/bin/sh
read -r token
case "$token" in
    good) echo anna; exit 0 ;;
    silent) exit 0 ;;
    slow) read -r go <"$0.go"; echo slow ;;
    broken) exit 7 ;;
    killed) kill -9 $$ ;;
    endless) exec sleep 1000 ;;
    *) exit 1 ;;
esac
"""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = os.path.join(cls.folder.name, "check token")
        with open(cls.path, "w") as file:
            file.write(cls.SCRIPT)
        os.chmod(cls.path, stat.S_IRWXU)
        os.mkfifo(cls.path + ".go")
        cls.go = os.open(cls.path + ".go", os.O_RDWR)  # both ways, for neither end is to wait for the other to open it
        cls.server = Server("--auth-exec", cls.path, "--auth-check-timeout", "2s", token=None)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        os.close(cls.go)
        cls.folder.cleanup()

    def test_accepted(self):
        self.assert_goes_on(self.tunnel(token="good"))
        self.server.wait_log("tunnel authenticated", self.log_start, user="anna")

    def test_accepted_without_a_name(self):
        self.tunnel(token="silent")
        line = self.server.wait_log("tunnel authenticated", self.log_start)
        self.assertRegex(line["user"], "^token-[0-9a-f]+$")

    def test_refused(self):
        tunnel = self.connect()
        self.assertFalse(tunnel.authenticate("bad"))
        self.assertTrue(tunnel.authenticate("good"))

    def test_system_errors(self):
        for token in "broken", "killed", "endless":
            with self.subTest(token=token):
                self.assertFalse(self.connect().authenticate(token))
        self.server.wait_log("a token could not be checked", self.log_start)

    def test_a_system_error_is_no_refusal_where_more_is_asked_for(self):
        """An agent would end for good; when the tunnel is lost it comes back."""
        tunnel = self.connect()
        tunnel.post_token("broken", ["ping"])
        tunnel.wait_end()
        self.assertEqual(len(tunnel.control), 0)
        self.assertFalse(self.connect().authenticate("bad", ["ping"]))

    def test_others_go_on_meanwhile(self):
        tunnel = self.connect()
        tunnel.post_token("slow")
        self.assert_goes_on(self.tunnel(token="good"))
        self.assertEqual(len(tunnel.control), 0)
        os.write(self.go, b"go\n")
        self.assertTrue(tunnel.next_control().json["object"]["authed"])


class NoDefaultToken(unittest.TestCase):
    def test_a_first_run_makes_one(self):
        server = Server(token=None)
        self.addCleanup(server.stop)
        path = os.path.join(server.state, "token")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path) as file:
            token = file.read().strip()
        self.assertGreaterEqual(len(token), 32)
        tunnel = Tunnel.connect("127.0.0.1", server.port)
        self.addCleanup(tunnel.close)
        for guess in "DEV-CRED", "", "token", "default":
            if guess:
                self.assertFalse(tunnel.authenticate(guess))
        self.assertTrue(tunnel.authenticate(token))
        self.assertNotIn(token, str(server.lines) + str(server.other))


if __name__ == "__main__":
    unittest.main()
