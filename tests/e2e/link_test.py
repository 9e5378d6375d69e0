# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Up, MTU, own address and carrier are the same on both sides of the host port."""

import json
import os
import subprocess
import time
import unittest

from lab import PORT, SECONDS, LabTest, config_of, is_held, is_settled, pair

STUBBORN_ADAPTER = os.environ.get("USERNIC_STUBBORN_ADAPTER", "")


class LinkTest(LabTest):
    def kernel_link(self, lab, host="a", dev="nic0"):
        return json.loads(lab.exec(host, "ip", "-d", "-j", "link", "show", "dev", dev))[0]

    def test_the_interface_starts_as_the_config_says(self):
        lab = self.lab(pair(mtu=1400, address="02:00:00:00:00:aa", addresses=["10.9.0.1/24", "fd09::1/64"]))
        shown = self.kernel_link(lab)
        self.assertEqual((shown["mtu"], shown["address"]), (1400, "02:00:00:00:00:aa"))
        self.assertLessEqual({"UP", "LOWER_UP"}, set(shown["flags"]))
        row = lab.link()
        self.assertEqual((row["mtu"], row["address"]), (1400, "02:00:00:00:00:aa"))
        self.assertEqual((row["up"], row["carrier"]), (True, True))
        addresses = lab.exec("a", "ip", "-br", "address", "show", "dev", "nic0")
        self.assertIn("10.9.0.1/24", addresses)
        self.assertIn("fd09::1/64", addresses)

    def test_mtu_follows_ip_link(self):
        lab = self.lab(pair())
        for mtu in (1400, 9000, 1280):
            lab.exec("a", "ip", "link", "set", "nic0", "mtu", str(mtu))
            lab.until_link(lambda row, mtu=mtu: row["mtu"] == mtu)
            self.assertEqual(lab.link()["mtu"], mtu)
            self.assertEqual(self.kernel_link(lab)["mtu"], mtu)
        self.assertEqual(lab.link("nic1")["mtu"], 1500, "the other nic's is its own")

    def test_an_mtu_that_the_device_refuses_is_put_back(self):
        lab = self.lab(pair())
        lab.inside("a").run(argv=["ip", "link", "set", "nic0", "mtu", "9500"])  # a TAP takes it, the device does not
        self.eventually(lambda: self.kernel_link(lab)["mtu"] == 1500, "the interface has the device's MTU again")
        self.assertEqual(lab.link()["mtu"], 1500)
        refused = lab.link()["refused"]
        self.assertEqual((refused["wish"], refused["answer"]), ("MTU 9500", "EINVAL"))
        self.assertLessEqual(refused["at_us"], time.monotonic_ns() // 1000)
        self.assertRegex(lab.must("link"), r'nic0: the device refused "MTU 9500": EINVAL, [0-9.]+ m?s ago')
        self.assertIsNone(lab.link("nic1")["refused"])
        lab.ping("a", "10.9.0.2", 1, "-s", 1472, "-M", "do")

    def stubborn_lab(self, **keys):
        """A nic whose device keeps the address 02:...:01, and knows nothing of a carrier that is switched."""
        place = self.place()
        adapter = subprocess.Popen([*map(str, place.prefix()), STUBBORN_ADAPTER], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(adapter.communicate)
        nic = {"name": "nic0", "host": "a", "bus": f"usbip:127.0.0.1:{int(adapter.stdout.readline())}/1-1"}
        return self.lab(config_of([nic | keys]), place=place)

    def test_what_the_device_refused_is_seen_in_every_place(self):
        lab = self.stubborn_lab()
        lab.until_link(lambda row: row["up"] and row["carrier"])
        _, event = self.follow(lab, "--json")
        _, line = self.follow(lab)
        for wish, word, answer in (("address 02:00:00:00:00:77", ["address", "02:00:00:00:00:77"], "EPIPE"),
                                   ("carrier off", ["carrier", "off"], "EOPNOTSUPP"),
                                   ("MTU 1501", ["mtu", "1501"], "EINVAL")):
            if PORT == "veth" and "carrier" in word:
                continue  # the kernel refuses that itself
            with self.subTest(wish):
                before = self.kernel_link(lab)
                lab.exec("a", "ip", "link", "set", "nic0", *word)
                lab.until_link(lambda row, wish=wish: (row["refused"] or {}).get("wish") == wish)
                refused = lab.link()["refused"]
                self.assertEqual(refused["answer"], answer)
                self.assertRegex(lab.must("link"), rf'nic0: the device refused "{wish}": {answer}, [0-9.]+ [mu]?s ago')
                while (json.loads(event()).get("link") or {}).get("refused") != refused:
                    pass
                while f'refused "{wish}": {answer}, ' not in line():
                    pass
                for key in ("address", "mtu", "operstate"):
                    self.eventually(lambda key=key: self.kernel_link(lab)[key] == before[key], f"{key} is put back")

    def test_a_nic_that_does_not_come_up_keeps_nobody_from_starting(self):
        lab = self.stubborn_lab(address="02:00:00:00:00:77")  # its open fails
        self.eventually(lambda: "not every nic came up" in lab.stderr(), "it is said")
        row = lab.link()
        self.assertEqual((row["up"], row["refused"]["wish"], row["refused"]["answer"]), (False, "up", "EPIPE"))
        self.assertNotIn("UP", self.kernel_link(lab)["flags"])

    def test_the_own_address_follows_ip_link(self):
        lab = self.lab(pair())
        for address in ("02:00:00:00:00:bb", "02:00:00:00:00:cc"):
            lab.exec("a", "ip", "link", "set", "nic0", "address", address)
            lab.until_link(lambda row, address=address: row["address"] == address)
            lab.until_rx_mode(lambda report, address=address: report["address"] == address and is_settled(report))
            self.assertEqual(self.kernel_link(lab)["address"], address)
        lab.ping("a", "10.9.0.2")

    @unittest.skipIf(PORT == "veth", "a veth's carrier is its other end's: the kernel takes no other word on it")
    def test_carrier_follows_ip_link(self):
        lab = self.lab(pair())
        lab.ping("a", "10.9.0.2")
        for _ in range(2):
            lab.exec("a", "ip", "link", "set", "nic0", "carrier", "off")
            lab.until_link(lambda row: not row["carrier"])
            self.assertIn("NO-CARRIER", self.kernel_link(lab)["flags"])
            unheard = lab.usernic("exec", "a", "--", "ping", "-c", "2", "-i", "0.05", "-W", "0.1", "10.9.0.2")
            self.assertEqual(unheard.returncode, 1, "nobody answers")
            lab.exec("a", "ip", "link", "set", "nic0", "down")
            lab.until_link(lambda row: not row["up"])
            lab.exec("a", "ip", "link", "set", "nic0", "up")
            lab.until_link(lambda row: row["up"])
            self.assertFalse(lab.link()["carrier"], "as on other NICs, down and up change nothing about it")
            lab.exec("a", "ip", "link", "set", "nic0", "carrier", "on")
            lab.until_link(lambda row: row["carrier"])
            self.eventually(lambda: "LOWER_UP" in self.kernel_link(lab)["flags"], "the interface has carrier again")
            self.assertTrue(lab.link("nic1")["carrier"], "the other end of the wire has its own")
            lab.ping("a", "10.9.0.2")

    def test_down_and_up_follow_ip_link_and_what_was_wanted_comes_back(self):
        lab = self.lab(pair())
        lab.inside("a").join(group="239.1.2.3", dev="nic0")
        lab.until_rx_mode(lambda report: is_held(report, "01:00:5e:01:02:03"))
        lab.exec("a", "ip", "link", "set", "nic0", "down")
        lab.until_link(lambda row: not row["up"] and not row["carrier"])
        row = lab.link()
        self.assertEqual((row["up"], row["carrier"]), (False, False))
        report = lab.json("rx-mode", "nic0")
        self.assertFalse(report["up"])
        self.assertEqual(report["programmed"]["multicast"], [], "a device that is down has nothing on its card")
        lab.exec("a", "ip", "link", "set", "nic0", "up")
        lab.until_link(lambda row: row["up"] and row["carrier"])
        lab.until_rx_mode(lambda report: is_held(report, "01:00:5e:01:02:03") and is_settled(report))
        lab.must("rx-mode", "nic0", f"--wait={SECONDS}")
        self.eventually(lambda: "LOWER_UP" in self.kernel_link(lab)["flags"], "the interface has carrier again")
        lab.ping("a", "10.9.0.2")

    def test_many_changes_in_a_row_end_with_the_last(self):
        lab = self.lab(pair())
        script = "for i in 1 2 3 4 5 6 7 8 9 10; do ip link set nic0 down; ip link set nic0 mtu 14$((i + 20)) up; done"
        lab.exec("a", "sh", "-c", script)
        lab.until_link(lambda row: row["mtu"] == 1430 and row["up"] and row["carrier"])
        self.assertEqual(self.kernel_link(lab)["mtu"], 1430)
        lab.ping("a", "10.9.0.2")

    def test_an_interface_that_somebody_deletes_leaves_the_rest_working(self):
        lab = self.lab(pair())
        lab.exec("a", "ip", "link", "del", "nic0")
        lab.until_link(lambda row: not row["up"])
        self.eventually(lambda: "nic0" in lab.stderr(), "it says which interface is gone")
        self.assertTrue(lab.link("nic1")["up"])
        self.assertEqual(lab.stop(), 0)

    def test_gone_is_not_down_and_attach_makes_the_interface_again(self):
        lab = self.lab(pair())
        lab.exec("a", "ip", "link", "set", "nic0", "down")
        lab.until_link(lambda row: not row["up"])
        self.assertEqual(lab.link()["where"], "home")
        done = lab.usernic("attach", "nic0")
        self.assertEqual(done.returncode, 1)
        self.assert_sentence(done.stderr, "nic0", "has its interface")
        lab.exec("a", "ip", "link", "del", "nic0")
        lab.until_link(lambda row: row["where"] == "gone")
        self.assertRegex(lab.must("link"), r"nic0 .* gone ")
        self.assertIn("  gone  ", lab.must("rx-mode", "nic0").splitlines()[0])
        for _ in range(2):
            lab.must("attach", "nic0")
            lab.until_link(lambda row: row["where"] == "home" and row["up"] and row["carrier"])
            lab.ping("a", "10.9.0.2", 2)
            lab.inside("a").join(group="239.1.2.3", dev="nic0")
            lab.until_rx_mode(lambda report: is_held(report, "01:00:5e:01:02:03"))
            lab.inside("a").leave(group="239.1.2.3", dev="nic0")
            lab.exec("a", "ip", "link", "del", "nic0")
            lab.until_link(lambda row: row["where"] == "gone")

    def test_attach_says_what_is_in_the_way_and_can_be_tried_again(self):
        lab = self.lab(pair())
        lab.exec("a", "sh", "-c", "ip link del nic0; ip link add nic0 type bridge")
        lab.until_link(lambda row: row["where"] == "gone")
        done = lab.usernic("attach", "nic0")
        self.assertEqual(done.returncode, 1)
        self.assert_sentence(done.stderr, '"nic0"', "in use", "a bridge")
        self.assertEqual(lab.link()["where"], "gone")
        lab.exec("a", "ip", "link", "del", "nic0")
        lab.must("attach", "nic0")
        lab.ping("a", "10.9.0.2")

    def test_a_renamed_interface_is_known_by_the_kernels_name(self):
        lab = self.lab(pair())
        lab.exec("a", "sh", "-c", "ip link set nic0 down; ip link set nic0 name lan7; ip link set lan7 up")
        lab.until("link", lambda rows: rows[0]["name"] == "lan7" and rows[0]["up"])
        self.assertEqual(lab.link("lan7")["nic"], "nic0")
        self.assertIn("lan7 (nic0)", lab.must("link"))
        lab.exec("a", "ip", "maddr", "add", "33:33:00:00:12:34", "dev", "lan7")
        for name in ("lan7", "nic0", "a/lan7"):
            report = lab.json("rx-mode", name, "--wait")
            self.assertEqual(report["dev"], "lan7")
            self.assertTrue(is_held(report, "33:33:00:00:12:34"))
            self.assertEqual(lab.json("stats", name)["dev"], "lan7")
        done = lab.usernic("rx-mode", "b/lan7")
        self.assertEqual(done.returncode, 1)
        self.assert_sentence(done.stderr, "b/lan7")

    def test_two_nics_that_swap_names_answer_for_themselves(self):
        nics = [{"name": f"nic{i}", "host": "a", "driver": "dummy", "address": f"02:00:00:00:00:0{i}"} for i in (0, 1)]
        lab = self.lab(config_of(nics))
        script = "; ".join(f"ip link set {old} name {new}" for old, new in
                           (("nic0", "aside"), ("nic1", "nic0"), ("aside", "nic1")))
        a = lab.inside("a")
        a.must("sh", "-c", "ip link set nic0 down; ip link set nic1 down")
        for swaps in range(1, 5):
            a.must("sh", "-c", script)
            for name in (0, 1):
                owner = name if swaps % 2 == 0 else 1 - name
                report = lab.control().ask("rx-mode", dev=f"nic{name}")
                self.assertEqual((report["dev"], report["address"]), (f"nic{name}", f"02:00:00:00:00:0{owner}"))

    def test_one_name_in_two_hosts_is_asked_for_with_the_host(self):
        lab = self.lab(pair())
        lab.exec("b", "sh", "-c", "ip link set nic1 down; ip link set nic1 name nic0")
        done = lab.usernic("rx-mode", "nic0")
        self.assertEqual(done.returncode, 1)
        self.assert_sentence(done.stderr, "a/nic0", "b/nic0")
        for host, address in (("a", "02:00:00:00:00:01"), ("b", "02:00:00:00:00:02")):
            self.assertEqual(lab.json("rx-mode", f"{host}/nic0")["address"], address)

    def test_an_interface_that_is_moved_is_served_there_and_at_home_again(self):
        place = self.place()
        place.must("ip", "netns", "add", "blue")
        place.must("ip", "netns", "add", "home")
        nics = [{"name": "nic0", "host": "a", "driver": "simnic", "address": "02:00:00:00:00:01",
                 "simnic": {"wire": "w0"}},
                {"name": "nic1", "host": "b", "driver": "simnic", "addresses": ["10.9.0.2/24"],
                 "simnic": {"wire": "w0"}}]
        lab = self.lab(config_of(nics, hosts=[{"name": "a", "netns": "home"}, {"name": "b"}]), place=place)
        for here, there in (("home", "blue"), ("blue", "home"), ("home", "blue")):
            place.must("ip", "-n", here, "link", "set", "nic0", "netns", there)
            place.must("ip", "-n", there, "link", "set", "nic0", "up")
            place.must("ip", "-n", there, "address", "add", "10.9.0.1/24", "dev", "nic0")
            lab.until_link(lambda row, there=there: (row["where"] == "home") == (there == "home") and row["up"])
            place.must("ip", "netns", "exec", there, "ping", "-c", 1, "-i", 0.2, "-w", SECONDS, "10.9.0.2")
            place.must("ip", "-n", there, "maddr", "add", "33:33:00:00:12:34", "dev", "nic0")
            self.assertTrue(is_held(lab.json("rx-mode", "nic0", "--wait"), "33:33:00:00:12:34"))
        self.assertRegex(lab.must("link"), r"a, moved to net:\[[0-9]+\]")
        lab.must("attach", "nic0")
        lab.until_link(lambda row: row["where"] == "home" and row["up"])
        self.assertNotIn("nic0", place.must("ip", "-n", "blue", "link"))

    def test_where_it_cannot_be_followed_an_interface_has_no_carrier_until_it_is_at_home_again(self):
        place = self.place()
        lab = self.new_lab(pair(), place=place)
        lab.prefix += ["unshare", "-U", "--map-user=1000", "--map-group=1000", "--"]  # who may not enter `place`
        lab.start()
        lab.prefix = place.prefix()
        home = lab.inside("a").pid
        lab.ping("a", "10.9.0.2")
        place.must("nsenter", "-t", home, "-n", "ip", "link", "set", "nic0", "netns", place.pid)
        lab.until_link(lambda row: row["where"] == "out-of-reach")
        self.eventually(lambda: "LOWER_UP" not in place.must("ip", "-o", "link", "show", "nic0"), "it has no carrier")
        self.assertRegex(lab.must("link"), r"nic0 .* a, moved to out-of-reach")
        done = lab.usernic("rx-mode", "nic0", "--wait=0.1")
        self.assertEqual(done.returncode, 1)
        self.assert_sentence(done.stderr, "its interface was moved to where it cannot be followed")
        place.must("ip", "link", "set", "nic0", "netns", home)
        lab.inside("a").must("sh", "-c", "ip link set nic0 up; ip address add 10.9.0.1/24 dev nic0")
        lab.until_link(lambda row: row["where"] == "home" and row["up"])
        lab.ping("a", "10.9.0.2")
        lab.must("rx-mode", "nic0", f"--wait={SECONDS}")

    def test_operstate_is_up_after_the_first_up(self):
        nics = [{"name": "d0", "host": "a", "driver": "dummy"},
                {"name": "s0", "host": "a", "driver": "simnic", "simnic": {"wire": "w0"}},
                {"name": "s1", "host": "a", "driver": "simnic", "simnic": {"wire": "w0"}}]
        lab = self.lab(config_of(nics))
        for dev in ("d0", "s0", "s1"):
            self.eventually(lambda dev=dev: self.kernel_link(lab, dev=dev)["operstate"] == "UP", f"{dev} is up")

    def test_a_dummy_is_a_nic_like_any_other(self):
        lab = self.lab('[[host]]\nname = "a"\n[[nic]]\nname = "dummy0"\nhost = "a"\ndriver = "dummy"\n'
                       'addresses = ["10.9.0.1/24"]\n')
        row = lab.link("dummy0")
        self.assertEqual((row["driver"], row["up"], row["carrier"], row["mtu"]), ("dummy", True, True, 1500))
        pinged = lab.usernic("exec", "a", "--", "ping", "-c", "2", "-i", "0.05", "-W", "0.1", "10.9.0.2")
        self.assertEqual(pinged.returncode, 1, "nobody answers")
        lab.until_link(lambda row: row["tx_packets"] > 0, dev="dummy0")
        for word, carrier in (("off", False), ("on", True)):
            lab.exec("a", "ip", "link", "set", "dummy0", "carrier", word)
            lab.until_link(lambda row, carrier=carrier: row["carrier"] == carrier, dev="dummy0")
