#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""What carries frames between two interfaces of this machine, and what that costs.

simnic: `usernic run` with two cards on a wire. bare-loop, segmenting-loop, passing-loop: tap_loop, two TAPs and one
thread. veth: the kernel's own. tcp, udp and pps (60 octets) are iperf3's figures from one namespace to another; rtt is
ping's. gb_per_cpu_s, mops_per_cpu_s: by the CPU time of the program between the interfaces, all of it. Needs iperf3, and
root or user namespaces.
USERNIC_BENCH_PROGRAM: another program than the release build's, to compare with.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BENCH = pathlib.Path(__file__).resolve().parent
PROGRAM = os.environ.get("USERNIC_BENCH_PROGRAM", str(BENCH.parent / "usernic"))
TAP_LOOP = str(BENCH / "tap_loop")
SMOKE = "USERNIC_BENCH_SMOKE" in os.environ
SECONDS = 1 if SMOKE else 30 if "USERNIC_BENCH_FULL" in os.environ else 5
PINGS = 20 if SMOKE else 1000
SERVER = "10.9.0.2"

CONFIG = """
[[host]]
name = "a"
[[host]]
name = "b"
""" + "".join(f"""
[[nic]]
name = "nic{i}"
host = "{'ab'[i]}"
driver = "simnic"
addresses = ["10.9.0.{i + 1}/24"]
""" for i in range(2))


class Between:
    """Two places that reach each other, and the program in between."""

    def __init__(self, pid, client, server):
        self.pid, self.client, self.server = pid, client, server

    def cpu_s(self):
        if self.pid is None:
            return 0
        stat = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def simnic(folder):
    config = folder / "lab.toml"
    config.write_text(CONFIG)
    ready, told = os.pipe()
    env = os.environ | {"USERNIC_SOCKET": str(folder / "socket")}
    process = subprocess.Popen([PROGRAM, "run", str(config), "--ready-fd", str(told)], pass_fds=[told], env=env,
                               stdout=subprocess.DEVNULL)
    os.close(told)
    try:
        if os.read(ready, 1) != b"\n":
            sys.exit(f"{PROGRAM} run: it ended with {process.wait()} before it was ready")
        into = lambda host: ["env", f"USERNIC_SOCKET={folder / 'socket'}", PROGRAM, "exec", host, "--"]
        yield Between(process.pid, into("a"), into("b"))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        os.close(ready)


@contextlib.contextmanager
def namespaces():
    holders = [subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
               for _ in range(2)]
    try:
        for holder in holders:
            holder.stdout.readline()
        yield [(f"/proc/{holder.pid}/ns/net", ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]) for holder in holders]
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()


def set_up(places, names):
    for number, ((_, into), name) in enumerate(zip(places, names), 1):
        subprocess.run([*into, "ip", "address", "add", f"10.9.0.{number}/24", "dev", name], check=True)
        subprocess.run([*into, "ip", "link", "set", name, "up"], check=True)


def tap_loop(mode):
    @contextlib.contextmanager
    def between(_):
        with namespaces() as places:
            process = subprocess.Popen([TAP_LOOP, mode, *(path for path, _ in places)], stdout=subprocess.PIPE)
            try:
                process.stdout.readline()
                set_up(places, ["tap0", "tap0"])
                yield Between(process.pid, places[0][1], places[1][1])
            finally:
                process.kill()
                process.wait()
    return between


@contextlib.contextmanager
def veth(_):
    with namespaces() as places:
        peer = places[1][0].split("/")[2]
        subprocess.run([*places[0][1], "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", peer],
                       check=True)
        set_up(places, ["v0", "v1"])
        yield Between(None, places[0][1], places[1][1])


def iperf(between, *options):
    server = subprocess.Popen([*between.server, "iperf3", "-s", "-1", "--forceflush"], stdout=subprocess.PIPE, text=True)
    for line in server.stdout:
        if "listening" in line:
            break
    before = between.cpu_s()
    client = subprocess.run([*between.client, "iperf3", "-c", SERVER, "-t", str(SECONDS), "-J", *options],
                            stdout=subprocess.PIPE, text=True)
    cpu_s = between.cpu_s() - before
    server.communicate()
    end = json.loads(client.stdout).get("end", {})
    if "sum_received" not in end and "sum" not in end:
        sys.exit(f"iperf3: {json.loads(client.stdout).get('error', 'no figures')}")
    return end, cpu_s


def tcp(between):
    end, cpu_s = iperf(between)
    gigabits = end["sum_received"]["bytes"] * 8e-9
    row = {"gbps": gigabits / SECONDS, "retransmits": end["sum_sent"]["retransmits"]}
    return row | ({"gb_per_cpu_s": gigabits / cpu_s} if cpu_s else {})


def datagrams(between, size):
    end, cpu_s = iperf(between, "-u", "-b", "0", "-l", str(size))
    packets, lost = end["sum"]["packets"], end["sum"]["lost_packets"]
    arrived = packets - lost
    row = {"gbps": arrived * size * 8e-9 / SECONDS, "mpps": arrived * 1e-6 / SECONDS, "loss": lost / max(packets, 1)}
    if not cpu_s:
        return row
    return row | {"gb_per_cpu_s": arrived * size * 8e-9 / cpu_s, "mops_per_cpu_s": arrived * 1e-6 / cpu_s}


def rtt(between):
    said = subprocess.run([*between.client, "ping", "-i", "0.002", "-c", str(PINGS), SERVER], stdout=subprocess.PIPE,
                          text=True).stdout
    times = sorted(float(time) * 1000 for time in re.findall(r"time=([0-9.]+) ms", said))
    if not times:
        sys.exit("ping: no answer")
    return {"rtt_us_p50": times[len(times) // 2], "rtt_us_p99": times[len(times) * 99 // 100]}


BETWEEN = {"simnic": simnic, "bare-loop": tap_loop("bare"), "segmenting-loop": tap_loop("segmenting"),
           "passing-loop": tap_loop("passing"), "veth": veth}
KINDS = {"tcp": tcp, "udp": lambda between: datagrams(between, 1400), "pps": lambda between: datagrams(between, 18),
         "rtt": rtt}
ROWS = [f"{kind}/{name}" for kind in KINDS for name in BETWEEN if kind != "pps" or name in ("simnic", "bare-loop")]
COUNTERS = ("gbps", "gb_per_cpu_s", "retransmits", "loss", "mpps", "mops_per_cpu_s", "rtt_us_p50", "rtt_us_p99")


def measure(name):
    kind, _, between = name.partition("/")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="usernic-bench-") as folder:
        with BETWEEN[between](pathlib.Path(folder)) as there:
            subprocess.run([*there.client, "ping", "-c", "1", "-w", "10", SERVER], stdout=subprocess.DEVNULL, check=True)
            figures = KINDS[kind](there)
    return {"name": name, "run_name": name, "run_type": "iteration", "iterations": 1,
            "real_time": time.monotonic() - begun, "time_unit": "s"} | figures


def table(rows):
    """Each row, and in brackets how often it has what the bare loop of its kind has."""
    by_name = {row["name"]: row for row in rows}
    print(f"{'row':22}" + "".join(f"{counter:>22}" for counter in COUNTERS))
    for row in rows:
        base = by_name.get(row["name"].partition("/")[0] + "/bare-loop", {})
        cells = []
        for counter in COUNTERS:
            value, other = row.get(counter), base.get(counter)
            if value is None:
                cells.append("")
            elif other and row is not base and counter not in ("loss", "retransmits"):
                cells.append(f"{value:.3g} ({value / other:.2f}x)")
            else:
                cells.append(f"{value:.3g}" if value < 1000 else f"{value:.0f}")
        print(f"{row['name']:22}" + "".join(f"{cell:>22}" for cell in cells))


def why_not():
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun is closed"
    return next((f"{tool} is not there" for tool in ("iperf3", "nsenter", "ip", "ping") if not shutil.which(tool)), None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark_filter", default="", metavar="REGEX")
    parser.add_argument("--benchmark_format", choices=["console", "json"], default="console")
    parser.add_argument("--benchmark_out", type=pathlib.Path)
    parser.add_argument("--benchmark_out_format", choices=["json"], default="json")
    parser.add_argument("--benchmark_min_time", help="as Google Benchmark's; one run is one iteration here")
    options = parser.parse_args()
    names = [name for name in ROWS if re.search(options.benchmark_filter, name)]
    if not names:
        return 2
    if os.geteuid() != 0:
        os.execvp("unshare", ["unshare", "--user", "--map-root-user", "--net", sys.executable, *sys.argv])
    reason = why_not()
    if reason:
        print(reason, file=sys.stderr)
    rows = [{"name": "data_path", "label": f"skipped: {reason}"}] if reason else [measure(name) for name in names]
    report = {"context": {"date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
                          "executable": PROGRAM, "num_cpus": os.cpu_count(), "load_avg": os.getloadavg()},
              "benchmarks": rows}
    if options.benchmark_format == "json":
        print(json.dumps(report, indent=2))
    elif not reason:
        table(rows)
    if options.benchmark_out:
        options.benchmark_out.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
