"""Version 1 through the whole server: windows, reset, ping, goaway, and that nobody is held up by a sibling."""

import random
import struct
import time
import unittest

import targets
from plex import DATA, FEATURES, PING, Closed, Late, Tunnel, deadline, frame
from server import TOKEN, ServerTest

V1 = ("flow", "ping", "reset", "goaway")


class Flow(ServerTest):
    arguments = ("--stall-timeout", "500ms")

    def test_what_is_granted(self):
        tunnel = self.tunnel(FEATURES)
        self.assertEqual(set(tunnel.granted["features"]) - {"inbound"}, set(V1))
        self.assertEqual(tunnel.granted["version"], 1)

    def test_a_deaf_target_stops_its_own_upload_only(self):
        """Its window fills; siblings go on, and no stall rule ends it however long it takes."""
        deaf, echo = self.target(targets.deaf), self.target(targets.echo)
        tunnel = self.tunnel(V1)
        stuck, sibling = tunnel.dial(deaf.port), tunnel.dial(echo.port)
        sent = 0
        while sent < 64 << 20:
            if not stuck.credit:
                # What the server could pass on it has credited by the time it answers; unless it is still at it.
                before = stuck.credit
                tunnel.ping()
                if stuck.credit == before:
                    break
            piece = min(stuck.credit, 16379)
            stuck.send(bytes(piece))
            sent += piece
        data = random.Random(5).randbytes(1000000)
        sibling.send(data)
        self.assertEqual(sibling.recv(len(data)), data)
        sibling.timeout(700)
        sibling.wait_event("timeout")  # longer than the stall limit
        self.assertFalse(stuck.over)
        deaf.released.set()
        stuck.end()
        self.assertIsNone(stuck.wait_over())
        kind, received = deaf.wait_seen()[0]
        self.assertEqual(kind, "end")
        self.assertEqual(received, sent)

    def test_the_devices_window_is_kept(self):
        """The server sends no more than the device announced, until it is given more."""
        def pour(connection, target):
            connection.sendall(bytes(100000))

        target = self.target(pour)
        for window in 1024, 5000, 65536:
            tunnel = self.tunnel(V1, window=window)
            substream = tunnel.open()
            substream.auto_credit = False
            substream.connect(target.port)
            substream.wait_received(window)
            tunnel.ping()
            self.assertEqual(substream.received, window)
            substream.give_credit(1)
            substream.wait_received(window + 1)
            tunnel.ping()
            self.assertEqual(substream.received, window + 1)
            substream.give_credit(100000)
            substream.wait_end()
            self.assertEqual(substream.received, 100000)

    def test_a_tiny_device(self):
        """A window of 1 KiB works, both ways, with many substreams."""
        target = self.target(targets.echo)
        tunnel = self.tunnel(V1, window=1024, max_json=1024)
        substreams = [tunnel.dial(target.port) for _ in range(10)]
        for substream in substreams:
            substream.send(b"%5d" % substream.channel * 2000)
        for substream in substreams:
            self.assertEqual(substream.recv(10000), b"%5d" % substream.channel * 2000)

    def test_a_stuck_download_doesnt_hold_up_its_siblings(self):
        def pour(connection, target):
            connection.sendall(bytes(10000000))

        pouring, echo = self.target(pour), self.target(targets.echo)
        tunnel = self.tunnel(V1)
        stuck = tunnel.open()
        stuck.auto_credit = False
        stuck.connect(pouring.port)
        stuck.wait_received(65536)
        self.assert_goes_on(tunnel)
        sibling = tunnel.dial(echo.port)
        sibling.send(bytes(300000))
        self.assertEqual(sibling.recv(300000), bytes(300000))
        self.assertEqual(stuck.received, 65536)

    def test_the_window_grows_on_a_long_line(self):
        """With 60 ms there and back, 64 KiB at a time would be 1 MB/s: the server gives more, as it sees what is taken."""
        target = self.target(targets.sink)
        line = targets.DelayLine(self.server.port, 0.03)
        self.addCleanup(line.close)
        tunnel = Tunnel.connect("127.0.0.1", line.port)
        self.addCleanup(tunnel.close)
        self.assertTrue(tunnel.authenticate(TOKEN, V1))
        substream = tunnel.dial(target.port)
        before, most, size = time.monotonic(), 0, 12 << 20
        for _ in range(size // 65536):
            substream.send(bytes(65536))
            most = max(most, substream.credit)
        substream.end()
        self.assertIsNone(substream.wait_over())
        self.assertEqual(target.wait_seen()[0], ("end", size))
        self.assertGreater(most, 200000)
        self.assertLess(time.monotonic() - before, 8)

    def test_long_line_without_flow(self):
        target = self.target(targets.echo)
        line = targets.DelayLine(self.server.port, 0.03)
        self.addCleanup(line.close)
        tunnel = Tunnel.connect("127.0.0.1", line.port)
        self.addCleanup(tunnel.close)
        self.assertTrue(tunnel.authenticate(TOKEN))
        substream = tunnel.dial(target.port)
        data = random.Random(9).randbytes(3 << 20)
        substream.send(data)
        substream.end()
        self.assertEqual(substream.wait_end(), data)

    def test_metrics_of_credit(self):
        target = self.target(targets.sink)
        tunnel = self.tunnel(V1)
        substream = tunnel.dial(target.port)
        self.server.wait_metrics(lambda now: now["streamplex_credit_bytes"] >= 65536, "no credit is counted")
        substream.end()
        substream.wait_over()
        self.server.wait_metrics(lambda now: now["streamplex_credit_bytes"] == 0, "credit of a closed substream is counted")


class Reset(ServerTest):
    def test_in_flight_data_is_neither_overrun_nor_refunded(self):
        target = self.target(targets.sink)
        tunnel = self.tunnel(V1)
        for _ in range(50):
            substream = tunnel.dial(target.port)
            # A reset, and before it all that the credit allows; afterwards the id is used again.
            tunnel.unsent += frame(substream.channel, DATA, bytes(16000)) * (substream.credit // 16000)
            substream.send_reset()
            self.assertIsNone(substream.wait_over())
        self.assert_goes_on(tunnel)

    def test_crossing_resets(self):
        """The target resets while the device does: whoever is first, the id ends with one last frame and can be used again."""
        target = self.target(targets.reset)
        tunnel = self.tunnel(V1)
        for _ in range(50):
            substream = tunnel.dial(target.port)
            tunnel.unsent += frame(substream.channel, DATA, b"x")
            substream.send_reset()
            substream.wait_over()
            self.assertIsNotNone(substream.reset)
        self.assert_goes_on(tunnel)

    def test_any_code(self):
        target = self.target(targets.echo)
        tunnel = self.tunnel(V1)
        for code in 0, 1, 109, 65535:
            substream = tunnel.dial(target.port)
            substream.send_reset(code)
            self.assertIsNone(substream.wait_over())

    def test_reset_while_a_name_is_looked_up(self):
        tunnel = self.tunnel(V1)
        substream = tunnel.open()
        substream.connect(80, "no-such-host.invalid")
        substream.send_reset()
        substream.wait_over()
        self.assert_goes_on(tunnel)

    def test_ids_are_reused(self):
        tunnel = self.tunnel(V1)
        for _ in range(20):
            substreams = [tunnel.open(channel=channel) for channel in (2, 4, 65534)]
            for substream in substreams:
                substream.send_reset()
            for substream in substreams:
                substream.wait_over()


class Ping(ServerTest):
    arguments = ("--ping-interval", "200ms", "--ping-timeout", "400ms")

    def test_answered_at_once(self):
        tunnel = self.tunnel(V1)
        for count in range(100):
            tunnel.ping(struct.pack(">Q", count))

    def test_ahead_of_bulk(self):
        """A pong doesn't wait for what a fast target pours in."""
        def pour(connection, target):
            try:
                while True:
                    connection.sendall(bytes(65536))
            except OSError:
                pass

        target = self.target(pour)
        tunnel = self.tunnel(V1)
        substream = tunnel.dial(target.port)
        substream.keep = False
        substream.wait_received(1000000)
        before = substream.received
        tunnel.ping()
        self.assertLess(substream.received - before, 64 << 20)

    def test_the_server_pings_and_knows_who_is_dead(self):
        alive, dead = self.tunnel(V1), self.tunnel(V1)
        take = dead._take
        dead._take = lambda taken: None if taken.type == PING else take(taken)
        until = deadline()
        while not dead.ended:
            alive.ping()
            try:
                dead.pump(min(until, deadline(0.1)))
            except (Late, Closed):
                self.assertLess(time.monotonic(), until)
        self.assertEqual(dead.fault, "no answer to a ping")
        alive.wait(lambda: any(taken.type == PING for taken in alive.log), "a ping")
        self.server.wait_log("tunnel fault", self.log_start, fault="TUNNEL_PING_TIMEOUT")
        self.assert_goes_on(alive)

    def test_legacy_devices_arent_pinged(self):
        tunnel, clock = self.tunnel(), self.tunnel(V1)
        for count in range(1, 4):
            clock.wait(lambda: sum(taken.type == PING for taken in clock.log) >= count, "a ping")
        self.assert_goes_on(tunnel)
        self.assertFalse(any(taken.type == PING for taken in tunnel.log))


if __name__ == "__main__":
    unittest.main()
