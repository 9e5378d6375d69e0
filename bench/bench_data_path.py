#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""What carries frames between two interfaces of this machine, and what that costs.

simnic, simnic-tso: `usernic run` with two cards on a wire, without and with TSO; -2q: with two queues each, and two
poll threads; -no-ring: without io_uring; -no-gso, -no-gro: the core does not cut, or merge. bare-loop, segmenting-loop,
passing-loop: tap_loop, two TAPs and one thread. veth: the kernel's own. tcp, udp and pps (60 octets) are iperf3's
figures from one namespace to another, of tcp-2 and pps-2 those of two at once; rtt is ping's. gb_per_cpu_s,
mops_per_cpu_s: by the CPU time of the program between the interfaces, all of it. Needs iperf3, and root or user
namespaces. pps/tap-in and -out are one thread's reads and writes of a TAP, -by-calls the same with a system call a
frame; forward/ is the core alone, between two ports that do nothing (frame_rows), forward/queues-2 with two queues and
a poll thread each. With DPDK's testpmd there are rows of it: tap and af_packet between two namespaces, forward/ with
its null ports. --peers installs it (Debian 12: dpdk-dev).
USERNIC_BENCH_PROGRAM: another program than the release build's, to compare with.
"""

import contextlib
import ctypes
import functools
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import rows as bench

BENCH = pathlib.Path(__file__).resolve().parent
PROGRAM = os.environ.get("USERNIC_BENCH_PROGRAM", str(BENCH.parent / "usernic"))
TAP_LOOP = str(BENCH / "tap_loop")
FRAME_ROWS = str(BENCH / "frame_rows")
TESTPMD = "dpdk-testpmd"
SECONDS = 1 if bench.SMOKE else 30 if "USERNIC_BENCH_FULL" in os.environ else 5
PINGS = 20 if bench.SMOKE else 1000
SERVER = "10.9.0.2"


def config(tso, queues):
    nics = "".join(f"""
[[nic]]
name = "nic{i}"
host = "{'ab'[i]}"
driver = "simnic"
addresses = ["10.9.0.{i + 1}/24"]
[nic.simnic]
tso = {str(tso).lower()}
rx_queues = {queues}
tx_queues = {queues}
""" for i in range(2))
    return f"[poll]\nthreads = {queues}\n" + '[[host]]\nname = "a"\n[[host]]\nname = "b"\n' + nics


class Between:
    """Two places that reach each other, and the program in between."""

    def __init__(self, pid, client, server, received=None):
        self.pid, self.client, self.server = pid, client, server
        self.received = received or self.kernel_received

    def kernel_received(self):
        """How many packets the server's interface got."""
        said = subprocess.run([*self.server, "cat", "/proc/net/dev"], stdout=subprocess.PIPE, text=True, check=True).stdout
        lines = [line.partition(":") for line in said.splitlines()[2:]]
        return sum(int(counters.split()[1]) for name, _, counters in lines if name.strip() != "lo")

    def cpu_s(self):
        if self.pid is None:
            return 0
        stat = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


# A seccomp filter: whoever asks for an io_uring gets EPERM [seccomp(2), struct seccomp_data].
NO_RING = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]


def refuse_rings():
    code = (ctypes.c_ubyte * (8 * len(NO_RING)))(*b"".join(struct.pack("HBBI", *each) for each in NO_RING))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(NO_RING), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_filter = (38, 1, 0, 0, 0), (22, 2, program)
    if libc.prctl(*no_new_privileges) != 0 or libc.prctl(*set_filter) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


@contextlib.contextmanager
def simnic(folder, tso=False, queues=1, rings=True, off=None):
    lab = folder / "lab.toml"
    lab.write_text(config(tso, queues))
    ready, told = os.pipe()
    env = os.environ | {"USERNIC_SOCKET": str(folder / "socket")}
    process = subprocess.Popen([PROGRAM, "run", str(lab), "--ready-fd", str(told)], pass_fds=[told], env=env,
                               stdout=subprocess.DEVNULL, preexec_fn=None if rings else refuse_rings)
    os.close(told)
    try:
        if os.read(ready, 1) != b"\n":
            sys.exit(f"{PROGRAM} run: it ended with {process.wait()} before it was ready")
        for nic in ["nic0", "nic1"] if off else []:
            subprocess.run([PROGRAM, "ethtool", nic, "-K", off, "off"], stdout=subprocess.DEVNULL, check=True, env=env)
        into = lambda host: ["env", f"USERNIC_SOCKET={folder / 'socket'}", PROGRAM, "exec", host, "--"]

        def received():  # what the kernel counts was merged
            said = subprocess.run([PROGRAM, "stats", "nic1", "--json"], stdout=subprocess.PIPE, text=True, check=True,
                                  env=env).stdout
            return json.loads(said)["rx"]["packets"]

        yield Between(process.pid, into("a"), into("b"), received)
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


def testpmd(folder, devices, mode):
    """The command: one core forwards between two devices, in memory that needs no huge pages."""
    return [TESTPMD, "--no-huge", "-m", "512", "--no-pci", "--no-telemetry", "-l", "0,1", "--file-prefix", folder.name,
            *(f"--vdev={device}" for device in devices), "--", f"--forward-mode={mode}", "--total-num-mbufs=16384",
            "--nb-cores=1", "--auto-start", "--no-mlockall", "--stats-period=1"]


# Of an interface: no sums left to be written, which testpmd does not know of [ETHTOOL_STXCSUM, SIOCETHTOOL].
SUM_BY_ITSELF = """import array, fcntl, socket, struct, sys
value = array.array("B", struct.pack("II", 0x17, 0))
fcntl.ioctl(socket.socket(), 0x8946, struct.pack("16sP16x", sys.argv[1].encode(), value.buffer_info()[0]))
"""


@contextlib.contextmanager
def ended(process):
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def testpmd_tap(folder):
    return testpmd_between(folder, ["net_tap0,iface=dtap0", "net_tap1,iface=dtap1"], ["dtap0", "dtap1"])


@contextlib.contextmanager
def testpmd_between(folder, devices, names):
    with namespaces() as places:
        process = subprocess.Popen(testpmd(folder, devices, "io"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   text=True)
        with ended(process):
            for line in process.stdout:
                if "Done" in line:
                    break
            for name, (_, into) in zip(names, places):
                subprocess.run(["ip", "link", "set", name, "netns", into[1].split("/")[2]], check=True)
                subprocess.run([*into, sys.executable, "-c", SUM_BY_ITSELF, name], check=True)
            set_up(places, names)
            yield Between(process.pid, places[0][1], places[1][1])


@contextlib.contextmanager
def testpmd_af_packet(folder):
    """Its ports are the ends of two veths."""
    names = ["w0", "w1"]
    for name in names:
        subprocess.run(["ip", "link", "add", f"far-{name}", "type", "veth", "peer", "name", name], check=True)
        subprocess.run(["ip", "link", "set", f"far-{name}", "up"], check=True)
    try:
        with testpmd_between(folder, [f"net_af_packet{i},iface=far-{name}" for i, name in enumerate(names)],
                             names) as between:
            yield between
    finally:
        for name in names:
            subprocess.run(["ip", "link", "delete", f"far-{name}"], stderr=subprocess.DEVNULL)


def forward_by_testpmd(mode):
    with tempfile.TemporaryDirectory(prefix="usernic-bench-") as folder:
        before = os.times()
        process = subprocess.Popen(testpmd(pathlib.Path(folder), ["net_null0", "net_null1"], mode),
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[0]
        after = os.times()
    packets = int(re.findall(r"RX-packets: (\d+)", said)[-1])
    cpu_s = after.children_user - before.children_user + after.children_system - before.children_system
    return {"mops_per_cpu_s": packets * 1e-6 / cpu_s, "mpps": packets * 1e-6 / SECONDS}


@contextlib.contextmanager
def veth(_):
    with namespaces() as places:
        peer = places[1][0].split("/")[2]
        subprocess.run([*places[0][1], "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", peer],
                       check=True)
        set_up(places, ["v0", "v1"])
        yield Between(None, places[0][1], places[1][1])


class LostBeginning(Exception):
    """Of two iperf3 at once: one began in the other's flood, and the datagram was lost that it begins with, once."""


def iperf(between, pairs, *options):
    """What each pair of an iperf3 here and one there says; they run at once, a process each."""
    ports = [str(5201 + i) for i in range(pairs)]
    servers = [subprocess.Popen([*between.server, "iperf3", "-s", "-1", "-p", port, "--forceflush"],
                                stdout=subprocess.PIPE, text=True) for port in ports]
    for server in servers:
        for line in server.stdout:
            if "listening" in line:
                break
    before = between.cpu_s()
    clients = [subprocess.Popen([*between.client, "iperf3", "-c", SERVER, "-p", port, "-t", str(SECONDS), "-J", *options],
                                stdout=subprocess.PIPE, text=True) for port in ports]
    said = [client.communicate(timeout=SECONDS + 60)[0] for client in clients]
    cpu_s = between.cpu_s() - before
    for server in servers:
        server.communicate()
    ends = [json.loads(each).get("end", {}) for each in said]
    for end, each in zip(ends, said):
        if "sum_received" in end or "sum" in end:
            continue
        error = json.loads(each).get("error", "no figures")
        raise LostBeginning if "unable to read from stream socket" in error else SystemExit(f"iperf3: {error}")
    return ends, cpu_s


def tcp(between, pairs=1):
    ends, cpu_s = iperf(between, pairs)
    gigabits = sum(end["sum_received"]["bytes"] for end in ends) * 8e-9
    row = {"gbps": gigabits / SECONDS, "retransmits": sum(end["sum_sent"]["retransmits"] for end in ends)}
    return row | ({"gb_per_cpu_s": gigabits / cpu_s} if cpu_s else {})


def datagrams(between, size, pairs=1):
    """What was carried is what came to the server's interface: who reads its socket may be slower yet, or the sender
    faster. `loss` is iperf3's own: of what it sent, the part that it did not read."""
    before = between.received()
    ends, cpu_s = iperf(between, pairs, "-u", "-b", "0", "-l", str(size))
    packets, lost = (sum(end["sum"][what] for end in ends) for what in ("packets", "lost_packets"))
    arrived = between.received() - before
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


def has_testpmd():
    return shutil.which(TESTPMD) is not None and os.geteuid() == 0


def row_of_one_thread(name):
    said = subprocess.run([FRAME_ROWS, f"--benchmark_filter=^{name}(/real_time)?$", "--benchmark_format=json",
                           f"--benchmark_min_time={0.05 if bench.SMOKE else 2}"], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(said.stdout)["benchmarks"][0]


BETWEEN = {"simnic": simnic, "simnic-2q": functools.partial(simnic, queues=2),
           "simnic-tso": functools.partial(simnic, tso=True),
           "simnic-tso-2q": functools.partial(simnic, tso=True, queues=2),
           "simnic-no-ring": functools.partial(simnic, rings=False),
           "simnic-no-gso": functools.partial(simnic, off="gso"), "simnic-no-gro": functools.partial(simnic, off="gro"),
           "simnic-tso-no-ring": functools.partial(simnic, tso=True, rings=False),
           "bare-loop": tap_loop("bare"), "segmenting-loop": tap_loop("segmenting"), "passing-loop": tap_loop("passing"), "veth": veth, "testpmd-tap": testpmd_tap,
           "testpmd-af-packet": testpmd_af_packet}
KINDS = {"tcp": tcp, "udp": lambda between: datagrams(between, 1400), "pps": lambda between: datagrams(between, 18),
         "rtt": rtt, "tcp-2": lambda between: tcp(between, 2), "pps-2": lambda between: datagrams(between, 18, 2)}
PLAIN = [name for name in BETWEEN if not name.endswith("-2q") and "-no-" not in name]
ONLY = {"pps": ("simnic", "simnic-no-ring", "bare-loop", "testpmd-tap", "testpmd-af-packet"), "udp": PLAIN, "rtt": PLAIN,
        "tcp": [name for name in BETWEEN if not name.endswith("-2q") and name != "testpmd-af-packet"],
        "tcp-2": ("simnic", "simnic-2q", "simnic-tso", "simnic-tso-2q", "bare-loop", "veth"),
        "pps-2": ("simnic", "simnic-2q", "bare-loop")}
ROWS = [f"{kind}/{name}" for kind in KINDS for name in BETWEEN if name in ONLY.get(kind, BETWEEN)]
ROWS_OF_ONE_THREAD = ["pps/tap-in", "pps/tap-in-by-calls", "pps/tap-out", "pps/tap-out-by-calls", "forward/null-io",
                      "forward/null-mac", "forward/queues-1", "forward/queues-2"]
ROWS_OF_TESTPMD = ["forward/null-io-testpmd", "forward/null-mac-testpmd"]
# What the figure of a row is compared with, besides the bare loop of its kind.
COMPARED = {"pps/tap-in": "pps/tap-in-by-calls", "pps/tap-out": "pps/tap-out-by-calls",
            "forward/null-io": "forward/null-io-testpmd", "forward/null-mac": "forward/null-mac-testpmd",
            **{f"{kind}/{name}": f"{kind}/{name.partition('-no-')[0]}" for kind in ("tcp", "pps") for name in BETWEEN
               if "-no-" in name},
            "tcp-2/simnic-2q": "tcp-2/simnic", "tcp-2/simnic-tso-2q": "tcp-2/simnic-tso", "pps-2/simnic-2q": "pps-2/simnic",
            "forward/queues-2": "forward/queues-1"}
COUNTERS = ("gbps", "gb_per_cpu_s", "retransmits", "loss", "mpps", "mops_per_cpu_s", "rtt_us_p50", "rtt_us_p99")


def figures_of(kind, between, tries=3):
    try:
        return KINDS[kind](between)
    except LostBeginning:
        if tries == 1:
            raise
    return figures_of(kind, between, tries - 1)


def measure(name):
    if name in ROWS_OF_ONE_THREAD:
        return row_of_one_thread(name)
    kind, _, between = name.partition("/")
    begun = time.monotonic()
    if name in ROWS_OF_TESTPMD:
        return bench.row(name, time.monotonic() - begun, "s", forward_by_testpmd("mac" if "mac" in name else "io"))
    with tempfile.TemporaryDirectory(prefix="usernic-bench-") as folder:
        with BETWEEN[between](pathlib.Path(folder)) as there:
            subprocess.run([*there.client, "ping", "-c", "1", "-w", "10", SERVER], stdout=subprocess.DEVNULL, check=True)
            figures = figures_of(kind, there)
    return bench.row(name, time.monotonic() - begun, "s", figures)


def table(rows):
    """Each row, and in brackets how often it has what it is compared with: the bare loop of its kind, or COMPARED."""
    by_name = {row["name"]: row for row in rows}
    print(f"{'row':26}" + "".join(f"{counter:>22}" for counter in COUNTERS))
    for row in rows:
        kind = row["name"].partition("/")[0]
        base = by_name.get(COMPARED.get(row["name"], "" if row["name"] in ROWS_OF_ONE_THREAD else f"{kind}/bare-loop"), {})
        cells = []
        for counter in COUNTERS:
            value, other = row.get(counter), base.get(counter)
            if value is None:
                cells.append("")
            elif other and row is not base and counter not in ("loss", "retransmits"):
                cells.append(f"{value:.3g} ({value / other:.2f}x)")
            else:
                cells.append(f"{value:.3g}" if value < 1000 else f"{value:.0f}")
        print(f"{row['name']:26}" + "".join(f"{cell:>22}" for cell in cells))


def why_not():
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun is closed"
    return next((f"{tool} is not there" for tool in ("iperf3", "nsenter", "ip", "ping") if not shutil.which(tool)), None)


def main():
    options = bench.parse(__doc__)
    rows_there_are = [name for name in ROWS + ROWS_OF_ONE_THREAD + ROWS_OF_TESTPMD
                      if not ("testpmd" in name and not has_testpmd() or bench.SMOKE and re.search("testpmd|-no-", name))]
    names = [name for name in rows_there_are if re.search(options.benchmark_filter, name)]
    if not names:
        return 2
    if os.geteuid() != 0:
        os.execvp("unshare", ["unshare", "--user", "--map-root-user", "--net", sys.executable, *sys.argv])
    reason = why_not()
    if reason:
        print(reason, file=sys.stderr)
    rows = [bench.skipped("data_path", reason)] if reason else [measure(name) for name in names]
    if options.benchmark_format == "console" and not reason:
        table(rows)
    bench.report(options, PROGRAM, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
