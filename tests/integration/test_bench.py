"""`streamplex bench`: each mode's short run, which judges what arrived, never how fast; and that it says so when something is wrong."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from server import TOKEN, Server, certificates, program

DEADLINE = 180  # seconds of one run; under sanitizers, on a busy machine


def bench(*arguments, environment=None):
    done = subprocess.run([program(), "bench", *arguments], capture_output=True, text=True, timeout=DEADLINE,
                          stdin=subprocess.DEVNULL, env=os.environ | (environment or {}))
    return done.returncode, done.stdout, done.stderr


class BenchTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="streamplex-test-bench-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def smoke(self, *arguments, environment=None):
        """Runs it and returns its figures; all checks were right, there were some, and no sanitizer spoke."""
        status, out, err = bench(*arguments, "--smoke", "--json", self.path("figures.json"), environment=environment)
        self.assertEqual(status, 0, out + err)
        self.assertNotRegex(err, "runtime error|Sanitizer")
        with open(self.path("figures.json")) as file:
            figures = json.load(file)
        self.assertGreater(figures["checks"], 1)
        self.assertEqual(figures["wrong"], 0)
        return figures


class Smoke(BenchTest):
    def routes(self, figures):
        return [set(row["routes"]) for row in figures["rows"]]

    def test_throughput(self):
        figures = self.smoke("throughput")
        self.assertEqual(len(figures["rows"]), 9)
        for row in figures["rows"]:
            self.assertEqual(set(row["routes"]), {"server", "hop", "plain"})
            self.assertGreater(row["routes"]["server"]["mb_per_s"]["median"], 0)
            self.assertGreater(row["routes"]["server"]["cpu_us_per_mb"]["to_hop"]["median"], 0)

    def test_throughput_of_the_old_wire(self):
        self.smoke("throughput", "--legacy", "--routes", "server")

    def test_throughput_with_early_data(self):
        self.smoke("throughput", "--early-data", "--routes", "server", "--substreams", "8")

    def test_throughput_of_so_many_bytes(self):
        status, out, err = bench("throughput", "--bytes", "3m", "--substreams", "3", "--rounds", "2", "--direction", "up",
                                 "--json", self.path("figures.json"))
        self.assertEqual(status, 0, out + err)
        with open(self.path("figures.json")) as file:
            figures = json.load(file)
        self.assertEqual(len(figures["rows"][0]["routes"]["server"]["mb_per_s"]["rounds"]), 2)
        # a check for each of 3 substreams, 3 routes, 2 rounds, that the lanes could be made, and of the server's end
        self.assertEqual(figures["checks"], 3 * 3 * 2 + 3 * 2 + 1)

    def test_open(self):
        figures = self.smoke("open")
        self.assertEqual([row["title"] for row in figures["rows"]], ["opens, one after another", "opens, 64 at once"])

    def test_open_of_the_old_wire_with_early_data(self):
        self.smoke("open", "--legacy", "--early-data", "--routes", "server")

    def test_latency(self):
        figures = self.smoke("latency")
        self.assertEqual(len(figures["rows"]), 3)
        for row in figures["rows"]:
            for route in row["routes"].values():
                self.assertGreaterEqual(route["p99_us"]["median"], route["p50_us"]["median"])
                self.assertEqual(sum(count for _, count in route["distribution_us"]) > 100, True)

    def test_latency_of_the_old_wire(self):
        self.smoke("latency", "--legacy", "--routes", "server")

    def test_tunnels(self):
        figures = self.smoke("tunnels")
        self.assertEqual(self.routes(figures), [{"server", "hop"}])
        self.assertGreater(figures["rows"][0]["routes"]["server"]["rss_each_kb"]["median"], 0)

    def test_tunnels_resumed(self):
        self.smoke("tunnels", "--resume", "--count", "60", "--concurrency", "8")

    def test_stall(self):
        self.smoke("stall")

    def test_stall_of_the_old_wire(self):
        self.smoke("stall", "--legacy")

    def test_rtt(self):
        self.smoke("rtt", "--rate", "200mbit")

    def test_fairness(self):
        figures = self.smoke("fairness")
        self.assertEqual(len(figures["rows"]), 5)

    def test_growth(self):
        figures = self.smoke("growth")
        self.assertEqual(len(figures["rows"]), 6)

    def test_page(self):
        self.smoke("latency", "--beside", "none", "--html", self.path("page.html"))
        with open(self.path("page.html")) as file:
            page = file.read()
        self.assertIn("latency by percentile", page)
        self.assertEqual(page.count("<svg"), page.count("</svg>"))
        self.assertGreaterEqual(page.count("<svg"), 2)
        self.assertNotRegex(page, r"(src|href)=|nan|inf\b")  # nothing is fetched, no number is none


class Edge(BenchTest):
    """Needs nothing that it is compared with: sshd and nginx are for those who measure."""

    def rows(self, *arguments, **options):
        figures = self.smoke("edge", *arguments, **options)
        return {row["title"]: row["routes"] for row in figures["rows"]}, figures

    def test_tcp(self):
        rows, _ = self.rows("--what", "bulk,visits,beside")
        self.assertEqual(len(rows), 7)
        for title, routes in rows.items():
            self.assertEqual(set(routes), {"edge", "plain"}, title)
        for title in ("tcp, one visitor's upload to the service", "tcp, one visitor's download"):
            self.assertGreater(rows[title]["edge"]["mb_per_s"]["to_plain"]["median"], 0)
        for title in ("tcp, visits one after another", "tcp, visits, 64 at once"):
            self.assertGreater(rows[title]["edge"]["visits_per_s"]["median"], 0)
            self.assertGreater(rows[title]["edge"]["cpu_us_per_visit"]["median"], 0)

    def test_http(self):
        rows, _ = self.rows("--what", "http,https,first-byte")
        http, https, first = (rows[title] for title in (
            "http, requests of 1 KB, 64 connections kept alive", "https, new visitors, full handshakes, 16 at once",
            "http, from connecting to the first byte, one every 5 ms"))
        self.assertGreater(http["edge"]["requests_per_s"]["to_plain"]["median"], 0)
        self.assertGreater(https["edge"]["visits_per_s"]["median"], 0)
        self.assertAlmostEqual(first["edge"]["added_us"]["median"],
                               first["edge"]["p50_us"]["median"] - first["plain"]["p50_us"]["median"], places=3)

    def test_many(self):
        rows, figures = self.rows("--what", "idle,sockets", "--html", self.path("page.html"))
        self.assertEqual(list(rows), ["https, 200 idle WebSockets on one tunnel", "http, 2 sockets, an agent each",
                                      "http, 10 sockets, an agent each", "http, 40 sockets, an agent each"])
        idle = rows["https, 200 idle WebSockets on one tunnel"]["edge"]
        self.assertGreater(idle["rss_each_kb"]["median"], 0)
        self.assertGreater(idle["agent_rss_each_kb"]["median"], 0)
        with open(self.path("page.html")) as file:
            page = file.read()
        self.assertIn("growth with the number of sockets", page)
        self.assertEqual(page.count("<svg"), page.count("</svg>"))
        self.assertNotRegex(page, r"(src|href)=|\bnan\b|\binf\b")

    def test_return(self):
        rows, _ = self.rows("--what", "return")
        self.assertEqual(len(rows), 3)
        for title, routes in rows.items():
            self.assertGreater(routes["edge"]["back_ms"]["median"], 0, title)

    def test_over_a_delay_line(self):
        rows, _ = self.rows("--what", "visits", "--rtt", "20", "--rate", "200mbit")
        one = rows["tcp, visits one after another"]
        self.assertGreater(one["edge"]["p50_us"]["median"], 20000)
        self.assertLess(one["plain"]["p50_us"]["median"], one["edge"]["p50_us"]["median"])

    def test_a_peer_that_is_not_installed_is_told(self):
        rows, figures = self.rows("--what", "visits", "--routes", "edge,ssh", environment={"PATH": self.folder})
        for routes in rows.values():
            self.assertEqual(set(routes), {"edge"})
        self.assertTrue(any(note.startswith("ssh: ") for note in figures["notes"]), figures["notes"])


class RunningServer(BenchTest):
    def setUp(self):
        super().setUp()
        self.server = Server()
        self.addCleanup(self.server.stop)

    def against(self, *arguments, token=TOKEN):
        with open(self.path("token"), "w") as file:
            file.write(token + "\n")
        return ("--server", f"localhost:{self.server.port}", "--token-file", self.path("token"),
                "--ca", certificates().ca, *arguments)

    def test_open(self):
        figures = self.smoke("open", "--routes", "server", *self.against("--server-pid", str(self.server.process.pid)))
        self.assertGreater(figures["rows"][0]["routes"]["server"]["cpu_us_per_open"]["median"], 0)
        self.assertGreaterEqual(len(self.server.find("substream closed")), 1)

    def test_without_a_pid_nothing_is_said_of_its_cpu(self):
        figures = self.smoke("open", "--routes", "server", *self.against())
        self.assertNotIn("cpu_us_per_open", figures["rows"][0]["routes"]["server"])

    def test_refused_token(self):
        status, out, err = bench("open", "--smoke", "--routes", "server", *self.against(token="wrong"))
        self.assertEqual(status, 2, out + err)
        self.assertIn("refused the token", err)
        self.assertNotIn("opens, 1/s", out)

    def test_targets_that_it_may_not_reach(self):
        denied = Server(egress_allow=())
        self.addCleanup(denied.stop)
        self.server, kept = denied, self.server
        status, out, err = bench("open", "--smoke", "--routes", "server", *self.against())
        self.server = kept
        self.assertEqual(status, 1, out + err)
        self.assertRegex(err, r"opens failed, the first: connect EACCES 127\.0\.0\.\d:\d+")


class Usage(BenchTest):
    def test_help_names_every_mode(self):
        status, out, _ = bench("--help")
        self.assertEqual(status, 0)
        for mode in ("throughput", "open", "latency", "tunnels", "stall", "rtt", "fairness", "growth", "edge"):
            self.assertIn(mode, out)

    def test_what_is_wrong_is_said(self):
        for arguments, words in (([], "is wanted"), (["speed"], "is wanted"),
                                 (["open", "--routes", "fast"], "--routes"),
                                 (["rtt", "--rate", "fast"], "--rate"),
                                 (["edge", "--routes", "hop"], "--routes"), (["open", "--routes", "edge"], "--routes"),
                                 (["edge", "--what", "speed"], "--what"),
                                 (["edge", "--server", "127.0.0.1:1"], "its own server"),
                                 (["open", "--server", "127.0.0.1:1"], "--token"),
                                 (["open", "--self", "--server", "127.0.0.1:1"], "exclude")):
            with self.subTest(arguments):
                status, out, err = bench(*arguments)
                self.assertEqual(status, 2, out + err)
                self.assertRegex(err, re.escape(words))

    def test_a_server_that_does_not_start(self):
        status, out, err = bench("open", "--smoke", "--server-option=--no-such-flag")
        self.assertEqual(status, 2, out + err)
        self.assertIn("the server doesn't start", err)
        self.assertIn("no-such-flag", err)

    def test_a_token_on_the_command_line_is_not_written_down(self):
        status, out, err = bench("open", "--smoke", "--server", "127.0.0.1:1", "--token", "very-secret", "--ca",
                                 certificates().ca, "--routes", "hop", "--json", self.path("figures.json"))
        self.assertEqual(status, 0, out + err)
        with open(self.path("figures.json")) as file:
            self.assertNotIn("very-secret", file.read() + out)


if __name__ == "__main__":
    unittest.main()
