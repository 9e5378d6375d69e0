# SPDX-License-Identifier: Apache-2.0
"""Up, MTU, own address and carrier are the same on both sides of the host port."""

import json

from lab import SECONDS, LabTest, is_held, is_settled, pair


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
        lab.ping("a", "10.9.0.2", 1, "-s", 1472, "-M", "do")

    def test_the_own_address_follows_ip_link(self):
        lab = self.lab(pair())
        for address in ("02:00:00:00:00:bb", "02:00:00:00:00:cc"):
            lab.exec("a", "ip", "link", "set", "nic0", "address", address)
            lab.until_link(lambda row, address=address: row["address"] == address)
            lab.until_rx_mode(lambda report, address=address: report["address"] == address and is_settled(report))
            self.assertEqual(self.kernel_link(lab)["address"], address)
        lab.ping("a", "10.9.0.2")

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
