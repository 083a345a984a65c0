"""Sockets in time: names that stay, agents that come, go and lie, servers that restart."""

import os
import re
import shutil
import signal
import socket
import tempfile
import threading
import unittest

import targets
from edge import DOMAIN, Agent, EdgeServer, EdgeTest, page, read_answer
from plex import WAIT
from server import TOKEN


class NameTest(EdgeTest):
    owners = ("other-owner:another-token",)

    def test_name_stays_across_agents(self):
        service = self.service()
        first = self.agent("--port", str(service.port), "--name", "stays")
        url = first.url
        first.stop()
        self.assertEqual(self.agent("--port", str(service.port), "--name", "stays").url, url)

    def test_asked_for_name(self):
        service = self.service()
        agent = self.agent("--port", str(service.port), "--name", "asked", "--hostname", "my-own-name")
        self.assertEqual(agent.host, f"my-own-name.{DOMAIN}")

    def test_name_of_another_owner_is_refused(self):
        service = self.service()
        mine = self.agent("--port", str(service.port), "--name", "mine", "--hostname", "squatted")
        mine.stop()  # offline or not, it is mine
        thief = self.agent("--port", str(service.port), "--name", "theirs", "--hostname", "squatted", token="another-token",
                           wait=False)
        status = thief.wait_exit()
        self.assertNotIn(status, (0, 1))
        self.assertRegex("\n".join(thief.errors), r"(?i)another owner|taken|belongs")

    def test_exit_codes_tell_apart(self):
        service = self.service()
        wrong_token = self.agent("--port", str(service.port), token="never-heard", wait=False)
        statuses = {wrong_token.wait_exit()}
        self.agent("--port", str(service.port), "--name", "codes", "--hostname", "codes").stop()
        other = self.agent("--port", str(service.port), "--name", "codes", "--hostname", "codes", token="another-token",
                           wait=False)
        statuses.add(other.wait_exit())
        self.assertEqual(len(statuses), 2)
        self.assertFalse(statuses & {0, 1})

    def test_foreign_domain_is_refused(self):
        service = self.service()
        agent = self.agent("--port", str(service.port), "--hostname", "www.example.com", wait=False)
        self.assertNotEqual(agent.wait_exit(), 0)
        self.assertTrue(agent.errors)

    def test_same_instance_replaces_itself(self):
        """A second one with the first's instance takes its place at once, without a word of `in use`."""
        service = self.service()
        first = Agent(self.server, "--port", str(service.port), "--name", "again", "--instance", "one")
        self.addCleanup(first.kill)
        os.kill(first.process.pid, signal.SIGSTOP)  # gone from the network, as far as anybody can tell
        try:
            second = self.agent("--port", str(service.port), "--name", "again", "--instance", "one")
            self.assertEqual(second.url, first.url)
            for _ in range(4):
                self.assertEqual(self.server.curl(second.url)[0], 200)
        finally:
            os.kill(first.process.pid, signal.SIGCONT)
            first.kill()


class SeveralTest(EdgeTest):
    def test_agents_take_turns(self):
        services = [self.service(lambda request, connection, i=i: page(b"%d" % i)) for i in range(3)]
        agents = [self.agent("--port", str(service.port), "--name", "turns") for service in services]
        self.assertEqual(len({agent.url for agent in agents}), 1)
        got = [self.server.curl(agents[0].url)[2] for _ in range(9)]
        self.assertEqual(set(got), {b"0", b"1", b"2"})

    def test_the_least_busy_gets_the_visitor(self):
        held = threading.Event()
        self.addCleanup(held.set)

        def slow(connection, target):
            connection.recv(65536)
            target.note("held")
            held.wait(WAIT)

        slow_target = self.target(slow)
        quick = self.service(lambda request, connection: page(b"quick"))
        first = self.agent("--port", str(slow_target.port), "--name", "busy")
        visitors = []
        for _ in range(2):
            visitor = self.server.tls(first.host)
            self.addCleanup(visitor.close)
            visitor.sendall(f"GET / HTTP/1.1\r\nHost: {first.host}\r\n\r\n".encode())
            visitors.append(visitor)
        slow_target.wait_seen(2)
        second = self.agent("--port", str(quick.port), "--name", "busy")
        for _ in range(6):
            self.assertEqual(self.server.curl(second.url)[2], b"quick")

    def test_next_agent_when_the_first_has_no_service(self):
        closed, port = targets.closed_port()
        self.addCleanup(closed.close)
        service = self.service(lambda request, connection: page(request[1] or b"got it"))
        broken = self.agent("--port", str(port), "--name", "retry")
        self.agent("--port", str(service.port), "--name", "retry")
        for _ in range(6):
            self.assertEqual(self.server.curl(broken.url)[::2], (200, b"got it"))
        for _ in range(6):  # with a body, too: it waits until an agent has its service
            self.assertEqual(self.server.curl(broken.url, "--data-binary", "a body")[::2], (200, b"a body"))

    def test_next_agent_when_a_tunnel_dies_before_its_answer(self):
        go_on = threading.Event()

        def never(connection, target):
            connection.recv(65536)
            target.note("asked")
            go_on.wait(WAIT)

        self.addCleanup(go_on.set)
        silent = self.target(never)
        first = Agent(self.server, "--port", str(silent.port), "--name", "dies")
        self.addCleanup(first.kill)
        with self.server.tls(first.host) as visitor:
            visitor.sendall(f"GET / HTTP/1.1\r\nHost: {first.host}\r\n\r\n".encode())
            silent.wait_seen()
            service = self.service(lambda request, connection: page(b"by the other"))
            self.agent("--port", str(service.port), "--name", "dies")
            first.kill()
            self.assertEqual(read_answer(visitor)[1], b"by the other")

    def test_agent_killed_in_mid_transfer(self):
        """The visitor sees that it isn't whole, and the next visit is served by the other agent."""
        def endless(connection, target):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 1000)
            target.released.wait(WAIT)

        target = self.target(endless)
        agent = Agent(self.server, "--port", str(target.port), "--name", "mid")
        self.addCleanup(agent.kill)
        with self.server.tls(agent.host) as visitor:
            visitor.sendall(f"GET / HTTP/1.1\r\nHost: {agent.host}\r\n\r\n".encode())
            got = b""
            while not got.endswith(b"xxxx"):
                got += visitor.recv(65536)
            agent.kill()
            with self.assertRaises(OSError):  # an EOF without close_notify, or a reset
                while visitor.recv(65536):
                    pass
                raise ConnectionAbortedError  # python's ssl hides a missing close_notify
        service = self.service()
        again = self.agent("--port", str(service.port), "--name", "mid")
        self.assertEqual(self.server.curl(again.url)[0], 200)


class RestartTest(unittest.TestCase):
    def setUp(self):
        self.state = tempfile.mkdtemp(prefix="streamplex-state-")
        self.addCleanup(shutil.rmtree, self.state, True)

    def start(self, *arguments, **options):
        server = EdgeServer(*arguments, state=self.state, **options)
        self.addCleanup(server.kill)
        return server

    def service(self):
        target = targets.Target(lambda connection, target: (connection.recv(65536), connection.sendall(page())))
        self.addCleanup(target.close)
        return target

    def test_names_and_ports_outlive_kill_9(self):
        service = self.service()
        server = self.start()
        web = Agent(server, "--port", str(service.port), "--name", "web")
        tcp = Agent(server, "--port", str(service.port), "--name", "tcp", "--type", "tcp")
        for agent in (web, tcp):
            self.addCleanup(agent.kill)
        before = web.host, tcp.port
        for agent in (web, tcp):
            agent.kill()
        server.process.kill()
        server.process.wait(WAIT)
        server = self.start()
        web = Agent(server, "--port", str(service.port), "--name", "web")
        tcp = Agent(server, "--port", str(service.port), "--name", "tcp", "--type", "tcp")
        self.assertEqual((web.host, tcp.port), before)
        for agent in (web, tcp):
            agent.stop()
        server.stop()

    def test_agent_comes_back_by_itself(self):
        service = self.service()
        server = self.start()
        port = server.port
        agent = Agent(server, "--port", str(service.port), "--name", "returns")
        self.addCleanup(agent.kill)
        server.process.kill()
        server.process.wait(WAIT)
        server = self.start(listen=(f"127.0.0.1:{port}",))
        server.wait_log("tunnel authenticated")
        url = f"http://{agent.host}:{server.http_port}/"
        for _ in range(100):  # its socket is online a moment later
            status = server.curl(url)[0]
            if status == 200:
                break
            self.assertEqual(status, 503)
        self.assertEqual(status, 200)
        agent.stop()
        server.stop()

    def test_second_server_on_one_state_folder_is_refused(self):
        self.start()
        with self.assertRaisesRegex(AssertionError, "another server"):
            self.start()

    def test_damaged_database_is_told_and_left(self):
        server = self.start()
        server.stop()
        path = os.path.join(self.state, "streamplex.db")
        for name in os.listdir(self.state):
            if name.startswith("streamplex.db-"):
                os.unlink(os.path.join(self.state, name))
        with open(path, "wb") as file:
            file.write(b"this is no database at all, but a diary" * 100)
        with self.assertRaisesRegex(AssertionError, "streamplex.db"):
            self.start()
        with open(path, "rb") as file:
            self.assertTrue(file.read().startswith(b"this is no database"))
