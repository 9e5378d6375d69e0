# SPDX-License-Identifier: Apache-2.0 OR MIT
"""An interface that the machine has already as a card: eth1 and eth2, the ends of one cable, each behind a nic."""

import hashlib
import json
import random

from lab import LabTest, config_of, is_held

OCTETS = 20_000_000
GROUP, IP_GROUP = "01:00:5e:01:02:03", "239.1.2.3"
STRANGER = "02:00:00:00:00:99"
BROADCAST = "ff:ff:ff:ff:ff:ff"


def send(to, port):
    return f"""import random, socket
octets = random.Random(7).randbytes({OCTETS})
socket.create_connection(("{to}", {port})).sendall(octets)
"""


class PacketTest(LabTest):
    def setUp(self):
        super().setUp()
        self.machine = self.place()
        self.plug()

    def plug(self, mtu=1500):
        self.machine.must("ip", "link", "add", "eth1", "mtu", mtu, "type", "veth", "peer", "name", "eth2", "mtu", mtu)
        for dev in ("eth1", "eth2"):
            self.machine.sysctl(f"net/ipv6/conf/{dev}/disable_ipv6", 1)  # else it has addresses of its own

    def nic(self, number, **keys):
        return {"name": f"nic{number}", "host": "ab"[number], "driver": "packet", "bus": f"eth{number + 1}",
                "addresses": [f"10.9.0.{number + 1}/24"]} | keys

    def packet_lab(self, **keys):
        return self.lab(config_of([self.nic(0, **keys), self.nic(1)]), place=self.machine)

    def interface(self, dev):
        return json.loads(self.machine.must("ip", "-d", "-j", "link", "show", "dev", dev))[0]

    def groups(self, dev):
        return [entry.get("link") for row in json.loads(self.machine.must("ip", "-j", "maddr", "show", "dev", dev))
                for entry in row["maddr"]]

    def transfer(self, lab, sender, receiver, to, port):
        ear = self.tcp_receiver(lab.exec_prefix(receiver), port, to)
        lab.exec(sender, "python3", "-c", send(to, port))
        self.assertEqual(ear.sha256(), hashlib.sha256(random.Random(7).randbytes(OCTETS)).hexdigest())

    def counters(self, lab, dev):
        return {each["name"]: each["value"] for each in lab.json("ethtool", dev)["counters"]}

    def test_it_pings_and_carries_streams_whole_both_ways(self):
        lab = self.packet_lab()
        lab.ping("a", "10.9.0.2")
        lab.ping("b", "10.9.0.1", 3, "-s", 1472, "-M", "do")
        self.transfer(lab, "a", "b", "10.9.0.2", 5001)
        self.transfer(lab, "b", "a", "10.9.0.1", 5002)
        for dev in ("nic0", "nic1"):
            for counter in ("rx_superframes", "tx_superframes"):
                self.assertGreater(self.counters(lab, dev)[counter], 100, f"{dev}: {counter}")
            self.assertEqual(lab.json("stats", dev)["rx"]["errors"], 0)
        self.assertEqual(lab.json("ethtool", "nic0")["bus"], "eth1")

        # Cut and summed by the core, merged by nobody.
        before = self.counters(lab, "nic1")["rx_superframes"]
        lab.must("ethtool", "-K", "nic0", "tx", "off")
        self.transfer(lab, "a", "b", "10.9.0.2", 5003)
        self.assertEqual(self.counters(lab, "nic1")["rx_superframes"], before)

    def test_vlan_tags_stay_on_superframes(self):
        def vlan(number):
            return {"name": f"v{number}", "host": "ab"[number], "driver": "vlan", "over": f"nic{number}",
                    "addresses": [f"10.5.0.{number + 1}/24"], "vlan": {"id": 5}}

        lab = self.lab(config_of([self.nic(0), self.nic(1), vlan(0), vlan(1)]), place=self.machine)
        lab.ping("a", "10.5.0.2", 3, "-s", 1472, "-M", "do")
        self.transfer(lab, "a", "b", "10.5.0.2", 5001)
        self.transfer(lab, "b", "a", "10.5.0.1", 5002)
        self.assertGreater(self.counters(lab, "nic1")["rx_superframes"], 100)

    def test_what_the_host_joins_is_a_membership_of_the_interface(self):
        lab = self.packet_lab()
        a, b = lab.inside("a"), lab.inside("b")
        before = self.interface("eth1")
        a.join(group=IP_GROUP, dev="nic0")
        lab.until_rx_mode(lambda report: is_held(report, GROUP))
        self.assertIn(GROUP, self.groups("eth1"))

        # Nothing else passes, whoever else has the interface receive it.
        self.machine.join_packet(kind="promisc", dev="eth1")
        a.listen(devs=["nic0"])
        b.send(frames=[[STRANGER, "stranger", None], ["01:00:5e:01:02:04", "other group", None],
                       [GROUP, "group", None], [BROADCAST, "last", None]], dev="nic1")
        self.assertEqual(a.hear(dev="nic0", last="last"), ["group", "last"])
        self.assertGreaterEqual(lab.json("stats", "nic0")["rx"]["filtered"], 1)
        self.machine.leave_packet(kind="promisc", dev="eth1")

        a.leave(group=IP_GROUP, dev="nic0")
        lab.until_rx_mode(lambda report: GROUP not in report["programmed"]["multicast"])
        self.assertNotIn(GROUP, self.groups("eth1"))

        a.must("ip", "link", "set", "nic0", "allmulticast", "on")
        lab.until_rx_mode(lambda report: report["programmed"]["allmulti"])
        self.assertEqual(self.interface("eth1")["allmulti"], before["allmulti"] + 1)
        b.send(frames=[[STRANGER, "stranger", None], ["01:00:5e:01:02:04", "any group", None]], dev="nic1")
        self.assertEqual(a.hear(dev="nic0", last="any group"), ["any group"])

        a.must("ip", "link", "set", "nic0", "promisc", "on")
        lab.until_rx_mode(lambda report: report["programmed"]["promisc"])
        self.assertEqual(self.interface("eth1")["promiscuity"], before["promiscuity"] + 1)
        b.send(frames=[[STRANGER, "stranger", None]], dev="nic1")
        self.assertEqual(a.hear(dev="nic0", last="stranger"), ["stranger"])

        a.must("ip", "link", "set", "nic0", "down")
        lab.until_link(lambda row: not row["up"])
        left = self.interface("eth1")
        self.assertEqual((left["promiscuity"], left["allmulti"]), (0, 0), "a nic that is down is a member of nothing")

    def test_another_own_address_is_heard(self):
        lab = self.packet_lab(address="02:00:00:00:00:01")
        self.assertEqual(lab.link("nic0")["address"], "02:00:00:00:00:01")
        lab.ping("b", "10.9.0.1")
        lab.inside("a").must("ip", "link", "set", "nic0", "address", STRANGER)
        lab.until_link(lambda row: row["address"] == STRANGER)
        lab.inside("b").must("ip", "neigh", "flush", "dev", "nic1")  # else it asks the old one first, and long
        lab.ping("b", "10.9.0.1")

    def test_with_the_interfaces_own_address_nothing_is_asked_of_the_interface(self):
        """On a macvlan, too, which lets nothing else through, and has the MTU that is below it."""
        self.machine.must("ip", "link", "add", "mv0", "link", "eth1", "type", "macvlan")
        self.machine.must("ip", "link", "set", "eth1", "up")
        lab = self.packet_lab(bus="mv0", address=self.interface("mv0")["address"])
        lab.ping("b", "10.9.0.1")
        self.assertEqual(self.interface("mv0")["promiscuity"], 0)
        refused = lab.inside("a").run(argv=["ip", "link", "set", "nic0", "mtu", "4000"])
        self.assertEqual(refused["code"], 0, "the kernel asks nobody")
        row, _ = lab.until("link", lambda rows: rows[0]["refused"])
        self.assertIn("MTU", row[0]["refused"]["wish"])
        self.assertEqual(row[0]["mtu"], 1500)
        self.eventually(lambda: 'nic0: the device refused "MTU 4000": EINVAL' in lab.stderr(), "it is said")

    def test_its_own_address_is_the_same_each_time(self):
        addresses = set()
        for _ in range(2):
            lab = self.packet_lab()
            addresses.add(lab.link("nic0")["address"])
            self.assertNotEqual(lab.link("nic1")["address"], lab.link("nic0")["address"])
            self.assertEqual(lab.stop(), 0)
        self.assertEqual(len(addresses), 1)
        self.assertNotIn(self.interface("eth1")["address"], addresses)

    def test_carrier_and_mtu_follow_the_interface(self):
        lab = self.packet_lab()
        lab.ping("a", "10.9.0.2")
        self.machine.must("ip", "link", "set", "eth2", "down")
        for dev in ("nic0", "nic1"):
            lab.until_link(lambda row: row["up"] and not row["carrier"], dev)
        self.machine.must("ip", "link", "set", "eth2", "up")
        for dev in ("nic0", "nic1"):
            lab.until_link(lambda row: row["carrier"], dev)
        lab.ping("a", "10.9.0.2")

        self.machine.must("ip", "link", "set", "eth1", "mtu", 1300)
        lab.until_link(lambda row: row["mtu"] == 1300)
        inside = lab.inside("a")
        self.eventually(lambda: "mtu 1300" in inside.must("ip", "link", "show", "dev", "nic0"), "the kernel knows it")
        self.machine.must("ip", "link", "set", "eth1", "mtu", 4000)
        lab.until_link(lambda row: row["mtu"] == 4000)
        # The other way a larger one becomes the interface's.
        inside.must("ip", "link", "set", "nic0", "mtu", 6000)
        self.eventually(lambda: self.interface("eth1")["mtu"] == 6000, "the interface takes it")
        lab.until_link(lambda row: row["mtu"] == 6000)
        inside.must("ip", "link", "set", "nic0", "mtu", 1400)
        lab.until_link(lambda row: row["mtu"] == 1400)
        self.assertEqual(self.interface("eth1")["mtu"], 6000, "it is others', too")

    def test_an_interface_that_goes_comes_back_with_all_that_was_wanted(self):
        lab = self.packet_lab()
        lab.inside("a").join(group=IP_GROUP, dev="nic0")
        lab.until_rx_mode(lambda report: is_held(report, GROUP))
        for _ in range(2):
            self.machine.must("ip", "link", "del", "eth1")
            lab.until_link(lambda row: not row["carrier"])
            self.plug()
            for dev in ("nic0", "nic1"):
                lab.until_link(lambda row: row["carrier"], dev)
            lab.ping("a", "10.9.0.2")
            lab.until_rx_mode(lambda report: is_held(report, GROUP))
            self.assertIn(GROUP, self.groups("eth1"))
        # One that is renamed is the same.
        self.machine.must("ip", "link", "set", "eth1", "down")
        self.machine.must("ip", "link", "set", "eth1", "name", "wan")
        self.machine.must("ip", "link", "set", "wan", "up")
        lab.until_link(lambda row: row["carrier"])
        lab.ping("b", "10.9.0.1")

    def test_what_cannot_be_a_card_is_said(self):
        def refused(**keys):
            lab = self.new_lab(config_of([self.nic(0, **keys)]), place=self.machine)
            lab.spawn()
            lab.process.wait()
            return lab.stderr()

        self.assert_sentence(refused(bus="eth7"), "there is no interface eth7; there are ", "lo", "eth1", "eth2")
        self.assert_sentence(refused(bus="lo"), "'bus'", "keeps for itself")
        self.assert_sentence(refused(bus="usb:0bda:8150"), "'bus'", "1 to 15")
        self.machine.must("ip", "tuntap", "add", "tun0", "mode", "tun")
        self.assert_sentence(refused(bus="tun0"), "tun0 has no Ethernet frames")
        self.assert_sentence(refused(bus="eth1", driver="simnic"), "'bus'", 'driver = "packet"')
        self.machine.must("ip", "link", "add", "mv0", "link", "eth1", "type", "macvlan")
        self.assert_sentence(refused(bus="mv0", mtu=4000), "mv0 does not take the MTU 4000 (it has 1500)")
        self.machine = self.place()
        self.assert_sentence(refused(), "there is no interface eth1; there is lo", "unshare -rn")
