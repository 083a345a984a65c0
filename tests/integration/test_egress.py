"""Where devices may go: the built-in rules, the operator's, and their order; judged is what is about to be dialled."""

import subprocess
import unittest

import targets
from server import TOKEN, Server, ServerTest, program

V1 = ("flow", "reset")


class EgressTest(ServerTest):
    def refused(self, port, host, features=V1):
        substream = self.tunnel(features).open()
        substream.connect(port, host)
        return substream.wait_over()

    def assert_allowed(self, port, host="127.0.0.1"):
        substream = self.tunnel().dial(port, host)
        substream.end()
        self.assertIsNone(substream.wait_over())


class BuiltIn(EgressTest):
    """A server as it comes, with no rule of its operator's."""

    options = {"egress_allow": (), "hosts": "127.0.0.1 inside\n::1 inside\n10.1.2.3 private\n192.0.2.1 outside\n"}

    def test_the_servers_own_network(self):
        for host in ("127.0.0.1", "127.255.0.9", "0.0.0.0", "10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1",
                     "172.31.255.255", "192.0.0.1", "192.168.1.1", "198.18.0.1", "224.0.0.1", "240.0.0.1",
                     "255.255.255.255"):
            with self.subTest(host=host):
                self.assertEqual(self.refused(80, host), (f"connect EACCES {host}:80", "EACCES"))

    def test_in_ipv6(self):
        for host in "::1", "::", "fc00::1", "fd00:ec2::254", "fe80::1", "ff02::1", "2002:7f00:1::1", "2001::1":
            with self.subTest(host=host):
                self.assertEqual(self.refused(80, host), (f"connect EACCES {host}:80", "EACCES"))

    def test_ipv4_in_ipv6(self):
        for host in "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe":
            with self.subTest(host=host):
                message, code = self.refused(80, host)
                self.assertEqual(code, "EACCES")
                self.assertTrue(message.startswith("connect EACCES "), message)

    def test_other_ways_to_write_it(self):
        """None of these is an address to us; as names they don't exist, or come to an address that is refused."""
        with targets.Target(targets.echo) as target:
            for host in ("127.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.1.", "[::1]", "::1%lo", "127.0.0.01"):
                with self.subTest(host=host):
                    message, code = self.refused(target.port, host)
                    self.assertIn(code, ("ENOTFOUND", "EAI_AGAIN", "EACCES"))
            self.assertEqual(target.connections, 0)

    def test_a_name_whose_every_address_is_refused(self):
        self.assertEqual(self.refused(80, "inside"), ("connect EACCES inside:80", "EACCES"))
        self.assertEqual(self.refused(80, "private", None), ("connect EACCES private:80", None))

    def test_localhost(self):
        self.assertEqual(self.refused(80, "localhost"), ("connect EACCES localhost:80", "EACCES"))

    def test_the_log_has_the_rule(self):
        self.refused(80, "10.1.2.3")
        line = self.server.wait_log("dial refused", self.log_start, host="10.1.2.3")
        self.assertIn("10.0.0.0/8", line["rule"])

    def test_metrics_count(self):
        before = self.server.metrics().get('streamplex_dials_total{result="refused"}', 0)
        self.refused(80, "10.1.2.3")
        self.assertEqual(self.server.metrics()['streamplex_dials_total{result="refused"}'], before + 1)

    def test_tls_too(self):
        substream = self.tunnel(V1).open("tls")
        substream.connect(443, "127.0.0.1")
        self.assertEqual(substream.wait_over(), ("connect EACCES 127.0.0.1:443", "EACCES"))


class Rules(EgressTest):
    """Explicit deny, explicit allow, built-in deny, allow: the first match decides."""

    @classmethod
    def setUpClass(cls):
        cls.allowed = targets.Target(targets.echo)
        cls.other = targets.Target(targets.echo)
        cls.denied = targets.Target(targets.echo, host="127.0.0.2")
        cls.six = targets.Target(targets.echo, host="::1")
        cls.server = Server("--egress-deny", "127.0.0.2/32", "--egress-allow", f"127.0.0.2/32:{cls.denied.port}",
                            "--egress-deny", "192.0.2.0/24:1-1024", "--egress-allow", f"[::1/128]:{cls.six.port}",
                            egress_allow=(f"127.0.0.1/32:{cls.allowed.port}",),
                            hosts="127.0.0.1 mixed\n127.0.0.2 mixed\n127.0.0.1 both\n::1 both\n")

    @classmethod
    def tearDownClass(cls):
        for target in cls.allowed, cls.other, cls.denied, cls.six:
            target.close()
        super().tearDownClass()

    def assert_goes_on(self, tunnel):
        raise NotImplementedError("its target's port isn't allowed here")

    def test_allowed_port(self):
        self.assert_allowed(self.allowed.port)

    def test_other_port_of_that_address(self):
        self.assertEqual(self.refused(self.other.port, "127.0.0.1")[1], "EACCES")

    def test_deny_wins(self):
        self.assertEqual(self.refused(self.denied.port, "127.0.0.2")[1], "EACCES")
        self.assertEqual(self.denied.connections, 0)

    def test_ipv6_with_a_port(self):
        self.assert_allowed(self.six.port, "::1")
        self.assertEqual(self.refused(self.allowed.port, "::1")[1], "EACCES")

    def test_denied_range_of_ports(self):
        self.assertEqual(self.refused(80, "192.0.2.1")[1], "EACCES")

    def test_mapped_is_judged_as_what_it_is(self):
        self.assertEqual(self.refused(self.denied.port, "::ffff:127.0.0.2")[1], "EACCES")

    def test_refused_addresses_are_skipped(self):
        """Of a name's addresses those that may be dialled are."""
        self.assert_allowed(self.allowed.port, "mixed")
        self.assert_allowed(self.six.port, "both")
        self.assert_allowed(self.allowed.port, "both")

    def test_own_port(self):
        self.assertEqual(self.refused(self.server.port, "127.0.0.1")[1], "EACCES")


class Explain(unittest.TestCase):
    def explain(self, what, *arguments):
        done = subprocess.run([program(), "serve", *arguments, "--egress-explain", what], capture_output=True, text=True,
                              timeout=30)
        self.assertNotIn("Sanitizer", done.stderr)
        return done.stdout + done.stderr

    def test_by_which_rule(self):
        self.assertIn("10.0.0.0/8", self.explain("10.1.2.3:80"))
        self.assertIn("10.1.0.0/16", self.explain("10.1.2.3:80", "--egress-allow", "10.1.0.0/16"))
        self.assertIn("203.0.113.0/24", self.explain("203.0.113.9:80", "--egress-deny", "203.0.113.0/24"))
        self.assertIn("::1", self.explain("[::1]:443"))


class BadRules(unittest.TestCase):
    def test_they_are_errors(self):
        for rule in "10.0.0.0/33", "10.0.0.1/8", "example.com", "10.0.0.0/8:0", "10.0.0.0/8:90-80", "[::1/129]:80", "::/0:x", "":
            with self.subTest(rule=rule):
                done = subprocess.run([program(), "serve", "--check-config", "--token", TOKEN, "--egress-deny", rule],
                                      capture_output=True, text=True, timeout=30)
                self.assertNotEqual(done.returncode, 0)
                self.assertTrue(done.stderr.strip())


if __name__ == "__main__":
    unittest.main()
