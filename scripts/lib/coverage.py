#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A table by room of what gcovr has counted: coverage.py SUMMARY.json"""

import collections
import json
import pathlib
import sys

rooms = collections.defaultdict(lambda: [0, 0, 0, 0])
for file in json.load(open(sys.argv[1]))["files"]:
    room = str(pathlib.Path(file["filename"]).parent)
    for place in (room, "all"):
        for i, what in enumerate(("line_covered", "line_total", "branch_covered", "branch_total")):
            rooms[place][i] += file[what]
print(f"{'ROOM':<16}{'LINES':>16}{'BRANCHES':>19}")
for room in sorted(rooms, key=lambda name: (name == "all", name)):
    lines, all_lines, branches, all_branches = rooms[room]
    print(f"{room:<16}{lines:>6} of {all_lines:>5} {lines / max(all_lines, 1):>6.1%}"
          f"{branches:>7} of {all_branches:>5} {branches / max(all_branches, 1):>6.1%}")
