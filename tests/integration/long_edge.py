"""What takes its time: `contrib/check --long`."""

import hashlib
import os
import re
import subprocess

from edge import EdgeTest, header
from plex import WAIT

SIZE = 2 << 30
BLOCK = bytes(os.urandom(1 << 20))


def checksum():
    digest = hashlib.sha256()
    for i in range(SIZE // len(BLOCK)):
        digest.update(BLOCK)
    return digest.hexdigest()


def serve(connection, target):
    """PUT is answered with the checksum of its body, GET with 2 GiB."""
    connection.settimeout(WAIT * 10)
    buffer = b""
    while b"\r\n\r\n" not in buffer:
        buffer += connection.recv(65536)
    head, body = buffer.split(b"\r\n\r\n", 1)
    if head.startswith(b"PUT"):
        digest, length = hashlib.sha256(body), int(header(head, "content-length")) - len(body)
        while length:
            piece = connection.recv(min(length, 1 << 20))
            digest.update(piece)
            length -= len(piece)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 64\r\n\r\n" + digest.hexdigest().encode())
        return
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % SIZE)
    for i in range(SIZE // len(BLOCK)):
        connection.sendall(BLOCK)


class TwoGibibytes(EdgeTest):
    def setUp(self):
        super().setUp()
        self.agent_running = self.agent("--port", str(self.target(serve).port), "--name", "two-gib")
        self.resolve = f"{self.agent_running.host}:{self.agent_running.port}:127.0.0.1"

    def curl(self, *arguments, **options):
        return subprocess.Popen(["curl", "-sS", "--noproxy", "*", "--resolve", self.resolve, "--cacert", self.server.edge_ca,
                                 "--max-time", "250", *arguments, self.agent_running.url], stdout=subprocess.PIPE, **options)

    def test_download(self):
        before = self.server.resident()
        digest, total = hashlib.sha256(), 0
        with self.curl() as process:
            while piece := process.stdout.read(1 << 20):
                digest.update(piece)
                total += len(piece)
        self.assertEqual((total, digest.hexdigest()), (SIZE, checksum()))
        self.assertLess(self.server.resident() - before, 64 << 20)

    def test_upload(self):
        folder = self.folder()
        path = os.path.join(folder, "large")
        with open(path, "wb") as file:
            for i in range(SIZE // len(BLOCK)):
                file.write(BLOCK)
        with self.curl("-T", path) as process:
            got = process.stdout.read()
        self.assertEqual(got.decode(), checksum())
