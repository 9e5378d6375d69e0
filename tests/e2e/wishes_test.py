# SPDX-License-Identifier: Apache-2.0 OR MIT
"""What the kernel's stack wants to receive becomes what the card is programmed with."""

import time

from lab import SECONDS, LabTest, class_of, config_of, is_gone, is_held, is_settled, pair

CALL_SECONDS = 0.010  # nic0's command_latency_us in pair()


def group_addresses(count):
    return [f"33:33:00:01:{i >> 8:02x}:{i & 255:02x}" for i in range(count)]


def stations(count):
    return [f"02:00:00:01:00:{i:02x}" for i in range(count)]


class WishesTest(LabTest):
    def settled(self, lab):
        """What `rx-mode` shows, without the group that the kernel joins for itself some time after the start."""
        report = lab.json("rx-mode", "nic0", f"--wait={SECONDS}")
        for side in ("wanted", "programmed"):
            report[side]["multicast"] = [it for it in report[side]["multicast"] if it != "33:33:ff:00:00:01"]
        return report

    def held_and_gone(self, address, want, unwant):
        """`want` puts the address among wanted and programmed, `unwant` takes it out of both; nothing else changes."""
        lab = self.lab(pair())
        before = self.settled(lab)
        self.assertTrue(is_gone(before, address), before)
        inside = lab.inside("a")
        want(inside)
        lab.until_rx_mode(lambda report: is_held(report, address) and is_settled(report))
        now = self.settled(lab)
        of = class_of(address)
        for side in ("wanted", "programmed"):
            self.assertEqual(now[side], before[side] | {of: sorted([*before[side][of], address])}, side)
        unwant(inside)
        lab.until_rx_mode(lambda report: is_gone(report, address) and is_settled(report))
        after = self.settled(lab)
        self.assertEqual((after["wanted"], after["programmed"]), (before["wanted"], before["programmed"]))
        self.assertEqual(after["failed"], [])

    def test_an_ipv4_group(self):
        self.held_and_gone("01:00:5e:01:02:03", lambda a: a.join(group="239.1.2.3", dev="nic0"),
                           lambda a: a.leave(group="239.1.2.3", dev="nic0"))

    def test_an_ipv6_group(self):
        self.held_and_gone("33:33:00:00:12:34", lambda a: a.join(group="ff15::1234", dev="nic0"),
                           lambda a: a.leave(group="ff15::1234", dev="nic0"))

    def test_bridge_fdb_unicast(self):
        address = "02:00:00:00:0f:db"
        self.held_and_gone(address, lambda a: a.must("bridge", "fdb", "add", address, "dev", "nic0", "self"),
                           lambda a: a.must("bridge", "fdb", "del", address, "dev", "nic0", "self"))

    def test_bridge_fdb_multicast(self):
        address = "33:33:00:00:0f:db"
        self.held_and_gone(address, lambda a: a.must("bridge", "fdb", "add", address, "dev", "nic0", "self"),
                           lambda a: a.must("bridge", "fdb", "del", address, "dev", "nic0", "self"))

    def test_ip_maddr(self):
        address = "33:33:00:00:be:ef"
        self.held_and_gone(address, lambda a: a.must("ip", "maddr", "add", address, "dev", "nic0"),
                           lambda a: a.must("ip", "maddr", "del", address, "dev", "nic0"))

    def test_a_macvlan_that_is_up(self):
        address = "02:00:00:00:0a:ac"

        def want(a):
            a.must("ip", "link", "add", "link", "nic0", "name", "mv0", "address", address, "type", "macvlan")
            # Its own groups are not what this is about.
            a.must("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/mv0/disable_ipv6")
            a.must("ip", "link", "set", "mv0", "multicast", "off", "up")

        lab = self.lab(pair())
        want(lab.inside("a"))
        lab.until_rx_mode(lambda report: is_held(report, address))
        self.assertEqual(lab.json("rx-mode", "nic0", f"--wait={SECONDS}")["wanted"]["promiscuity"], 0,
                         "the promiscuity that the kernel adds to a TAP with unicast addresses is nobody's wish")
        lab.exec("a", "ip", "link", "set", "mv0", "down")
        lab.until_rx_mode(lambda report: is_gone(report, address))
        lab.exec("a", "ip", "link", "set", "mv0", "up")
        lab.until_rx_mode(lambda report: is_held(report, address))
        lab.exec("a", "ip", "link", "del", "mv0")
        lab.until_rx_mode(lambda report: is_gone(report, address) and is_settled(report))

    def test_a_packet_sockets_multicast_address(self):
        address = "01:00:5e:7f:00:01"
        self.held_and_gone(address, lambda a: a.join_packet(kind="multicast", dev="nic0", address=address),
                           lambda a: a.leave_packet(kind="multicast", dev="nic0", address=address))

    def test_a_packet_sockets_unicast_address(self):
        address = "02:00:00:00:0c:af"
        self.held_and_gone(address, lambda a: a.join_packet(kind="unicast", dev="nic0", address=address),
                           lambda a: a.leave_packet(kind="unicast", dev="nic0", address=address))

    def flag_on_and_off(self, wanted, programmed, want, unwant):
        lab = self.lab(pair())
        inside = lab.inside("a")
        before = self.settled(lab)
        self.assertEqual((before["wanted"][wanted], before["programmed"][programmed]), (0, False))
        want(inside)
        lab.until_rx_mode(lambda report: report["programmed"][programmed])
        now = self.settled(lab)
        self.assertEqual(now["wanted"][wanted], 1)
        self.assertEqual(now["wanted"]["multicast"], before["wanted"]["multicast"])
        self.assertEqual(now["programmed"]["multicast"], before["programmed"]["multicast"], "a flag empties no list")
        self.assertEqual(now["mode"]["multicast"], programmed)
        unwant(inside)
        lab.until_rx_mode(lambda report: not report["programmed"][programmed])
        after = self.settled(lab)
        self.assertEqual((after["wanted"], after["programmed"]), (before["wanted"], before["programmed"]))
        self.assertEqual((after["mode"]["unicast"], after["mode"]["multicast"]), ("exact", "exact"))

    def test_a_packet_socket_in_promiscuous_mode(self):
        self.flag_on_and_off("promiscuity", "promisc", lambda a: a.join_packet(kind="promisc", dev="nic0"),
                             lambda a: a.leave_packet(kind="promisc", dev="nic0"))

    def test_a_packet_socket_that_wants_every_group(self):
        self.flag_on_and_off("allmulti", "allmulti", lambda a: a.join_packet(kind="allmulti", dev="nic0"),
                             lambda a: a.leave_packet(kind="allmulti", dev="nic0"))

    def test_ip_link_set_promisc(self):
        self.flag_on_and_off("promiscuity", "promisc", lambda a: a.must("ip", "link", "set", "nic0", "promisc", "on"),
                             lambda a: a.must("ip", "link", "set", "nic0", "promisc", "off"))

    def test_ip_link_set_allmulticast(self):
        self.flag_on_and_off("allmulti", "allmulti",
                             lambda a: a.must("ip", "link", "set", "nic0", "allmulticast", "on"),
                             lambda a: a.must("ip", "link", "set", "nic0", "allmulticast", "off"))

    def test_promiscuity_that_somebody_wants_is_told_from_the_kernels_own(self):
        lab = self.lab(pair())
        a = lab.inside("a")
        a.must("bridge", "fdb", "add", "02:00:00:00:0f:db", "dev", "nic0", "self")
        lab.until_rx_mode(lambda report: is_held(report, "02:00:00:00:0f:db"))
        self.assertEqual(lab.json("rx-mode", "nic0")["mode"]["unicast"], "exact")
        a.join_packet(kind="promisc", dev="nic0")
        lab.until_rx_mode(lambda report: report["wanted"]["promiscuity"] == 1 and report["programmed"]["promisc"])
        a.must("bridge", "fdb", "del", "02:00:00:00:0f:db", "dev", "nic0", "self")
        lab.until_rx_mode(lambda report: is_gone(report, "02:00:00:00:0f:db"))
        self.assertTrue(lab.json("rx-mode", "nic0")["programmed"]["promisc"])

    def test_promiscuity_is_seen_whatever_is_in_the_kernels_two_lists(self):
        """Its uc list, while it is not empty, adds one that nobody wants; its mc list adds none. Classes do not matter."""
        lab = self.lab(pair())
        a = lab.inside("a")
        own, station, group = "02:00:00:00:00:01", "02:00:00:00:aa:01", "01:00:5e:7f:00:01"
        macvlan = ["ip", "link", "add", "mv0", "link", "nic0", "type", "macvlan"]

        def in_uc_list(address):
            return (lambda: a.join_packet(kind="unicast", dev="nic0", address=address),
                    lambda: a.leave_packet(kind="unicast", dev="nic0", address=address))

        def in_mc_list(address):
            return (lambda: a.must("ip", "maddr", "add", address, "dev", "nic0"),
                    lambda: a.must("ip", "maddr", "del", address, "dev", "nic0"))

        def both(one, other):
            return (lambda: [one[0](), other[0]()], lambda: [one[1](), other[1]()])

        on_top = (lambda: [a.must(*macvlan), a.must("ip", "link", "set", "mv0", "up")],
                  lambda: a.must("ip", "link", "del", "mv0"))
        mixtures = {
            "nothing": (lambda: None, lambda: None),
            "a unicast address in the mc list": in_mc_list(station),
            "a multicast address in the uc list": in_uc_list(group),
            "a unicast address in both": both(in_uc_list(station), in_mc_list(station)),
            "a multicast address in both": both(in_uc_list(group), in_mc_list(group)),
            "the own address in the uc list": in_uc_list(own),
            "the own address in the mc list": in_mc_list(own),
            "the own address in both": both(in_uc_list(own), in_mc_list(own)),
            "zero in the uc list": in_uc_list("00:00:00:00:00:00"),
            "zero in the mc list": in_mc_list("00:00:00:00:00:00"),
            "a macvlan": on_top,
            "a macvlan and a unicast address in the mc list": both(on_top, in_mc_list(station)),
        }
        for name, (come, go) in mixtures.items():
            with self.subTest(name):
                come()
                self.assertEqual(lab.json("rx-mode", "nic0", "--wait")["wanted"]["promiscuity"], 0)
                a.must("ip", "link", "set", "nic0", "promisc", "on")
                self.assertEqual(lab.json("rx-mode", "nic0", "--wait")["mode"]["unicast"], "promisc")
                a.must("ip", "link", "set", "nic0", "promisc", "off")
                self.assertEqual(lab.json("rx-mode", "nic0", "--wait")["wanted"]["promiscuity"], 0)
                go()
                self.assertEqual(lab.json("rx-mode", "nic0", "--wait")["mode"]["unicast"], "exact")

    def test_an_address_stays_while_one_of_two_still_wants_it(self):
        lab = self.lab(pair())
        a, address = lab.inside("a"), "01:00:5e:01:02:03"
        a.join(group="239.1.2.3", dev="nic0", who="one")
        a.join(group="239.1.2.3", dev="nic0", who="two")
        lab.until_rx_mode(lambda report: is_held(report, address))
        a.leave(group="239.1.2.3", dev="nic0", who="one")
        # What comes later is seen, and this address is still there.
        a.join(group="239.1.2.4", dev="nic0")
        report, _ = lab.until_rx_mode(lambda report: is_held(report, "01:00:5e:01:02:04"))
        self.assertTrue(is_held(report, address))
        a.leave(group="239.1.2.3", dev="nic0", who="two")
        lab.until_rx_mode(lambda report: is_gone(report, address))

    def test_two_thousand_addresses_are_all_wanted_and_all_gone_again(self):
        lab = self.lab(pair())
        a, addresses = lab.inside("a"), group_addresses(2000)
        a.add_multicast(addresses=addresses, dev="nic0")
        lab.until_rx_mode(lambda report: set(addresses) <= set(report["wanted"]["multicast"]))
        report = lab.json("rx-mode", "nic0", f"--wait={SECONDS}")
        self.assertLessEqual(set(addresses), set(report["wanted"]["multicast"]))
        self.assertEqual(report["wanted"]["multicast"], sorted(report["wanted"]["multicast"]))
        self.assertEqual(report["mode"]["multicast"], "allmulti", "2000 are too many for 16 slots and 64 buckets")
        self.assertLess(report["stats"]["driver_calls"], len(addresses) // 2, "not one an address")
        a.del_multicast(addresses=addresses, dev="nic0")
        report, _ = lab.until_rx_mode(
            lambda report: not set(addresses) & set(report["wanted"]["multicast"]) and is_settled(report))
        report = lab.json("rx-mode", "nic0", f"--wait={SECONDS}")
        self.assertEqual(report["mode"]["multicast"], "exact")
        self.assertEqual(report["programmed"]["multicast"], report["wanted"]["multicast"])


class AnswerTest(LabTest):
    """From the kernel's call to the card's answer, which takes 10 ms. (How soon: host/, with a clock of its own.)"""

    def assert_each_is_answered_for(self, addresses, want):
        lab = self.lab(pair())
        for i, address in enumerate(addresses):
            begun = want(lab.inside("a"), i, address)
            _, held = lab.until_rx_mode(lambda report, address=address: is_held(report, address))
            self.assertGreater(held - begun, CALL_SECONDS, "nothing is programmed before the card has answered")

    def test_ipv4_joins(self):
        self.assert_each_is_answered_for([f"01:00:5e:01:02:{i:02x}" for i in range(8)],
                                         lambda a, i, _: a.join(group=f"239.1.2.{i}", dev="nic0"))

    def test_ipv6_joins(self):
        self.assert_each_is_answered_for([f"33:33:00:00:12:{i:02x}" for i in range(4)],
                                         lambda a, i, _: a.join(group=f"ff15::12{i:02x}", dev="nic0"))

    def test_fdb_entries(self):
        self.assert_each_is_answered_for(stations(5), lambda a, _, address: a.run(
            argv=["bridge", "fdb", "add", address, "dev", "nic0", "self"])["begun"])

    def test_silent_joins(self):
        self.assert_each_is_answered_for(group_addresses(4), lambda a, _, address: a.add_multicast(
            addresses=[address], dev="nic0"))

    def test_silent_memberships_of_packet_sockets(self):
        self.assert_each_is_answered_for(stations(2), lambda a, _, address: a.join_packet(
            kind="unicast", dev="nic0", address=address))


class OverflowTest(LabTest):
    """A filter that is too small gets wider, says why, and comes back."""

    def test_too_many_groups_go_to_the_hash_and_come_back(self):
        lab = self.lab(pair())
        a, addresses = lab.inside("a"), group_addresses(20)
        a.add_multicast(addresses=addresses, dev="nic0")
        report, _ = lab.until_rx_mode(lambda r: set(addresses) <= set(r["wanted"]["multicast"]) and is_settled(r))
        report = lab.json("rx-mode", "nic0", f"--wait={SECONDS}")
        self.assertEqual((report["mode"]["unicast"], report["mode"]["multicast"]), ("exact", "hash"))
        self.assertEqual(report["programmed"]["multicast"], report["wanted"]["multicast"], "exactly or by hash")
        self.assertEqual((report["programmed"]["allmulti"], report["programmed"]["promisc"]), (False, False))
        wanted = len(report["wanted"]["multicast"])
        self.assertEqual(report["mode"]["reason"], f"{wanted} multicast addresses, 16 slots")
        a.del_multicast(addresses=addresses, dev="nic0")
        lab.until_rx_mode(lambda r: r["mode"]["multicast"] == "exact" and is_settled(r)
                          and not set(addresses) & set(r["programmed"]["multicast"]))

    def test_too_many_stations_make_it_promiscuous_and_back(self):
        lab = self.lab(pair({"unicast_slots": 4}))
        a, addresses = lab.inside("a"), stations(5)
        for address in addresses:
            a.must("bridge", "fdb", "add", address, "dev", "nic0", "self")
        lab.until_rx_mode(lambda r: r["programmed"]["promisc"] and r["wanted"]["unicast"] == addresses)
        report = lab.json("rx-mode", "nic0", f"--wait={SECONDS}")
        self.assertEqual(report["mode"]["unicast"], "promisc")
        self.assertEqual(report["mode"]["reason"], "5 unicast addresses, 4 slots")
        self.assertEqual(report["wanted"]["promiscuity"], 0, "the card's, not somebody's wish")
        self.assertGreaterEqual(len(report["programmed"]["unicast"]), 1, "promisc does not empty the list")
        for address in addresses[:3]:
            a.must("bridge", "fdb", "del", address, "dev", "nic0", "self")
        lab.until_rx_mode(lambda r: not r["programmed"]["promisc"] and r["programmed"]["unicast"] == addresses[3:])
        self.assertEqual(lab.json("rx-mode", "nic0", f"--wait={SECONDS}")["mode"]["unicast"], "exact")

    def test_a_card_without_a_hash_hears_all_groups_when_they_are_too_many(self):
        lab = self.lab(pair({"multicast_slots": 4, "multicast_hash_bits": 0}))
        a, addresses = lab.inside("a"), group_addresses(5)
        a.add_multicast(addresses=addresses, dev="nic0")
        lab.until_rx_mode(lambda r: set(addresses) <= set(r["wanted"]["multicast"]) and r["programmed"]["allmulti"])
        self.assertEqual(lab.json("rx-mode", "nic0", f"--wait={SECONDS}")["mode"]["multicast"], "allmulti")
        a.del_multicast(addresses=addresses, dev="nic0")
        lab.until_rx_mode(lambda r: not r["programmed"]["allmulti"] and is_settled(r))

    def test_too_many_vlans_open_the_filter_and_the_reason_says_so(self):
        lab = self.lab(pair({"vlan_slots": 2}, vlans=[1, 2, 3]))
        report = lab.json("rx-mode", "nic0", f"--wait={SECONDS}")
        self.assertEqual((report["wanted"]["vlans"], report["programmed"]["vlans"]), ([1, 2, 3], []))
        self.assertEqual(report["mode"]["reason"], "3 VLANs, 2 slots: filter open")
        self.assertIn("  vlans      wanted 1 2 3, card: filter open\n", lab.must("rx-mode", "nic0"))
        lab = self.lab(pair({"vlan_slots": 2}, vlans=[1, 2]))
        self.assertEqual(lab.json("rx-mode", "nic0", f"--wait={SECONDS}")["mode"]["reason"], "everything fits")
        self.assertIn("  vlans      wanted 1 2, card: 1 2\n", lab.must("rx-mode", "nic0"))

    def test_no_wanted_frame_is_lost_while_the_filter_changes(self):
        lab = self.lab(pair({"multicast_slots": 8, "multicast_hash_bits": 16}))
        a, b, mine = lab.inside("a"), lab.inside("b"), group_addresses(2)
        own = "02:00:00:00:00:01"
        a.add_multicast(addresses=mine, dev="nic0")
        lab.until_rx_mode(lambda r: all(is_held(r, address) for address in mine))
        a.listen(devs=["nic0"])
        others, frames = group_addresses(60)[2:], 0
        for change, mode in ((lambda: a.add_multicast(addresses=others[:6], dev="nic0"), "hash"),
                             (lambda: a.add_multicast(addresses=others[6:], dev="nic0"), "allmulti"),
                             (lambda: a.join_packet(kind="promisc", dev="nic0"), "promisc"),
                             (lambda: a.leave_packet(kind="promisc", dev="nic0"), "allmulti"),
                             (lambda: a.del_multicast(addresses=others, dev="nic0"), "exact")):
            change()
            deadline = time.monotonic() + SECONDS
            while True:  # frames all the way until the card has followed
                report = lab.control().ask("rx-mode", dev="nic0")
                to = [*mine, own][frames % 3]
                last = f"frame {frames}"
                b.send(frames=[[to, last, None]], dev="nic1")
                frames += 1
                # Paced by hearing it: a ring that overflows would be another matter.
                self.assertEqual(a.hear(dev="nic0", last=last)[-1:], [last], f"{to} in {report['mode']}")
                if report["mode"]["multicast"] == mode and is_settled(report):
                    break
                self.assertLess(time.monotonic(), deadline, f"{mode}, not {report['mode']}")


class ManyHostsTest(LabTest):
    def test_a_wish_in_one_host_is_no_wish_in_another(self):
        nics = [{"name": f"nic{i}", "host": host, "driver": "simnic", "simnic": {"wire": "w0"}}
                for i, host in enumerate("abc")]
        lab = self.lab(config_of(nics))
        lab.inside("b").join(group="239.1.2.3", dev="nic1")
        lab.until_rx_mode(lambda report: is_held(report, "01:00:5e:01:02:03"), dev="nic1")
        for dev in ("nic0", "nic2"):
            self.assertTrue(is_gone(lab.json("rx-mode", dev), "01:00:5e:01:02:03"))
