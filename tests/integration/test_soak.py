"""Many substreams doing everything at once, in an order that a seed decides. plex.py complains of each frame that the
specification forbids; here it is seen to that everybody gets an end, and the server its memory back."""

import random
import struct
import unittest

import targets
from plex import DATA, JSON, RESET, Closed, compact, frame
from server import ServerTest

END = compact({"event": "end"})


def chatter(connection, target):
    """Sends before it is asked, echoes some, and ends when it likes."""
    connection.sendall(b"hello" * 500)
    total = 0
    while total < 20000 and (piece := connection.recv(4096)):
        total += len(piece)
        connection.sendall(piece)


class Life:
    """One substream's plan: what it still means to do, a step at a time."""

    def __init__(self, tunnel, dice, ports):
        self.tunnel = tunnel
        self.dice = dice
        self.substream = tunnel.open()
        self.left = dice.choice((0, 10, 5000, 70000))
        self.ended = False
        kind = dice.choice(list(ports) + ["unasked"])
        self.asked = kind != "unasked"
        if self.asked:
            host = dice.choice(("127.0.0.1", "127.0.0.1", "localhost"))
            self.post(JSON, compact({"event": "custom", "emitArgs": ["_pls_connect", ports[kind], host]}))
        if dice.random() < 0.2:
            self.post(JSON, compact({"event": "custom", "emitArgs": ["_pls_timeout", dice.choice((1, 50, 1000))]}))

    def post(self, kind, payload):
        self.tunnel.unsent += frame(self.substream.channel, kind, payload)

    def step(self):
        """True when it is over."""
        substream, dice = self.substream, self.dice
        if substream.over:
            return True
        if self.ended:
            return False
        chance = dice.random()
        if chance < 0.03 and self.tunnel.has("reset"):
            self.post(RESET, struct.pack(">H", dice.randrange(65536)))
            self.ended = True
        elif not self.left or chance < 0.05 or not self.asked and substream.credit == 0:
            # (Without a target nobody takes what was sent, and no more credit comes.)
            self.post(JSON, END)
            self.ended = True
        else:
            size = min(self.left, dice.choice((1, 100, 16379, 20000)))
            if substream.credit is not None:
                size = min(size, substream.credit)
                substream.credit -= size
            self.left -= size
            if size:
                self.post(DATA, bytes(size))
        return False


class Soak(ServerTest):
    arguments = ("--half-open-timeout", "500ms")

    def soak(self, seed, tunnel, lives=400, at_once=40):
        dice = random.Random(seed)
        ports = {name: target.port for name, target in self.all_targets.items()}
        ports["nobody"] = self.closed_port
        open_lives, begun, ended = [], 0, 0
        while ended < lives:
            while len(open_lives) < at_once and begun < lives:
                open_lives.append(Life(tunnel, dice, ports))
                begun += 1
            before = len(open_lives)
            open_lives = [life for life in open_lives if not life.step()]
            ended += before - len(open_lives)
            if before == len(open_lives):
                tunnel.wait(lambda: tunnel._read() or tunnel.unsent == b"" and any(
                    life.substream.over or not life.ended and (life.substream.credit is None or life.substream.credit)
                    for life in open_lives), "anything to do")
        tunnel.round_trip()

    def setUp(self):
        super().setUp()
        self.all_targets = {name: self.target(serve) for name, serve in
                            {"echo": targets.echo, "sink": targets.sink, "reset": targets.reset,
                             "bye": lambda connection, target: connection.sendall(b"bye"),
                             "shut": lambda connection, target: None, "chatter": chatter}.items()}
        sock, self.closed_port = targets.closed_port()
        self.addCleanup(sock.close)

    def assert_nothing_left(self):
        self.server.wait_metrics(
            lambda now: now["streamplex_substreams"] == 0 and now["streamplex_dials_pending"] == 0 and
            now["streamplex_buffered_bytes"] == 0 and now["streamplex_credit_bytes"] == 0, "something is left")

    def test_legacy(self):
        for seed in 1, 2:
            tunnel = self.tunnel()
            self.soak(seed, tunnel)
            self.assert_goes_on(tunnel)
        self.assert_nothing_left()

    def test_v1(self):
        for seed in 3, 4:
            tunnel = self.tunnel(("flow", "ping", "reset", "goaway"))
            self.soak(seed, tunnel)
            self.assert_goes_on(tunnel)
        self.assert_nothing_left()

    def test_v1_without_reset(self):
        tunnel = self.tunnel(("flow", "ping"))
        self.soak(5, tunnel)
        self.assert_goes_on(tunnel)
        self.assert_nothing_left()

    def test_v1_reset_without_flow(self):
        tunnel = self.tunnel(("reset",))
        self.soak(6, tunnel)
        self.assert_goes_on(tunnel)
        self.assert_nothing_left()

    def test_tiny_window(self):
        tunnel = self.tunnel(("flow", "ping", "reset"), window=1024, max_json=1024)
        self.soak(7, tunnel, lives=150)
        self.assert_goes_on(tunnel)
        self.assert_nothing_left()

    def test_tunnels_cut_in_the_middle(self):
        for seed in range(10, 20):
            tunnel = self.tunnel(("flow", "reset") if seed % 2 else None)
            dice = random.Random(seed)
            ports = {name: target.port for name, target in self.all_targets.items()}
            lives = [Life(tunnel, dice, ports) for _ in range(30)]
            try:
                for _ in range(dice.randrange(1, 30)):
                    for life in lives:
                        life.step()
                    tunnel.post_raw(b"")
                    tunnel._read()
            except Closed:
                pass
            tunnel.abort()
        self.server.wait_metrics(lambda now: now["streamplex_tunnels"] == 0, "tunnels are left")
        self.assert_nothing_left()


if __name__ == "__main__":
    unittest.main()
