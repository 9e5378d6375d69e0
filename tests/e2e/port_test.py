# SPDX-License-Identifier: Apache-2.0 OR MIT
"""What a nic's interface is: a TAP, or a veth where there is no /dev/net/tun."""

import signal

from lab import LabTest, config_of, is_held, pair

CAP_NET_RAW = 13
STRANGER = "02:00:00:00:00:99"
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

    def test_a_node_without_a_driver_is_no_tun(self):
        """A container's /dev has the node whether the kernel has the module or not."""
        place = self.place()
        place.must("mount", "-t", "tmpfs", "tmpfs", "/dev/net")
        if place.run(argv=["mknod", "-m", "0666", "/dev/net/tun", "c", "10", "254"])["code"] != 0:
            self.skipTest("no right to make device nodes here")
        lab = self.lab(pair(), place=place)
        self.assertEqual([row["port"] for row in lab.json("link")], ["veth", "veth"])
        lab.ping("a", "10.9.0.2")

    def test_a_node_that_only_an_override_opens_is_no_tun(self):
        place = self.place()
        place.must("mount", "-t", "tmpfs", "tmpfs", "/dev/net")
        place.must("touch", "/dev/net/tun")
        place.must("chmod", "0", "/dev/net/tun")
        lab = self.lab(pair(), place=place)
        self.assertEqual([row["port"] for row in lab.json("link")], ["veth", "veth"])

    def test_who_shows_no_interface_needs_no_packet_socket(self):
        place = self.place()
        place.must("mount", "-t", "tmpfs", "tmpfs", "/dev/net")
        for key in ({}, {"port": "veth"}):
            nic = {"name": "nic0", "driver": "dummy", "interface": False} | key
            lab = self.lab(config_of([nic]), place=place)
            with open(f"/proc/{lab.process.pid}/status", encoding="ascii") as file:
                held = next(int(line.split()[1], 16) for line in file if line.startswith("CapPrm"))
            self.assertEqual(held & 1 << CAP_NET_RAW, 0)
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

    def test_what_finds_no_room_in_a_veths_socket_has_a_reason_of_its_own(self):
        lab = self.lab(pair(port="veth"))
        a = lab.inside("a")
        a.send(frames=[[STRANGER, "first", None]], dev="nic0")  # who is inside is let in by the daemon
        lab.process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(8):  # of 4 MiB there is room for some 2,000 as the kernel counts, or twice that
                a.send(frames=[[STRANGER, "late", None]] * 1000, dev="nic0", size=1500)
        finally:
            lab.process.send_signal(signal.SIGCONT)
        stats, _ = lab.until("stats", lambda stats: stats["drops"]["overrun"] > 0, dev="nic0")
        self.assertEqual(stats["drops"]["ring_full"], 0)
        self.assertGreaterEqual(stats["tx"]["dropped"], stats["drops"]["overrun"])
        self.assertEqual(lab.link("nic0")["drops"]["overrun"], stats["drops"]["overrun"])
        self.assertIn(f"refused by the kernel, {stats['drops']['overrun']} before they were read",
                      lab.must("stats", "nic0"))

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
