# SPDX-License-Identifier: Apache-2.0 OR MIT
"""What a nic's interface is: a TAP, or a veth where there is no /dev/net/tun."""

from lab import LabTest, is_held, pair

GROUP, IP_GROUP = "01:00:5e:01:02:03", "239.1.2.3"


class PortTest(LabTest):
    def test_without_dev_net_tun_it_is_a_veth_and_that_is_said(self):
        place = self.place()
        place.must("mount", "-t", "tmpfs", "tmpfs", "/dev/net")
        lab = self.lab(pair(), place=place)
        self.assertIn("nic0: it is a veth, as no TAP can be had: cannot open /dev/net/tun", lab.stderr())
        self.assertEqual([row["port"] for row in lab.json("link")], ["veth", "veth"])
        self.assertIn("nic0: a veth; batches of frames go to the kernel and back by sendmmsg", lab.must("link", "-d"))
        lab.ping("a", "10.9.0.2")
        lab.inside("a").join(group=IP_GROUP, dev="nic0")
        lab.until_rx_mode(lambda report: is_held(report, GROUP))
        self.assertEqual(lab.stop(), 0)

    def test_a_tap_that_is_asked_for_is_not_replaced(self):
        place = self.place()
        place.must("mount", "-t", "tmpfs", "tmpfs", "/dev/net")
        lab = self.new_lab(pair(port="tap"), place=place)
        lab.spawn()
        self.assertEqual(lab.process.wait(), 1)
        self.assertIn("cannot open /dev/net/tun", lab.stderr())

    def test_what_is_asked_for_is_shown(self):
        for port in ("tap", "veth"):
            lab = self.lab(pair(port=port))
            self.assertEqual(lab.link("nic0")["port"], port)
            lab.ping("a", "10.9.0.2")

    def test_a_veth_is_followed_where_it_is_put(self):
        place = self.place()
        lab = self.lab(pair(port="veth"), place=place)
        a = lab.inside("a")
        a.must("ip", "link", "set", "nic0", "down")
        a.must("ip", "link", "set", "nic0", "name", "lan7")
        lab.until("link", lambda rows: rows[0]["name"] == "lan7")
        place.must("ip", "netns", "add", "blue")
        # Host a has no name: who moves the interface does it from where both can be seen.
        a.must("ip", "link", "set", "lan7", "netns", str(place.pid))
        place.must("ip", "link", "set", "lan7", "netns", "blue")
        rows, _ = lab.until("link", lambda rows: rows[0]["where"].startswith("net:["))
        place.must("ip", "-n", "blue", "addr", "add", "10.9.0.1/24", "dev", "lan7")
        place.must("ip", "-n", "blue", "link", "set", "lan7", "up")
        lab.until("link", lambda rows: rows[0]["up"] and rows[0]["carrier"])
        place.must("ip", "netns", "exec", "blue", "ping", "-c", 1, "-w", 100, "10.9.0.2")
        place.must("ip", "-n", "blue", "link", "del", "lan7")
        lab.until("link", lambda rows: rows[0]["where"] == "gone")
        lab.must("attach", "nic0")
        lab.until_link(lambda row: row["where"] == "home" and row["carrier"])
        lab.ping("a", "10.9.0.2")
