#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The kernel of a guest on the other end of USB: its drivers on our models, its devices under our drivers.

    USERNIC_PROGRAM=build/debug/usernic tests/guest/guest_test.py [-v] [CLASS | CLASS.TEST ...]

One guest for all tests. Exit code 77 where there is no QEMU; what is missing is said.
"""

import argparse
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import lab as lab_module
from guest import HOST, Guest, why_not
from lab import LabTest, Place
from program_test import SKIPPED, Result
from usb_device import UsbDevice

MODULES = ("vhci_hcd", "rtl8150")
GUEST_IP, PEER_IP = "10.55.0.1", "10.55.0.2"
GROUP_IP = "239.1.2.3"
IP = "/usr/sbin/ip"  # not the shell's own
FOREIGN = "06:00:00:00:00:01"  # a unicast address that is nobody's

the_place, the_guest = None, None


def setUpModule():
    global the_place, the_guest
    if reason := why_not() or lab_module.why_not():
        raise unittest.SkipTest(reason)
    the_place = Place()
    unittest.addModuleCleanup(the_place.close)
    the_guest = Guest(MODULES, prefix=the_place.prefix())
    unittest.addModuleCleanup(the_guest.close)


class GuestTest(LabTest):
    def report(self):
        return f"{super().report()}\n{the_guest.report()}"


class KernelDriverTest(GuestTest):
    """The kernel's own driver on an adapter that we serve; the far end of its cable is cable0."""

    def setUp(self):
        super().setUp()
        self.device = UsbDevice("rtl8150", "--tap", "cable0", prefix=the_place.prefix())
        self.addCleanup(self.device.close)
        the_place.must("ip", "address", "add", f"{PEER_IP}/24", "dev", "cable0")
        the_place.must("ip", "link", "set", "cable0", "up")
        self.attach()

    def attach(self):
        """The guest takes the adapter, and it is up."""
        the_guest.must(f"usbip --tcp-port {self.device.port} attach -r {HOST} -b 1-1")
        the_guest.until("ls /sys/class/net/eth1")
        the_guest.must(f"{IP} addr add {GUEST_IP}/24 dev eth1 && {IP} link set eth1 up")
        self.until_carrier("1")
        self.device.until(lambda state: state["receiving"])

    def tearDown(self):
        if self.device.process.poll() is None:
            self.assertEqual(self.device.stop(), 0)
        the_guest.until("! ls /sys/class/net/eth1")
        super().tearDown()

    def until_carrier(self, value):
        the_guest.until(f"[ $(cat /sys/class/net/eth1/carrier) = {value} ]")

    def ping(self, *sizes):
        """Each answered, from both ends. The first may have to find the way."""
        the_guest.until(f"ping -c 1 -W 5 {PEER_IP}")
        for size in sizes or (56,):
            the_guest.must(f"ping -c 1 -W 60 -s {size} {PEER_IP}")
            the_place.must("ping", "-c", 1, "-W", 60, "-s", size, GUEST_IP)

    def received(self):
        """How many frames the guest has got, when those that were sent before have come."""
        the_place.must("ping", "-c", 1, "-W", 60, GUEST_IP)
        return int(the_guest.must("cat /sys/class/net/eth1/statistics/rx_packets"))

    def hears(self, address, frames=20):
        """Do frames to that address reach the guest's interface?"""
        before = self.received()
        the_place.send(frames=[[address, str(n), None] for n in range(frames)], dev="cable0")
        return self.received() - before >= frames

    def test_it_binds_pings_and_follows_what_is_asked_of_it(self):
        self.assertEqual(the_guest.must("basename $(readlink /sys/class/net/eth1/device/driver)"), "rtl8150")
        self.assertEqual(the_guest.must("cat /sys/class/net/eth1/address"), self.device.address)
        self.ping(0, 1, 18, 46, 47, 110, 512, 1472)
        state = self.device.state()
        self.assertEqual(state["own"], self.device.address)
        self.assertTrue(state["directed"] and state["broadcast"])
        self.assertFalse(state["promisc"])
        with self.subTest("another MTU"):
            the_guest.must(f"{IP} link set eth1 mtu 1000")
            self.ping(972, 1472)
            the_guest.must(f"{IP} link set eth1 mtu 1500")
            self.ping(1472)
            self.assertNotEqual(the_guest.run(f"{IP} link set eth1 mtu 1501")[0], 0)
        with self.subTest("groups"):
            # This driver has no use for the hash: any group is all of them.
            the_guest.must(f"{IP} addr add {GROUP_IP}/32 dev eth1 autojoin")
            the_guest.must(f"{IP} maddr add 33:33:00:00:12:34 dev eth1")
            self.assertTrue(self.device.until(lambda state: state["allmulti"])["receiving"])
            self.assertTrue(self.hears("01:00:5e:01:02:03") and self.hears("33:33:00:00:12:34"))
            the_guest.must(f"{IP} addr del {GROUP_IP}/32 dev eth1")
        with self.subTest("promiscuity"):
            self.assertFalse(self.hears(FOREIGN))
            the_guest.must(f"{IP} link set eth1 promisc on")
            self.device.until(lambda state: state["promisc"])
            self.assertTrue(self.hears(FOREIGN))
            the_guest.must(f"{IP} link set eth1 promisc off")
            self.device.until(lambda state: not state["promisc"])
            self.assertFalse(self.hears(FOREIGN))
        with self.subTest("another own address"):
            the_guest.must(f"{IP} link set eth1 down && {IP} link set eth1 address 02:00:00:00:00:77")
            the_guest.must(f"{IP} link set eth1 up")
            self.until_carrier("1")
            self.device.until(lambda state: state["own"] == "02:00:00:00:00:77" and state["receiving"])
            self.ping()
            self.assertFalse(self.hears(self.device.address))
        with self.subTest("down, and up again"):
            the_guest.must(f"{IP} link set eth1 down")
            self.device.until(lambda state: not state["receiving"])
            the_guest.must(f"{IP} link set eth1 up")
            self.device.until(lambda state: state["receiving"])
            self.ping()

    def test_its_cable_and_its_plug_are_noticed(self):
        self.ping()
        self.device.tell("link down")
        self.until_carrier("0")
        self.device.tell("link up")
        self.until_carrier("1")
        self.ping()
        self.device.tell("unplug")
        the_guest.until("! ls /sys/class/net/eth1")
        self.device.tell("plug")
        self.attach()
        self.ping()

    def test_it_lives_with_a_slow_adapter(self):
        self.device.tell("slow 6")
        self.ping(0, 1472)
        the_guest.must(f"{IP} link set eth1 promisc on")
        self.device.until(lambda state: state["promisc"])
        the_guest.must(f"{IP} link set eth1 promisc off")
        self.device.until(lambda state: not state["promisc"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="CLASS[.TEST]")
    parser.add_argument("-v", "--verbose", action="store_true", help="name each test")
    arguments = parser.parse_args()
    if not os.access(lab_module.PROGRAM, os.X_OK):
        sys.exit(f"USERNIC_PROGRAM must name the program, not '{lab_module.PROGRAM}'")
    here = sys.modules[__name__]
    loader = unittest.defaultTestLoader
    tests = loader.loadTestsFromNames(arguments.names, here) if arguments.names else loader.loadTestsFromModule(here)
    result = unittest.TextTestRunner(resultclass=Result, verbosity=2 if arguments.verbose else 1).run(tests)
    for test, reason in result.skipped:
        print(f"skipped {test}: {reason}", file=sys.stderr)
    nothing_done = result.wasSuccessful() and result.testsRun == len(result.skipped)
    return SKIPPED if nothing_done else 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    os.environ.pop("USERNIC_SOCKET", None)
    sys.exit(main())
