#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The kernel of a guest on the other end of USB: its drivers on our models, its devices under our drivers.

    USERNIC_PROGRAM=build/debug/usernic USERNIC_LIBUSB_ON_USBFS=build/debug/tests/libusb_on_usbfs \\
        tests/guest/guest_test.py [-v] [CLASS | CLASS.TEST ...]

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
from lab import LabTest, Place, config_of
from program_test import SKIPPED, Result
from usb_device import UsbDevice, has_bucket

MODULES = ("vhci_hcd", "rtl8150", "tun")
GUEST_IP, PEER_IP = "10.55.0.1", "10.55.0.2"
GROUP_IP, GROUP = "239.1.2.3", "01:00:5e:01:02:03"
IP = "/usr/sbin/ip"  # not the shell's own
LIBUSB_ON_USBFS = os.environ.get("USERNIC_LIBUSB_ON_USBFS", "")  # a test program, run in the guest
FOREIGN = "06:00:00:00:00:01"  # a unicast address that is nobody's

the_place, the_guest = None, None


def setUpModule():
    global the_place, the_guest
    if reason := why_not() or lab_module.why_not():
        raise unittest.SkipTest(reason)
    the_place = Place()
    unittest.addModuleCleanup(the_place.close)
    programs = {"/usr/sbin/usernic": lab_module.PROGRAM, "/usr/sbin/libusb_on_usbfs": LIBUSB_ON_USBFS}
    the_guest = Guest(MODULES, programs, prefix=the_place.prefix())
    unittest.addModuleCleanup(the_guest.close)


class GuestTest(LabTest):
    def report(self):
        return f"{super().report()}\n{the_guest.report()}"


class AdapterTest(GuestTest):
    """With an adapter that we serve, taken by the guest and driven by its kernel; cable0 is at the end of its cable."""

    def setUp(self):
        super().setUp()
        self.device = UsbDevice("rtl8150", "--tap", "cable0", prefix=the_place.prefix())
        self.addCleanup(self.device.close)
        the_place.must("ip", "address", "add", f"{PEER_IP}/24", "dev", "cable0")
        the_place.must("ip", "link", "set", "cable0", "up")
        self.attach()

    def plug_in(self):
        """The guest takes the adapter, and its kernel has a driver for it."""
        the_guest.must(f"usbip --tcp-port {self.device.port} attach -r {HOST} -b 1-1")

    def attach(self):
        self.plug_in()
        self.until_driven_by_the_kernel()

    def until_driven_by_the_kernel(self):
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


class KernelDriverTest(AdapterTest):
    """The kernel's own driver on our model."""

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
            self.assertTrue(self.hears(GROUP) and self.hears("33:33:00:00:12:34"))
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


class LibusbTest(AdapterTest):
    """Our driver in the guest, on real usbfs; the kernel's driver has the adapter before and afterwards."""

    def start(self, bus):
        """`usernic run` in the guest, with nic0 at that bus."""
        the_guest.write("/tmp/lab.toml", config_of([{"name": "nic0", "bus": bus, "addresses": [f"{GUEST_IP}/24"]}]))
        the_guest.must("rm -f /tmp/ready /tmp/ended")
        the_guest.must("(usernic run /tmp/lab.toml --ready-fd 3 3>/tmp/ready >/tmp/said 2>&1; echo $? >/tmp/ended) &")
        the_guest.until("[ -s /tmp/ready ] || { cat /tmp/said; [ -e /tmp/ended ] && exit 0; exit 1; }")
        self.assertTrue(the_guest.run("[ -e /tmp/ended ]")[0], the_guest.must("cat /tmp/said"))
        self.addCleanup(the_guest.run, "killall -9 usernic")
        self.assertNotEqual(the_guest.run("ls /sys/class/net/eth1")[0], 0, "the kernel has it still")

    def end(self):
        the_guest.must("killall usernic")
        the_guest.until("[ -s /tmp/ended ]")
        self.assertEqual(the_guest.must("cat /tmp/ended"), "0", the_guest.must("cat /tmp/said"))

    def until_filter(self, holds):
        self.device.until(lambda state: state["receiving"] and holds(state))

    def test_it_is_taken_from_the_kernel_and_given_back(self):
        self.ping()
        place = the_guest.must("basename $(readlink -f /sys/class/net/eth1/device/..)")
        for bus in (f"usb:{place}", "usb:0bda:8150"):
            with self.subTest(bus=bus):
                self.start(bus)
                self.ping(0, 1, 46, 47, 512, 1472)
                self.assertEqual(the_guest.must("cat /sys/class/net/nic0/address"), self.device.address)
                self.end()
                self.until_driven_by_the_kernel()
                self.ping()

    def test_it_filters_by_the_hash(self):
        self.start("usb:0bda:8150")
        the_guest.must(f"{IP} maddr add {GROUP} dev nic0")
        self.until_filter(lambda state: has_bucket(state, GROUP) and not state["allmulti"])
        the_guest.must(f"{IP} link set nic0 promisc on")
        self.until_filter(lambda state: state["promisc"])
        the_guest.must(f"{IP} link set nic0 promisc off && {IP} maddr del {GROUP} dev nic0")
        self.until_filter(lambda state: not has_bucket(state, GROUP) and not state["promisc"])
        self.end()

    def test_it_comes_back_after_an_unplug_with_its_filter(self):
        self.start("usb:0bda:8150")
        the_guest.must(f"{IP} maddr add {GROUP} dev nic0")
        self.until_filter(lambda state: has_bucket(state, GROUP))
        self.device.tell("unplug")
        the_guest.until("[ $(cat /sys/class/net/nic0/carrier) = 0 ]")
        self.device.tell("plug")
        self.plug_in()
        self.until_filter(lambda state: has_bucket(state, GROUP))
        self.ping()
        self.device.tell("link down")
        the_guest.until("[ $(cat /sys/class/net/nic0/carrier) = 0 ]")
        self.device.tell("link up")
        the_guest.until("[ $(cat /sys/class/net/nic0/carrier) = 1 ]")
        self.end()

    def test_it_ends_while_it_is_away(self):
        self.start("usb:0bda:8150")
        self.device.tell("unplug")
        the_guest.until("[ $(cat /sys/class/net/nic0/carrier) = 0 ]")
        self.end()


class LibusbTransportTest(GuestTest):
    def test_it_does_what_every_transport_does(self):
        code, said = the_guest.run("libusb_on_usbfs")
        self.assertEqual(code, 0, said)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="CLASS[.TEST]")
    parser.add_argument("-v", "--verbose", action="store_true", help="name each test")
    arguments = parser.parse_args()
    for name in ("USERNIC_PROGRAM", "USERNIC_LIBUSB_ON_USBFS"):
        if not os.access(os.environ.get(name, ""), os.X_OK):
            sys.exit(f"{name} must name a program, not '{os.environ.get(name, '')}'")
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
