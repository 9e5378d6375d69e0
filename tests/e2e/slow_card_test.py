# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A card that is stuck: nobody but its own rx mode waits for it, so everything here ends although it never does."""

import json
import re

from lab import SECONDS, STUCK_US, LabTest, config_of, is_held, is_settled, pair

GROUP = "01:00:5e:01:02:03"


class SlowCardTest(LabTest):
    def stuck_lab(self):
        """A driver call of nic0 is under way, and will be."""
        lab = self.lab(pair({"command_latency_us": STUCK_US}))
        lab.inside("a").join(group="239.1.2.3", dev="nic0")
        lab.until_rx_mode(lambda report: GROUP in report["wanted"]["multicast"])
        return lab

    def assert_stuck(self, lab, dev="nic0"):
        """What was done so far was done while nic0 was stuck."""
        report = lab.json("rx-mode", dev)
        self.assertEqual(report["programmed"]["multicast"], [])
        self.assertLess(report["generation"]["programmed"], report["generation"]["wanted"])

    def test_every_verb_answers(self):
        lab = self.stuck_lab()
        self.assertEqual(len(lab.json("link")), 2)
        lab.json("rx-mode", "nic1")
        lab.json("stats", "nic0")
        lab.exec("a", "true")
        self.assert_stuck(lab)

    def test_the_kernels_callers_do_not_wait(self):
        lab = self.stuck_lab()
        a = lab.inside("a")
        for argv in (["bridge", "fdb", "add", "02:00:00:00:0f:db", "dev", "nic0", "self"],
                     ["ip", "maddr", "add", "33:33:00:00:be:ef", "dev", "nic0"],
                     ["ip", "link", "set", "nic0", "promisc", "on"],
                     ["ip", "link", "set", "nic0", "mtu", "1400"],
                     ["ip", "link", "set", "nic0", "down"]):
            done = a.run(argv=argv)
            self.assertEqual((done["code"], done["err"]), (0, ""), argv)
        # The device follows too: the call that is under way is asked to stop.
        lab.until_link(lambda row: not row["up"])
        self.assertEqual(lab.link()["mtu"], 1400)

    def test_another_nic_is_served(self):
        lab = self.stuck_lab()
        lab.inside("b").join(group="239.1.2.3", dev="nic1")
        lab.until_rx_mode(lambda report: is_held(report, GROUP), dev="nic1")
        lab.ping("b", "10.9.0.1")
        lab.exec("b", "ip", "link", "set", "nic1", "down")
        lab.until_link(lambda row: not row["up"], dev="nic1")
        self.assert_stuck(lab)

    def test_one_of_two_hundred_is_stuck(self):
        nics = [{"name": f"nic{i}", "host": "a", "driver": "simnic",
                 "simnic": {"wire": f"w{i // 10}", "command_latency_us": STUCK_US if i == 0 else 1_000}}
                for i in range(200)]
        lab = self.lab(config_of(nics))
        lab.until_rx_mode(lambda report: report["wanted"]["multicast"] and not is_settled(report))
        for nic in nics[1:]:
            lab.until_rx_mode(lambda report: report["wanted"]["multicast"] and is_settled(report), dev=nic["name"])
        self.assertEqual(len(lab.json("link")), 200)
        lab.json("stats", "nic0")
        self.assert_stuck(lab)

    def test_wait_gives_up_at_its_deadline_and_names_what_is_missing(self):
        lab = self.stuck_lab()
        done = lab.usernic("rx-mode", "nic0", "--json", "--wait=0.2")
        self.assertEqual(done.returncode, 1)
        self.assert_sentence(done.stderr, "nic0", GROUP)
        self.assertEqual(json.loads(done.stdout)["dev"], "nic0", "--json is one object all the same")
        self.assertEqual(lab.usernic("rx-mode", "nic0", "--wait=0").returncode, 1)

    def test_of_many_that_are_missing_it_names_some_and_counts_the_rest(self):
        lab = self.stuck_lab()
        lab.inside("a").add_multicast(addresses=[f"33:33:00:00:13:{i:02x}" for i in range(40)], dev="nic0")
        lab.until_rx_mode(lambda report: len(report["wanted"]["multicast"]) >= 40)
        done = lab.usernic("rx-mode", "nic0", "--wait=0")
        report = lab.json("rx-mode", "nic0")
        self.assertEqual(done.returncode, 1)
        missing = int(re.search(r": (\d+) addresses are not covered; not covered: ", done.stderr)[1])
        self.assertGreaterEqual(missing, 40)
        named = re.findall(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", done.stderr)
        self.assertEqual(len(named), 20)
        self.assertLessEqual(set(named), {*report["wanted"]["multicast"], *report["wanted"]["unicast"]})
        self.assert_sentence(done.stderr, f" and {missing - 20} more")

    def test_wait_returns_when_everything_is_covered(self):
        lab = self.lab(pair({"command_latency_us": 300_000}))
        lab.inside("a").join(group="239.1.2.3", dev="nic0")
        lab.until_rx_mode(lambda report: GROUP in report["wanted"]["multicast"])
        report = lab.json("rx-mode", "nic0", f"--wait={SECONDS}")
        self.assertTrue(is_held(report, GROUP))
        # The kernel may want one more group of its own meanwhile: then not yet.
        self.eventually(lambda: lab.usernic("rx-mode", "nic0", "--wait=0").returncode == 0, "nothing is waited for")
        self.assertEqual(lab.usernic("rx-mode", "nic0", "--wait").returncode, 0)

    def test_it_ends_although_a_command_sleeps(self):
        lab = self.stuck_lab()
        self.assert_stuck(lab)
        self.assertEqual(lab.stop(), 0)

    def test_it_ends_although_the_commands_of_many_nics_sleep(self):
        nics = [{"name": f"nic{i}", "host": "a", "driver": "simnic",
                 "simnic": {"wire": "w0", "command_latency_us": STUCK_US}} for i in range(10)]
        lab = self.lab(config_of(nics))
        for nic in nics:
            lab.until_rx_mode(lambda report: report["wanted"]["multicast"] and not is_settled(report), dev=nic["name"])
        self.assertEqual(lab.stop(), 0)

    def test_a_client_that_waits_is_told_when_it_ends(self):
        lab = self.stuck_lab()
        waiting = lab.control()
        waiting.send(b'{"v":1,"verb":"wait","dev":"nic0","timeout_ms":3600000}\n')
        lab.quick = None  # this client stays
        self.assertEqual(lab.stop(), 0)
        answer = waiting.line()
        self.assertTrue(answer is None or not answer["result"]["covered"])
        waiting.close()
