#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Every rule of rules.h is watched, and its test sees to it: the test passes, and without the rule's reports it fails.

rules_test.py [--checks] PROGRAM...   the gtest programs that have the tests; --checks: with USERNIC_CHECKS=1, for release
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

SECONDS = 300  # a guard
SECONDS_UNWATCHED = 60  # a rule that nothing reports may hang whoever breaks it
RULES = pathlib.Path(__file__).parents[2] / "include/usernic/rules.h"


def rules():
    """(rule, "Suite.Name") in the order of the table."""
    text = re.sub(r'"\s*\n\s*"', "", RULES.read_text())
    rows = re.findall(r'\{\s*("(?:[^"\\]|\\.)*"(?:,\s*"(?:[^"\\]|\\.)*"){3})\s*\}', text)
    split = [re.findall(r'"((?:[^"\\]|\\.)*)"', row) for row in rows]
    return [(row[0], row[3]) for row in split]


def tests_of(program):
    """The names that it has, without those of parameters: "Rows/Suite.Name/0" is Suite.Name."""
    listed = subprocess.run([program, "--gtest_list_tests"], capture_output=True, text=True, check=True, timeout=SECONDS)
    suite, names = "", set()
    for line in listed.stdout.splitlines():
        word = line.split("#")[0].strip()
        if line.startswith(" "):
            names.add(f"{suite}.{word.split('/')[0]}")
        else:
            suite = word.rstrip(".").split("/")[-1]
    return names


def outcome(program, test, environment, seconds=SECONDS):
    """"passed", "failed" or "skipped": a program that dies, or hangs, has failed."""
    command = [program, f"--gtest_filter={test}:*/{test}/*", "--gtest_brief=0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=os.environ | environment,
                              timeout=seconds)
    except subprocess.TimeoutExpired:
        return "failed"
    if done.returncode != 0 or "[  PASSED  ]" not in done.stdout:
        return "failed"
    return "skipped" if "[  SKIPPED ]" in done.stdout else "passed"


def judge(rule, test, programs, checks):
    """What is wrong with a rule, or nothing."""
    program = next((name for name, tests in programs.items() if test in tests), None)
    if program is None:
        return f"{rule}: no program has {test}"
    if (as_it_is := outcome(program, test, checks)) != "passed":
        return f"{rule}: {test} {as_it_is}"
    ignored = checks | {"USERNIC_IGNORE_RULES": rule}
    if (unwatched := outcome(program, test, ignored, SECONDS_UNWATCHED)) != "failed":
        return f"{rule}: {test} {unwatched} although nothing reports the rule"
    return None


def main(arguments):
    checks = {"USERNIC_CHECKS": "1"} if "--checks" in arguments else {}
    programs = {name: tests_of(name) for name in arguments if not name.startswith("--")}
    table = rules()
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        wrong = [each for each in pool.map(lambda row: judge(*row, programs, checks), table) if each]
    print("\n".join(wrong) if wrong else f"{len(table)} rules, each caught by its test")
    return 1 if wrong or len(table) < 60 else 0


sys.exit(main(sys.argv[1:]))
