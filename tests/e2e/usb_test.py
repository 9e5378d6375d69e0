# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A USB adapter's driver in `usernic run`, with the model of the adapter; its cable ends in a simnic's wire."""

import json
import os
import pathlib
import subprocess
import tempfile

import lab as lab_module
from lab import LabTest, config_of, is_held
from usb_device import UsbDevice

DEVICE_DESCRIPTOR = (0x80, 6, 0x0100)  # type, request and value of what asks for it
GROUP = "01:00:5e:01:02:03"


class UsbTest(LabTest):
    def adapter(self, **keys):
        return {"name": "nic0", "host": "a", "bus": "emulated:rtl8150/w0", "addresses": ["10.9.0.1/24"]} | keys

    def usb_lab(self, **keys):
        other = {"name": "nic1", "host": "b", "driver": "simnic", "addresses": ["10.9.0.2/24"], "simnic": {"wire": "w0"}}
        return self.lab(config_of([self.adapter(**keys), other]))

    def test_it_pings_and_hears_the_groups_of_the_host(self):
        lab = self.usb_lab(driver="rtl8150")
        lab.ping("a", "10.9.0.2")
        lab.inside("a").join(group="239.1.2.3", dev="nic0")
        report, _ = lab.until_rx_mode(lambda report: is_held(report, GROUP))
        self.assertEqual(report["mode"]["multicast"], "hash")
        lab.inside("a").must("ip", "link", "set", "nic0", "promisc", "on")
        lab.until_rx_mode(lambda report: report["programmed"]["promisc"])
        lab.inside("a").must("ip", "link", "set", "nic0", "address", "02:00:00:00:00:77")
        lab.until_link(lambda row: row["address"] == "02:00:00:00:00:77")
        lab.ping("b", "10.9.0.1")

    def test_a_lan78xx_filters_exactly(self):
        lab = self.usb_lab(bus="emulated:lan78xx/w0", mtu=9000)
        row = lab.link("nic0")
        self.assertEqual((row["driver"], row["mtu"]), ("lan78xx", 9000))
        lab.ping("a", "10.9.0.2")
        lab.inside("a").join(group="239.1.2.3", dev="nic0")
        report, _ = lab.until_rx_mode(lambda report: is_held(report, GROUP))
        self.assertEqual(report["mode"]["multicast"], "exact")

    def test_its_driver_is_found(self):
        lab = self.usb_lab()
        lab.ping("a", "10.9.0.2")
        self.assertEqual(lab.link("nic0")["driver"], "rtl8150")

    def test_who_names_no_driver_opens_it_as_often_as_who_does(self):
        """Once: whoever opens it reads its descriptors."""
        def times(**keys):
            device = UsbDevice("rtl8150", "--trace", prefix=place.prefix())
            self.addCleanup(device.close)
            nic = {"name": "nic0", "host": "a", "bus": f"usbip:127.0.0.1:{device.port}/1-1"} | keys
            lab = self.lab(config_of([nic]), place=place)
            device.until(lambda state: state["receiving"])
            self.assertEqual(lab.link("nic0")["driver"], "rtl8150")
            self.assertEqual(lab.stop(), 0)
            self.assertEqual(device.stop(), 0)
            asked = [event for event in device.events if event["event"] == "control"]
            return sum((event["type"], event["request"], event["value"]) == DEVICE_DESCRIPTOR for event in asked)

        place = self.place()
        named = times(driver="rtl8150")
        self.assertGreater(named, 0)
        self.assertEqual(times(), named)

    def test_functions_of_the_standard_classes_ping_and_hear_groups(self):
        for model in ("cdc-ecm", "cdc-ncm", "cdc-rndis"):
            with self.subTest(model=model):
                lab = self.usb_lab(bus=f"emulated:{model}/w0")
                self.assertEqual(lab.link("nic0")["driver"], "cdc")
                lab.ping("a", "10.9.0.2")
                lab.inside("a").join(group="239.1.2.3", dev="nic0")
                lab.until_rx_mode(lambda report: is_held(report, GROUP))
                lab.inside("a").must("ip", "link", "set", "nic0", "address", "02:00:00:00:00:77")
                lab.until_link(lambda row: row["address"] == "02:00:00:00:00:77")
                lab.ping("b", "10.9.0.1")
                self.assertEqual(lab.stop(), 0)

    def test_what_can_be_reached_is_listed_with_who_would_take_it(self):
        done = lab_module.run([lab_module.PROGRAM, "usb", "--json"])
        self.assertEqual(done.returncode, 0, done.stderr)
        drivers = {device["bus"]: device["driver"] for device in json.loads(done.stdout)["devices"]}
        for model in ("rtl8150", "lan78xx"):
            self.assertEqual(drivers[f"emulated:{model}"], model)
        for model in ("cdc-ecm", "cdc-ncm", "cdc-rndis"):
            self.assertEqual(drivers[f"emulated:{model}"], "cdc")
        device = UsbDevice("cdc-rndis", "--bus-id", "3-1")
        self.addCleanup(device.close)
        place = f"127.0.0.1:{device.port}"
        done = lab_module.run([lab_module.PROGRAM, "usb", place])
        self.assertRegex(done.stdout, f"(?m)^usbip:{place}/3-1  1209:0012  high   cdc +e0/01/03 0a/00/00$")
        self.assertEqual(device.stop(), 0)
        done = lab_module.run([lab_module.PROGRAM, "usb", place])
        self.assertEqual(done.returncode, 1)
        self.assert_sentence(done.stderr, f"cannot list the USB devices at '{place}': no USB/IP server listens there")

    def test_what_is_wrong_with_the_bus_is_said(self):
        for nic, says in ((self.adapter(bus="emulated:rtl8151"), "names no model: 'rtl8151'; did you mean 'rtl8150'?"),
                          (self.adapter(bus="usb"), 'must be "usb:VENDOR:PRODUCT"'),
                          (self.adapter(bus="usb:ffff:ffff"), "cannot take the USB device at its 'bus'"),
                          (self.adapter(driver="simnic"), "belongs to a USB driver"),
                          (self.adapter(driver="rtl8150", mtu=1501), "must be at most 1500"),
                          (self.adapter(bus="usbip:127.0.0.1:1/1-1"), "no USB/IP server listens there"
                           if os.geteuid() == 0 else "no network leads there; an ordinary user's usernic has one of")):
            with self.subTest(says=says), tempfile.TemporaryDirectory() as folder:
                config = pathlib.Path(folder, "usb.toml")
                config.write_text(config_of([nic]))
                done = subprocess.run([lab_module.PROGRAM, "run", config, "--socket", pathlib.Path(folder, "control")],
                                      capture_output=True, text=True, timeout=lab_module.SECONDS)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(says, done.stderr)
