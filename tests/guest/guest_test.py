#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The kernel of a guest on the other end of USB: its drivers on our models, its devices under our drivers.

    USERNIC_PROGRAM=build/debug/usernic USERNIC_LIBUSB_ON_USBFS=build/debug/tests/libusb_on_usbfs \\
        tests/guest/guest_test.py [-v] [CLASS | CLASS.TEST ...]

One guest for all tests; another one, once, where its kernel panics. Exit code 77 where there is no QEMU; what is missing
is said.
"""

import argparse
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import lab as lab_module
from guest import ADAPTER_ADDRESS, ADAPTER_PEER, HOST, PANICKED, USBIP_HOST_PORT, USBIP_PORT, Guest, why_not
from lab import LabTest, Place, config_of, is_settled
from program_test import SKIPPED, Result
from usb_device import UsbDevice, buckets_of, has_bucket, is_filter_of

MODULES = ("xhci_pci", "usbip_host", "vhci_hcd", "rtl8150", "lan78xx", "microchip", "8021q", "tun", "usbip_vudc",
           "usb_f_ecm", "usb_f_ncm", "usb_f_rndis")
GUEST_IP, PEER_IP = "10.55.0.1", "10.55.0.2"
GROUP_IP, GROUP = "239.1.2.3", "01:00:5e:01:02:03"
IP = "/usr/sbin/ip"  # not the shell's own
README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
LIBUSB_ON_USBFS = os.environ.get("USERNIC_LIBUSB_ON_USBFS", "")  # a test program, run in the guest
GADGETS = "/sys/kernel/config/usb_gadget"
NIC_NETWORK = "10.44.0"
GADGET_IP, NIC_IP, NIC_ADDRESS = f"{NIC_NETWORK}.1", f"{NIC_NETWORK}.2", "02:11:11:11:11:11"
OTHERS_IP = f"{NIC_NETWORK}.77"
NIC = {"name": "nic0", "host": "a", "driver": "cdc", "bus": f"usbip:127.0.0.1:{USBIP_PORT}/usbip-vudc.0",
       "addresses": [f"{NIC_IP}/24"]}
IN_ITS_PROCESS = "USERNIC_GUEST_TEST"
TRAFFIC_SECONDS = 600 if os.environ.get("USERNIC_LONG") else 20
# Sends as soon as somebody listens there.
SEND = """import hashlib, os, socket, sys
data = os.urandom(1 << 20)
while True:
    try:
        connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
        break
    except ConnectionRefusedError:
        pass
with connection:
    connection.sendall(data)
print(hashlib.sha256(data).hexdigest())
"""
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
    the_guest.must("mount -t configfs configfs /sys/kernel/config && usbipd --device -4 -D")


class GuestTest(LabTest):
    def report(self):
        return f"{super().report()}\n{the_guest.report()}"


class AdapterTest(GuestTest):
    """With an adapter that we serve, taken by the guest and driven by its kernel; cable0 is at the end of its cable."""

    model = "rtl8150"

    def setUp(self):
        super().setUp()
        self.device = UsbDevice(self.model, "--tap", "cable0", prefix=the_place.prefix())
        self.addCleanup(self.device.close)
        the_place.sysctl("net/ipv6/conf/cable0/disable_ipv6", 1)  # its frames would be counted, too
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

    def until_carrier(self, value, dev="eth1"):
        the_guest.until(f"[ $(cat /sys/class/net/{dev}/carrier) = {value} ]")

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

    def hears(self, address, frames=20, vlan=None):
        """Do frames to that address reach the guest's interface?"""
        before = self.received()
        the_place.send(frames=[[address, str(n), vlan] for n in range(frames)], dev="cable0")
        return self.received() - before >= frames

    # Our driver, in the guest.

    def pull_and_plug(self, dev):
        """Away from under it, which it notices, and back."""
        self.device.tell("unplug")
        self.until_carrier(0, dev)
        self.device.tell("plug")
        self.plug_in()

    def start(self, bus):
        """`usernic run` in the guest, with nic0 at that bus."""
        self.start_with(config_of([{"name": "nic0", "bus": bus, "addresses": [f"{GUEST_IP}/24"]}]))

    def start_with(self, config):
        the_guest.write("/tmp/lab.toml", config)
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
        return self.device.until(lambda state: state["receiving"] and holds(state))


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
        self.pull_and_plug("nic0")
        self.until_filter(lambda state: has_bucket(state, GROUP))
        self.ping()
        self.device.tell("link down")
        self.until_carrier(0, "nic0")
        self.device.tell("link up")
        self.until_carrier(1, "nic0")
        self.end()

    def test_it_ends_while_it_is_away(self):
        self.start("usb:0bda:8150")
        self.device.tell("unplug")
        self.until_carrier(0, "nic0")
        self.end()


class ReadmeTest(AdapterTest):
    """What README tells the user of a NAS, and of WSL2, to do: the guest is that machine."""

    def setUp(self):
        super().setUp()
        [self.config] = re.findall(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)
        the_place.must("ip", "address", "add", "192.168.1.1/24", "dev", "cable0")

    def lan1_works(self):
        self.assertEqual(the_guest.must("cat /sys/class/net/lan1/address"), self.device.address)
        the_guest.until("ping -c 1 -W 5 192.168.1.1")
        the_place.must("ping", "-c", 1, "-W", 60, "192.168.1.50")

    def test_a_nas(self):
        self.assertRegex(the_guest.must("usernic usb"), r"(?m)^usb:\d+-[\d.]+ +0bda:8150 +full +rtl8150 ")
        self.start_with(self.config)
        self.lan1_works()
        the_guest.must(f"{IP} link set lan1 mtu 1000 && {IP} maddr add {GROUP} dev lan1")
        self.until_filter(lambda state: has_bucket(state, GROUP))
        self.pull_and_plug("lan1")
        self.until_filter(lambda state: has_bucket(state, GROUP))
        self.lan1_works()
        self.assertEqual(the_guest.must("cat /sys/class/net/lan1/mtu"), "1000")
        the_guest.must("killall -INT usernic")
        the_guest.until("[ -s /tmp/ended ]")
        self.until_driven_by_the_kernel()

    def test_wsl2(self):
        """Exported by whom its default route leads to. (Not at port 3240, which is forwarded to the guest.)"""
        the_guest.must(f"usbip detach -p 00; {IP} route add default via {HOST}")
        self.addCleanup(the_guest.must, f"{IP} route del default")
        the_guest.until("! ls /sys/class/net/eth1")
        server = re.match(r"default via (\S+) ", the_guest.must(f"{IP} route show default"))[1]
        server = f"{server}:{self.device.port}"
        listed = the_guest.until(f"usernic usb {server} | grep ^usbip:{server}/")
        self.assertRegex(listed, r" 0bda:8150 +full +rtl8150 ")
        self.start_with(self.config.replace("usb:0bda:8150", listed.split()[0]))
        self.lan1_works()
        self.end()


class Lan78xxTest(AdapterTest):
    """The model lan78xx, driven by the kernel's own driver, and by ours on the same guest's usbfs."""

    model = "lan78xx"

    def until_the_filter_is_that_of_the_groups(self):
        """32 of them, whichever, in perfect filters; the others hashed, and nothing else is."""
        return self.until_filter(lambda state: is_filter_of(state, the_guest.groups("eth1"), 32))

    def test_the_kernels_driver_binds_pings_and_follows_what_is_asked_of_it(self):
        self.assertEqual(the_guest.must("basename $(readlink /sys/class/net/eth1/device/driver)"), "lan78xx")
        self.assertEqual(the_guest.must("cat /sys/class/net/eth1/address"), self.device.address)
        self.assertEqual(the_guest.must("cat /sys/class/net/eth1/speed /sys/class/net/eth1/duplex"), "1000\nfull")
        self.ping(0, 1, 18, 46, 47, 110, 470, 512, 1472)
        state = self.until_the_filter_is_that_of_the_groups()
        self.assertEqual(state["own"], self.device.address)
        self.assertTrue(state["directed"] and state["broadcast"])
        self.assertFalse(state["promisc"] or state["allmulti"] or state["unicast"])
        with self.subTest("groups"):
            the_guest.must(f"{IP} addr add {GROUP_IP}/32 dev eth1 autojoin")
            self.assertIn(GROUP, self.until_the_filter_is_that_of_the_groups()["multicast"])
            self.assertTrue(self.hears(GROUP))
            the_guest.must(f"for n in $(seq 10 59); do {IP} maddr add 33:33:00:00:12:$n dev eth1; done")
            self.assertTrue(buckets_of(self.until_the_filter_is_that_of_the_groups()))
            self.assertTrue(self.hears("33:33:00:00:12:10") and self.hears("33:33:00:00:12:59"))
            self.assertFalse(self.hears("33:33:00:00:77:01"))
            the_guest.must(f"for n in $(seq 10 59); do {IP} maddr del 33:33:00:00:12:$n dev eth1; done")
            the_guest.must(f"{IP} addr del {GROUP_IP}/32 dev eth1")
            self.assertFalse(buckets_of(self.until_the_filter_is_that_of_the_groups()))
        with self.subTest("promiscuity, and all groups"):
            self.assertFalse(self.hears(FOREIGN))
            the_guest.must(f"{IP} link set eth1 promisc on")
            self.until_filter(lambda state: state["promisc"])
            self.assertTrue(self.hears(FOREIGN))
            the_guest.must(f"{IP} link set eth1 promisc off && {IP} link set eth1 allmulticast on")
            self.until_filter(lambda state: state["allmulti"] and not state["promisc"])
            self.assertTrue(self.hears("33:33:00:00:77:01"))
            self.assertFalse(self.hears(FOREIGN))
            the_guest.must(f"{IP} link set eth1 allmulticast off")
            self.until_the_filter_is_that_of_the_groups()
        with self.subTest("another MTU"):
            the_place.must("ip", "link", "set", "cable0", "mtu", 9000)
            the_guest.must(f"{IP} link set eth1 mtu 9000")
            self.ping(1472, 8972)
            the_guest.must(f"{IP} link set eth1 mtu 1500")
            the_place.must("ip", "link", "set", "cable0", "mtu", 1500)
            self.ping(1472)
            self.assertNotEqual(the_guest.run(f"{IP} link set eth1 mtu 9001")[0], 0)
        with self.subTest("another own address"):
            the_guest.must(f"{IP} link set eth1 down && {IP} link set eth1 address 02:00:00:00:00:77")
            the_guest.must(f"{IP} link set eth1 up")
            self.until_carrier("1")
            self.until_filter(lambda state: state["own"] == "02:00:00:00:00:77")
            self.ping()
            self.assertFalse(self.hears(self.device.address))

    def test_a_vlan_of_the_kernels_is_in_the_table_and_heard(self):
        self.ping()
        the_guest.must(f"{IP} link add link eth1 name eth1.5 type vlan id 5 && {IP} link set eth1.5 up")
        self.until_filter(lambda state: state["vlan_filter"] and 5 in state["vlans"])
        count = "cat /sys/class/net/eth1.5/statistics/rx_packets"
        before = int(the_guest.must(count))
        self.assertTrue(self.hears("ff:ff:ff:ff:ff:ff", vlan=5))
        self.assertGreaterEqual(int(the_guest.must(count)) - before, 20)
        self.assertFalse(self.hears("ff:ff:ff:ff:ff:ff", vlan=6))
        the_guest.must(f"{IP} link del eth1.5")
        self.until_filter(lambda state: 5 not in state["vlans"])
        self.assertFalse(self.hears("ff:ff:ff:ff:ff:ff", vlan=5))

    def test_what_the_kernel_leaves_to_the_chip_is_done(self):
        """TCP both ways: its sums are written and looked at by the adapter, and its packets cut."""
        self.ping()
        the_guest.must("head -c 2000000 /dev/urandom > /tmp/data")
        receiver = self.tcp_receiver(the_place.prefix(), 5055)
        the_guest.must(f"nc {PEER_IP} 5055 < /tmp/data")
        self.assertEqual(receiver.sha256(), the_guest.must("sha256sum < /tmp/data").split()[0])
        the_guest.must("(nc -l -p 5056 > /tmp/got; sha256sum < /tmp/got > /tmp/sum) > /dev/null 2>&1 &")
        sent = the_place.must(sys.executable, "-c", SEND, GUEST_IP, 5056).strip()
        the_guest.until("[ -s /tmp/sum ]")
        self.assertEqual(the_guest.must("cat /tmp/sum; rm /tmp/sum").split()[0], sent)

    def test_its_cable_and_its_plug_are_noticed(self):
        self.ping()
        for _ in range(2):
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

    def test_our_driver_takes_it_from_the_kernels_and_gives_it_back(self):
        self.ping()
        self.start("usb:0424:7800")
        self.ping(0, 1, 46, 47, 512, 1472)
        the_guest.must(f"{IP} maddr add {GROUP} dev nic0")
        self.until_filter(lambda state: GROUP in state["multicast"] and not buckets_of(state))
        self.pull_and_plug("nic0")
        self.until_filter(lambda state: GROUP in state["multicast"])
        self.ping()
        self.end()
        self.until_driven_by_the_kernel()
        self.ping()


class LibusbTransportTest(GuestTest):
    def test_it_does_what_every_transport_does(self):
        code, said = the_guest.run("libusb_on_usbfs")
        self.assertEqual(code, 0, said)


class GadgetTest(GuestTest):
    """Our driver cdc, over USB/IP, on the network functions that Linux' gadgets have: usb0 is the guest's end."""

    def lab_with(self, function):
        """A gadget with that function in the guest, and a `usernic run` that has it as nic0, in the host a."""
        the_guest.must(f"cd {GADGETS} && mkdir g && cd g && echo 0x1d6b > idVendor && echo 0x0104 > idProduct && "
                       f"mkdir strings/0x409 configs/c.1 functions/{function}.usb0 && "
                       f"echo {NIC_ADDRESS} > functions/{function}.usb0/host_addr && "
                       f"ln -s functions/{function}.usb0 configs/c.1/")
        self.addCleanup(the_guest.must, f"cd {GADGETS}/g && rm configs/c.1/*.usb0 && "
                                        "rmdir functions/* configs/c.1 strings/0x409 && cd .. && rmdir g")
        self.plug_in()
        self.addCleanup(the_guest.run, f"echo '' > {GADGETS}/g/UDC")
        return self.gadget_lab(NIC)

    def gadget_lab(self, nic):
        """For a moment after it was bound the guest's vudc hangs up on who imports it: then again."""
        deadline = time.monotonic() + lab_module.SECONDS
        while True:
            the_guest.until("usbip list -r 127.0.0.1 2>/dev/null | grep -q usbip-vudc.0")
            try:
                return self.lab(config_of([nic]), place=the_place)
            except AssertionError as error:
                if not any(word in str(error) for word in ("no such device", "EBADMSG")) or time.monotonic() > deadline:
                    raise

    def plug_in(self):
        the_guest.must(f"echo usbip-vudc.0 > {GADGETS}/g/UDC")
        the_guest.must(f"{IP} addr add {GADGET_IP}/24 dev usb0; {IP} link set usb0 up")

    def lets_groups_through(self):
        """Does the function send what goes to a group? It counts what it sent, not what it filtered out."""
        count = "cat /sys/class/net/usb0/statistics/tx_packets"
        before = int(the_guest.must(count))
        the_guest.run(f"ping -c 20 -i 0.05 -W 1 -I usb0 {GROUP_IP}")
        return int(the_guest.must(count)) - before >= 15

    def until_programmed(self, lab, **flags):
        lab.until_rx_mode(lambda report: is_settled(report) and
                          all(report["programmed"][name] == value for name, value in flags.items()))

    def transfer(self, lab):
        """A TCP stream each way."""
        the_guest.must("dd if=/dev/urandom of=/tmp/sent bs=64k count=16 2>/dev/null")
        receiver = self.tcp_receiver(lab.exec_prefix("a"), 5001)
        the_guest.must(f"nc {NIC_IP} 5001 < /tmp/sent")
        self.assertEqual(receiver.sha256(), the_guest.must("sha256sum < /tmp/sent").split()[0])
        the_guest.must("(nc -l -p 5002 > /tmp/got; sha256sum < /tmp/got > /tmp/sum) > /dev/null 2>&1 &")
        sent = lab.inside("a").must(sys.executable, "-c", SEND, GADGET_IP, 5002).strip()
        the_guest.until("[ -s /tmp/sum ]")
        self.assertEqual(the_guest.must("cat /tmp/sum; rm /tmp/sum").split()[0], sent)

    def check(self, function):
        lab = self.lab_with(function)
        inside = lab.inside("a")
        self.assertEqual(lab.link()["driver"], "cdc")
        self.assertEqual(lab.link()["address"], NIC_ADDRESS)
        lab.until_link(lambda row: row["carrier"])
        for size in (0, 1, 18, 470, 982, 1472):
            lab.ping("a", GADGET_IP, 1, "-s", size)
        with self.subTest("TCP both ways"):
            self.transfer(lab)
        with self.subTest("IPv6, with neighbour discovery"):
            link_local = the_guest.must(f"{IP} -6 -o addr show dev usb0 scope link").split()[3].split("/")[0]
            lab.ping("a", f"{link_local}%nic0")
        with self.subTest("DHCP"):
            the_guest.write("/tmp/udhcpd.conf", f"start {NIC_NETWORK}.100\nend {NIC_NETWORK}.110\ninterface usb0\n"
                                                "pidfile /tmp/udhcpd.pid\nlease_file /tmp/udhcpd.leases\n")
            the_guest.must("touch /tmp/udhcpd.leases && udhcpd /tmp/udhcpd.conf")
            said = inside.run(argv=["busybox", "udhcpc", "-i", "nic0", "-f", "-q", "-n", "-t", "20", "-s", "/bin/true"])
            self.assertIn(f"lease of {NIC_NETWORK}.1", said["out"] + said["err"])
            the_guest.must("kill $(cat /tmp/udhcpd.pid)")
        with self.subTest("a group joined by a socket"):
            inside.sysctl("net/ipv4/icmp_echo_ignore_broadcasts", 0)
            inside.join(group=GROUP_IP, dev="nic0")
            lab.until_rx_mode(lambda report: GROUP in report["wanted"]["multicast"] and is_settled(report))
            the_guest.until(f"ping -c 1 -W 5 -I usb0 {GROUP_IP}")
            inside.leave(group=GROUP_IP, dev="nic0")
        with self.subTest("the filter is followed"):
            self.until_programmed(lab, allmulti=True, promisc=False)
            self.assertTrue(self.lets_groups_through())
        with self.subTest("who sniffs, as tcpdump does, sees what is for others"):
            the_guest.must(f"{IP} neigh replace {OTHERS_IP} lladdr {FOREIGN} dev usb0")
            inside.listen(devs=["nic0"])
            inside.join_packet(kind="promisc", dev="nic0")
            self.until_programmed(lab, promisc=True)
            the_guest.run(f"ping -c 1 -W 1 {OTHERS_IP}")
            inside.hear_for(dev="nic0", address=FOREIGN)
            inside.leave_packet(kind="promisc", dev="nic0")
            self.until_programmed(lab, promisc=False)
            lab.ping("a", GADGET_IP)
        with self.subTest("another MTU"):
            inside.must("ip", "link", "set", "nic0", "mtu", 1000)
            the_guest.must(f"{IP} link set usb0 mtu 1000")
            lab.until_link(lambda row: row["mtu"] == 1000)
            lab.ping("a", GADGET_IP, 1, "-s", 1472)
            the_guest.must(f"{IP} link set usb0 mtu 1500")
        with self.subTest("the link"):
            the_guest.must(f"{IP} link set usb0 down")
            lab.until_link(lambda row: not row["carrier"])
            the_guest.must(f"{IP} link set usb0 up")
            lab.until_link(lambda row: row["carrier"])
            lab.ping("a", GADGET_IP)
        with self.subTest("unplugged, and in again"):
            the_guest.must(f"echo '' > {GADGETS}/g/UDC")
            lab.until_link(lambda row: not row["carrier"])
            self.plug_in()
            lab.until_link(lambda row: row["carrier"])
            lab.ping("a", GADGET_IP)
        self.assertEqual(lab.stop(), 0)
        with self.subTest("without a group"):
            # Every interface of Linux' is in one at least, so here it has none.
            lab = self.gadget_lab({"name": "nic0", "driver": "cdc", "bus": NIC["bus"], "interface": False})
            self.until_programmed(lab, allmulti=False, promisc=False)
            # RNDIS' bit for "directed" is CDC's for "promiscuous", and Linux' function takes one for the other.
            self.assertEqual(self.lets_groups_through(), function == "rndis")
            self.assertEqual(lab.stop(), 0)

    def test_ecm(self):
        self.check("ecm")

    def test_nothing_wanted_is_missed_while_the_filter_changes(self):
        """Echoes to its address and to a group it is in, all answered, and other groups and promiscuity all the while."""
        lab = self.lab_with("ecm")
        inside = lab.inside("a")
        inside.sysctl("net/ipv4/icmp_echo_ignore_broadcasts", 0)
        inside.join(group=GROUP_IP, dev="nic0")
        lab.until_rx_mode(lambda report: GROUP in report["wanted"]["multicast"] and is_settled(report))
        the_guest.until(f"ping -c 1 -W 5 -I usb0 {GROUP_IP}")
        count = TRAFFIC_SECONDS * 20
        names = {NIC_IP: "unicast", GROUP_IP: "group"}
        for address, name in names.items():
            the_guest.must(f"(ping -c {count} -i 0.05 -W 60 -I usb0 {address} > /tmp/{name}; echo > /tmp/{name}.over) "
                           "> /dev/null 2>&1 &")
        changes = 0
        while the_guest.run(" && ".join(f"[ -e /tmp/{name}.over ]" for name in names.values()))[0] != 0:
            inside.join(group="239.7.7.7", dev="nic0", who="a change")
            inside.must("ip", "link", "set", "nic0", "promisc", "on" if changes % 2 == 0 else "off")
            inside.leave(group="239.7.7.7", dev="nic0", who="a change")
            changes += 1
        for name in names.values():
            said = the_guest.must(f"cat /tmp/{name}; rm /tmp/{name} /tmp/{name}.over")
            self.assertIn(f"{count} packets transmitted, {count} packets received", said, f"{changes} changes")
        self.assertGreater(changes, 0)
        self.assertEqual(lab.stop(), 0)

    def test_ncm(self):
        self.check("ncm")

    def test_rndis(self):
        self.check("rndis")


class QemuAdapterTest(GuestTest):
    """QEMU's adapter, plugged into the guest, which exports it: our driver cdc over USB/IP. It filters nothing, but its
    network (QEMU's own) and its framing (RNDIS) are nobody's of ours."""

    def setUp(self):
        super().setUp()
        the_guest.must(f"usbipd -4 -D --tcp-port {USBIP_HOST_PORT}")
        self.addCleanup(the_guest.run, f"kill $(pgrep -f 'tcp-port {USBIP_HOST_PORT}')")
        the_guest.until("grep -l 0525 /sys/bus/usb/devices/*/idVendor")
        vendor = the_guest.must("grep -l 0525 /sys/bus/usb/devices/*/idVendor").split()[0]
        self.place_of_it = vendor.split("/")[-2]
        the_guest.must(f"usbip bind -b {self.place_of_it}")
        self.addCleanup(the_guest.run, f"usbip unbind -b {self.place_of_it}")

    def test_it_is_leased_an_address_and_answered(self):
        server = f"127.0.0.1:{USBIP_HOST_PORT}"
        bus = f"usbip:{server}/{self.place_of_it}"
        listed = lab_module.run([*the_place.prefix(), lab_module.PROGRAM, "usb", server])
        self.assertRegex(listed.stdout, rf"(?m)^{bus} +0525:a4a2 +full +cdc ")
        lab = self.lab(config_of([{"name": "nic0", "host": "a", "bus": bus}]), place=the_place)
        inside = lab.inside("a")
        self.assertEqual((lab.link()["driver"], lab.link()["address"]), ("cdc", ADAPTER_ADDRESS))
        inside.must("ip", "link", "set", "nic0", "up")
        lab.until_link(lambda row: row["carrier"])
        lease = inside.run(argv=["busybox", "udhcpc", "-i", "nic0", "-f", "-q", "-n", "-t", "20", "-s", "/bin/true"])
        self.assertRegex(lease["out"] + lease["err"], r"lease of 10\.66\.0\.\d+ obtained")
        address = re.search(r"lease of (\S+)", lease["out"] + lease["err"])[1].rstrip(",")
        inside.must("ip", "address", "add", f"{address}/24", "dev", "nic0")
        for size in (0, 1, 18, 470, 982, 1472):
            lab.ping("a", ADAPTER_PEER, 1, "-s", size)
        self.assertEqual(lab.stop(), 0)


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


def twice_at_most():
    """In a process of its own. A guest's kernel, emulated on a busy machine, has panicked in its usbip_vudc once, and
    nobody knows why: then all is run once more."""
    for last in (False, True):
        test = subprocess.Popen([sys.executable, __file__, *sys.argv[1:]], env=os.environ | {IN_ITS_PROCESS: "1"},
                                start_new_session=True)
        try:
            code = test.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(test.pid, signal.SIGKILL)
        if code != PANICKED or last:
            return code
        print("once more, with another guest", file=sys.stderr)


if __name__ == "__main__":
    os.environ.pop("USERNIC_SOCKET", None)
    sys.exit(main() if IN_ITS_PROCESS in os.environ else twice_at_most())
