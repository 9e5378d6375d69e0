# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The tour: what `scripts/run` ends with."""

import json
import os
import signal
import subprocess

import lab
from lab import LabTest


def is_of_session(pid, session):
    """A zombie is not: whose parent is gone waits for process 1 to look after it."""
    try:
        return pid.isdigit() and os.getsid(int(pid)) == session and ") Z " not in open_text(f"/proc/{pid}/stat")
    except (ProcessLookupError, FileNotFoundError):
        return False


def open_text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class DemoTest(LabTest):
    def test_it_shows_that_everything_works(self):
        done = lab.run([lab.PROGRAM, "demo", "--json"])
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)  # one object, and nothing else
        self.assertEqual(list(report), ["ping", "joins", "burst", "overflow"])

        self.assertEqual(list(report["ping"]), ["sent", "received"])
        self.assertGreaterEqual(report["ping"]["received"], 5)
        self.assertGreaterEqual(report["ping"]["sent"], report["ping"]["received"], "more where an answer took long")

        for join in report["joins"]:
            self.assertEqual(list(join), ["what", "address", "wanted_to_programmed_us"])
            self.assertRegex(join["address"], r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$")
            self.assertIs(type(join["wanted_to_programmed_us"]), int)
            self.assertGreater(join["wanted_to_programmed_us"], 0)
        shown = " ".join(join["what"].lower() for join in report["joins"])
        for what in ("ipv4", "ipv6", "bridge fdb", "ip maddr", "macvlan", "promisc"):
            self.assertIn(what, shown)

        self.assertEqual(list(report["burst"]), ["changes", "driver_calls", "change_p99_us"])
        self.assertGreaterEqual(report["burst"]["changes"], 10_000)
        self.assertLess(report["burst"]["driver_calls"], report["burst"]["changes"] // 2, "not one a change")
        self.assertGreater(report["burst"]["change_p99_us"], 0)

        self.assertEqual(list(report["overflow"]), ["frames_sent", "frames_lost"])
        self.assertGreater(report["overflow"]["frames_sent"], 100)
        self.assertEqual(report["overflow"]["frames_lost"], 0)

    def ends(self, end, lines):
        """Begun, ended by `end(process)` after so many lines; its exit code. Nobody and nothing of it may be left."""
        folder = self.folder()
        environment = os.environ | {"TMPDIR": str(folder), "XDG_RUNTIME_DIR": str(folder)}
        process = subprocess.Popen([lab.PROGRAM, "demo"], env=environment, stdout=subprocess.PIPE, text=True, bufsize=1,
                                   stderr=subprocess.PIPE, start_new_session=True,
                                   # Whoever started the tests may ignore it, and what is ignored stays so.
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for _ in range(lines):
            process.stdout.readline()
        if lines > 1:
            self.assertNotEqual(list(folder.rglob("control")), [], "its usernic is there, or this shows nothing")
        end(process)
        code = process.wait(timeout=lab.SECONDS)
        self.eventually(lambda: not any(is_of_session(pid, process.pid) for pid in os.listdir("/proc")),
                        "nobody of its session is left")
        self.assertEqual(list(folder.iterdir()), [])
        self.assertEqual(process.stderr.read(), "")
        process.stderr.close()
        process.stdout.close()
        return code

    def test_interrupted_it_ends_at_once_and_leaves_nothing(self):
        for lines in (1, 4):
            code = self.ends(lambda process: os.killpg(process.pid, signal.SIGINT), lines)  # as Ctrl-C does
            self.assertNotEqual(code, 0)

    def test_killed_outright_it_leaves_nothing(self):
        self.assertEqual(self.ends(lambda process: process.kill(), 4), -signal.SIGKILL)

    def test_who_reads_no_further_ends_it(self):
        """As `usernic demo | head -4` does."""
        self.assertEqual(self.ends(lambda process: process.stdout.close(), 4), 128 + signal.SIGPIPE)

    def test_it_ends_with_what_can_be_typed_next(self):
        done = lab.run([os.path.relpath(lab.PROGRAM, "/"), "demo"], cwd="/")
        hints = done.stdout.partition("Try next")[2].splitlines()[1:]
        self.assertEqual(len(hints), 5, done.stdout)
        for hint in hints:
            self.assertTrue(hint.startswith(f"  {os.path.relpath(lab.PROGRAM, '/')} "), hint)

    def test_it_is_plain_where_nobody_looks_at_colours(self):
        done = lab.run([lab.PROGRAM, "demo"])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertNotIn("\x1b", done.stdout)
        self.assertNotIn("\r", done.stdout)
        for words in ("ping", "macvlan", "promisc", "10,000", "usernic run"):
            self.assertIn(words, done.stdout)
