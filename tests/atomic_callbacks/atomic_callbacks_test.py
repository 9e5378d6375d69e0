#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""driver.cc calls usleep, malloc or write in set_rx_mode, or nothing: each of three watchmen says so, or stays silent.

    atomic_callbacks_test.py compiler CALL -- COMMAND...   the compiler's function effects refuse it
    atomic_callbacks_test.py checks CALL -- PROGRAM        the run-time checks report it, with the call's place
    atomic_callbacks_test.py sanitizer CALL -- PROGRAM     RealtimeSanitizer stops it
"""

import re
import subprocess
import sys

SKIPPED = 77
SAYS = {
    "compiler": r"error: function with 'nonblocking' attribute must not call non-'nonblocking' function '{}'",
    "checks": r"contract broken \[sleep-in-atomic\]: {} may sleep in the driver's set_rx_mode"
              r"(.|\n)*here: .*call_legacy\.cc:\d+(.|\n)*addr2line",
    "sanitizer": r"Intercepted call to real-time unsafe function `{}` in real-time context",
}


def main():
    watchman, call, _, *command = sys.argv[1:]
    if command[0].endswith("NOTFOUND"):
        print("Skipped: only clang++-22 checks function effects, and it is not here.")
        return SKIPPED
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    print(run.stdout, end="")
    if call == "nothing":
        return run.returncode
    if run.returncode == 0:
        print(f"The call of {call} was not caught.")
        return 1
    if not re.search(SAYS[watchman].format(call), run.stdout):
        print(f"Expected: {SAYS[watchman].format(call)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
