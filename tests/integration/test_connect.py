"""`streamplex connect` against a server's side that the test speaks itself: services, visitors, and tunnels that go."""

import json
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

import targets
from plex import WAIT, Listener
from server import certificates, die_with_parent, program

TOKEN = "a-token-for-agents"
VISIT = {"service": "web", "socket": "a-name-0001.edge.localhost", "type": "https", "visitor": "192.0.2.106", "method": "GET",
         "target": "/", "version": "HTTP/1.1", "referer": "", "user_agent": "curl/7.64.0", "error": "",
         "time": 1606324386000, "status": 200, "bytes_in": 100, "bytes_out": 432, "total_us": 32000, "answer_us": 20000}


def end_and_count(connection, target):
    """Says how much came, once it has ended."""
    connection.sendall(b"%d" % len(targets.read_all(connection)))


def note_all(connection, target):
    target.note(targets.read_all(connection))


class Agent:
    """The program; what it says is in `lines` (standard output) and `errors`."""

    def __init__(self, port, *arguments, token=TOKEN, ca=None, environment=None):
        command = [program(), "connect", "--server", f"localhost:{port}", "--ca", ca or certificates().ca]
        command += (["--token", token] if token else []) + list(arguments)
        names = ("PATH", "HOME", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        self.start(command, {**kept, **(environment or {})})

    def start(self, command, environment):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment, preexec_fn=die_with_parent)
        self.lines, self.errors, self.open = [], [], 2
        self.changed = threading.Condition()
        for stream, lines in ((self.process.stdout, self.lines), (self.process.stderr, self.errors)):
            threading.Thread(target=self._read, args=(stream, lines), daemon=True).start()

    def _read(self, stream, lines):
        for line in stream:
            with self.changed:
                lines.append(line.decode(errors="replace").rstrip("\n"))
                self.changed.notify_all()
        stream.close()
        with self.changed:
            self.open -= 1
            self.changed.notify_all()

    def wait(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(condition, WAIT):
                raise AssertionError(f"waited in vain for {what}: {self.lines} {self.errors}")

    def wait_lines(self, count):
        self.wait(lambda: len(self.lines) >= count, f"{count} lines")
        return self.lines

    def wait_error(self, word):
        self.wait(lambda: any(word in line for line in self.errors), word)

    def wait_exit(self):
        status = self.process.wait(WAIT)
        self.wait(lambda: not self.open, "its last words")
        return status

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT)


class ConnectCase(unittest.TestCase):
    def listen(self, **options):
        listener = Listener(*certificates().make("server"), **options)
        self.addCleanup(listener.close)
        return listener

    def agent(self, listener, *arguments, **options):
        """listener: or a port."""
        agent = Agent(getattr(listener, "port", listener), *arguments, **options)
        self.addCleanup(agent.end)
        return agent

    def target(self, serve, **options):
        target = targets.Target(serve, **options)
        self.addCleanup(target.close)
        return target

    def closed_port(self):
        """(a bound socket, its port), where nobody listens, and nobody else can."""
        held, port = targets.closed_port()
        self.addCleanup(held.close)
        return held, port

    def tunnel(self, listener, **options):
        """The next tunnel, its token accepted."""
        tunnel = listener.accept()
        self.addCleanup(tunnel.close)
        self.assertEqual(tunnel.answer_token(**options), TOKEN)
        return tunnel

    def serve(self, target, *arguments, **options):
        """(agent, tunnel) with one service, registered."""
        listener = self.listen()
        where = ["--port", str(target.port)] if target else []
        agent = self.agent(listener, "--name", "web", *where, *arguments, **options)
        tunnel = self.tunnel(listener)
        tunnel.register()
        agent.wait_lines(1)
        self.listener = listener
        return agent, tunnel

    def finish(self, agent, status=0):
        """Ctrl-C, and it ends in order."""
        agent.process.send_signal(signal.SIGINT)
        self.assertEqual(agent.wait_exit(), status, agent.errors)
        self.assertFalse([line for line in agent.errors if "Sanitizer" in line or "runtime error" in line])


class Registering(ConnectCase):
    def test_what_the_server_is_asked_for(self):
        listener = self.listen()
        agent = self.agent(listener, "--port", "8080", "--name", "Youpi", "--hostname", "mine", "--https-only",
                           "--host-header", "local:8080", "--instance", "i1")
        tunnel = self.tunnel(listener)
        self.assertEqual(tunnel.protocol, "streamplex/1")
        self.assertEqual(set(tunnel.asked["streamplex"]["features"]), {"flow", "ping", "reset", "goaway", "inbound"})
        self.assertEqual(tunnel.register(), {"service": "Youpi", "name": "Youpi", "type": "https", "hostname": "mine",
                                             "instance": "i1", "https_only": True, "host_header": "local:8080"})
        self.assertEqual(agent.wait_lines(1), ["Youpi - https://a-name-0001.edge.localhost"])
        self.finish(agent)
        self.assertEqual(agent.errors, [])

    def test_a_service_without_a_name_has_the_machines(self):
        listener = self.listen()
        self.agent(listener, "--port", "8080")
        asked = self.tunnel(listener).register()
        self.assertEqual(asked["name"], f"{socket.gethostname()}-8080")

    def test_services_of_a_file_share_a_tunnel(self):
        listener = self.listen()
        with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
            file.write("[page]\nport = 1\n[count]\nport = 2\ntype = tls\n")
            file.flush()
            agent = self.agent(listener, "--file", file.name)
            tunnel = self.tunnel(listener)
            self.assertEqual(tunnel.register()["name"], "page")
            asked = tunnel.register("edge.localhost:41000", port=41000)
        self.assertEqual((asked["name"], asked["type"]), ("count", "tls"))
        self.assertEqual(agent.wait_lines(2), ["page - https://a-name-0001.edge.localhost", "count - edge.localhost:41000"])

    def test_json(self):
        agent, tunnel = self.serve(None, "--port", "1", "--json")
        self.assertEqual(json.loads(agent.lines[0]), {"online": {
            "name": "web", "type": "https", "hostname": "a-name-0001.edge.localhost", "port": 443,
            "url": "https://a-name-0001.edge.localhost"}})
        tunnel.tell({"visit": VISIT})
        visit = json.loads(agent.wait_lines(2)[1])
        self.assertEqual((visit["status"], visit["method"], visit["target"]), (200, "GET", "/"))

    def test_variables(self):
        listener = self.listen()
        agent = self.agent(listener, token=None, environment={
            "STREAMPLEX_TOKEN": TOKEN, "STREAMPLEX_PORT": "8080", "STREAMPLEX_NAME": "by-variable", "STREAMPLEX_TYPE": "tcp"})
        asked = self.tunnel(listener).register("edge.localhost:41001")
        self.assertEqual((asked["name"], asked["type"]), ("by-variable", "tcp"))
        agent.wait_lines(1)


class Ending(ConnectCase):
    def test_a_wrong_token(self):
        listener = self.listen()
        agent = self.agent(listener, "--port", "1")
        with listener.accept() as tunnel:
            tunnel.answer_token(accepted=False)
            self.assertEqual(agent.wait_exit(), 2)
        self.assertIn("the server refused the token", agent.errors[0])

    def test_a_token_that_is_revoked(self):
        agent, tunnel = self.serve(None, "--port", "1")
        tunnel.abort()
        with self.listener.accept() as tunnel:
            tunnel.answer_token(accepted=False)
            self.assertEqual(agent.wait_exit(), 2)

    def test_a_server_that_isnt_there(self):
        agent = self.agent(self.closed_port()[1], "--port", "1", "--once")
        self.assertEqual(agent.wait_exit(), 3)
        self.assertIn("ECONNREFUSED", agent.errors[0])

    def test_a_server_that_isnt_trusted(self):
        listener = self.listen()
        other, _ = certificates().make("stranger", self_signed=True)
        agent = self.agent(listener, "--port", "1", ca=other)
        with self.assertRaises((ssl.SSLError, OSError)):
            listener.accept()
        self.assertEqual(agent.wait_exit(), 4)
        self.assertIn("TLS with localhost", agent.errors[0])

    def test_a_name_that_is_somebody_elses(self):
        listener = self.listen()
        agent = self.agent(listener, "--port", "1", "--name", "web")
        tunnel = self.tunnel(listener)
        tunnel.next_message()
        tunnel.tell({"refused": {"service": "web", "code": "NAME_TAKEN", "message": "it belongs to another owner"}})
        self.assertEqual(agent.wait_exit(), 5)
        self.assertIn("it belongs to another owner (NAME_TAKEN)", agent.errors[0])
        self.assertEqual(agent.lines, [])

    def test_a_server_that_is_about_to_stop_is_no_reason_to_end(self):
        agent, tunnel = self.serve(None, "--port", "1")
        for code in ("DRAINING", "PORTS_EXHAUSTED"):
            tunnel.close()
            tunnel = self.tunnel(self.listener)
            tunnel.next_message()
            tunnel.tell({"refused": {"service": "web", "code": code, "message": "not now"}})
            agent.wait_error(code)
        tunnel.close()
        self.tunnel(self.listener).register()
        self.finish(agent)

    def test_one_refused_service_leaves_the_others(self):
        listener = self.listen()
        with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
            file.write("[one]\nport = 1\n[two]\nport = 2\n")
            file.flush()
            agent = self.agent(listener, "--file", file.name)
            tunnel = self.tunnel(listener)
            tunnel.next_message()
            tunnel.tell({"refused": {"service": "one", "code": "NAME_TAKEN", "message": "no"}})
            tunnel.register()
        self.assertEqual(agent.wait_lines(1), ["two - https://a-name-0001.edge.localhost"])
        agent.wait_error("NAME_TAKEN")
        self.finish(agent)

    def test_a_server_without_an_edge(self):
        for features in (("flow", "ping"), None):
            listener = self.listen()
            agent = self.agent(listener, "--port", "1")
            with listener.accept() as tunnel:
                tunnel.answer_token(features=features)
                self.assertEqual(agent.wait_exit(), 6)
            self.assertIn("no edge", agent.errors[0])

    def test_wrong_use(self):
        listener = self.listen()
        for arguments in ([], ["--port", "0"], ["--port", "1", "--type", "ftp"], ["--file", "/nowhere.ini"],
                          ["--dir", "/nowhere"]):
            agent = self.agent(listener, *arguments)
            self.assertEqual(agent.wait_exit(), 1, arguments)
            self.assertEqual(len(agent.errors), 1)

    def test_ctrl_c_says_goodbye(self):
        agent, tunnel = self.serve(None, "--port", "1")
        self.finish(agent)
        tunnel.wait_end()
        self.assertEqual(tunnel.goaway, 0)

    def test_ctrl_c_without_a_server(self):
        agent = self.agent(self.closed_port()[1], "--port", "1")
        agent.wait_error("trying again")
        self.finish(agent)

    def test_ctrl_c_cuts_visits(self):
        target = self.target(note_all)
        agent, tunnel = self.serve(target)
        visit = tunnel.visit("web")
        visit.wait_event("connect")
        self.finish(agent)
        target.wait(lambda: target.over == 1, "the service's end")


class Visiting(ConnectCase):
    def test_bytes_and_ends_both_ways(self):
        agent, tunnel = self.serve(self.target(end_and_count))
        visit = tunnel.visit("web")
        visit.send(b"hello")
        visit.wait_event("connect")
        visit.end()
        self.assertEqual(visit.wait_end(), b"5")
        self.assertIsNone(visit.wait_over())
        self.finish(agent)

    def test_much_both_ways(self):
        agent, tunnel = self.serve(self.target(targets.echo))
        visit = tunnel.visit("web")
        piece = os.urandom(1 << 16)
        for _ in range(48):
            visit.send(piece)
        visit.end()
        self.assertTrue(visit.wait_end() == piece * 48)
        visit.wait_over()
        self.finish(agent)

    def test_many_visitors(self):
        agent, tunnel = self.serve(self.target(targets.echo))
        visits = [tunnel.visit("web") for _ in range(50)]
        for number, visit in enumerate(visits):
            visit.send(b"%04d" % number)
        for number, visit in enumerate(visits):
            self.assertEqual(visit.recv(4), b"%04d" % number)
        for visit in visits:
            visit.end()
        for visit in visits:
            visit.wait_over()
        self.finish(agent)

    def test_a_service_that_isnt_there(self):
        port = self.closed_port()[1]
        agent, tunnel = self.serve(None, "--port", str(port))
        visit = tunnel.visit("web")
        message, code = visit.wait_over()
        self.assertEqual(code, "ECONNREFUSED")
        self.assertIn(f"127.0.0.1:{port}", message)
        tunnel.visit("web").wait_over()
        self.finish(agent)
        self.assertEqual(agent.errors, [f"streamplex connect: web: the service can't be reached: {message}"], "told once")

    def test_a_service_that_isnt_known(self):
        agent, tunnel = self.serve(None, "--port", "1")
        self.assertEqual(tunnel.visit("other").wait_over()[1], "ENOENT")

    def test_a_visitors_reset_reaches_the_service(self):
        target = self.target(note_all)
        agent, tunnel = self.serve(target)
        visit = tunnel.visit("web")
        visit.send(b"half of")
        visit.wait_event("connect")
        visit.send_reset()
        self.assertIsInstance(target.wait_seen()[0], ConnectionResetError)

    def test_a_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
            path = os.path.join(folder, "app.sock")
            listener.bind(path)
            listener.listen()
            agent, tunnel = self.serve(None, "--unix", path)
            visit = tunnel.visit("web")
            visit.send(b"hello")
            connection, _ = listener.accept()
            with connection:
                self.assertEqual(connection.recv(100), b"hello")

    def test_a_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("a.txt", "hello"), (".hidden", "secret")):
                with open(os.path.join(folder, name), "w") as file:
                    file.write(text)
            agent, tunnel = self.serve(None, "--dir", folder)
            visit = tunnel.visit("web")
            visit.send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\nGET /.hidden HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            visit.end()
            answers = visit.wait_end()
            self.assertTrue(answers.startswith(b"HTTP/1.1 200"))
            self.assertIn(b"hello", answers)
            self.assertIn(b"HTTP/1.1 404", answers)
            self.finish(agent)

    def test_a_service_that_speaks_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificates().make("stranger", self_signed=True))
        target = self.target(targets.echo, context=context)
        agent, tunnel = self.serve(target, "--upstream-insecure")
        visit = tunnel.visit("web")
        visit.send(b"hello")
        self.assertEqual(visit.recv(5), b"hello")
        self.finish(agent)
        agent, tunnel = self.serve(target, "--upstream-tls")
        self.assertEqual(tunnel.visit("web").wait_over()[1], "DEPTH_ZERO_SELF_SIGNED_CERT")
        agent.wait_error("the service can't be reached: self-signed certificate")
        self.finish(agent)

    def test_the_proxy_header_goes_first(self):
        target = self.target(note_all)
        agent, tunnel = self.serve(target, "--proxy-protocol", "v1")
        for visitor in ("192.0.2.106", "192.0.2.106:4711", "[2001:db8::9]:4711"):
            visit = tunnel.visit("web", visitor)
            visit.send(b"hello")
            visit.end()
            visit.wait_over()
        seen = [text.decode() for text in target.wait_seen(3)]
        self.assertRegex(seen[0], rf"\APROXY TCP4 192\.0\.2\.106 127\.0\.0\.1 0 {target.port}\r\nhello\Z")
        self.assertRegex(seen[1], rf"\APROXY TCP4 192\.0\.2\.106 127\.0\.0\.1 4711 {target.port}\r\nhello\Z")
        self.assertRegex(seen[2], rf"\APROXY TCP6 2001:db8::9 \S+ 4711 {target.port}\r\nhello\Z")


class Log(ConnectCase):
    def test_a_line_a_visit_with_the_services_time(self):
        target = self.target(targets.echo)
        agent, tunnel = self.serve(target)
        visit = tunnel.visit("web")
        visit.send(b"hello")
        visit.recv(5)
        tunnel.tell({"visit": dict(VISIT, substream=visit.channel)})
        line = agent.wait_lines(2)[1]
        self.assertRegex(line, r'^192\.0\.2\.106 - - \[25/Nov/2020:17:13:06 \+0000\] "GET / HTTP/1\.1" 200 432 "-" '
                               r'"curl/7\.64\.0" response_time="0\.032 sec" edge=12\.0ms tunnel=\S+ms service=\S+ms$')
        visit.end()
        visit.wait_over()
        tunnel.tell({"visit": dict(VISIT, substream=visit.channel)})  # its substream is over, and its time still known
        self.assertEqual(agent.wait_lines(3)[2], line)
        tunnel.tell({"visit": dict(VISIT, substream=visit.channel + 2)})
        self.assertNotIn("service=", agent.wait_lines(4)[3])

    def test_what_isnt_understood_is_ignored(self):
        agent, tunnel = self.serve(None, "--port", "1")
        for message in ({"later": 1}, {"visit": {}}, {"visit": None}, {"registered": {"service": "other", "url": "x"}},
                        {"refused": {"service": "other", "code": "X"}}):
            tunnel.tell(message)
        tunnel.tell({"visit": VISIT})
        self.assertEqual(len(agent.wait_lines(2)), 2)
        self.assertEqual(agent.errors, [])

    def test_a_reader_that_doesnt_read_holds_nobody_up(self):
        target = self.target(targets.echo)
        listener = self.listen()
        reading, writing = os.pipe()
        command = [program(), "connect", "--server", f"localhost:{listener.port}", "--ca", certificates().ca, "--token", TOKEN,
                   "--name", "web", "--port", str(target.port)]
        process = subprocess.Popen(command, stdout=writing, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        self.addCleanup(os.close, reading)
        self.addCleanup(process.wait, WAIT)
        self.addCleanup(process.kill)
        os.close(writing)
        tunnel = self.tunnel(listener)
        tunnel.register()
        for _ in range(2000):
            tunnel.tell({"visit": VISIT})
        visit = tunnel.visit("web")
        visit.send(b"hello")
        self.assertEqual(visit.recv(5), b"hello")


class Returning(ConnectCase):
    def test_a_lost_tunnel_is_opened_again(self):
        agent, tunnel = self.serve(self.target(targets.echo))
        tunnel.abort()
        tunnel = self.tunnel(self.listener)
        tunnel.register()
        visit = tunnel.visit("web")
        visit.send(b"hello")
        self.assertEqual(visit.recv(5), b"hello")
        agent.wait_error("connected again")
        self.assertEqual(agent.lines, ["web - https://a-name-0001.edge.localhost"])  # nothing new to say
        tunnel.abort()
        tunnel = self.tunnel(self.listener)
        tunnel.register("https://another.edge.localhost")
        self.assertEqual(agent.wait_lines(2)[1], "web - https://another.edge.localhost")
        self.finish(agent)

    def test_the_instance_stays_the_same(self):
        listener = self.listen()
        agent = self.agent(listener, "--port", "1")
        tunnel = self.tunnel(listener)
        first = tunnel.register()
        tunnel.abort()
        self.assertEqual(self.tunnel(listener).register()["instance"], first["instance"])

    def test_a_server_that_comes_later(self):
        held, port = self.closed_port()
        agent = self.agent(port, "--port", "1")
        agent.wait_error("trying again")
        tunnel = self.tunnel(self.listen(bound=held))
        tunnel.register()
        agent.wait_lines(1)
        self.assertEqual(len([line for line in agent.errors if "trying again" in line]), 1)

    def test_goaway_leaves_visits_to_their_end(self):
        agent, old = self.serve(self.target(targets.echo))
        visit = old.visit("web")
        visit.send(b"one")
        self.assertEqual(visit.recv(3), b"one")
        # It has been up for a second: sooner the agent would take its time, for who goes at once may go again.
        old.wait_quiet(1.1)
        old.send_goaway()
        new = self.tunnel(self.listener)
        new.register()
        other = new.visit("web")
        other.send(b"two")
        self.assertEqual(other.recv(3), b"two")
        visit.send(b"still")
        self.assertEqual(visit.recv(5), b"still")
        visit.end()
        visit.wait_over()
        self.assertIsNone(old.wait_end())  # its last visit was over
        other.send(b"on")
        self.assertEqual(other.recv(2), b"on")
        self.finish(agent)

    def test_a_dead_server_is_noticed(self):
        """In 15 s at most: a server that is there and says nothing."""
        agent, tunnel = self.serve(None, "--port", "1")
        before = time.monotonic()
        self.listener.accept(WAIT).close()  # nobody answers the old one's ping
        self.assertLess(time.monotonic() - before, 17)
        agent.wait_error("trying again")


if __name__ == "__main__":
    unittest.main()
