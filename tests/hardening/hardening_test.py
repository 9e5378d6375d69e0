#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A program is built hardened: hardening_test.py PROGRAM [--release]. Read from the binary, by readelf.

--release: also what only that build has: stack protector, CET, the checked calls of _FORTIFY_SOURCE.
"""

import platform
import subprocess
import sys
import unittest

ENDBR64 = b"\xf3\x0f\x1e\xfa"


def readelf(*arguments):
    return subprocess.run(["readelf", "--wide", *arguments, PROGRAM], text=True, capture_output=True, check=True).stdout


class HardeningTest(unittest.TestCase):
    def test_it_is_loaded_anywhere(self):
        self.assertRegex(readelf("--file-header"), r"Type: +DYN")

    def test_what_the_loader_writes_is_read_only_afterwards(self):
        self.assertIn("GNU_RELRO", readelf("--program-headers"))
        self.assertRegex(readelf("--dynamic"), r"\(FLAGS\).*BIND_NOW|\(BIND_NOW\)|\(FLAGS_1\).*\bNOW\b")

    def test_the_stack_is_not_executed(self):
        flags = [line.split()[6] for line in readelf("--program-headers").splitlines() if "GNU_STACK" in line]
        self.assertEqual(flags, ["RW"])

    def test_a_smashed_stack_is_noticed(self):
        self.release_only()
        self.assertRegex(readelf("--dyn-syms"), r"UND __stack_chk_fail")

    @unittest.skipUnless(platform.machine() == "x86_64", "CET is x86's")
    def test_jumps_and_returns_are_where_they_may_be(self):
        self.release_only()
        # The note that says so is missing where the C library has none. The marks of who may be jumped to are not.
        with open(PROGRAM, "rb") as file:
            self.assertGreater(file.read().count(ENDBR64), 100)

    def test_copies_are_checked(self):
        self.release_only()
        checked = [line for line in readelf("--dyn-syms").splitlines() if "_chk" in line and "__stack_chk" not in line]
        self.assertNotEqual(checked, [])

    def release_only(self):
        if not RELEASE:
            self.skipTest("in release only")


if __name__ == "__main__":
    RELEASE = "--release" in sys.argv
    words = [word for word in sys.argv[1:] if word != "--release"]
    if not words:
        sys.exit(__doc__)
    PROGRAM = words[0]
    unittest.main(argv=sys.argv[:1])
