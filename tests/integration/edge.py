"""A server with its edge, agents (`streamplex connect`) and local services, for tests of what visitors see."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

import targets
from plex import WAIT
from server import TOKEN, Server, certificates, die_with_parent, program

DOMAIN = "edge.localhost"


class EdgeServer(Server):
    """`streamplex serve` with --edge-http, --edge-https, --shared-443 (if asked for) and ports of its own for sockets."""

    def __init__(self, *arguments, shared=False, state=None, ports="41000-41999", edge_domain=DOMAIN, **options):
        edge = ["--edge-http", "127.0.0.1:0", "--edge-https", "127.0.0.1:0", "--edge-domain", edge_domain,
                "--edge-bind", "127.0.0.1", "--edge-ports", ports]
        if shared:
            edge += ["--shared-443", "127.0.0.1:0"]
        if state:
            edge += ["--state", state]
        super().__init__(*edge, *arguments, **options)
        if state:
            shutil.rmtree(self.state, True)
            self.state = state
        self.keeps_state = bool(state)
        try:
            self.wait_log("ready")
        except BaseException:
            self.kill()
            raise
        self.http_port = self.ports("edge-http")[0]
        self.https_port = self.ports("edge-https")[0]
        self.shared_port = self.ports("shared-443")[0] if shared else None
        self.edge_ca = os.path.join(self.state, "ca.pem")

    def kill(self):
        state = self.state
        if getattr(self, "keeps_state", False):
            self.state = os.path.join(state, "not-this")
        try:
            super().kill()
        finally:
            self.state = state

    # Visitors ------------------------------------------------------------------------------------------------

    def raw(self, port=None):
        """A plain connection to the edge's HTTP port, or to another."""
        connection = socket.create_connection(("127.0.0.1", port or self.http_port), WAIT)
        connection.settimeout(WAIT)
        return connection

    def tls(self, name, port=None, alpn=None, verify=True):
        """A TLS connection to the edge, by the name (None: no SNI)."""
        context = ssl.create_default_context(cafile=self.edge_ca)
        if not verify or name is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if alpn:
            context.set_alpn_protocols(alpn)
        plain = self.raw(port or self.https_port)
        try:
            return context.wrap_socket(plain, server_hostname=name)
        except BaseException:
            plain.close()
            raise

    def curl(self, url, *arguments, input=None, timeout=WAIT * 2, check=True):
        """curl to a URL of the edge; names resolve to this machine. (status, headers as text, body)"""
        command = ["curl", "-sS", "--noproxy", "*", "--cacert", self.edge_ca, "--max-time", str(timeout),
                   "-D", "/dev/stderr", *arguments, url]
        host = re.match(r"\w+://(\[[^\]]*\]|[^/:]*)(?::(\d+))?", url)
        port = host.group(2) or ("443" if url.startswith("https") else "80")
        command[1:1] = ["--resolve", f"{host.group(1)}:{port}:127.0.0.1"]
        done = subprocess.run(command, input=input, capture_output=True, timeout=timeout + 5)
        head = done.stderr.decode("latin-1")
        if check and done.returncode:
            raise AssertionError(f"curl: {done.returncode} {head}")
        found = re.findall(r"^HTTP/\S+ (\d+)", head, re.M)
        return int(found[-1]) if found else 0, head, done.stdout


class Agent:
    """`streamplex connect`. What it prints is in `lines`, what it complains of in `errors`."""

    def __init__(self, server, *arguments, token=TOKEN, wait=True, port=None, environment=None, tunnel_port=None, sockets=1):
        self.command = [program(), "connect", "--server", f"localhost:{tunnel_port or (server.port if server else port)}",
                        "--ca", certificates().ca, "--token", token, *arguments]
        names = ("PATH", "HOME", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
        self.environment = {name: os.environ[name] for name in names if name in os.environ} | (environment or {})
        self.lines, self.errors = [], []
        self.open_streams = 2
        self.changed = threading.Condition()
        self.process = subprocess.Popen(self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, preexec_fn=die_with_parent)
        for stream, lines in ((self.process.stdout, self.lines), (self.process.stderr, self.errors)):
            threading.Thread(target=self._read, args=(stream, lines), daemon=True).start()
        self.url = None
        if wait:
            try:
                self.wait(lambda: len(self.urls()) >= sockets, "the URL")
            except BaseException:
                self.kill()
                raise
            self.url = self.urls()[0][1]
            self.host = re.sub(r"^\w+://", "", self.url).rsplit(":", 1)[0] if re.search(r":\d+$", self.url) else \
                re.sub(r"^\w+://", "", self.url)
            self.port = int(self.url.rsplit(":", 1)[1]) if re.search(r":\d+$", self.url) else 443

    def urls(self):
        """[(name, URL or HOST:PORT)] of the lines `NAME - URL`."""
        return [tuple(line.split(" - ", 1)) for line in self.lines if re.match(r"\S.* - (https?://|[\w.-]+:\d+$)", line)]

    def visits(self):
        urls = {" - ".join(pair) for pair in self.urls()}
        return [line for line in self.lines if line not in urls]

    def _read(self, stream, lines):
        for line in stream:
            with self.changed:
                lines.append(line.decode(errors="replace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.open_streams -= 1
            self.changed.notify_all()

    def wait(self, condition, what, seconds=WAIT):
        with self.changed:
            if not self.changed.wait_for(lambda: condition() or not self.open_streams, seconds) or not condition():
                raise AssertionError(f"agent: waited in vain for {what}; it said {self.lines[-5:]} {self.errors[-10:]}")

    def wait_visit(self, pattern, seconds=WAIT):
        self.wait(lambda: any(re.search(pattern, line) for line in self.visits()), f"a visit like {pattern}", seconds)
        return [line for line in self.visits() if re.search(pattern, line)][0]

    def wait_exit(self, seconds=WAIT):
        status = self.process.wait(seconds)
        self.wait(lambda: not self.open_streams, "its last words")
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT)

    def stop(self):
        """Ctrl-C; complains of a crash."""
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGINT)
            status = self.process.wait(WAIT)
            if status != 0 or any(re.search(r"Sanitizer|runtime error", line) for line in self.errors):
                raise AssertionError(f"agent's exit status {status}: " + "\n".join(self.errors[-60:]))
        finally:
            self.kill()


class HttpService:
    """A strict little HTTP service for one test: `answer(request, service)` returns the raw bytes to answer, or None to
    close. Each request is noted as (head, body), bytes as they came; nothing is repaired."""

    def __init__(self, answer, **options):
        self.answer = answer
        self.requests = []
        self.target = targets.Target(self._serve, **options)
        self.port = self.target.port

    def _serve(self, connection, target):
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                piece = connection.recv(65536)
                if not piece:
                    if buffer:
                        target.note(("left", buffer))
                    return
                buffer += piece
            head, buffer = buffer.split(b"\r\n\r\n", 1)
            body, buffer = self._body(connection, head, buffer)
            with target.changed:
                self.requests.append((head, body))
                target.changed.notify_all()
            answer = self.answer((head, body), connection)
            if answer is None:
                return
            connection.sendall(answer)

    @staticmethod
    def _body(connection, head, buffer):
        lengths = re.findall(rb"(?im)^content-length:\s*(\d+)\s*$", head)
        chunked = re.search(rb"(?im)^transfer-encoding:\s*chunked\s*$", head)
        if lengths and chunked or len(lengths) > 1:
            raise OSError("ambiguous request reached the service")
        if chunked:
            while not re.search(rb"(?:^|\r\n)0\r\n(?:[^\r\n]+\r\n)*\r\n", buffer):
                piece = connection.recv(65536)
                if not piece:
                    raise OSError("body cut short")
                buffer += piece
            end = re.search(rb"(?:^|\r\n)0\r\n(?:[^\r\n]+\r\n)*\r\n", buffer).end()
            return buffer[:end], buffer[end:]
        length = int(lengths[0]) if lengths else 0
        while len(buffer) < length:
            piece = connection.recv(65536)
            if not piece:
                raise OSError("body cut short")
            buffer += piece
        return buffer[:length], buffer[length:]

    def wait_requests(self, count=1):
        self.target.wait(lambda: len(self.requests) >= count, f"{count} requests")
        return self.requests[:count]

    def close(self):
        self.target.close()


def tokens_file(folder, *lines):
    """A file for --token-file: `owner:token` a line."""
    path = os.path.join(folder, "tokens")
    with open(path, "w") as file:
        file.write("".join(line + "\n" for line in lines))
    return path


def page(body=b"hello", status=b"200 OK", *headers):
    """An answer with a length."""
    return (b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n" % len(body) +
            b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body)


def header(head, name):
    """The value of a header in a raw head, or None."""
    found = re.search(rb"(?im)^" + name.encode() + rb":[ \t]*(.*?)[ \t\r]*$", head)
    return found.group(1).decode("latin-1") if found else None


class EdgeTest(unittest.TestCase):
    """A test case with one server for all its tests."""

    arguments = ()
    options = {}

    owners = ()  # `owner:token`, beside TOKEN's

    @classmethod
    def setUpClass(cls):
        cls.folder_of_tokens = tempfile.mkdtemp(prefix="streamplex-tokens-")
        cls.addClassCleanup(shutil.rmtree, cls.folder_of_tokens, True)
        tokens = ["--token-file", tokens_file(cls.folder_of_tokens, *cls.owners)] if cls.owners else []
        cls.server = EdgeServer(*tokens, *cls.arguments, **cls.options)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        self.log_start = len(self.server.lines)

    def agent(self, *arguments, server=None, **options):
        """One that is to end in good order; with wait=False the test sees to its end."""
        agent = Agent(server or self.server, *arguments, **options)
        self.addCleanup(agent.stop if options.get("wait", True) else agent.kill)
        return agent

    def service(self, answer=lambda request, connection: page(), **options):
        service = HttpService(answer, **options)
        self.addCleanup(service.close)
        return service

    def target(self, serve, **options):
        target = targets.Target(serve, **options)
        self.addCleanup(target.close)
        return target

    def folder(self):
        folder = tempfile.mkdtemp(prefix="streamplex-test-")
        self.addCleanup(shutil.rmtree, folder, True)
        return folder

    def exchange(self, connection, request):
        """Sends raw bytes, reads one answer with a length; (head, body)."""
        connection.sendall(request)
        return read_answer(connection)


def read_answer(connection, head_only=False):
    """One answer with Content-Length, or to the end of the connection; (head, body)."""
    buffer = b""
    while b"\r\n\r\n" not in buffer:
        piece = connection.recv(65536)
        if not piece:
            return buffer, b""
        buffer += piece
    head, body = buffer.split(b"\r\n\r\n", 1)
    if head_only or re.match(rb"HTTP/1\.[01] (1\d\d|204|304)", head):
        return head, body
    length = header(head, "content-length")
    while length is None or len(body) < int(length):
        piece = connection.recv(65536)
        if not piece:
            break
        body += piece
    return head, body


def json_lines(lines):
    return [json.loads(line) for line in lines]
