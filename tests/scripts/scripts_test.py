#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The scripts on a copy of the tree, with stand-ins for what installs, builds and tests: each only says who it is."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

TREE = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ("apt-get", "apt-cache", "dpkg-query", "sudo", "cmake", "ctest", "clang-format", "clang++-22", "clang++-19")
MISUSES = {
    "run": (["--bogus"], ["--json", "--bogus"], ["demo"]),
    "test": (["--bogus"], ["quick"]),
    "build": (["--bogus"], ["relaese"], ["debug", "asan"]),
    "check": (["--bogus"], ["ful"], ["quick", "full"]),
    "bench": (["--bogus"], ["rx-mdoe"], ["rx-mode", "isolation"]),
}


class ScriptsTest(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="usernic-scripts-")).resolve()
        self.addCleanup(shutil.rmtree, self.root)
        shutil.copytree(TREE / "scripts", self.root / "scripts")
        shutil.copytree(TREE / "bench", self.root / "bench")
        self.called = self.root / "called"
        for tool in TOOLS:
            self.executable(f"tools/{tool}", f'echo {tool} >>"{self.called}"')
        # The program that is built is a shell, which runs "demo": that says how it was called.
        (self.root / "build/release").mkdir(parents=True)
        (self.root / "build/release/usernic").symlink_to("/bin/sh")
        self.executable("demo", "tr '\\0' ' ' </proc/$$/cmdline")

    def executable(self, path, body):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{body}\n")
        file.chmod(0o755)

    def script(self, name, *arguments, cwd=None):
        environment = os.environ | {"PATH": f"{self.root / 'tools'}:{os.environ['PATH']}"}
        return subprocess.run([str(name), *arguments], cwd=cwd or self.root, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=300, env=environment)

    def test_what_the_tests_need_is_missed_before_anything_is_compiled(self):
        done = subprocess.run(["cmake", "--preset", "debug", "-B", self.root / "build/none", "-Wno-dev",
                               "-DCMAKE_DISABLE_FIND_PACKAGE_rapidcheck=ON"], cwd=TREE, text=True, capture_output=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("librapidcheck-dev", done.stderr)

    def test_every_script_is_misused_here(self):
        self.assertEqual(sorted(MISUSES), sorted(f.name for f in (TREE / "scripts").iterdir() if f.is_file()))

    def test_a_misuse_is_said_before_anything_is_installed_or_built(self):
        for script, misuses in MISUSES.items():
            for arguments in misuses:
                with self.subTest(script, arguments=arguments):
                    self.called.unlink(missing_ok=True)
                    done = self.script(f"scripts/{script}", *arguments)
                    self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                    self.assertIn(f"Try: scripts/{script} --help", done.stderr)
                    self.assertFalse(self.called.exists(), self.called.exists() and self.called.read_text())

    def test_help_needs_nothing(self):
        for script in MISUSES:
            for flag in ("--help", "-h"):
                done = self.script(f"scripts/{script}", flag)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertTrue(done.stdout.startswith(f"scripts/{script}"), done.stdout)
        self.assertFalse(self.called.exists())

    def test_bench_lists_its_names_without_building(self):
        self.assertIn("rx-mode", self.script("scripts/bench").stdout.splitlines())
        self.assertFalse(self.called.exists())

    def test_run_calls_the_program_as_its_caller_can(self):
        self.assertEqual(self.script("scripts/run").stdout, "build/release/usernic demo ")
        self.assertEqual(self.script("./scripts/run", "--json").stdout, "build/release/usernic demo --json ")
        self.assertEqual(self.script("./run", cwd=self.root / "scripts").stdout,
                         f"{self.root}/build/release/usernic demo ")
        self.assertIn("cmake", self.called.read_text().split(), "what is built, is built")


if __name__ == "__main__":
    unittest.main()
