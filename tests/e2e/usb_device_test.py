# SPDX-License-Identifier: Apache-2.0 OR MIT
"""`usernic usb-device`: an adapter served over USB/IP, here to `usernic run`; the kernel is at the end of its cable."""

import itertools
import signal
import tempfile

import lab as lab_module
from lab import LabTest, config_of, is_held
from usb_device import UsbDevice, has_bucket

GROUP = "01:00:5e:01:02:03"


class UsbDeviceTest(LabTest):
    def served(self, *options, prefix=()):
        device = UsbDevice("rtl8150", *options, prefix=prefix)
        self.addCleanup(device.close)
        return device

    def test_a_usernic_takes_it_and_the_kernel_answers_at_the_end_of_its_cable(self):
        place = self.place()
        device = self.served("--tap", "cable0", prefix=place.prefix())
        place.must("ip", "address", "add", "10.9.0.2/24", "dev", "cable0")
        place.must("ip", "link", "set", "cable0", "up")
        nic = {"name": "nic0", "host": "a", "bus": f"usbip:127.0.0.1:{device.port}/1-1", "addresses": ["10.9.0.1/24"]}
        lab = self.lab(config_of([nic]), place=place)
        lab.ping("a", "10.9.0.2")
        self.assertEqual(lab.link()["address"], device.address)
        # The filter is followed, and each change of it is an event.
        lab.inside("a").join(group="239.1.2.3", dev="nic0")
        lab.until_rx_mode(lambda report: is_held(report, GROUP))
        device.wait("filter", lambda event: event["receiving"] and has_bucket(event, GROUP))
        lab.inside("a").must("ip", "link", "set", "nic0", "promisc", "on")
        device.wait("filter", lambda event: event["promisc"])
        # The plug.
        device.tell("unplug")
        lab.until_link(lambda row: not row["carrier"])
        device.tell("plug")
        device.until(lambda state: state["receiving"] and state["promisc"] and has_bucket(state, GROUP))
        lab.ping("a", "10.9.0.2")
        # The cable.
        device.tell("link down")
        lab.until_link(lambda row: not row["carrier"])
        device.tell("link up")
        lab.until_link(lambda row: row["carrier"])
        self.assertEqual(lab.stop(), 0)
        self.assertEqual(device.stop(), 0)

    def test_it_fails_as_it_is_told(self):
        place = self.place()
        device = self.served("--slow", "1", "--unplug-at", "40", "--replug", "1", "--trace", prefix=place.prefix())
        nic = {"name": "nic0", "host": "a", "bus": f"usbip:127.0.0.1:{device.port}/1-1"}
        lab = self.lab(config_of([nic]), place=place)
        device.until(lambda state: state["receiving"])
        turns = itertools.cycle((True, False))

        def until_seen(kind, holds):
            """The host changes its mind, and the card follows, until such an event came; returns it."""
            while not (seen := [event for event in device.events if event["event"] == kind and holds(event)]):
                wanted = next(turns)
                lab.inside("a").must("ip", "link", "set", "nic0", "promisc", "on" if wanted else "off")
                device.until(lambda state: state["promisc"] == wanted)
            return seen[0]

        device.tell("fail 2")
        until_seen("control", lambda event: event["result"] != "ok")
        device.tell("fail 0")
        self.assertEqual(until_seen("unplugged", lambda _: True)["transfers"], 40)
        until_seen("plugged", lambda _: True)
        device.until(lambda state: state["receiving"])
        device.process.send_signal(signal.SIGINT)
        device.wait("ended")
        self.assertEqual(device.stop(), 0)

    def test_what_is_wrong_is_one_sentence(self):
        for options, code, says in ((["rtl8151"], 2, "did you mean 'rtl8150'?"),
                                    (["rtl8150", "--listen", "x:y"], 2, "--listen takes ADDRESS:PORT"),
                                    (["rtl8150", "--listen", "192.0.2.1:0"], 1, "cannot listen on 192.0.2.1:0"),
                                    (["rtl8150", "--address", "01:00:00:00:00:00"], 2, "--address takes"),
                                    (["rtl8150", "--bus-id", "1" * 32], 2, "--bus-id takes 1 to 31 letters"),
                                    (["rtl8150", "--listen", "127.0.0.1:0", "--tap", "a/b"], 1, "a/b"),
                                    (["rtl8150", "--fail", "0"], 2, "--fail")):
            with self.subTest(options=options):
                done = lab_module.run([lab_module.PROGRAM, "usb-device", *options])
                self.assertEqual(done.returncode, code)
                self.assert_sentence(done.stderr, says)

    def test_a_command_that_is_none_is_refused(self):
        device = self.served()
        for command in ("replug", "link sideways", "slow -1", "state please"):
            device.process.stdin.write(command.encode() + b"\n")
            self.assertEqual(device.wait_any(("done", "refused"), command)["event"], "refused")
        self.assertTrue(device.state()["plugged"])
        with tempfile.TemporaryFile() as file:
            done = lab_module.run([lab_module.PROGRAM, "usb-device", "rtl8150", "--listen", "127.0.0.1:0", "--commands"],
                                  stdin=file)
        self.assert_sentence(done.stderr, "--commands reads a pipe or a terminal")
