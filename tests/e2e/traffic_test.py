# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Frames: what crosses the wire, what the card's filter keeps out."""

from lab import SECONDS, LabTest, config_of, is_gone, is_held, pair

OWN, BROADCAST = "02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff"
FOREIGN, GROUP, OTHER_GROUP = "02:00:00:00:0f:01", "01:00:5e:01:02:03", "33:33:00:00:77:77"


class TrafficTest(LabTest):
    def heard_by(self, lab, frames, dev="nic0"):
        """Which of these destinations host a hears when host b sends to them. Frames of one wire keep their order."""
        a, b = lab.inside("a"), lab.inside("b")
        if dev not in lab.__dict__.setdefault("listening", set()):
            a.listen(devs=[dev])
            lab.listening.add(dev)
        lab.round = lab.__dict__.get("round", 0) + 1
        last = f"last of {lab.round}"
        b.send(frames=[[to, f"{lab.round}:{to}", None] for to in frames] + [[BROADCAST, last, None]], dev="nic1")
        heard = a.hear(dev=dev, last=last)
        self.assertIn(last, heard, "the broadcast behind them arrives")
        return [marker.split(":", 1)[1] for marker in heard if marker.startswith(f"{lab.round}:")]

    def test_ping_crosses_the_wire(self):
        lab = self.lab()
        lab.ping("a", "10.9.0.2", 5)
        lab.ping("b", "10.9.0.1", 3, "-s", 1472, "-M", "do")
        for dev in ("nic0", "nic1"):
            counters = lab.json("stats", dev)
            for direction in ("rx", "tx"):
                self.assertGreaterEqual(counters[direction]["packets"], 8, (dev, direction))
                self.assertGreaterEqual(counters[direction]["bytes"], 3 * 1514, (dev, direction))
                self.assertEqual(counters[direction]["errors"], 0)

    def test_ipv6_ping_crosses_the_wire(self):
        lab = self.lab()
        a = lab.inside("a")
        self.eventually(lambda: "tentative" not in a.must("ip", "-6", "address", "show", "dev", "nic0"), "no more DAD")
        self.eventually(lambda: "tentative" not in lab.inside("b").must("ip", "-6", "address", "show", "dev", "nic1"),
                        "no more DAD")
        lab.ping("a", "fd09::2", 3, "-6")

    def test_the_widest_frames_of_a_jumbo_mtu_cross(self):
        nics = [{"name": f"nic{i}", "host": host, "driver": "simnic", "mtu": 9000, "addresses": [f"10.9.0.{i + 1}/24"],
                 "simnic": {"wire": "w0"}} for i, host in enumerate("ab")]
        lab = self.lab(config_of(nics))
        lab.ping("a", "10.9.0.2", 3, "-s", 8972, "-M", "do")

    def test_only_what_the_filter_accepts_arrives(self):
        lab = self.lab(pair())
        a = lab.inside("a")
        everything = [OWN, FOREIGN, GROUP, OTHER_GROUP, BROADCAST]
        self.assertEqual(self.heard_by(lab, everything), [OWN, BROADCAST])

        a.join(group="239.1.2.3", dev="nic0")
        lab.until_rx_mode(lambda report: is_held(report, GROUP))
        self.assertEqual(self.heard_by(lab, everything), [OWN, GROUP, BROADCAST])
        a.leave(group="239.1.2.3", dev="nic0")
        lab.until_rx_mode(lambda report: is_gone(report, GROUP))
        self.assertEqual(self.heard_by(lab, everything), [OWN, BROADCAST])

        a.must("bridge", "fdb", "add", FOREIGN, "dev", "nic0", "self")
        lab.until_rx_mode(lambda report: is_held(report, FOREIGN))
        self.assertEqual(self.heard_by(lab, everything), [OWN, FOREIGN, BROADCAST])
        a.must("bridge", "fdb", "del", FOREIGN, "dev", "nic0", "self")
        lab.until_rx_mode(lambda report: is_gone(report, FOREIGN))
        self.assertEqual(self.heard_by(lab, everything), [OWN, BROADCAST])

    def test_allmulti_hears_every_group_and_promisc_everything(self):
        lab = self.lab(pair())
        a = lab.inside("a")
        everything = [OWN, FOREIGN, GROUP, OTHER_GROUP]
        a.join_packet(kind="allmulti", dev="nic0")
        lab.until_rx_mode(lambda report: report["programmed"]["allmulti"])
        self.assertEqual(self.heard_by(lab, everything), [OWN, GROUP, OTHER_GROUP])
        a.join_packet(kind="promisc", dev="nic0")
        lab.until_rx_mode(lambda report: report["programmed"]["promisc"])
        self.assertEqual(self.heard_by(lab, everything), everything)
        a.leave_packet(kind="promisc", dev="nic0")
        a.leave_packet(kind="allmulti", dev="nic0")
        lab.until_rx_mode(lambda r: not r["programmed"]["promisc"] and not r["programmed"]["allmulti"])
        self.assertEqual(self.heard_by(lab, everything), [OWN])

    def test_the_new_own_address_is_heard_and_the_old_one_is_not(self):
        lab = self.lab(pair())
        lab.exec("a", "ip", "link", "set", "nic0", "address", FOREIGN)
        lab.until_link(lambda row: row["address"] == FOREIGN)
        self.assertEqual(self.heard_by(lab, [OWN, FOREIGN]), [FOREIGN])

    def test_a_vlan_filter_passes_the_vlans_of_the_config_alone(self):
        lab = self.lab(pair({"vlan_slots": 4}, vlans=[20, 10]))
        report = lab.json("rx-mode", "nic0", f"--wait={SECONDS}")
        self.assertEqual((report["wanted"]["vlans"], report["programmed"]["vlans"]), ([10, 20], [10, 20]))
        a, b = lab.inside("a"), lab.inside("b")
        a.listen(devs=["nic0"])
        b.send(frames=[[BROADCAST, f"vlan {vlan}", vlan] for vlan in (10, 11, 20)] + [[OWN, "last", None]], dev="nic1")
        self.assertEqual(a.hear(dev="nic0", last="last"), ["vlan 10", "vlan 20", "last"])

    def test_without_vlans_in_the_config_every_vlan_passes(self):
        lab = self.lab(pair({"vlan_slots": 4}))
        a, b = lab.inside("a"), lab.inside("b")
        a.listen(devs=["nic0"])
        b.send(frames=[[BROADCAST, "vlan 11", 11], [OWN, "last", None]], dev="nic1")
        self.assertEqual(a.hear(dev="nic0", last="last"), ["vlan 11", "last"])
        self.assertEqual(lab.json("rx-mode", "nic0")["wanted"]["vlans"], [])

    def test_wires_do_not_hear_each_other(self):
        nics = [{"name": f"nic{i}", "host": host, "driver": "simnic", "simnic": {"wire": wire}}
                for i, (host, wire) in enumerate([("a", "w0"), ("b", "w0"), ("a", "w1"), ("b", "w1")])]
        lab = self.lab(config_of(nics))
        a, b = lab.inside("a"), lab.inside("b")
        a.listen(devs=["nic0", "nic2"])
        b.send(frames=[[BROADCAST, "on w0", None]], dev="nic1")
        b.send(frames=[[BROADCAST, "on w1", None]], dev="nic3")
        self.assertEqual(a.hear(dev="nic0", last="on w0"), ["on w0"])
        self.assertEqual(a.hear(dev="nic2", last="on w1"), ["on w1"])

    def test_twenty_nics_on_one_wire_all_hear_one(self):
        nics = [{"name": f"nic{i}", "host": "a" if i == 0 else "b", "driver": "simnic", "simnic": {"wire": "w0"}}
                for i in range(20)]
        lab = self.lab(config_of(nics))
        rows = lab.json("link")
        self.assertEqual([row["name"] for row in rows], [nic["name"] for nic in nics])
        self.assertTrue(all(row["up"] and row["carrier"] for row in rows), rows)
        self.assertEqual(len({row["address"] for row in rows}), 20, "each has a random address of its own")
        a, b = lab.inside("a"), lab.inside("b")
        others = [nic["name"] for nic in nics[1:]]
        b.listen(devs=others)
        a.send(frames=[[BROADCAST, f"frame {i}", None] for i in range(50)], dev="nic0")
        for dev in others:
            heard = b.hear(dev=dev, last="frame 49")
            self.assertEqual(heard, [f"frame {i}" for i in range(50)], dev)
