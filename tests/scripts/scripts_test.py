#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The scripts on a copy of the tree, with stand-ins for what installs, builds and tests: each only says who it is."""

import contextlib
import os
import pathlib
import select
import shutil
import signal
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

    @staticmethod
    def kill(pidfd):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    def environment(self):
        return os.environ | {"PATH": f"{self.root / 'tools'}:{os.environ['PATH']}", "USERNIC_PACKAGES": "skip"}

    def script(self, name, *arguments, cwd=None):
        return subprocess.run([str(name), *arguments], cwd=cwd or self.root, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=300, env=self.environment())

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

    def test_a_build_ahead_that_fails_is_shown_and_the_others_are_built(self):
        self.executable("tools/cmake", 'echo "$@" >>"%s"\n[ "$3" != asan ] || { echo no such type; exit 1; }' % self.called)
        done = self.script("scripts/test")
        self.assertEqual(done.returncode, 1, done.stderr)
        asan = next(line for line in done.stderr.splitlines() if line.startswith("building asan"))
        self.assertIn("failed after", asan)
        self.assertIn("  | no such type", done.stderr)
        for preset in ("clang", "asan", "tsan", "release"):
            self.assertIn(f"--build --preset {preset} ", self.called.read_text())
        self.assertNotIn("--preset debug", self.called.read_text(), "Clang's debug is enough")
        self.assertRegex(done.stdout, r"^\d+ passed, [1-9]\d* failed(, \d+ skipped)?\n$")

    def test_where_there_is_no_clang_debug_is_tested_and_the_analysis_is_missed_aloud(self):
        for folder in os.environ["PATH"].split(":"):
            for tool in pathlib.Path(folder).glob("[!.]*"):
                link = self.root / "without" / tool.name
                if not tool.name.startswith("clang") and not os.path.lexists(link):
                    link.parent.mkdir(exist_ok=True)
                    link.symlink_to(tool)
        for tool in ("clang++-22", "clang++-19"):
            (self.root / "tools" / tool).unlink()
        self.executable("tools/cmake", 'echo "$@" >>"%s"' % self.called)
        done = subprocess.run(["scripts/test"], cwd=self.root, text=True, capture_output=True, timeout=300,
                              stdin=subprocess.DEVNULL,
                              env=self.environment() | {"PATH": f"{self.root / 'tools'}:{self.root / 'without'}"})
        self.assertIn("clang skipped, and so its analysis of locks and contexts", done.stderr)
        self.assertIn("--build --preset debug ", self.called.read_text())
        self.assertNotIn("--preset clang", self.called.read_text())
        self.assertRegex(done.stdout, r"skipped\n$")

    def test_who_interrupts_the_script_ends_the_builds_ahead_of_it(self):
        os.mkfifo(self.root / "started")
        self.executable("tools/cmake", 'echo $$ >"%s"\nexec sleep 3600' % (self.root / "started"))
        script = subprocess.Popen(["scripts/test"], cwd=self.root, env=self.environment(), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                                  preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
        self.addCleanup(script.wait)
        self.addCleanup(script.kill)
        begun = os.open(self.root / "started", os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, begun)
        self.assertTrue(select.select([begun], [], [], 300)[0], "nothing is compiled")
        compiler = os.pidfd_open(int(os.read(begun, 100)))
        self.addCleanup(os.close, compiler)
        self.addCleanup(self.kill, compiler)
        os.killpg(script.pid, signal.SIGINT)  # as a terminal does: the builds ahead are in a group of their own
        self.assertNotEqual(script.wait(300), 0)
        self.assertTrue(select.select([compiler], [], [], 300)[0], "the compiler goes on")


if __name__ == "__main__":
    unittest.main()
