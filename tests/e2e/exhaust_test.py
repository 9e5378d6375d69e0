# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A machine that has run out of descriptors, threads, memory: start-up either works, or ends with one sentence.

`usernic run` is started again and again, and each time the next call of one kind is refused (tests/exhaust/refuse.cc),
or that one and all that follow. A sample by default, USERNIC_LONG takes every one.
"""

import contextlib
import json
import os
import pathlib
import random
import select
import signal
import struct
import time

from lab import PROGRAM, Control, LabTest, config_of

REFUSE = os.environ.get("USERNIC_REFUSE_LIBRARY", "")
SEED = int(os.environ.get("USERNIC_SEED", random.randrange(1 << 32)))
GUARD = 120  # seconds; far off
NICS = [{"name": "nic0", "host": "a", "driver": "simnic", "address": "02:00:00:00:00:01",
         "addresses": ["10.9.0.1/24"], "simnic": {"wire": "w0"}},
        {"name": "nic1", "driver": "simnic", "vlans": [10], "simnic": {"wire": "w0", "vlan_slots": 4}},
        {"name": "nic2", "driver": "dummy"}]


class Exhausted(LabTest):
    """In a place of its own, where whatever a start-up that failed left behind would be seen."""

    def setUp(self):
        super().setUp()
        self.place_ = self.place()
        self.seen = {"ready": 0, "refused": 0}

    def run_one(self, case, short_of, *words, after=None):
        """Starts it by a command that makes it `short_of` something, and judges what became of it. Returns what
        `after()` said when it was ready, None when it ended."""
        lab = self.new_lab(config_of(NICS), place=self.place_)
        lab.prefix += short_of
        result = None
        try:
            ready, told = os.pipe()
            with open(ready, "rb") as ready:
                lab.spawn("--ready-fd", told, pass_fds=[told])
                os.close(told)
                self.assertTrue(select.select([ready], [], [], GUARD)[0], f"{case}: neither ready nor ended")
                is_ready = ready.read(1) != b""
            if is_ready:
                result = after() if after else 0
                self.assert_works(case, lab)
            code = lab.process.wait(GUARD) if not is_ready else lab.stop(signal.SIGTERM, GUARD)
            self.assertEqual(code, 0 if is_ready else 1, case)
            if not is_ready:
                *warnings, sentence = lab.stderr().splitlines() or [""]
                self.assert_sentence(sentence, *words)
                for warning in warnings:
                    self.assertRegex(warning, 'refuses a worker thread|the device refused "up": ENOMEM|'
                                              'cannot give up system calls: Cannot allocate memory')
            self.assertEqual(sorted(file.name for file in lab.folder.iterdir()), ["lab.toml", "stderr", "stdout"], case)
            self.assertEqual(self.interfaces(), ["lo"], case)
        except AssertionError as error:
            raise AssertionError(f"{case}: {error}") from None
        lab.close()  # and its report is not wanted if another one fails
        self.labs.remove(lab)
        self.seen["ready" if is_ready else "refused"] += 1
        return result

    def assert_works(self, case, lab):
        """It answers. What it has no memory or descriptor for just now it says, and then answers the next one."""
        for _ in range(3):
            with contextlib.suppress(OSError, TypeError), contextlib.closing(Control(lab.socket)) as control:
                control.send(json.dumps({"v": 1, "verb": "link"}).encode() + b"\n")
                answer = control.line()
                if answer["ok"]:
                    return self.assertEqual(len(answer["result"]), len(NICS), case)
                self.assertRegex(answer["error"], "no memory|no descriptor", case)
        self.fail(f"{case}: it does not answer")

    def interfaces(self):
        return [link["ifname"] for link in json.loads(self.place_.must("ip", "-j", "link"))]

    def refuse(self, kind, number, onwards, *words):
        """One start with that call refused; how many calls there were, if it became ready."""
        folder = self.folder()
        order = f"{kind}:{number}{'+' if onwards else ''}"
        asan = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        environment = [f"LD_PRELOAD={REFUSE}", f"USERNIC_REFUSE={order}", f"USERNIC_REFUSE_FOLDER={folder}",
                       f"ASAN_OPTIONS={asan}"]
        try:
            return self.run_one(order, ["env", *environment], *words, after=lambda: self.count(folder))
        except AssertionError as error:
            where = folder / "where"
            raise AssertionError(f"{error}\n--- refused\n{where.read_text() if where.exists() else '(none)'}") from None

    @staticmethod
    def count(folder):
        return struct.unpack("q", (folder / "count").read_bytes())[0]

    def sweep(self, kind, sample, *words, onwards):
        """Refuses each call of a start-up in turn, or a sample of them."""
        total = self.refuse(kind, 0, False)
        self.assertGreater(total, 0, f"nothing to refuse: is {REFUSE} in the way of {kind}?")
        numbers = range(1, total + 1)
        if not os.environ.get("USERNIC_LONG"):
            chosen = random.Random(SEED)
            numbers = sorted(chosen.sample(numbers, min(sample, total)))
        begun = time.monotonic()
        for number in numbers:
            self.refuse(kind, number, onwards, *words)
        print(f"{kind}{' and all that follow' if onwards else ''}: {len(numbers)} of {total}, USERNIC_SEED={SEED}, "
              f"{self.seen['refused']} refused, {self.seen['ready']} ready, {time.monotonic() - begun:.1f} s")


class DescriptorsRunOutTest(Exhausted):
    def test_each_one_in_turn(self):
        self.sweep("descriptor", 40, onwards=False)

    def test_from_each_one_on(self):
        self.sweep("descriptor", 40, "Too many open files", "RLIMIT_NOFILE is", onwards=True)

    def test_a_limit_of_any_size(self):
        if b"libasan.so" in pathlib.Path(PROGRAM).read_bytes():
            self.skipTest("UndefinedBehaviorSanitizer looks at objects through a pipe, which needs descriptors")
        for limit in range(6, 80) if os.environ.get("USERNIC_LONG") else (8, 13, 14, 15, 21, 22, 23, 30, 35, 40):
            self.run_one(f"RLIMIT_NOFILE {limit}", ["prlimit", f"--nofile={limit}:{limit}"], "Too many open files",
                         f"RLIMIT_NOFILE is {limit}")
        self.assertGreater(self.seen["refused"], 2)
        self.assertGreater(self.seen["ready"], 0)


class ThreadsRunOutTest(Exhausted):
    def test_each_one_in_turn(self):
        self.sweep("thread", 30, "thread", onwards=False)

    def test_from_each_one_on(self):
        self.sweep("thread", 30, "thread", "Resource temporarily unavailable", onwards=True)


class MemoryRunsOutTest(Exhausted):
    def setUp(self):
        super().setUp()
        if b"libasan.so" in pathlib.Path(PROGRAM).read_bytes():
            self.skipTest("AddressSanitizer has a malloc of its own")

    def test_each_one_in_turn(self):
        self.sweep("memory", 80, onwards=False)


class KernelRunsOutTest(Exhausted):
    def test_each_call_in_turn(self):
        self.sweep("kernel", 40, onwards=False)
