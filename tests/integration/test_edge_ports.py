"""Sockets with a port of their own (tcp, tls), and passthrough: raw bytes, by independent programs."""

import hashlib
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading

import targets
from edge import DOMAIN, EdgeServer, EdgeTest, page
from plex import WAIT
from server import certificates, die_with_parent

LARGE = os.urandom(1 << 16) * 256  # 16 MiB


def count_bytes(connection, target):
    """`4 bytes` for each line that comes."""
    while piece := connection.recv(65536):
        for line in piece.splitlines():
            connection.sendall(b"%d bytes\n" % len(line))


class PortCase(EdgeTest):
    def serve(self, kind, serve, *arguments, **options):
        target = self.target(serve, **options)
        name = self.id().rsplit(".", 1)[1][:60]
        return target, self.agent("--port", str(target.port), "--type", kind, "--name", name, *arguments)

    def visit(self, agent):
        return self.server.raw(agent.port)


class TcpTest(PortCase):
    def test_url_names_host_and_port(self):
        target, agent = self.serve("tcp", targets.echo)
        self.assertRegex(agent.url, r"^[\w.-]+:41\d{3}$")

    def test_bytes_both_ways(self):
        target, agent = self.serve("tcp", targets.echo)
        with self.visit(agent) as visitor:
            sender = threading.Thread(target=lambda: (visitor.sendall(LARGE), visitor.shutdown(socket.SHUT_WR)))
            sender.start()
            self.assertEqual(hashlib.sha256(targets.read_all(visitor)).digest(), hashlib.sha256(LARGE).digest())
            sender.join(WAIT)

    def test_half_close_passes_both_ways(self):
        def answer_at_end(connection, target):
            got = targets.read_all(connection)
            connection.sendall(b"%d" % len(got))

        target, agent = self.serve("tcp", answer_at_end)
        with self.visit(agent) as visitor:
            visitor.sendall(b"x" * 1000)
            visitor.shutdown(socket.SHUT_WR)
            self.assertEqual(targets.read_all(visitor), b"1000")

    def test_service_that_ends_first_still_reads(self):
        def end_first(connection, target):
            connection.sendall(b"bye")
            connection.shutdown(socket.SHUT_WR)
            targets.sink(connection, target)

        target, agent = self.serve("tcp", end_first)
        with self.visit(agent) as visitor:
            self.assertEqual(targets.read_all(visitor), b"bye")
            visitor.sendall(b"x" * 5000)
        self.assertEqual(target.wait_seen()[0], ("end", 5000))

    def test_reset_passes_to_the_service(self):
        target, agent = self.serve("tcp", targets.sink)
        with self.visit(agent) as visitor:
            visitor.sendall(b"x")
            target.wait(lambda: target.connections, "the visitor")
            targets.reset_now(visitor)
        self.assertEqual(target.wait_seen()[0][0], "reset")

    def test_reset_passes_to_the_visitor(self):
        target, agent = self.serve("tcp", targets.reset)
        with self.visit(agent) as visitor:
            visitor.sendall(b"x")
            with self.assertRaises(ConnectionResetError):
                while visitor.recv(1):
                    pass

    def test_refused_service_resets_the_visitor(self):
        held, port = targets.closed_port()
        with held:
            agent = self.agent("--port", str(port), "--type", "tcp", "--name", "refused-tcp")
            # It may come while the visitor still takes itself for connecting.
            with self.assertRaises(ConnectionResetError), self.visit(agent) as visitor:
                self.assertEqual(visitor.recv(1), b"not this")

    def test_live_log_line(self):
        target, agent = self.serve("tcp", count_bytes)
        with self.visit(agent) as visitor:
            visitor.sendall(b"toto\n")
            self.assertEqual(visitor.recv(100), b"4 bytes\n")
        line = agent.wait_visit(r"^127\.0\.0\.1 \[")
        self.assertRegex(line, r"^127\.0\.0\.1 \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] TCP 200 bytes_sent:8 bytes_received:5 "
                               r"session_time: \d+\.\d{3}")

    def test_port_is_free_when_nobody_serves_it(self):
        target, agent = self.serve("tcp", targets.echo)
        agent.stop()
        self.server.wait_log("tunnel closed", self.log_start)
        # The socket goes with the last tunnel; a moment may pass between the two.
        for _ in range(200):
            try:
                self.visit(agent).close()
            except ConnectionRefusedError:
                return
        self.fail("still listening")

    def test_proxy_header_for_the_service(self):
        def note_head(connection, target):
            target.note(connection.recv(65536))

        target, agent = self.serve("tcp", note_head, "--proxy-protocol", "v1")
        with self.visit(agent) as visitor:
            visitor.sendall(b"hello")
            port = visitor.getsockname()[1]
            self.assertRegex(target.wait_seen()[0], rb"^PROXY TCP4 127\.0\.0\.1 [0-9.]+ %d \d+\r\n" % port)

    def test_proxy_header_v2_for_the_service(self):
        def note_head(connection, target):
            got = b""
            while len(got) < 28:
                got += connection.recv(65536)
            target.note(got)

        target, agent = self.serve("tcp", note_head, "--proxy-protocol", "v2")
        with self.visit(agent) as visitor:
            visitor.sendall(b"hello")
            head = target.wait_seen()[0]
            self.assertEqual(head[:13], b"\r\n\r\n\0\r\nQUIT\n\x21")
            self.assertEqual(head[16:20], socket.inet_aton("127.0.0.1"))
            self.assertEqual(struct.unpack(">H", head[24:26])[0], visitor.getsockname()[1])

    def test_unix_service(self):
        path = os.path.join(self.folder(), "service")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        self.addCleanup(listener.close)

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"from a unix socket")

        threading.Thread(target=serve, daemon=True).start()
        agent = self.agent("--unix", path, "--type", "tcp", "--name", "unix")
        with self.visit(agent) as visitor:
            self.assertEqual(targets.read_all(visitor), b"from a unix socket")

    def test_slow_visitor_bounds_memory(self):
        """A service that sends without end to a visitor that doesn't read: the server holds windows, not the stream."""
        def endless(connection, target):
            try:
                while True:
                    connection.sendall(LARGE)
            except OSError as error:
                target.note(error)

        target, agent = self.serve("tcp", endless)
        before = self.server.resident()
        with self.visit(agent) as visitor:
            visitor.recv(1)
            quick_target, quick = self.serve_second()
            for _ in range(20):
                with self.visit(quick) as other:
                    other.sendall(b"ping")
                    self.assertEqual(other.recv(4), b"ping")
            self.assertLess(self.server.resident() - before, 64 << 20)

    def serve_second(self):
        target = self.target(targets.echo)
        return target, self.agent("--port", str(target.port), "--type", "tcp", "--name", "second")


class TlsTest(PortCase):
    def test_gnutls_client_gets_its_count(self):
        target, agent = self.serve("tls", count_bytes)
        done = subprocess.run(["gnutls-cli", "--x509cafile", self.server.edge_ca, "--sni-hostname", DOMAIN,
                               "--verify-hostname", DOMAIN, "-p", str(agent.port), "127.0.0.1"],
                              input=b"toto\n", capture_output=True, timeout=WAIT * 2)
        self.assertIn(b"4 bytes", done.stdout, done.stdout + done.stderr)

    def test_openssl_client(self):
        target, agent = self.serve("tls", targets.echo)
        client = subprocess.Popen(["openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", self.server.edge_ca,
                                   "-servername", DOMAIN, "-verify_hostname", DOMAIN, "-connect", f"127.0.0.1:{agent.port}"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  preexec_fn=die_with_parent)
        self.addCleanup(client.communicate, timeout=WAIT)
        self.addCleanup(client.kill)
        client.stdin.write(b"through TLS\n")
        client.stdin.flush()
        self.assertEqual(client.stdout.readline(), b"through TLS\n")

    def test_large_both_ways(self):
        target, agent = self.serve("tls", targets.echo)
        body = LARGE[:4 << 20]
        with self.server.tls(DOMAIN, agent.port) as visitor:
            sender = threading.Thread(target=visitor.sendall, args=(body,))
            sender.start()
            got = b""
            while len(got) < len(body):
                got += visitor.recv(1 << 20)
            sender.join(WAIT)
        self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(body).digest())

    def test_not_tls_ends_alone(self):
        target, agent = self.serve("tls", targets.echo)
        with self.visit(agent) as visitor:
            visitor.sendall(b"GET / HTTP/1.0\r\n\r\n")
            try:
                targets.read_all(visitor)
            except ConnectionResetError:
                pass
        self.assertEqual(target.connections, 0)
        with self.server.tls(DOMAIN, agent.port) as visitor:
            visitor.sendall(b"still")
            self.assertEqual(visitor.recv(5), b"still")


class PassthroughTest(PortCase):
    options = {"shared": True}

    def test_key_stays_on_the_device(self):
        name = f"own-key.{DOMAIN}"
        certificate, key = certificates().make("own-key", f"DNS:{name}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        target = self.target(targets.echo, context=context)
        agent = self.agent("--port", str(target.port), "--type", "passthrough", "--hostname", name, "--name", "own")
        for port in (self.server.https_port, self.server.shared_port):
            trusting = ssl.create_default_context(cafile=certificates().ca)
            with trusting.wrap_socket(self.server.raw(port), server_hostname=name) as visitor:
                visitor.sendall(b"end to end")
                self.assertEqual(visitor.recv(100), b"end to end")
                self.assertEqual(visitor.getpeercert()["subject"][0][0][1], "own-key")

    def test_hello_in_small_pieces(self):
        """The ClientHello may come byte by byte."""
        name = f"pieces.{DOMAIN}"
        certificate, key = certificates().make("pieces", f"DNS:{name}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        target = self.target(targets.echo, context=context)
        self.agent("--port", str(target.port), "--type", "passthrough", "--hostname", name, "--name", "pieces")
        trusting = ssl.create_default_context(cafile=certificates().ca)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trusting.wrap_bio(incoming, outgoing, server_hostname=name)
        with self.server.raw(self.server.https_port) as visitor:
            visitor.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        visitor.sendall(bytes([byte]))
                    incoming.write(visitor.recv(65536))
            self.assertEqual(tls.getpeercert()["subject"][0][0][1], "pieces")


class SharedTest(PortCase):
    options = {"shared": True}

    def test_everything_on_one_port(self):
        """An agent, by ALPN; a device without SNI; and https."""
        from plex import Tunnel
        from server import TOKEN
        target = self.target(lambda connection, target: (connection.recv(65536), connection.sendall(page(b"one port"))))
        agent = self.agent("--port", str(target.port), "--name", "shared", tunnel_port=self.server.shared_port)
        url = re.sub(r":\d+$", f":{self.server.shared_port}", agent.url)
        self.assertEqual(self.server.curl(url)[::2], (200, b"one port"))
        context = ssl.create_default_context(cafile=certificates().ca)
        context.check_hostname = False
        device = Tunnel.connect("127.0.0.1", self.server.shared_port, context=context, name=None)
        self.addCleanup(device.close)
        self.assertTrue(device.authenticate(TOKEN))


class SshTest(PortCase):
    def test_ssh_through_a_tcp_socket(self):
        folder = self.folder()
        os.chmod(folder, 0o700)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(folder, name)], check=True,
                           timeout=WAIT)
        shutil.copy(os.path.join(folder, "user.pub"), os.path.join(folder, "authorized"))
        held, port = targets.closed_port()
        held.close()
        os.makedirs("/run/sshd", exist_ok=True) if os.geteuid() == 0 else None
        sshd = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", os.path.join(folder, "host"), "-o", f"Port={port}",
             "-o", "ListenAddress=127.0.0.1", "-o", f"AuthorizedKeysFile={folder}/authorized", "-o", "StrictModes=no",
             "-o", "UsePAM=no", "-o", f"PidFile={folder}/pid", "-o", "PasswordAuthentication=no"],
            stderr=subprocess.PIPE, preexec_fn=die_with_parent)
        self.addCleanup(sshd.wait, WAIT)
        self.addCleanup(sshd.kill)
        for line in sshd.stderr:
            if b"Server listening" in line:
                break
        threading.Thread(target=sshd.stderr.read, daemon=True).start()
        agent = self.agent("--port", str(port), "--type", "tcp", "--name", "ssh")
        done = subprocess.run(
            ["ssh", "-F", "/dev/null", "-i", os.path.join(folder, "user"), "-p", str(agent.port), "-o", "BatchMode=yes",
             "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "127.0.0.1", "echo through the edge; cat"],
            input=LARGE[:1 << 20], capture_output=True, timeout=WAIT * 3)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, b"through the edge\n" + LARGE[:1 << 20])


class PortRangeTest(EdgeTest):
    def test_exhausted_range_is_told(self):
        held, first = targets.closed_port()
        held.close()
        server = EdgeServer(ports=f"{first}-{first}")
        self.addCleanup(server.stop)
        target = self.target(targets.echo)
        first_agent = self.agent("--port", str(target.port), "--type", "tcp", "--name", "first", server=server)
        self.assertEqual(first_agent.port, first)
        second = self.agent("--port", str(target.port), "--type", "tcp", "--name", "second", server=server, wait=False)
        second.wait(lambda: any("port" in line.lower() for line in second.errors), "a word of it")
        second.kill()
        with server.raw(first) as visitor:
            visitor.sendall(b"still")
            self.assertEqual(visitor.recv(5), b"still")
