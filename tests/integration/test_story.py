"""An account's story, as a newcomer lives it: account, login, connect, visit; a socket that stays; guarded sockets."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

import targets
from edge import DOMAIN, EdgeServer, HttpService, page
from plex import WAIT
from server import certificates, die_with_parent, program

EMAIL, PASSWORD = "foobar@example.com", "Plein de caractères"


class Story(unittest.TestCase):
    """Each test has a server with an API, a home of its own, and an account that is logged in."""

    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="streamplex-home-")
        self.addCleanup(shutil.rmtree, self.home, True)
        self.state = os.path.join(self.home, "state")
        os.mkdir(self.state, 0o700)
        self.agents = []
        self.start()
        self.addCleanup(self.stop_all)
        self.operator("user", "add", "--name", "Stéphane", "--email", EMAIL, "--password", PASSWORD)
        self.run_ok("login", "--email", EMAIL, "--password", PASSWORD, "--api", self.api, "--ca", self.ca)

    def start(self, *arguments, **options):
        self.server = EdgeServer("--api", "127.0.0.1:0", *arguments, state=self.state, **options)
        self.api = f"https://localhost:{self.server.ports('api')[0]}"
        self.ca = os.path.join(self.home, "ca.pem")
        with open(self.ca, "w") as file:
            for name in (certificates().ca, self.server.edge_ca):
                with open(name) as one:
                    file.write(one.read())

    def stop_all(self):
        for agent in self.agents:
            if agent.poll() is None:
                agent.kill()
            agent.communicate()
        self.server.stop()

    def environment(self):
        names = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
        return {name: os.environ[name] for name in names if name in os.environ} | {
            "HOME": self.home, "XDG_CONFIG_HOME": os.path.join(self.home, "config"), "LANG": "C.UTF-8"}

    def run_command(self, *command, input=None):
        done = subprocess.run([program(), *command], input=input, capture_output=True, text=True, timeout=WAIT * 2,
                              env=self.environment(), stdin=None if input is not None else subprocess.DEVNULL)
        return done

    def run_ok(self, *command, input=None):
        done = self.run_command(*command, input=input)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout} {done.stderr}")
        return done.stdout

    def operator(self, *command):
        return self.run_ok("admin", *command[:2], "--admin-socket", os.path.join(self.state, "admin.sock"), *command[2:])

    def ask(self, *command):
        return json.loads(self.run_ok(*command, "--json"))

    def start_agent(self, *command, sockets=1):
        """A running agent; its `lines`, and the URL that it printed. --server: this server's certificate is a test's."""
        command = *command, "--server", f"localhost:{self.server.port}"
        agent = subprocess.Popen([program(), *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                 stdin=subprocess.DEVNULL, env=self.environment(), preexec_fn=die_with_parent)
        self.agents.append(agent)
        agent.seen = []
        for line in agent.stdout:
            agent.seen.append(line.rstrip())
            found = re.match(r"(.*) - (https?://\S+|[\w.-]+:\d+)$", line.rstrip())
            if found:
                agent.url = found.group(2)
                threading.Thread(target=lambda: [agent.seen.append(more.rstrip()) for more in agent.stdout],
                                 daemon=True).start()
                return agent
        self.fail(f"{command}: no URL in {agent.seen}")

    def end(self, agent):
        agent.send_signal(signal.SIGINT)
        self.assertEqual(agent.wait(WAIT), 0, agent.seen)

    def service(self, answer=lambda request, connection: page(b"from my machine")):
        service = HttpService(answer)
        self.addCleanup(service.close)
        return service

    # The story ---------------------------------------------------------------------------------------------------

    def test_login_is_kept_for_oneself(self):
        path = os.path.join(self.home, "config", "streamplex", "token")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(os.path.dirname(path)).st_mode & 0o777, 0o700)
        self.assertIn(EMAIL, self.run_ok("account", "show"))
        self.run_ok("logout")
        self.assertEqual(self.run_command("account", "show").returncode, 3)

    def test_wrong_password(self):
        done = self.run_command("login", "--email", EMAIL, "--password", "not this one", "--api", self.api, "--ca", self.ca)
        self.assertNotIn(done.returncode, (0, 2), done.stderr)
        other = self.run_command("login", "--email", "nobody@example.com", "--password", "not this one", "--api", self.api,
                                 "--ca", self.ca)
        self.assertEqual(done.stderr, other.stderr, "who has an account isn't told")

    def test_connect_visit_and_gone(self):
        held, port = targets.closed_port()
        held.close()
        agent = self.start_agent("connect", "--port", str(port), "--name", "Youpi", "--ca", self.ca)
        status, head, _ = self.server.curl(agent.url)
        self.assertEqual(status, 502, "nothing runs there yet")
        with targets.Target(lambda connection, target: (connection.recv(65536), connection.sendall(page(b"hello")))) as other:
            self.end(agent)
            agent = self.start_agent("connect", "--port", str(other.port), "--name", "Youpi", "--ca", self.ca)
            self.assertEqual(self.server.curl(agent.url)[::2], (200, b"hello"))
            self.assertIn("Youpi", self.run_ok("socket", "ls"))
            self.end(agent)
        self.assertNotIn("Youpi", self.run_ok("socket", "ls"), "`connect` deletes what it made")
        self.assertEqual(self.server.curl(agent.url)[0], 404)

    def test_socket_that_stays_over_restarts(self):
        service = self.service()
        made = self.ask("socket", "create", "--name", "stays")
        tunnel = self.ask("tunnel", "create", "--socket_id", made["socket_id"])
        for _ in range(3):
            agent = self.start_agent("tunnel", "connect", "--socket-id", made["socket_id"], "--tunnel_id", tunnel["tunnel_id"],
                                     "--port", str(service.port), "--ca", self.ca)
            self.assertIn(made["dnsname"], agent.url)
            self.assertEqual(self.server.curl(agent.url)[0], 200)
            self.end(agent)
            self.assertEqual(self.server.curl(agent.url)[0], 503)
            port, api = self.server.port, self.server.ports("api")[0]
            self.server.stop()
            self.start(listen=(f"127.0.0.1:{port}",))
            self.run_ok("login", "--email", EMAIL, "--password", PASSWORD, "--api", self.api, "--ca", self.ca)
        table = self.run_ok("socket", "ls")
        self.assertRegex(table, r"(?m)^\+-+\+")
        self.assertIn(made["dnsname"], table)
        self.run_ok("socket", "delete", "--socket_id", made["socket_id"])
        self.assertNotIn(made["dnsname"], self.run_ok("socket", "ls"))

    def test_protected_socket(self):
        service = self.service()
        agent = self.start_agent("connect", "--port", str(service.port), "--name", "mine", "--protected", "--username", "me",
                                 "--password", "très secret", "--ca", self.ca)
        status, head, _ = self.server.curl(agent.url)
        self.assertEqual(status, 401)
        self.assertRegex(head, r"(?i)www-authenticate: basic")
        self.assertEqual(self.server.curl(agent.url, "-u", "me:wrong")[0], 401)
        self.assertEqual(self.server.curl(agent.url, "-u", "me:très secret")[0], 200)
        self.assertNotIn(b"uthorization", service.requests[-1][0])
        self.assertNotIn("secret", self.run_ok("socket", "ls", "--json"))

    def test_tls_socket_by_gnutls(self):
        def count(connection, target):
            while piece := connection.recv(65536):
                for line in piece.splitlines():
                    connection.sendall(b"%d bytes\n" % len(line))

        with targets.Target(count) as service:
            agent = self.start_agent("connect", "--port", str(service.port), "--name", "counts", "--type", "tls", "--ca", self.ca)
            done = subprocess.run(["gnutls-cli", "--x509cafile", self.server.edge_ca, "--sni-hostname", DOMAIN,
                                   "--verify-hostname", DOMAIN, "-p", agent.url.rsplit(":", 1)[1], "127.0.0.1"],
                                  input=b"toto\n", capture_output=True, timeout=WAIT * 2)
            self.assertIn(b"4 bytes", done.stdout)

    def test_device_token_and_its_end(self):
        service = self.service()
        made = self.ask("token", "create", "--name", "board")
        secret = made["token"]
        agent = self.start_agent("connect", "--token", secret, "--port", str(service.port), "--name", "by-token", "--ca", certificates().ca)
        self.assertEqual(self.server.curl(agent.url)[0], 200)
        self.assertNotIn(secret, self.run_ok("token", "ls", "--json"))
        self.run_ok("token", "revoke", "--token-id", made["token_id"])
        self.assertEqual(agent.wait(WAIT), 2, agent.seen)

    def test_operator_sees_and_ends(self):
        service = self.service()
        agent = self.start_agent("connect", "--port", str(service.port), "--name", "seen", "--ca", self.ca)
        self.server.curl(agent.url)
        tunnels = json.loads(self.operator("tunnel", "ls", "--json"))
        tunnels = tunnels["tunnels"] if isinstance(tunnels, dict) else tunnels
        self.assertEqual(len(tunnels), 1)
        file = os.path.join(self.home, "backup.db")
        self.operator_backup(file)
        with open(file, "rb") as backup:
            self.assertTrue(backup.read(16).startswith(b"SQLite format 3"))
        self.assertEqual(os.stat(file).st_mode & 0o077, 0)

    def operator_backup(self, file):
        self.run_ok("admin", "backup", "--admin-socket", os.path.join(self.state, "admin.sock"), file)
