"""Starts the real program (the path is in STREAMPLEX), reads its log, and stops it. And certificates, made by openssl."""

import atexit
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request

import targets
from plex import WAIT, Tunnel

TOKEN = "a-token-for-tests"
LIBC = ctypes.CDLL(None)


def die_with_parent():
    """In the child: a test run that is killed leaves no server behind."""
    PR_SET_PDEATHSIG = 1
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def program():
    path = os.environ.get("STREAMPLEX")
    if not path:
        raise RuntimeError("STREAMPLEX must name the program to test")
    return os.path.abspath(path)


class Certificates:
    """A CA and certificates of it, in a folder of their own."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="streamplex-certificates-")
        atexit.register(shutil.rmtree, self.folder, True)
        self.ca = self.path("ca.pem")
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                  "-subj", "/CN=test CA", "-addext", "basicConstraints=critical,CA:TRUE",
                  "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                  "-keyout", self.path("ca.key"), "-out", self.ca)
        self.made = {}

    def path(self, name):
        return os.path.join(self.folder, name)

    def _run(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)

    def make(self, name, names="DNS:localhost,IP:127.0.0.1,IP:::1", rsa=False, self_signed=False, days=30):
        """(certificate file, key file)"""
        if name in self.made:
            return self.made[name]
        certificate, key = self.path(name + ".pem"), self.path(name + ".key")
        kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        common = ["-newkey", *kind, "-nodes", "-subj", f"/CN={name}", "-keyout", key]
        if self_signed:
            self._run("req", "-x509", *common, "-days", str(days), "-addext", f"subjectAltName={names}",
                      "-out", certificate)
        else:
            request, extensions = self.path(name + ".csr"), self.path(name + ".ext")
            with open(extensions, "w") as file:
                file.write(f"subjectAltName={names}\n")
            self._run("req", "-new", *common, "-out", request)
            self._run("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.path("ca.key"), "-CAcreateserial",
                      "-days", str(days), "-extfile", extensions, "-out", certificate)
        self.made[name] = certificate, key
        return self.made[name]


_certificates = None


def certificates():
    """One set for all tests of this process."""
    global _certificates
    if _certificates is None:
        _certificates = Certificates()
    return _certificates


class Server:
    """`streamplex serve` on ephemeral ports. Arguments are added to the command line; what its log says is in `lines`."""

    def __init__(self, *arguments, token=TOKEN, listen=("127.0.0.1:0",), listen_old=(),
                 egress_allow=("127.0.0.0/8", "::1/128"), certificate=None, admin=True, environment=None, workers=2, hosts=None,
                 drain="500ms"):
        self.state = tempfile.mkdtemp(prefix="streamplex-state-")
        certificate, key = certificate or certificates().make("server")
        command = [program(), "serve", "--cert", certificate, "--key", key, "--state", self.state,
                   "--log-format", "json", "--log-level", "debug", "--workers", str(workers), "--drain", drain]
        for address in listen:
            command += ["--listen", address]
        for address in listen_old:
            command += ["--listen-old", address]
        for rule in egress_allow:
            command += ["--egress-allow", rule]
        if token:
            command += ["--token", token]
        if admin:
            command += ["--admin", "127.0.0.1:0"]
        self.command = command + list(arguments)
        if hosts is not None:
            self.command = self._with_hosts(hosts) + self.command
        names = ("PATH", "HOME", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
        self.environment = {name: os.environ[name] for name in names if name in os.environ}
        # Without a quarantine of freed memory, so that what the process holds can be compared with what it held.
        self.environment.setdefault("ASAN_OPTIONS", "quarantine_size_mb=1:detect_leaks=1")
        self.environment.update(environment or {})
        self.lines = []
        self.other = []  # lines on stderr that aren't JSON: a sanitizer's report, a failed start
        self.changed = threading.Condition()
        self.eof = False
        self.process = subprocess.Popen(self.command, env=self.environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=die_with_parent)
        threading.Thread(target=self._read, daemon=True).start()
        try:
            expected = len(listen) + len(listen_old) + bool(admin)
            self._wait(lambda: self.eof or len(self.find("listening")) >= expected, "the listening lines")
            if len(self.find("listening")) < expected:
                raise AssertionError(f"it didn't start: {self.lines[-3:]} {self.other[-5:]}")
        except BaseException:
            self.kill()
            raise
        self.port = self.ports("tunnels")[0] if listen else None

    def _with_hosts(self, text):
        """Puts the program into a mount namespace of its own in which /etc/hosts says `text`."""
        path = os.path.join(self.state, "hosts")
        with open(path, "w") as file:
            file.write(text)
        namespace = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
        return namespace + ["sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', path]

    def _read(self):
        for line in self.process.stderr:
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            with self.changed:
                if isinstance(value, dict):
                    self.lines.append(value)
                else:
                    self.other.append(line.decode(errors="replace").rstrip())
                self.changed.notify_all()
        with self.changed:
            self.eof = True
            self.changed.notify_all()

    def _wait(self, condition, what, seconds=WAIT):
        with self.changed:
            if not self.changed.wait_for(condition, seconds):
                raise AssertionError(f"waited in vain for {what}; log: {self.lines[-5:]} {self.other[-5:]}")

    def find(self, message, start=0, **fields):
        """The lines from `start` whose message begins so, and which have these fields."""
        return [line for line in self.lines[start:] if line["message"].startswith(message)
                and all(line.get(name) == value for name, value in fields.items())]

    def wait_log(self, message, start=0, count=1, **fields):
        self._wait(lambda: len(self.find(message, start, **fields)) >= count or self.eof, f"{message!r} {fields}")
        found = self.find(message, start, **fields)
        if len(found) < count:
            raise AssertionError(f"it ended without {message!r} {fields}: {self.lines[-5:]} {self.other[-20:]}")
        return found[count - 1]

    def ports(self, listener):
        return [int(line["address"].rsplit(":", 1)[1]) for line in self.find("listening", listener=listener)]

    # Looking at it --------------------------------------------------------------------------------------------

    def get(self, path):
        url = f"http://127.0.0.1:{self.ports('admin')[0]}{path}"
        with urllib.request.urlopen(url, timeout=WAIT) as answer:
            return answer.read().decode()

    def metrics(self):
        """{'streamplex_tunnels': 1.0, 'streamplex_dials_total{result="failed"}': 2.0, ...}"""
        values = {}
        for line in self.get("/metrics").splitlines():
            if line and line[0] != "#":
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    def wait_metrics(self, condition, what, seconds=WAIT):
        """Asks until the metrics are so; returns them. Each request is a wait of its own, so this spins little."""
        until = time.monotonic() + seconds
        while True:
            values = self.metrics()
            if condition(values):
                return values
            if time.monotonic() > until:
                kept = {name: value for name, value in values.items() if name.startswith("streamplex_") and value}
                raise AssertionError(f"{what}; metrics are {kept}")

    def resident(self):
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def signal(self, number):
        self.process.send_signal(number)

    # Ending it ------------------------------------------------------------------------------------------------

    def wait_exit(self, seconds=WAIT):
        status = self.process.wait(seconds)
        self._wait(lambda: self.eof, "the log's end")
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT)
        shutil.rmtree(self.state, True)

    def stop(self):
        """Ends it in order; complains of a crash and of what a sanitizer found."""
        try:
            if self.process.poll() is None:
                self.signal(signal.SIGTERM)
            try:
                status = self.process.wait(WAIT)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"it doesn't stop; log: {self.lines[-5:]}") from None
            self._wait(lambda: self.eof, "the log's end")
            if status != 0 or any(re.search(r"Sanitizer|runtime error", line) for line in self.other):
                raise AssertionError(f"exit status {status}: " + "\n".join(self.other[:60]))
        finally:
            self.kill()


class ServerTest(unittest.TestCase):
    """A test case with one server for all its tests: class attributes `arguments` and `options` are its command line."""

    arguments = ()
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.make_arguments(), **cls.options)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    @classmethod
    def make_arguments(cls):
        return cls.arguments

    def setUp(self):
        self.log_start = len(self.server.lines)

    def connect(self, **options):
        """A tunnel without a token."""
        tunnel = Tunnel.connect("127.0.0.1", self.server.port, **options)
        self.addCleanup(tunnel.close)
        return tunnel

    def tunnel(self, features=None, token=TOKEN, **numbers):
        """An authenticated tunnel: legacy, or v1 with features."""
        tunnel = self.connect()
        self.assertTrue(tunnel.authenticate(token, features, **numbers))
        return tunnel

    def target(self, serve, **options):
        target = targets.Target(serve, **options)
        self.addCleanup(target.close)
        return target

    def assert_goes_on(self, tunnel):
        """This tunnel still works, in both directions."""
        with targets.Target(targets.echo) as target:
            substream = tunnel.dial(target.port)
            substream.send(b"still here")
            self.assertEqual(substream.recv(10), b"still here")
            substream.end()
            self.assertIsNone(substream.wait_over())
