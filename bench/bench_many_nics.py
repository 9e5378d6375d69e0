#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""What many NICs cost: `usernic run` with 1, 100 and 1,000 simnics on one wire, in two hosts.

A row each: time until it is ready, and end_s until it has ended; per NIC resident memory, threads and descriptors; and
how much of a core it takes, once what the kernel does with fresh interfaces is over. Needs root, or user namespaces.
USERNIC_BENCH_PROGRAM: another program than the release build's, to compare with.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import rows as bench

PROGRAM = os.environ.get("USERNIC_BENCH_PROGRAM", "build/release/usernic")
COUNTS = (1, 2) if bench.SMOKE else (1, 100, 1000)
SETTLE = 0 if bench.SMOKE else 30  # seconds: the kernel solicits routers for a while
IDLE = 0.1 if bench.SMOKE else 20


def config_of(count):
    hosts = ["[[host]]\nname = \"%s\"\n" % name for name in "ab"]
    nics = [f"""[[nic]]
name = "nic{i}"
host = "{'ab'[i % 2]}"
driver = "simnic"
addresses = ["10.{i >> 8}.{i & 255}.1/24"]
[nic.simnic]
wire = "w0"
""" for i in range(count)]
    return "\n".join(hosts + nics)


def status(pid):
    words = dict(re.findall(r"^(\w+):\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return {"rss_kib": int(words["VmRSS"]), "threads": int(words["Threads"]), "fds": len(os.listdir(f"/proc/{pid}/fd")),
            "cpu_s": (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")}


def measure(count, folder):
    config = folder / "lab.toml"
    config.write_text(config_of(count))
    ready, told = os.pipe()
    begun = time.monotonic()
    process = subprocess.Popen([PROGRAM, "run", str(config), "--ready-fd", str(told)], pass_fds=[told],
                               stdout=subprocess.DEVNULL, env=os.environ | {"USERNIC_SOCKET": str(folder / "socket")})
    os.close(told)
    try:
        if os.read(ready, 1) != b"\n":
            sys.exit(f"{PROGRAM} run with {count} NICs: it ended with {process.wait()} before it was ready")
        up = time.monotonic()
        time.sleep(SETTLE)
        before = status(process.pid)
        time.sleep(IDLE)
        after = status(process.pid)
        process.send_signal(signal.SIGTERM)
        ending = time.monotonic()
        code = process.wait()
        if code != 0:
            sys.exit(f"{PROGRAM} run with {count} NICs: exit code {code}")
    finally:
        process.kill()
        os.close(ready)
    return bench.row(f"many_nics/{count}", up - begun, "s", {
        "end_s": time.monotonic() - ending,
        "rss_kib_per_nic": after["rss_kib"] / count,
        "threads_per_nic": after["threads"] / count,
        "fds_per_nic": after["fds"] / count,
        "idle_core_percent": 100 * (after["cpu_s"] - before["cpu_s"]) / IDLE})


def main():
    options = bench.parse(__doc__)
    counts = [count for count in COUNTS if re.search(options.benchmark_filter, f"many_nics/{count}")]
    if not counts:
        return 2
    rows = []
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        print("/dev/net/tun is closed to you", file=sys.stderr)
        counts, rows = [], [bench.skipped("many_nics", "/dev/net/tun is closed")]
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="usernic-bench-") as folder:
            rows.append(measure(count, pathlib.Path(folder)))
        if options.benchmark_format == "console":
            row = rows[-1]
            print(f"{row['name']:16} ready {row['real_time']:7.2f} s  end {row['end_s']:6.2f} s  a NIC: "
                  f"{row['rss_kib_per_nic']:6.0f} KiB {row['threads_per_nic']:5.2f} threads {row['fds_per_nic']:5.1f} fds  "
                  f"idle {row['idle_core_percent']:5.1f} % of a core", flush=True)
    bench.report(options, PROGRAM, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
