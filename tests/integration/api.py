"""A server with accounts: its REST API, over HTTPS and over the operator's unix socket."""

import http.client
import json
import os
import socket
import ssl

from edge import EdgeServer, EdgeTest
from plex import WAIT
from server import certificates

PASSWORD = "correct horse battery"


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path, timeout=WAIT):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    """What the API said: status, headers, the bytes and, where it is JSON, the value."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.bytes = response.read()
        is_json = (response.headers.get("Content-Type") or "").startswith("application/json")
        self.json = json.loads(self.bytes) if is_json and self.bytes else None

    def __repr__(self):
        return f"{self.status} {self.bytes[:300]!r}"


class ApiServer(EdgeServer):
    """`streamplex serve` with the edge and --api."""

    def __init__(self, *arguments, **options):
        super().__init__("--api", "127.0.0.1:0", *arguments, **options)
        self.api_port = self.ports("api")[0]
        self.admin_path = os.path.join(self.state, "admin.sock")

    def connection(self, port=None, name="localhost"):
        """An HTTPS connection to the API. name: what is asked for, and verified."""
        context = ssl.create_default_context(cafile=certificates().ca if name == "localhost" else self.edge_ca)
        connection = http.client.HTTPSConnection(name, port or self.api_port, timeout=WAIT, context=context)
        plain = socket.create_connection(("127.0.0.1", port or self.api_port), WAIT)
        connection.sock = context.wrap_socket(plain, server_hostname=name)
        return connection

    @staticmethod
    def ask(connection, method, path, body=None, token=None, headers=None):
        """One request on a connection that stays."""
        headers = dict(headers or {})
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        if token:
            headers["x-access-token"] = token
        connection.request(method, path, data, headers)
        return Answer(connection.getresponse())

    def api(self, method, path, body=None, token=None, **options):
        """One request on a connection of its own."""
        connection = self.connection()
        try:
            return self.ask(connection, method, path, body, token, **options)
        finally:
            connection.close()

    def admin(self, method, path, body=None, token=None):
        """The same as the operator."""
        connection = UnixConnection(self.admin_path)
        try:
            return self.ask(connection, method, path, body, token)
        finally:
            connection.close()

    def add_user(self, email="ann@example.com", name="Ann", password=PASSWORD):
        """An account that the operator makes; its values."""
        answer = self.admin("POST", "/admin/user", {"name": name, "email": email, "password": password})
        assert answer.status in (200, 201), answer
        return answer.json

    def login(self, email="ann@example.com", password=PASSWORD):
        answer = self.api("POST", "/login", {"email": email, "password": password})
        assert answer.status == 200, answer
        return answer.json["token"]

    def device_token(self, login, **values):
        """A device token's (secret, id)."""
        answer = self.api("POST", "/token", {"name": "a device", **values}, login)
        assert answer.status in (200, 201), answer
        return answer.json["token"], answer.json["token_id"]


class ApiTest(EdgeTest):
    """A test case with one server with accounts for all its tests."""

    @classmethod
    def setUpClass(cls):
        cls.server = ApiServer(*cls.arguments, **cls.options)

    def account(self):
        """An account of this test's own: (its values, its login)."""
        email = self.id().rsplit(".", 1)[1][:50] + "@example.com"
        user = self.server.add_user(email)
        return user, self.server.login(email)
