# SPDX-License-Identifier: Apache-2.0 OR MIT
"""usernic's own log arrives at another host, as UDP, past the kernel; and other things that are shared by all nics."""

import pathlib
import shutil
import subprocess
import unittest

from lab import SECONDS, LabTest, pair

NETCONSOLE = '[netconsole]\nnic = "nic0"\nremote = "{}"\n'


@unittest.skipUnless(shutil.which("socat"), "socat is missing")
class NetconsoleTest(LabTest):
    def listener(self, lab, host, address):
        """A socat in a host, and what it has printed so far."""
        file = lab.folder / "heard"
        with open(file, "w") as out:
            process = subprocess.Popen([str(word) for word in (*lab.exec_prefix(host), "socat", "-u", address, "-")],
                                       stdout=out)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return lambda: file.read_text()

    def refuse(self, lab, mtu):
        """Something that the log has a line for: an MTU that the card does not do."""
        lab.inside("a").must("ip", "link", "set", "nic0", "mtu", mtu)

    def heard(self, lab, heard):
        """Asks for wrong MTUs until somebody hears of one: nobody says when a listener is ready."""
        mtus = iter(range(9001, 60000))

        def again():
            self.refuse(lab, next(mtus))
            return "9000" in heard() or "MTU" in heard()

        self.eventually(again, "the log is heard")
        return heard()

    def test_a_socat_on_the_other_host_hears_the_log(self):
        lab = self.lab(pair() + NETCONSOLE.format("10.9.0.2:6666"))
        text = self.heard(lab, self.listener(lab, "b", "UDP-RECV:6666"))
        for line in text.splitlines():
            self.eventually(lambda: line in lab.stderr().splitlines(), f"stderr has {line}")

    def test_over_ipv6_to_one_station(self):
        config = pair(addresses=["fd09::1/64"]).replace("10.9.0.2/24", "fd09::2/64")
        lab = self.lab(config + NETCONSOLE.format("[fd09::2]:6666") + 'remote_address = "02:00:00:00:00:02"\n')
        self.heard(lab, self.listener(lab, "b", "UDP6-RECV:6666"))

    def test_several_poll_threads_carry_the_frames(self):
        lab = self.lab(pair() + "[poll]\nthreads = 3\n")
        lab.ping("a", "10.9.0.2")
        names = [name.read_text().strip() for name in
                 (task / "comm" for task in pathlib.Path(f"/proc/{lab.process.pid}/task").iterdir())]
        self.assertEqual(sorted(name for name in names if name.startswith("usernic-poll")),
                         ["usernic-poll", "usernic-poll/1", "usernic-poll/2"])


class OpenHandleTest(LabTest):
    def test_who_reads_the_mtu_of_a_device_that_goes_holds_nobody_up(self):
        """[netdevices: rmmod driver < /sys/class/net/X/mtu]"""
        lab = self.lab(pair())
        holder = subprocess.Popen(
            [str(word) for word in (*lab.exec_prefix("a"), "unshare", "-m", "sh", "-c",
                                    "mount -t sysfs none /mnt || exit 77; exec 3</mnt/class/net/nic0/mtu; echo open;"
                                    "read go; cat <&3")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(holder.kill)
        if holder.stdout.readline() != "open\n":
            self.skipTest("no sysfs can be mounted in a host here")
        self.assertEqual(lab.stop(), 0)
        _, error = holder.communicate("go\n", SECONDS)
        self.assertIn("No such device", error)
        self.assertEqual(lab.stderr(), "")
