"""The listener for the boards of 2014: TLS 1.1 at most, RSA key exchange, CBC; with what the first run makes for them."""

import os
import socket
import subprocess
import sys
import tempfile
import unittest

from plex import WAIT, Tunnel
from server import TOKEN, certificates, program
from test_clients import ANSWER, TOKEN_FRAME, converse

CIPHERS = "AES128-SHA:@SECLEVEL=0"


# Becomes the program, which finds its own id in LISTEN_PID and the sockets from descriptor 3 on (sd_listen_fds(3)).
PASS_ON = """
import os, sys
fds = [os.dup(int(fd)) for fd in sys.argv[1].split(",")]
for number, fd in enumerate(fds):
    os.dup2(fd, 3 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES="tunnels:tunnels-old")
os.execv(sys.argv[2], sys.argv[2:])
"""


class Started:
    """A server as an operator starts it; `log` is read up to "ready"."""

    def __init__(self, folder, *arguments, sockets=()):
        self.state = os.path.join(folder, "state")
        command = [program(), "serve", "--state", self.state, "--log-format", "json", "--workers", "2", *arguments]
        if not any("--token" in argument for argument in arguments):
            command += ["--token", TOKEN]
        fds = [sock.fileno() for sock in sockets]
        if fds:
            command = [sys.executable, "-c", PASS_ON, ",".join(map(str, fds)), *command]
        self.process = subprocess.Popen(command, env={"PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL, pass_fds=fds,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.log = ""
        for line in self.process.stderr:
            self.log += line
            if '"ready"' in line:
                break

    def port(self, listener):
        for line in self.log.splitlines():
            if f'"{listener}"' in line:
                return int(line.split('"address":"', 1)[1].split('"', 1)[0].rsplit(":", 1)[1])
        raise AssertionError(f"no {listener}: {self.log}")

    def stop(self):
        self.process.terminate()
        output, rest = self.process.communicate(timeout=WAIT)
        self.log += rest
        return output

    def status(self, status=0):
        if self.process.returncode != status:
            raise AssertionError(f"exit status {self.process.returncode}: {self.log}")


class OldBoards(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def start(self, *arguments, **options):
        server = Started(self.folder, *arguments, **options)
        self.addCleanup(lambda: server.process.poll() is None and server.stop())
        return server

    def board(self, server, port, version="-tls1_1", ca=None):
        """What a board that trusts this CA hears from the server; None if it is the answer to its token."""
        command = ["openssl", "s_client", "-quiet", "-no_ign_eof", "-nocommands", version, "-cipher", CIPHERS, "-CAfile",
                   ca or os.path.join(server.state, "old", "ca.pem"), "-verify_return_error", "-verify_hostname", "localhost",
                   "-connect", f"127.0.0.1:{port}"]
        return converse(command, ANSWER, TOKEN_FRAME)

    def test_the_first_run_makes_what_they_need(self):
        server = self.start("--listen", "127.0.0.1:0", "--listen-old", "127.0.0.1:0")
        for version in "-tls1_1", "-tls1":
            self.assertIsNone(self.board(server, server.port("tunnels-old"), version))
        # and the others have what they had
        with Tunnel.connect("127.0.0.1", server.port("tunnels"), ca=os.path.join(server.state, "ca.pem")) as tunnel:
            self.assertTrue(tunnel.authenticate(TOKEN))
        key = os.path.join(server.state, "old", "server.key")
        self.assertEqual(os.stat(key).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(os.path.dirname(key)).st_mode & 0o777, 0o700)
        output = server.stop()
        server.status()
        self.assertIn("/old/ca.pem", output)
        self.assertIn("for old boards", output)

    def test_boards_keep_their_ca_over_a_restart(self):
        trusted = None
        for _ in range(2):
            server = self.start("--listen", "127.0.0.1:0", "--listen-old", "127.0.0.1:0")
            with open(os.path.join(server.state, "old", "ca.pem")) as file:
                trusted = trusted or file.read()
                file.seek(0)
                self.assertEqual(file.read(), trusted)
            server.stop()
            server.status()

    def test_nothing_is_made_for_them_unasked(self):
        server = self.start("--listen", "127.0.0.1:0")
        self.assertTrue(os.path.exists(os.path.join(server.state, "server.pem")))
        self.assertFalse(os.path.exists(os.path.join(server.state, "old")))
        self.assertNotIn("old boards", server.stop())

    def test_a_certificate_they_cant_use_is_warned_of(self):
        certificate, key = certificates().make("server")
        server = self.start("--listen", "127.0.0.1:0", "--listen-old", "127.0.0.1:0", "--cert", certificate, "--key", key)
        self.assertIn("isn't RSA", server.log)
        self.assertIsNotNone(self.board(server, server.port("tunnels-old"), ca=certificates().ca))

    def test_an_rsa_certificate_is_not(self):
        certificate, key = certificates().make("rsa-server", rsa=True)
        server = self.start("--listen", "127.0.0.1:0", "--listen-old", "127.0.0.1:0", "--cert", certificate, "--key", key)
        self.assertNotIn("isn't RSA", server.log)
        self.assertIsNone(self.board(server, server.port("tunnels-old"), ca=certificates().ca))

    def test_passed_sockets(self):
        """As systemd passes them: the name's end tells which is for the boards."""
        with socket.create_server(("127.0.0.1", 0)) as modern, socket.create_server(("127.0.0.1", 0)) as old:
            server = self.start(sockets=(modern, old))
            self.assertIsNone(self.board(server, old.getsockname()[1]))
            with Tunnel.connect("127.0.0.1", modern.getsockname()[1], ca=os.path.join(server.state, "ca.pem")) as tunnel:
                self.assertTrue(tunnel.authenticate(TOKEN))
            server.stop()
            server.status()


if __name__ == "__main__":
    unittest.main()
