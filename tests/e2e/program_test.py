#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The whole program with a real kernel: each test has a usernic of its own, and the kernel's own tools.

    USERNIC_PROGRAM=build/debug/usernic tests/e2e/program_test.py [-v] [CLASS | CLASS.TEST ...]

As root and as an ordinary user. Exit code 77 when nothing can be tried here; what is missing is said.
"""

import argparse
import os
import signal
import sys
import time
import unittest

import accounting_test
import capture_test
import config_test
import control_test
import demo_test
import exec_test
import exhaust_test
import impair_test
import lab
import life_test
import link_test
import netconsole_test
import offload_test
import packet_test
import port_test
import queues_test
import signals_test
import slow_card_test
import stacks_test
import streams_test
import traffic_test
import usb_device_test
import usb_test
import verbs_test
import wait_test
import wishes_test

SKIPPED = 77
MODULES = (accounting_test, capture_test, config_test, control_test, demo_test, exec_test, exhaust_test, impair_test,
           life_test, link_test, netconsole_test, offload_test, packet_test, port_test, queues_test, signals_test,
           slow_card_test, stacks_test, streams_test, traffic_test, usb_device_test, usb_test, verbs_test, wait_test,
           wishes_test)


class Result(unittest.TextTestResult):
    """Also shows what the usernic of a failed test said, and how long a test took."""

    def startTest(self, test):
        self.begun = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        if self.showAll:
            self.stream.write(f"{time.monotonic() - self.begun:.2f} s ")
        super().addSuccess(test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.show(self.failures, test)

    def addError(self, test, error):
        super().addError(test, error)
        self.show(self.errors, test)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            where = self.failures if issubclass(error[0], test.failureException) else self.errors
            where[-1] = (subtest, f"{where[-1][1]}\n{test.report()}")

    def show(self, where, test):
        if report := getattr(test, "report", None):
            where[-1] = (test, f"{where[-1][1]}\n{report()}")


def suites():
    """Test classes by name."""
    loader = unittest.defaultTestLoader
    classes = {}
    for module in MODULES:
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == module.__name__:
                classes[name] = loader.loadTestsFromTestCase(value)
    return classes


def chosen(names):
    classes = suites()
    for name in names or classes:
        of_class, _, test = name.partition(".")
        if of_class not in classes:
            sys.exit(f"no test class is called {of_class}; there are: {', '.join(classes)}")
        yield from (case for case in classes[of_class] if not test or case.id().endswith(f".{test}"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="CLASS[.TEST]")
    parser.add_argument("-v", "--verbose", action="store_true", help="name each test")
    parser.add_argument("--list", action="store_true", help="name the test classes and stop")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(suites()))
        return 0
    if not os.access(lab.PROGRAM, os.X_OK):
        sys.exit(f"USERNIC_PROGRAM must name the program, not '{lab.PROGRAM}'")
    # Whoever started this in the background may have had interrupts ignored, and the programs here would inherit that.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that clean-ups run
    tests = unittest.TestSuite(chosen(arguments.names))
    runner = unittest.TextTestRunner(resultclass=Result, verbosity=2 if arguments.verbose else 1)
    result = runner.run(tests)
    for test, reason in result.skipped:
        print(f"skipped {test}: {reason}", file=sys.stderr)
    nothing_done = result.wasSuccessful() and (result.testsRun == 0 or result.testsRun == len(result.skipped))
    return SKIPPED if nothing_done else 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    os.environ.pop("USERNIC_SOCKET", None)
    sys.exit(main())
