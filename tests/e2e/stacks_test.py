# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Nics on top of nics in `usernic run`: VLANs, macvlans and bonds between hosts, with the kernel's stack on top."""

import json
import signal

from lab import STUCK_US, LabTest, config_of, is_held

LACP = "01:80:c2:00:00:02"
FLOOD = 400  # fits into the kernel's queue of a TAP, and into no ring of the cards here
GROUP, IP_GROUP = "01:00:5e:01:02:03", "239.1.2.3"


def card(name, **keys):
    """A card of software on the wire "w0"; those of its own section in `simnic`."""
    return {"name": name, "driver": "simnic", "simnic": {"wire": "w0"} | keys.pop("simnic", {})} | keys


def vlan(name, host, over, vlan_id, address, **keys):
    return {"name": name, "host": host, "driver": "vlan", "over": over, "addresses": [address], "vlan": {"id": vlan_id}} | keys


def macvlan(name, host, over, address, mode="bridge", **keys):
    return {"name": name, "host": host, "driver": "macvlan", "over": over, "addresses": [address],
            "macvlan": {"mode": mode}} | keys


class StacksTest(LabTest):
    def kernel_link(self, lab, host, dev):
        return json.loads(lab.exec(host, "ip", "-j", "link", "show", "dev", dev))[0]

    def test_vlans_of_two_hosts_reach_each_other_and_no_other_vlan(self):
        lab = self.lab(config_of([  # an upper one may come first
            vlan("v5a", "a", "nic0", 5, "10.5.0.1/24"), vlan("v6a", "a", "nic0", 6, "10.6.0.1/24"), card("nic0"),
            card("nic1", host="b", addresses=["10.9.0.2/24"]), vlan("v5b", "b", "nic1", 5, "10.5.0.2/24"),
            vlan("v6b", "b", "nic1", 6, "10.6.0.2/24")]))
        self.assertEqual([row["nic"] for row in lab.json("link")][:2], ["nic0", "nic1"], "those below are made first")
        lab.ping("a", "10.5.0.2")
        lab.ping("b", "10.6.0.1", 3, "-s", 1472, "-M", "do")
        # What the wire carries, and what the host sees of it.
        a, b = lab.inside("a"), lab.inside("b")
        a.listen(devs=["v5a"])
        b.send(frames=[["ff:ff:ff:ff:ff:ff", "untagged", None], ["ff:ff:ff:ff:ff:ff", "five", 5],
                       ["ff:ff:ff:ff:ff:ff", "six", 6], ["ff:ff:ff:ff:ff:ff", "last", 5]], dev="nic1")
        self.assertEqual(a.hear(dev="v5a", last="last"), ["five", "last"])
        b.send(frames=[["ff:ff:ff:ff:ff:ff", "vlan's", None]], dev="v5b")  # by another thread, which may be the faster one
        self.assertEqual(a.hear(dev="v5a", last="vlan's"), ["vlan's"])
        self.assertEqual(lab.json("rx-mode", "nic0")["wanted"]["vlans"], [5, 6])

    def test_a_nic_that_only_serves_another_is_known_but_no_interface(self):
        lab = self.lab(config_of([card("nic0"), vlan("v5", "a", "nic0", 5, "10.5.0.1/24")]))
        row = lab.link("nic0")
        self.assertEqual((row["where"], row["up"], row["carrier"]), ("none", True, True))
        self.assertNotIn("nic0", lab.exec("a", "ip", "-br", "link"))
        self.assertIn("no interface", lab.must("link"))
        self.assertGreater(lab.json("stats", "v5")["tx"]["packets"], 0)
        refused = lab.usernic("attach", "nic0")
        self.assertEqual(refused.returncode, 1)
        self.assert_sentence(refused.stderr, "'nic0'", "interface = true")
        _, event = self.follow(lab, "--json")
        self.assertEqual(json.loads(event())["link"]["where"], "none")
        self.assertEqual(lab.stop(), 0)
        self.assertEqual(lab.stderr(), "")

    def test_what_the_kernel_wants_of_a_vlan_is_wanted_of_its_card(self):
        lab = self.lab(config_of([card("nic0", simnic={"vlan_slots": 4}, vlans=[7]),
                                  vlan("v5", "a", "nic0", 5, "10.5.0.1/24")]))
        lab.inside("a").join(group=IP_GROUP, dev="v5")
        lab.must("rx-mode", "v5", "--wait")
        report = lab.json("rx-mode", "nic0")
        self.assertTrue(is_held(report, GROUP), report)
        self.assertEqual(report["programmed"]["vlans"], [5, 7])
        lab.inside("a").must("ip", "link", "set", "v5", "promisc", "on")
        lab.until_rx_mode(lambda report: report["programmed"]["promisc"])
        lab.inside("a").must("ip", "link", "set", "v5", "promisc", "off")
        lab.until_rx_mode(lambda report: not report["programmed"]["promisc"])

    def test_who_waits_for_a_vlan_waits_for_its_card(self):
        lab = self.lab(config_of([card("nic0", simnic={"command_latency_us": STUCK_US}),
                                  vlan("v5", "a", "nic0", 5, "10.5.0.1/24")]))
        lab.inside("a").join(group=IP_GROUP, dev="v5")
        says = "nic0, below it, has not answered yet"
        waited = lab.wait_in_vain("v5", lambda done: says in done.stderr)
        self.assertEqual(waited.returncode, 1)
        self.assert_sentence(waited.stderr, says)

    def test_mtu_and_carrier_are_those_of_the_nic_below(self):
        lab = self.lab(config_of([card("nic0", host="a", mtu=4000), vlan("v5", "a", "nic0", 5, "10.5.0.1/24")]))
        self.assertEqual(self.kernel_link(lab, "a", "v5")["mtu"], 4000)
        lab.exec("a", "ip", "link", "set", "nic0", "mtu", "1400")
        self.eventually(lambda: self.kernel_link(lab, "a", "v5")["mtu"] == 1400, "it shrinks with the nic below")
        lab.inside("a").run(argv=["ip", "link", "set", "v5", "mtu", "1500"])
        lab.until_link(lambda row: row["refused"] is not None, dev="v5")
        self.assertEqual(lab.link("v5")["refused"]["wish"], "MTU 1500")
        self.eventually(lambda: self.kernel_link(lab, "a", "v5")["mtu"] == 1400, "it is put back")
        for down, up in ((["down"], ["up"]), (["carrier", "off"], ["carrier", "on"])):
            lab.exec("a", "ip", "link", "set", "nic0", *down)
            self.eventually(lambda: "NO-CARRIER" in self.kernel_link(lab, "a", "v5")["flags"], "no carrier")
            lab.exec("a", "ip", "link", "set", "nic0", *up)
            self.eventually(lambda: "LOWER_UP" in self.kernel_link(lab, "a", "v5")["flags"], "carrier again")

    def bonded(self, **keys):
        """Host a has a bond of two cards that are interfaces of their own, on two wires of one switch: host b."""
        cards = [card(name, host="a", simnic={"wire": wire}) for name, wire in (("left", "w0"), ("right", "w1"))]
        bond = {"name": "bond0", "host": "a", "driver": "bond", "over": ["left", "right"], "addresses": ["10.9.0.1/24"],
                "bond": {"primary": "right"}}
        others = [card("nic0", host="b", simnic={"wire": "w0"}), card("nic1", host="b", simnic={"wire": "w1"})]
        return self.lab(config_of([bond | keys, *cards, *others]))

    def test_a_bond_goes_on_when_a_wire_is_cut(self):
        lab = self.bonded()
        address = lab.link("bond0")["address"]
        self.assertEqual([lab.link(dev)["address"] for dev in ("left", "right")], [address, address])
        a, b = lab.inside("a"), lab.inside("b")
        for argv in ("link add br0 type bridge", "link set nic0 master br0", "link set nic1 master br0",
                     "link set br0 up", "address add 10.9.0.2/24 dev br0"):
            b.must("ip", *argv.split())
        lab.ping("a", "10.9.0.2")
        a.join(group=IP_GROUP, dev="bond0")
        lab.until_rx_mode(lambda report: is_held(report, GROUP), dev="right")
        self.assertNotIn(GROUP, lab.json("rx-mode", "left")["wanted"]["multicast"])
        a.must("ip", "link", "set", "right", "carrier", "off")
        lab.until_rx_mode(lambda report: is_held(report, GROUP), dev="left")
        lab.ping("a", "10.9.0.2")
        a.must("ip", "link", "set", "right", "carrier", "on")
        lab.until_rx_mode(lambda report: is_held(report, GROUP), dev="right")
        a.must("ip", "link", "set", "left", "carrier", "off")
        lab.ping("a", "10.9.0.2")
        a.must("ip", "link", "set", "right", "carrier", "off")
        self.eventually(lambda: "NO-CARRIER" in self.kernel_link(lab, "a", "bond0")["flags"], "nothing is left")
        self.assertEqual(lab.stop(), 0)

    def test_the_lowers_of_an_aggregation_hear_lacp(self):
        lab = self.bonded(bond={"mode": "802.3ad"})
        for dev in ("left", "right"):
            lab.until_rx_mode(lambda report: is_held(report, LACP), dev=dev)
        a, b = lab.inside("a"), lab.inside("b")
        a.listen(devs=["left", "bond0"])
        b.send(frames=[[LACP, "lacp", None], ["ff:ff:ff:ff:ff:ff", "last", None]], dev="nic0")
        self.assertEqual(a.hear(dev="bond0", last="last"), ["last"])
        self.assertEqual(a.hear(dev="left", last="lacp"), ["lacp"], "whoever negotiates is there")
        self.assertEqual(lab.stop(), 0)

    def test_macvlans_have_addresses_of_their_own(self):
        def lab_of(mode):
            return self.lab(config_of([card("nic0"), macvlan("mv0", "a", "nic0", "10.9.0.1/24", mode),
                                       macvlan("mv1", "b", "nic0", "10.9.0.2/24", mode),
                                       card("nic1", host="c", addresses=["10.9.0.3/24"])]))

        lab = lab_of("bridge")
        addresses = [lab.link(dev)["address"] for dev in ("nic0", "mv0", "mv1")]
        self.assertEqual(len(set(addresses)), 3)
        for host in "ab":
            lab.ping(host, "10.9.0.3")
        lab.ping("a", "10.9.0.2")
        self.assertEqual(lab.json("rx-mode", "nic0")["programmed"]["unicast"], sorted(addresses[1:]))
        lab.stop()
        lab = lab_of("private")
        lab.ping("a", "10.9.0.3")
        lab.ping("b", "10.9.0.3")
        unheard = lab.usernic("exec", "a", "--", "ping", "-c", "2", "-i", "0.05", "-W", "0.1", "10.9.0.2")
        self.assertEqual(unheard.returncode, 1, "they do not see each other")

    def test_a_bridge_switches_between_its_cards_and_the_host(self):
        cards = [card(name, simnic={"wire": wire}) for name, wire in (("left", "w0"), ("right", "w1"))]
        bridge = {"name": "br0", "host": "a", "driver": "bridge", "over": ["left", "right"], "addresses": ["10.9.0.1/24"],
                  "bridge": {"static": ["02:00:00:00:0f:01 right"]}}
        nics = [card(f"nic{n}", host=host, addresses=[f"10.9.0.{n}/24"], simnic={"wire": wire})
                for n, host, wire in ((2, "b", "w0"), (3, "c", "w1"), (4, "d", "w1"))]
        lab = self.lab(config_of([bridge, *cards, *nics]))
        for host, to in (("b", "10.9.0.3"), ("a", "10.9.0.2"), ("a", "10.9.0.3"), ("c", "10.9.0.1"), ("d", "10.9.0.2")):
            lab.ping(host, to, 2, "-s", 1472, "-M", "do")
        for dev in ("left", "right"):
            lab.until_rx_mode(lambda report: report["programmed"]["promisc"], dev=dev)
        # What stays on its own wire does not cross: d listens to everything on w1 and hears no unicast of a to b.
        a, b, d = lab.inside("a"), lab.inside("b"), lab.inside("d")
        d.must("ip", "link", "set", "nic4", "promisc", "on")
        lab.until_rx_mode(lambda report: report["programmed"]["promisc"], dev="nic4")
        d.listen(devs=["nic4"])
        last, to_b, to_static = "ff:ff:ff:ff:ff:ff", lab.link("nic2")["address"], "02:00:00:00:0f:01"
        a.send(frames=[[to_b, "to b", None], [to_static, "static", None], [last, "last", None]], dev="br0")
        self.assertEqual(d.hear(dev="nic4", last="last"), ["static", "last"])
        b.send(frames=[[to_static, "static", None], [last, "last too", None]], dev="nic2")
        self.assertEqual(d.hear(dev="nic4", last="last too"), ["static", "last too"])
        self.assertEqual(lab.stop(), 0)
        self.assertEqual(lab.stderr(), "")

    def test_a_full_ring_below_holds_the_kernel_back_and_loses_nothing(self):
        small = {"rx_descriptors": 2, "tx_descriptors": 2}
        lab = self.lab(config_of([
            card("left", simnic=small), {"name": "bond0", "driver": "bond", "over": "left"},
            vlan("v5", "a", "bond0", 5, "10.5.0.1/24"), card("nic0", host="b", simnic=small)]))
        a, b = lab.inside("a"), lab.inside("b")
        b.listen(devs=["nic0"])
        lab.process.send_signal(signal.SIGSTOP)  # all are in the kernel's queue before the first one is taken out
        try:
            a.send(frames=[["ff:ff:ff:ff:ff:ff", str(number), None] for number in range(FLOOD)], dev="v5")
        finally:
            lab.process.send_signal(signal.SIGCONT)
        self.assertEqual(b.hear(dev="nic0", last=str(FLOOD - 1)), [str(number) for number in range(FLOOD)])
        for dev in ("v5", "bond0", "left"):
            self.assertEqual(lab.json("stats", dev)["tx"]["dropped"], 0, dev)

    def test_a_stack_of_each_kind_comes_and_goes(self):
        bond = {"name": "bond0", "driver": "bond", "over": ["left", "right"]}
        lab = self.lab(config_of([
            macvlan("mv0", "a", "v5", "10.5.0.1/24"), {"name": "v5", "driver": "vlan", "over": "bond0", "vlan": {"id": 5}},
            bond, card("left"), card("right"), card("nic0"), vlan("v5b", "b", "nic0", 5, "10.5.0.2/24")]))
        lab.ping("a", "10.5.0.2", 3, "-s", 1472, "-M", "do")
        self.assertEqual(lab.stop(), 0)
        self.assertEqual(lab.stderr(), "")
