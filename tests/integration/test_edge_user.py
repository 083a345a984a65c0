"""What people do with it: a browser, git, a shared folder."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading

from edge import EdgeTest, header, page
from plex import WAIT
from server import die_with_parent

PAGE = b"""<!doctype html><title>through the edge</title><p id=p>a page</p>
<script>
const done = {};
function report(name, value) {
    done[name] = value;
    if (Object.keys(done).length == 3) fetch('/report', {method: 'POST', body: JSON.stringify(done)});
}
report('page', document.getElementById('p').textContent.trim());
const socket = new WebSocket('wss://' + location.host + '/ws');
socket.onopen = () => socket.send('echo me');
socket.onmessage = message => report('websocket', message.data);
let got = '';
const events = new EventSource('/events');
events.onmessage = event => { got += event.data; if (got == '123') { events.close(); report('events', got); } };
</script>"""


def serve_page(connection, target):
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            piece = connection.recv(65536)
            if not piece:
                return
            buffer += piece
        head, buffer = buffer.split(b"\r\n\r\n", 1)
        path = head.split(b" ")[1]
        if path == b"/ws":
            serve_websocket(connection, head)
            return
        if path == b"/events":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\ndata: 2\n\n")
            connection.sendall(b"data: 3\n\n")
            connection.recv(1)
            return
        if path == b"/report":
            length = int(header(head, "content-length"))
            while len(buffer) < length:
                buffer += connection.recv(65536)
            target.note(buffer[:length].decode())
            buffer = buffer[length:]
            connection.sendall(page(b""))
            continue
        connection.sendall(page(PAGE if path == b"/" else b"", b"200 OK", b"Content-Type: text/html"))


def serve_websocket(connection, head):
    accept = hashlib.sha1(header(head, "sec-websocket-key").encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       b"Sec-WebSocket-Accept: " + base64.b64encode(accept) + b"\r\n\r\n")
    frame = connection.recv(65536)
    body = bytes(byte ^ frame[2 + i % 4] for i, byte in enumerate(frame[6:]))
    connection.sendall(b"\x81" + bytes([len(body)]) + body)
    connection.recv(65536)


class BrowserTest(EdgeTest):
    def test_chromium_page_websocket_and_events(self):
        target = self.target(serve_page)
        agent = self.agent("--port", str(target.port), "--name", "browser")
        folder = tempfile.mkdtemp(prefix="streamplex-chromium-")
        log = open(os.path.join(folder, "log"), "wb")
        browser = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--ignore-certificate-errors", "--remote-debugging-port=0", f"--user-data-dir={folder}/profile", agent.url],
            stdout=log, stderr=log, preexec_fn=die_with_parent, start_new_session=True)
        try:
            target.wait(lambda: any("page" in str(seen) for seen in target.seen), "the browser's report")
            report = [seen for seen in target.seen if "page" in str(seen)][0]
        finally:
            os.killpg(browser.pid, 9)
            browser.wait(WAIT)
            log.close()
            shutil.rmtree(folder, True)
        self.assertEqual(json.loads(report), {"page": "a page", "websocket": "echo me", "events": "123"})


class FolderTest(EdgeTest):
    def test_shared_folder(self):
        folder = self.folder()
        with open(os.path.join(folder, "a file.txt"), "w") as file:
            file.write("0123456789")
        os.mkdir(os.path.join(folder, "below"))
        agent = self.agent("--dir", folder, "--name", "folder")
        status, head, body = self.server.curl(agent.url + "/")
        self.assertEqual(status, 200)
        self.assertIn(b"a%20file.txt", body)
        self.assertIn(b"below/", body)
        status, head, body = self.server.curl(agent.url + "/a%20file.txt")
        self.assertEqual((status, body), (200, b"0123456789"))
        self.assertRegex(head, r"(?i)content-type: text/plain; charset=utf-8")
        self.assertEqual(self.server.curl(agent.url + "/a%20file.txt", "-r", "2-4")[::2], (206, b"234"))
        for path in ("/../" + os.path.basename(folder), "/%2e%2e/etc/passwd", "/below/../../etc/passwd"):
            self.assertIn(self.server.curl(agent.url + path, "--path-as-is")[0], (400, 403, 404))
        os.symlink("/etc", os.path.join(folder, "out"))
        self.assertIn(self.server.curl(agent.url + "/out/passwd")[0], (403, 404))

    def test_git_clone(self):
        folder = self.folder()
        source, bare = os.path.join(folder, "source"), os.path.join(folder, "served", "project.git")

        def git(*arguments, **options):
            identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "a",
                        "GIT_COMMITTER_EMAIL": "a@example.com", "GIT_CONFIG_NOSYSTEM": "1", "HOME": folder,
                        "PATH": os.environ["PATH"], "GIT_SSL_CAINFO": self.server.edge_ca, "GIT_TERMINAL_PROMPT": "0"}
            done = subprocess.run(["git", *arguments], capture_output=True, timeout=WAIT * 3, env=identity, **options)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

        git("init", "-q", "-b", "main", source)
        content = os.urandom(300000)
        with open(os.path.join(source, "file"), "wb") as file:
            file.write(content)
        git("-C", source, "add", "file")
        git("-C", source, "commit", "-q", "-m", "first")
        git("clone", "-q", "--bare", source, bare)
        git("-C", bare, "update-server-info")
        agent = self.agent("--dir", os.path.dirname(bare), "--name", "git")
        clone = os.path.join(folder, "clone")
        git("-c", f"http.curloptResolve={agent.host}:{agent.port}:127.0.0.1", "clone", "-q", agent.url + "/project.git", clone)
        with open(os.path.join(clone, "file"), "rb") as file:
            self.assertEqual(file.read(), content)
