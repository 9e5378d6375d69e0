#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Filter changes of a USB adapter: the kernel's driver of it, and ours, on the same model of it.

Joins and leaves come at a steady rate, one of each every 25 ms, while a control transfer takes 1, 6 or 20 ms. A row each:
how many changes there were, how many control transfers they made, the most of these at the adapter at once, the longest
that one waited there, how long after the last change the filter was right and nothing was under way, and how often a
group that was wanted all the time was missing in the filter. The kernel's driver runs in a guest (tests/guest), which
takes the model over USB/IP; so does ours. `ours` needs /dev/net/tun, and root or user namespaces; `kernel` QEMU, too.
USERNIC_BENCH_PROGRAM: another program than the release build's, to compare with.
"""

import os
import pathlib
import re
import sys
import time

PROGRAM = str(pathlib.Path(os.environ.get("USERNIC_BENCH_PROGRAM", "build/release/usernic")).resolve())
os.environ["USERNIC_PROGRAM"] = PROGRAM
sys.dont_write_bytecode = True
sys.path[:0] = ["tests/e2e", "tests/guest"]

import rows as bench
import lab as lab_module
from guest import HOST, Guest, why_not
from lab import Lab, Place, config_of, is_settled
from usb_device import UsbDevice, has_bucket, is_filter_of

IP = "/usr/sbin/ip"
PERIOD_MS = 25
LATENCIES_MS = (1,) if bench.SMOKE else (1, 6, 20)
TICKS = 5 if bench.SMOKE else 300
KEPT = ("239.3.0.1", "01:00:5e:03:00:01")  # joined before, left afterwards
LEFT_AFTER = 4  # ticks
MODELS = ("rtl8150", "lan78xx")

# On the guest's busybox as on this machine's. Each tick has its time, however long the one before took.
CHANGES = f"""now() {{ read up rest </proc/uptime; echo ${{up%.*}}${{up#*.}}; }}
i=0 begun=$(now)
while [ $i -lt {TICKS} ]; do
  echo addr add 239.2.$((i / 250)).$((i % 250 + 1))/32 dev DEV autojoin
  j=$((i - {LEFT_AFTER}))
  [ $j -ge 0 ] && echo addr del 239.2.$((j / 250)).$((j % 250 + 1))/32 dev DEV
  i=$((i + 1))
  early=$((begun + i * {PERIOD_MS} / 10 - $(now)))  # hundredths of a second
  [ $early -gt 0 ] && usleep $((early * 10000))
done | {IP} -batch -"""


class Model:
    """A served adapter, of which every state of the filter is seen."""

    def __init__(self, name, latency_ms, place):
        self.device = UsbDevice(name, "--slow", latency_ms, prefix=place.prefix())

    def lets_in(self, state, address):
        return state["promisc"] or state["allmulti"] or address in state["multicast"] or has_bucket(state, address)

    def until_right(self):
        return self.device.until(lambda state: state["receiving"] and state["in_flight"] == 0 and
                                 self.lets_in(state, KEPT[1]))

    def measure(self, change, is_right):
        """The time until all was right after the last change, and counters. `change` returns when that one was asked for;
        `is_right`: is there nothing left to do?"""
        before = self.until_right()
        seen = len(self.device.events)
        begun = time.monotonic()
        change()
        took = time.monotonic() - begun
        asked = self.device.state()
        deadline = time.monotonic() + lab_module.SECONDS
        while not is_right():
            assert time.monotonic() < deadline, f"not right within {lab_module.SECONDS} s"
        right = self.until_right()
        while True:  # requests may have been on their way
            time.sleep(0.2)
            again = self.until_right()
            if again["controls"] == right["controls"]:
                break
            right = again
        during = [event for event in self.device.events[seen:] if event["event"] == "filter"]
        changes = 2 * TICKS - LEFT_AFTER
        return right["ms"] - asked["ms"], {
            "iterations": changes, "changes_per_s": changes / took,
            "transfers": right["controls"] - before["controls"],
            "in_flight_max": right["in_flight_max"], "age_max_ms": right["age_max_ms"],
            "missing": sum(not self.lets_in(event, KEPT[1]) for event in during)}


def ours(name, latency_ms, place):
    model = Model(name, latency_ms, place)
    nic = {"name": "nic0", "host": "a", "driver": name, "bus": f"usbip:127.0.0.1:{model.device.port}/1-1",
           "addresses": ["10.55.0.1/24"]}
    lab = Lab(config_of([nic]), place=place)
    try:
        lab.start()
        inside = lab.inside("a")
        inside.join(group=KEPT[0], dev="nic0")
        lab.until_rx_mode(lambda report: KEPT[1] in report["wanted"]["multicast"] and is_settled(report))
        return model.measure(
            lambda: inside.must("busybox", "sh", "-c", CHANGES.replace("DEV", "nic0")),
            lambda: is_settled(lab.control().ask("rx-mode", dev="nic0")))
    finally:
        lab.stop()
        lab.close()
        model.device.close()


def kernels(name, latency_ms, place, guest):
    model = Model(name, latency_ms, place)
    try:
        guest.must(f"usbip --tcp-port {model.device.port} attach -r {HOST} -b 1-1")
        guest.until("ls /sys/class/net/eth1")
        guest.must(f"{IP} addr add 10.55.0.1/24 dev eth1 && {IP} link set eth1 up && "
                   f"{IP} addr add {KEPT[0]}/32 dev eth1 autojoin")
        guest.write("/tmp/changes", CHANGES.replace("DEV", "eth1"))
        # Of rtl8150 the kernel's driver programs no group by itself.
        exact = name == "lan78xx"
        return model.measure(lambda: guest.must("sh /tmp/changes"),
                             lambda: not exact or is_filter_of(model.device.state(), guest.groups("eth1"), 32))
    finally:
        # The kernel's own socket stays in the groups of an interface that is gone, and may be in twenty.
        guest.run(f"{IP} addr flush dev eth1")
        model.device.stop()
        model.device.close()
        guest.until("! ls /sys/class/net/eth1")


def rows_of(filter_):
    names = [f"{who}/{name}/{ms}ms" for name in MODELS for ms in LATENCIES_MS for who in ("kernel", "ours")]
    wanted = [name for name in names if re.search(filter_, name) and not (bench.SMOKE and name.startswith("kernel"))]
    if not wanted:
        return
    if reason := lab_module.why_not():
        yield bench.skipped("usb", reason)
        return
    place, guest = Place(), None
    try:
        for row in wanted:
            who, name, ms = row.split("/")
            if who == "kernel":
                if reason := why_not():
                    yield bench.skipped(row, reason)
                    continue
                guest = guest or Guest(("vhci_hcd", *MODELS), prefix=place.prefix())
                ms_until_right, counters = kernels(name, int(ms[:-2]), place, guest)
            else:
                ms_until_right, counters = ours(name, int(ms[:-2]), place)
            yield bench.row(row, ms_until_right, "ms", counters)
    finally:
        if guest:
            guest.close()
        place.close()


def main():
    options = bench.parse(__doc__)
    rows = []
    for row in rows_of(options.benchmark_filter):
        rows.append(row)
        if options.benchmark_format != "console":
            continue
        if "label" in row:
            print(f"{row['name']:22} {row['label']}")
            continue
        print(f"{row['name']:22} {row['iterations']} changes at {row['changes_per_s']:5.1f}/s  "
              f"{row['transfers']:5} control transfers, {row['in_flight_max']:3} at once, the oldest "
              f"{row['age_max_ms']:8.1f} ms  right after {row['real_time']:8.1f} ms  missing {row['missing']}",
              flush=True)
    if not rows:
        return 2
    bench.report(options, PROGRAM, rows)
    return 0


if __name__ == "__main__":
    os.environ.pop("USERNIC_SOCKET", None)
    sys.exit(main())
