# SPDX-License-Identifier: Apache-2.0 OR MIT
"""`rx-mode DEV --wait` right after something that the kernel announces to nobody: what it shows is what there is."""

import json
import threading

from lab import SECONDS, STUCK_US, LabTest, is_gone, is_held, pair

TIMES = 60


class WaitTest(LabTest):
    def waited(self, lab, *flags):
        return lab.json("rx-mode", "nic0", f"--wait={SECONDS}", *flags)

    def test_a_silent_join_and_leave_again_and_again(self):
        lab = self.lab(pair({"command_latency_us": 1000, "multicast_slots": 2 * TIMES}))
        a = lab.inside("a")
        address = "33:33:00:00:12:{:02x}".format
        for i in range(TIMES):
            a.must("ip", "maddr", "add", address(i), "dev", "nic0")
            self.assertTrue(is_held(self.waited(lab), address(i)), f"join {i}")
        for i in range(TIMES):
            a.must("ip", "maddr", "del", address(i), "dev", "nic0")
            self.assertTrue(is_gone(self.waited(lab), address(i)), f"leave {i}")

    def test_a_macvlan_that_has_just_come_up(self):
        lab = self.lab(pair({"command_latency_us": 1000}))
        a = lab.inside("a")
        for i in range(TIMES // 4):
            a.must("ip", "link", "add", "mv0", "link", "nic0", "address", "02:00:00:00:00:99", "type", "macvlan")
            a.must("ip", "link", "set", "mv0", "up")
            self.assertTrue(is_held(self.waited(lab), "02:00:00:00:00:99"), i)
            a.must("ip", "link", "del", "mv0")
            self.assertTrue(is_gone(self.waited(lab), "02:00:00:00:00:99"), i)

    def test_a_stuck_card_is_waited_for_with_what_the_kernel_wants_now(self):
        lab = self.lab(pair({"command_latency_us": STUCK_US}))
        lab.inside("a").must("ip", "maddr", "add", "33:33:00:00:12:01", "dev", "nic0")
        wanted = lambda done: "33:33:00:00:12:01" in json.loads(done.stdout)["wanted"]["multicast"]
        done = lab.wait_in_vain("nic0", wanted, "--json")
        self.assertEqual(done.returncode, 1)
        self.assert_sentence(done.stderr, "nic0", "33:33:00:00:12:01")

    def test_a_nic_that_was_set_down_just_now(self):
        lab = self.lab(pair())
        for i in range(3):
            lab.inside("a").must("ip", "link", "set", "nic0", "down")
            done = lab.wait_in_vain("nic0", lambda done: "is down" in done.stderr)
            self.assertEqual(done.returncode, 1, i)
            self.assert_sentence(done.stderr, "nic0", "the device is down")
            lab.inside("a").must("ip", "link", "set", "nic0", "up")
            self.assertTrue(self.waited(lab)["up"], i)

    def test_an_interface_that_is_deleted_while_somebody_waits(self):
        lab = self.lab(pair())
        lab.inside("a").must("ip", "link", "set", "nic0", "down")
        done = []
        waiting = threading.Thread(target=lambda: done.append(lab.usernic("rx-mode", "nic0", f"--wait={SECONDS // 2}")))
        waiting.start()
        lab.inside("a").must("ip", "link", "del", "nic0")
        waiting.join()
        self.assertEqual(done[0].returncode, 1)
        self.assert_sentence(done[0].stderr, "nic0", "its interface was deleted; 'usernic attach' makes it again")
