# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Signals that end usernic while it starts, and a second one while it ends. Stopped, it has them all at once."""

import os
import select
import signal

from lab import SECONDS, LabTest, config_of, pair

MANY = 100


class SignalsTest(LabTest):
    def starting(self):
        """A usernic that has its socket and stands still, with most of its nics to come; and what it says when ready."""
        for doubled in range(5):  # where it is up before we see its socket, there were too few
            nics = [{"name": f"nic{number}", "host": "a", "driver": "simnic"} for number in range(MANY << doubled)]
            lab = self.new_lab(config_of(nics))
            ready, told = os.pipe()
            self.addCleanup(os.close, ready)
            lab.spawn("--ready-fd", told, pass_fds=[told])
            os.close(told)
            self.eventually(lab.socket.exists, "it has its socket")
            self.stop(lab)
            if not select.select([ready], [], [], 0)[0]:
                return lab, ready
            lab.close()
        self.fail("it is always up at once")

    def stop(self, lab):
        lab.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, lab.process.pid, os.WSTOPPED | os.WNOWAIT)

    def goes_on_and_ends(self, lab, *numbers):
        """The exit code; nothing may be left."""
        for number in numbers:
            lab.process.send_signal(number)
        lab.process.send_signal(signal.SIGCONT)
        code = lab.process.wait(SECONDS)
        left = sorted(file.name for file in lab.folder.iterdir())
        self.assertEqual(left, ["lab.toml", "stderr", "stdout"])
        self.assertEqual(lab.stderr(), "")
        return code

    def test_a_signal_while_it_starts_ends_it_before_it_is_up(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number):
                lab, ready = self.starting()
                self.assertEqual(self.goes_on_and_ends(lab, number), 0)
                self.assertEqual(os.read(ready, 1), b"", "it never was ready")

    def test_a_second_signal_while_it_starts_leaves_nothing(self):
        lab, ready = self.starting()
        self.assertEqual(self.goes_on_and_ends(lab, signal.SIGINT, signal.SIGTERM), -signal.SIGTERM)
        self.assertEqual(os.read(ready, 1), b"")

    def test_a_second_signal_while_it_ends_leaves_nothing(self):
        lab = self.lab(pair())
        self.stop(lab)
        self.assertEqual(self.goes_on_and_ends(lab, signal.SIGINT, signal.SIGTERM), -signal.SIGTERM)

    def test_a_second_signal_takes_the_folder_that_was_made_for_the_socket_too(self):
        lab = self.new_lab(pair())
        lab.socket = None
        lab.start(env=os.environ | {"XDG_RUNTIME_DIR": str(lab.folder), "USERNIC_SOCKET": ""})
        self.assertTrue((lab.folder / "usernic" / "control").exists())
        self.stop(lab)
        self.assertEqual(self.goes_on_and_ends(lab, signal.SIGHUP, signal.SIGINT), -signal.SIGINT)
