# SPDX-License-Identifier: Apache-2.0
"""A card that takes five seconds a command: nobody but its own rx mode waits for it."""

import json
import time

from lab import LabTest, config_of, is_held, is_settled, pair

CALL_US = 5_000_000
AT_ONCE_SECONDS = 0.5
GROUP = "01:00:5e:01:02:03"


class SlowCardTest(LabTest):
    def slow_lab(self, call_us=CALL_US):
        """A driver call of nic0 is under way."""
        lab = self.lab(pair({"command_latency_us": call_us}))
        lab.inside("a").join(group="239.1.2.3", dev="nic0")
        lab.until_rx_mode(lambda report: GROUP in report["wanted"]["multicast"])
        return lab

    def assert_at_once(self, do):
        begun = time.monotonic()
        result = do()
        self.assertLess(time.monotonic() - begun, AT_ONCE_SECONDS)
        return result

    def test_every_verb_answers_at_once(self):
        lab = self.slow_lab()
        self.assertEqual(len(self.assert_at_once(lambda: lab.json("link"))), 2)
        report = self.assert_at_once(lambda: lab.json("rx-mode", "nic0"))
        self.assertNotIn(GROUP, report["programmed"]["multicast"])
        self.assertLess(report["generation"]["programmed"], report["generation"]["wanted"])
        self.assert_at_once(lambda: lab.json("rx-mode", "nic1"))
        self.assert_at_once(lambda: lab.json("stats", "nic0"))
        self.assert_at_once(lambda: lab.exec("a", "true"))

    def test_the_kernels_callers_do_not_wait(self):
        lab = self.slow_lab(5_000_000)
        a = lab.inside("a")
        for argv in (["bridge", "fdb", "add", "02:00:00:00:0f:db", "dev", "nic0", "self"],
                     ["ip", "maddr", "add", "33:33:00:00:be:ef", "dev", "nic0"],
                     ["ip", "link", "set", "nic0", "promisc", "on"],
                     ["ip", "link", "set", "nic0", "mtu", "1400"],
                     ["ip", "link", "set", "nic0", "down"]):
            done = a.run(argv=argv)
            self.assertEqual((done["code"], done["err"]), (0, ""), argv)
            self.assertLess(done["took"], AT_ONCE_SECONDS, argv)
        # The device follows at once too: the call that is under way is asked to stop.
        lab.until_link(lambda row: not row["up"], seconds=2)
        self.assertEqual(lab.link()["mtu"], 1400)

    def test_another_nic_is_not_slower(self):
        lab = self.slow_lab()
        b = lab.inside("b")
        begun = b.join(group="239.1.2.3", dev="nic1")
        _, held = lab.until_rx_mode(lambda report: is_held(report, GROUP), dev="nic1")
        self.assertLess(held - begun, 1)
        self.assertIn("3 received", lab.exec("b", "ping", "-c", "3", "-i", "0.05", "-w", "5", "10.9.0.1"))
        lab.exec("b", "ip", "link", "set", "nic1", "down")
        lab.until_link(lambda row: not row["up"], dev="nic1", seconds=1)

    def test_one_of_two_hundred_is_stuck(self):
        nics = [{"name": f"nic{i}", "host": "a", "driver": "simnic",
                 "simnic": {"wire": f"w{i // 10}", "command_latency_us": 10_000_000 if i == 0 else 1_000}}
                for i in range(200)]
        lab = self.lab(config_of(nics))
        lab.until_rx_mode(lambda report: report["wanted"]["multicast"] and not is_settled(report))
        for nic in nics[1:]:
            lab.until_rx_mode(lambda report: report["wanted"]["multicast"] and is_settled(report), dev=nic["name"])
        self.assertEqual(len(self.assert_at_once(lambda: lab.json("link"))), 200)
        self.assert_at_once(lambda: lab.json("rx-mode", "nic0"))
        self.assert_at_once(lambda: lab.json("stats", "nic0"))

    def test_wait_gives_up_at_its_deadline_and_names_what_is_missing(self):
        lab = self.slow_lab()
        begun = time.monotonic()
        done = lab.usernic("rx-mode", "nic0", "--json", "--wait=0.2")
        took = time.monotonic() - begun
        self.assertEqual(done.returncode, 1)
        self.assertGreaterEqual(took, 0.2)
        self.assertLess(took, 0.2 + AT_ONCE_SECONDS)
        self.assert_sentence(done.stderr, "nic0", GROUP)
        self.assertEqual(json.loads(done.stdout)["dev"], "nic0", "--json is one object all the same")
        self.assertEqual(lab.usernic("rx-mode", "nic0", "--wait=0").returncode, 1)

    def test_wait_returns_when_everything_is_covered(self):
        lab = self.lab(pair({"command_latency_us": 300_000}))
        lab.inside("a").join(group="239.1.2.3", dev="nic0")
        lab.until_rx_mode(lambda report: GROUP in report["wanted"]["multicast"])
        report = lab.json("rx-mode", "nic0", "--wait=10")
        self.assertTrue(is_held(report, GROUP))
        self.assertEqual(lab.usernic("rx-mode", "nic0", "--wait=0").returncode, 0)
        self.assertEqual(lab.usernic("rx-mode", "nic0", "--wait").returncode, 0)

    def test_it_ends_promptly_although_a_command_sleeps(self):
        lab = self.slow_lab()
        code, took = lab.stop()
        self.assertEqual(code, 0)
        self.assertLess(took, 2)

    def test_it_ends_promptly_although_the_commands_of_many_nics_sleep(self):
        nics = [{"name": f"nic{i}", "host": "a", "driver": "simnic",
                 "simnic": {"wire": "w0", "command_latency_us": CALL_US}} for i in range(10)]
        lab = self.lab(config_of(nics))
        for nic in nics:
            lab.until_rx_mode(lambda report: report["wanted"]["multicast"] and not is_settled(report), dev=nic["name"])
        code, took = lab.stop()
        self.assertEqual(code, 0)
        self.assertLess(took, 2)

    def test_a_client_that_waits_is_told_when_it_ends(self):
        lab = self.slow_lab()
        waiting = lab.control()
        waiting.send(b'{"v":1,"verb":"wait","dev":"nic0","timeout_ms":60000}\n')
        lab.quick = None  # this client stays
        self.assertLess(lab.stop()[1], 2)
        answer = waiting.line()
        self.assertTrue(answer is None or not answer["result"]["covered"])
        waiting.close()
