# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Standard streams that are closed or full, and a machine that refuses what it is asked for."""

import contextlib
import os
import resource
import subprocess

from lab import PROGRAM, SECONDS, LabTest, pair

NO_ROOM = 100 << 40  # a stack of that size finds no place, so no thread is made


class StreamsTest(LabTest):
    def usernic(self, lab, *arguments, closed=(), **options):
        """A verb, with these descriptors closed."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE} | options
        environment = os.environ | {"USERNIC_SOCKET": str(lab.socket)}
        done = subprocess.run([PROGRAM, *arguments], env=environment, timeout=SECONDS, text=True, **options,
                              preexec_fn=lambda: [os.close(number) for number in closed])
        return done.returncode, done.stderr

    def test_what_cannot_be_written_is_said(self):
        lab = self.lab(pair())
        verbs = (["link"], ["link", "--json"], ["stats", "nic0"], ["rx-mode", "nic0"], ["monitor"], ["--help"],
                 ["link", "--help"], ["--version"], ["sim", "--list"], ["sim", "--seed", "1", "--scenario", "reset",
                                                                          "--trace"])
        for verb in verbs:
            with self.subTest(" ".join(verb)), open("/dev/full", "w") as full:
                code, said = self.usernic(lab, *verb, stdout=full)
                self.assertEqual(code, 1)
                self.assertIn("cannot write to stdout: No space left on device\n", said)
                code, said = self.usernic(lab, *verb, closed=[1])
                self.assertEqual(code, 1)
                self.assertIn("cannot write to stdout: Bad file descriptor\n", said)
                self.assertEqual(self.usernic(lab, *verb, closed=[0, 1, 2])[0], 1)
        self.assertEqual(lab.stderr(), "")

    def test_nothing_of_a_daemon_takes_the_place_of_a_closed_stream(self):
        lab = self.new_lab(pair())
        ready, told = os.pipe()
        with open(ready, "rb") as ready:
            # The shell's words: a Popen has the streams of its own choice.
            lab.process = subprocess.Popen(
                ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", PROGRAM, "run", lab.config, "--socket", lab.socket,
                 "--ready-fd", str(told)], pass_fds=[told])
            os.close(told)
            self.assertEqual(ready.read(1), b"\n")
        places = {os.readlink(f"/proc/{lab.process.pid}/fd/{number}") for number in (0, 1, 2)}
        self.assertEqual(places, {"/dev/null"})
        self.assertEqual(len(lab.json("link")), 2)
        self.assertEqual((lab.folder / "control.lock").read_bytes(), b"")
        self.assertEqual(lab.stop(), 0)

    def test_a_daemon_whose_streams_are_full_goes_on(self):
        lab = self.new_lab(pair())
        with open("/dev/full", "w") as full:
            ready, told = os.pipe()
            lab.process = subprocess.Popen([PROGRAM, "run", lab.config, "--socket", lab.socket, "--ready-fd", str(told)],
                                           stdout=full, stderr=full, pass_fds=[told])
            os.close(told)
            with open(ready, "rb") as ready:
                self.assertEqual(ready.read(1), b"\n")
        self.assertEqual(len(lab.json("link")), 2)
        lab.exec("a", "ip", "link", "set", "nic0", "down")
        lab.until_link(lambda row: not row["up"])
        self.assertEqual(lab.stop(), 0)

    def start(self, lab, **options):
        """Ready, with streams of one's own."""
        ready, told = os.pipe()
        with open(ready, "rb") as ready:
            lab.process = subprocess.Popen([PROGRAM, "run", lab.config, "--socket", lab.socket, "--ready-fd", str(told)],
                                           stdin=subprocess.DEVNULL, pass_fds=[told], **options)
            os.close(told)
            self.assertEqual(ready.read(1), b"\n")

    def full_pipe(self):
        """Nobody reads it, and not one octet more has room."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        os.set_blocking(writer, False)
        for piece in (b"x" * 4096, b"x"):
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(writer, piece)
        os.set_blocking(writer, True)
        return writer

    def assert_goes_on(self, lab):
        """Something is logged, and then the same nic still follows the kernel, and ends in time."""
        lab.inside("a").run(argv=["ip", "link", "set", "nic0", "mtu", "9001"])
        lab.until_link(lambda row: row["mtu"] == 1500)
        lab.exec("a", "ip", "maddr", "add", "33:33:00:00:55:55", "dev", "nic0")
        self.assertIn("33:33:00:00:55:55", lab.must("rx-mode", "nic0", "--wait"))
        lab.exec("a", "ip", "link", "set", "nic0", "down")
        lab.until_link(lambda row: not row["up"])
        self.assertEqual(lab.stop(), 0)

    def test_a_log_that_nobody_reads_keeps_nobody_waiting(self):
        lab = self.new_lab(pair())
        self.start(lab, stdout=self.full_pipe(), stderr=self.full_pipe())
        self.assert_goes_on(lab)

    def test_who_does_not_read_that_it_is_ready_is_not_waited_for_and_that_is_said(self):
        lab = self.new_lab(pair())
        full = self.full_pipe()
        with open(lab.folder / "stderr", "w") as err:
            lab.process = subprocess.Popen([PROGRAM, "run", lab.config, "--socket", lab.socket, "--ready-fd", str(full)],
                                           stdin=subprocess.DEVNULL, stdout=full, stderr=err, pass_fds=[full])
        for sentence in ("nobody reads stdout\n", "nobody reads --ready-fd\n"):
            self.eventually(lambda sentence=sentence: sentence in lab.stderr(), sentence)
        self.assert_goes_on(lab)

    def test_a_log_that_may_not_grow_kills_nobody(self):
        lab = self.new_lab(pair())
        with open(lab.folder / "stdout", "w") as out, open(lab.folder / "stderr", "w") as err:
            self.start(lab, stdout=out, stderr=err,
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
        self.assert_goes_on(lab)

    def test_a_log_whose_reader_has_left_kills_nobody(self):
        lab = self.new_lab(pair())
        reader, writer = os.pipe()
        self.start(lab, stdout=writer, stderr=writer)
        os.close(writer)
        os.close(reader)
        self.assert_goes_on(lab)

    def test_a_machine_that_refuses_threads(self):
        lab = self.new_lab(pair())
        lab.spawn(preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_STACK, (NO_ROOM, resource.getrlimit(resource.RLIMIT_STACK)[1])))
        self.assertEqual(lab.process.wait(SECONDS), 1)
        self.assert_sentence(lab.stderr(), "cannot make the thread 'usernic-", "Resource temporarily unavailable")
        self.assertEqual(sorted(f.name for f in lab.folder.iterdir()), ["lab.toml", "stderr", "stdout"])

    def test_a_full_disk_for_the_socket(self):
        place = self.place()
        lab = self.new_lab(pair(), place=place)
        for inodes, refused in ((1, "cannot make the lock file"), (2, "cannot listen")):
            with self.subTest(refused):
                place.must("mount", "-t", "tmpfs", "-o", f"nr_inodes={inodes}", "none", "/run")
                done = lab.usernic("run", lab.config, "--socket", "/run/control")
                self.assertEqual(done.returncode, 1)
                self.assert_sentence(done.stderr, refused, "/run/control", "No space left on device")
                self.assertEqual(place.must("ls", "-A", "/run"), "", "and leaves nothing")
                place.must("umount", "/run")
