"""The commands that ask the API, against one that the test speaks itself: logins, sockets, and agents that serve them."""

import base64
import collections
import http.server
import json
import os
import pty
import signal
import stat
import subprocess
import tempfile
import threading
import unittest

from plex import WAIT, Listener
from server import certificates, die_with_parent, program
from test_connect import Agent

PASSWORD = "correct horse"
TOKEN = "e30." + base64.urlsafe_b64encode(b'{"user_id":7,"exp":4000000000}').decode().rstrip("=") + ".c2ln"


class Api:
    """Sockets in memory. `asked` has (method, path, body, login) of each request."""

    def __init__(self, tunnel_server="localhost:1"):
        self.tunnel_server, self.asked, self.sockets, self.counts = tunnel_server, [], {}, collections.Counter()
        self.before_connect = lambda: None
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                login = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
                status, answer = api.handle(self.command, self.path, json.loads(body or b"null"), login)
                text = b"" if answer is None else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *unused):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def next_id(self, kind):
        self.counts[kind] += 1
        return f"{kind}-{self.counts[kind]}"

    def tunnel(self):
        return {"tunnel_id": self.next_id("tunnel"), "tunnel_server": self.tunnel_server, "local_port": 0, "created": 1}

    def make(self, body, tunnels):
        one = {"socket_id": self.next_id("socket"), "dnsname": "a.edge.localhost", "name": body["name"],
               "socket_type": body["socket_type"], "socket_tcp_ports": [], "protected_socket": False, "online": 0,
               "https_only": body.get("https_only", False), "host_header": "", "tunnels": tunnels}
        self.sockets[one["socket_id"]] = one
        return 200, one

    def handle(self, method, path, body, login):
        self.asked.append((method, path, body, login))
        parts = path.strip("/").split("/")
        if path == "/login":
            if body["password"] == PASSWORD:
                return 200, {"token": TOKEN}
            return 401, {"error": {"code": "LOGIN_FAILED", "message": "e-mail or password is wrong"}}
        if login != TOKEN:
            return 401, {"error": {"code": "LOGIN_REQUIRED", "message": "log in first"}}
        if path == "/logout":
            return 204, None
        if path == "/socket":
            return self.make(body, []) if method == "POST" else (200, list(self.sockets.values()))
        if path == "/connect":
            self.before_connect()
            return self.make(body, [self.tunnel()])
        one = self.sockets.get(parts[1]) if parts[0] == "socket" else None
        if not one:
            return 404, {"error": {"code": "NOT_FOUND", "message": "there is no such socket"}}
        return self.handle_one(method, parts, one)

    def handle_one(self, method, parts, one):
        if len(parts) == 2 and method == "DELETE":
            del self.sockets[parts[1]]
            return 204, None
        if len(parts) == 2:
            return 200, one
        if method == "POST":
            one["tunnels"].append(self.tunnel())
            return 200, one["tunnels"][-1]
        if len(parts) == 3:
            return 200, one["tunnels"]
        found = [tunnel for tunnel in one["tunnels"] if tunnel["tunnel_id"] == parts[3]]
        if method == "DELETE":
            one["tunnels"].remove(found[0])
            return 204, None
        return (200, found[0]) if found else (404, {"error": {"code": "NOT_FOUND", "message": "there is no such tunnel"}})


class CommandCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.config = os.path.join(folder.name, "config")
        self.listener = Listener(*certificates().make("server"))
        self.addCleanup(self.listener.close)
        self.api = Api(f"localhost:{self.listener.port}")
        self.addCleanup(self.api.close)
        names = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
        self.environment = {name: os.environ[name] for name in names if name in os.environ}
        self.environment["XDG_CONFIG_HOME"] = self.config

    def run_command(self, *words, status=0, stdin=""):
        """What it printed: standard output, standard error."""
        done = subprocess.run([program(), *words], input=stdin, capture_output=True, text=True, env=self.environment,
                              timeout=WAIT, preexec_fn=die_with_parent)
        self.assertEqual(done.returncode, status, done)
        self.assertNotIn("Sanitizer", done.stderr)
        return done.stdout, done.stderr

    def log_in(self):
        return self.run_command("login", "--api", self.api.url, "--ca", certificates().ca, "--email", "a@b", "--password-stdin",
                                stdin=PASSWORD + "\n")

    def agent(self, *words):
        agent = Agent.__new__(Agent)
        agent.start([program(), *words], self.environment)
        self.addCleanup(agent.end)
        return agent

    def finish(self, agent):
        agent.process.send_signal(signal.SIGINT)
        self.assertEqual(agent.wait_exit(), 0, agent.errors)
        self.assertFalse([line for line in agent.errors if "Sanitizer" in line])

    def tunnel(self):
        tunnel = self.listener.accept()
        self.addCleanup(tunnel.close)
        self.assertEqual(tunnel.answer_token(), TOKEN)
        return tunnel


class Logins(CommandCase):
    def test_a_login_is_kept_where_nobody_else_reads_it(self):
        out, _ = self.log_in()
        path = os.path.join(self.config, "streamplex", "token")
        self.assertEqual(out, f"Logged in! Token stored in {path}\n")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode), 0o700)
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), TOKEN + "\n")
        self.assertIn("There are no sockets yet", self.run_command("socket", "ls")[0])
        self.assertEqual(self.run_command("logout")[0], "Logged out.\n")
        self.assertFalse(os.path.exists(path))
        self.assertIn("not logged in", self.run_command("socket", "ls", status=3)[1])

    def test_statuses(self):
        self.assertIn("not logged in", self.run_command("token", "ls", status=3)[1])
        self.run_command("login", "--api", self.api.url, "--email", "a@b", "--password", "wrong", status=3)
        self.run_command("login", "--api", "http://127.0.0.1:1", "--email", "a@b", "--password", "x", status=2)
        self.run_command("login", "--api", self.api.url, status=1)
        self.run_command("socket", status=1)
        self.run_command("socket", "make", status=1)
        self.assertIn("socket create", self.run_command("socket", "--help")[0])
        self.log_in()
        self.assertIn("there is no such socket", self.run_command("socket", "show", "--socket_id", "x", status=1)[1])

    def test_the_terminal_is_asked_and_shows_nothing(self):
        child, terminal = pty.fork()
        if child == 0:
            os.execve(program(), ["streamplex", "login", "--api", self.api.url, "--email", "a@b"], self.environment)
        shown = b""
        while b"Password: " not in shown:
            shown += os.read(terminal, 1024)
        os.write(terminal, PASSWORD.encode() + b"\n")
        try:
            while True:
                shown += os.read(terminal, 1024)
        except OSError:  # the program has ended
            pass
        os.close(terminal)
        self.assertEqual(os.waitpid(child, 0)[1], 0, shown)
        self.assertNotIn(PASSWORD.encode(), shown)
        self.assertIn(b"Logged in!", shown)

    def test_no_terminal(self):
        done = subprocess.run([program(), "login", "--api", self.api.url, "--email", "a@b"], env=self.environment,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, start_new_session=True, timeout=WAIT)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--password-stdin", done.stderr)


class Serving(CommandCase):
    def test_connect_makes_a_socket_and_takes_it_back(self):
        self.log_in()
        agent = self.agent("connect", "--port", "8080", "--name", "web")
        asked = self.tunnel().register()
        self.assertEqual((asked["name"], asked["type"]), ("web", "https"))
        lines = agent.wait_lines(6)
        self.assertEqual(lines[1].split(), ["|", "socket_id", "|", "dns_name", "|", "name", "|"])
        self.assertEqual(lines[3].split(), ["|", "socket-1", "|", "a.edge.localhost", "|", "web", "|"])
        self.assertEqual(lines[5], "web - https://a-name-0001.edge.localhost")
        self.assertEqual(list(self.api.sockets), ["socket-1"])
        self.finish(agent)
        self.assertEqual(self.api.sockets, {})
        self.assertEqual([one[:2] for one in self.api.asked],
                         [("POST", "/login"), ("GET", "/socket"), ("POST", "/connect"), ("DELETE", "/socket/socket-1")])

    def test_a_signal_while_the_socket_is_made(self):
        self.log_in()
        started = threading.Event()
        self.api.before_connect = lambda: started.wait(WAIT) and agent.process.send_signal(signal.SIGINT)
        agent = self.agent("connect", "--port", "8080", "--name", "web")
        started.set()
        self.assertEqual(agent.wait_exit(), 0, agent.errors)
        self.assertEqual(self.api.asked[-1][:2], ("DELETE", "/socket/socket-1"))
        self.assertEqual(self.api.sockets, {})

    def test_connect_leaves_a_socket_that_was_there(self):
        self.log_in()
        self.run_command("socket", "create", "--name", "web")
        agent = self.agent("connect", "--port", "8080", "--name", "web")
        self.tunnel().register()
        agent.wait_lines(6)
        self.assertEqual(len(self.api.sockets["socket-1"]["tunnels"]), 1)
        self.finish(agent)
        self.assertEqual(self.api.sockets["socket-1"]["tunnels"], [])

    def test_a_socket_that_stays(self):
        self.log_in()
        self.assertIn("| socket-1 ", self.run_command("socket", "create", "--name", "web", "--https_only")[0])
        self.assertIn("| tunnel-1 ", self.run_command("tunnel", "create", "--socket_id", "socket-1")[0])
        for _ in range(2):
            agent = self.agent("tunnel", "connect", "--socket_id", "socket-1", "--tunnel_id", "tunnel-1", "--port", "8080")
            asked = self.tunnel().register()
            self.assertEqual((asked["name"], asked["type"], asked["instance"]), ("web", "https", "tunnel-1"))
            self.assertTrue(asked["https_only"])
            self.assertEqual(agent.wait_lines(1), ["web - https://a-name-0001.edge.localhost"])
            self.finish(agent)
        self.assertEqual(len(self.api.sockets["socket-1"]["tunnels"]), 1)
        self.assertIn("| tunnel-1 ", self.run_command("tunnel", "ls", "--socket_id", "socket-1")[0])
        self.assertEqual(self.run_command("tunnel", "delete", "--socket_id", "socket-1", "--tunnel_id", "tunnel-1")[0],
                         "Tunnel deleted.\n")
        self.assertEqual(self.run_command("socket", "delete", "--socket_id", "socket-1")[0], "Socket deleted.\n")

    def test_tunnel_connect_where_there_is_none(self):
        self.log_in()
        self.run_command("socket", "create", "--name", "web")
        _, error = self.run_command("tunnel", "connect", "--socket_id", "socket-1", "--tunnel_id", "x", "--port", "1", status=1)
        self.assertIn("there is no such tunnel", error)


if __name__ == "__main__":
    unittest.main()
