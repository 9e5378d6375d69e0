# SPDX-License-Identifier: Apache-2.0 OR MIT
"""TCP of two kernels across cards with and without offloads: what crosses whole, what is cut, and who may say so."""

import hashlib
import random

from lab import LabTest, config_of, pair

OCTETS = 30_000_000
SEND = f"""import random, socket
octets = random.Random(7).randbytes({OCTETS})
socket.create_connection(("10.9.0.2", 5001)).sendall(octets)
"""


class OffloadTest(LabTest):
    def test_superframes_cross_whole_through_a_macvlan_over_a_vlan_over_a_bond(self):
        nics = []
        for number, host in enumerate("ab"):
            nics += [{"name": f"nic{number}", "driver": "simnic", "simnic": {"wire": "w0", "tso": True}},
                     {"name": f"bond{number}", "driver": "bond", "over": [f"nic{number}"]},
                     {"name": f"vlan{number}", "driver": "vlan", "over": f"bond{number}", "vlan": {"id": 5}},
                     {"name": f"top{number}", "host": host, "driver": "macvlan", "over": f"vlan{number}",
                      "addresses": [f"10.9.0.{number + 1}/24"]}]
        lab = self.lab(config_of(nics))
        lab.ping("a", "10.9.0.2", 1)
        a, b = self.transfer(lab)
        self.assertGreater(b["rx_superframes"], 100)
        self.assertEqual(b["rx_superframes"], a["tx_superframes"])
        lab.must("ethtool", "-K", "nic0", "tso", "off")
        a, b = self.transfer(lab)
        self.assertEqual((a["tx_superframes"], b["rx_superframes"]), (0, 0), "the core cuts them, for the card")
        self.assertIs(self.features(lab, "top0")["tx-tcp-segmentation"], True)

    def lab_of(self, card, other):
        lab = self.lab(pair({"command_latency_us": 0} | card, other))
        lab.ping("a", "10.9.0.2", 1)
        return lab

    def transfer(self, lab):
        """Sends from host a to host b; returns by how much each counter of the two cards grew."""
        before = [self.counters(lab, dev) for dev in ("nic0", "nic1")]
        receiver = self.tcp_receiver(lab.exec_prefix("b"), 5001, "10.9.0.2")
        lab.exec("a", "python3", "-c", SEND)
        self.assertEqual(receiver.sha256(), hashlib.sha256(random.Random(7).randbytes(OCTETS)).hexdigest())
        after = [self.counters(lab, dev) for dev in ("nic0", "nic1")]
        return [{name: value - old[name] for name, value in new.items()} for old, new in zip(before, after)]

    def counters(self, lab, dev):
        return {each["name"]: each["value"] for each in lab.json("ethtool", dev)["counters"]}

    def features(self, lab, dev="nic0"):
        return {each["name"]: each["on"] for each in lab.json("ethtool", dev)["features"]}

    def test_superframes_cross_whole_between_cards_that_take_them_until_they_are_switched_off(self):
        lab = self.lab_of({"tso": True}, {"tso": True})
        a, b = self.transfer(lab)
        self.assertGreater(b["rx_superframes"], 100)
        self.assertEqual(b["rx_superframes"], a["tx_superframes"])
        self.assertGreaterEqual(b["rx_frames"], OCTETS // 1460, "a superframe counts as its segments")

        self.assertEqual(lab.must("ethtool", "-K", "nic0", "tso", "off"), lab.must("ethtool", "nic0", "-k"))
        self.assertEqual([self.features(lab)[name] for name in ("tx-tcp-segmentation", "rx-gro-hw", "rx-gro")],
                         [False, True, True])
        a, b = self.transfer(lab)
        self.assertEqual((a["tx_superframes"], b["rx_superframes"]), (0, 0), "the core cuts them")
        self.assertGreaterEqual(b["rx_frames"], OCTETS // 1460)

        lab.must("ethtool", "-K", "nic0", "tso", "on", "gso", "off")
        lab.must("ethtool", "-K", "nic1", "rx-gro-hw", "off")
        a, b = self.transfer(lab)
        self.assertEqual((a["tx_superframes"], b["rx_superframes"]), (0, 0), "the sender's card cuts them")

        lab.must("ethtool", "-K", "nic1", "rx-gro-hw", "on")
        _, b = self.transfer(lab)
        self.assertGreater(b["rx_superframes"], 100)

        # Without either the kernel itself cuts.
        lab.must("ethtool", "-K", "nic0", "tso", "off")
        a, _ = self.transfer(lab)
        self.assertEqual(a["tx_superframes"], 0)

    def test_a_card_without_offloads_is_given_frames_of_its_mtu(self):
        lab = self.lab_of({"tso": True}, {})
        a, b = self.transfer(lab)
        self.assertEqual(a["tx_superframes"], 0)
        self.assertEqual(b["rx_too_long"], 0)
        self.assertGreaterEqual(b["rx_frames"], OCTETS // 1460)
        self.assertEqual(lab.json("stats", "nic1")["rx"]["errors"], 0)

    def test_what_cannot_be_switched_is_said(self):
        lab = self.lab(pair({"checksum": True}))
        self.assertIn("nic0 has no tso: its card cannot do it",
                      lab.usernic("ethtool", "-K", "nic0", "tso", "on").stderr)
        self.assertIn("there is no feature 'gor'; did you mean 'gro'?",
                      lab.usernic("ethtool", "-K", "nic0", "gor", "on").stderr)
        for words in (["tso"], ["tso", "of"], []):
            self.assertEqual(lab.usernic("ethtool", "-K", "nic0", *words).returncode, 2)
        self.assertEqual(lab.usernic("ethtool", "nic0", "tso", "on").returncode, 2)
        lab.must("ethtool", "-K", "nic0", "tx", "off")
        self.assertIs(self.features(lab)["tx-checksum-ip-generic"], False)

    def test_what_goes_with_another_feature_is_on_again_with_it(self):
        lab = self.lab(pair({"tso": True}))
        names = ("tx-checksum-ip-generic", "tx-tcp-segmentation")
        for switch, then in (("off", [False, False]), ("on", [True, True])):
            lab.must("ethtool", "-K", "nic0", "tx", switch)
            self.assertEqual([self.features(lab)[name] for name in names], then)
