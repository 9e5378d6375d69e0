# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A usernic of a test's own: on a private socket in a temporary folder, gone when the test is over.

`Lab` starts the program and asks it things, `Inside` talks to a process in one of its hosts, `Place` is a set of
namespaces in which something like a whole machine can be tried without touching this one, `LabTest` is the test case
that cleans up. Nothing here sleeps: everything waits for an event, or looks again until it has seen what it waits for.

No test hangs on how fast the machine is. A deadline is a guard that turns a hang into a failure: SECONDS, for everything.
A state that has to be seen lasts until it was: a card that is to be stuck is stuck for ever (STUCK_US), so what answers
or ends meanwhile did not wait for it.
"""

import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = os.environ.get("USERNIC_PROGRAM", "")
PORT = os.environ.get("USERNIC_TEST_PORT")  # what every nic's interface is to be; None: as usernic has it
SECONDS = 120  # the one deadline: of what takes no time at all where nobody else wants the machine
STUCK_US = 3600 * 1_000_000  # the latency of a card that answers nobody; ends when its driver is asked to stop
LOOK_AGAIN = 0.002


def why_not():
    """Why nothing can be tried on this machine, or None."""
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        return f"/dev/net/tun cannot be opened: {error.strerror}; as root: chmod 0666 /dev/net/tun"
    if os.geteuid() == 0:
        return None
    made = subprocess.run(["unshare", "-Urn", "true"], capture_output=True, text=True)
    return None if made.returncode == 0 else f"no user namespaces for ordinary users here: {made.stderr.strip()}"


def toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value)  # of numbers, texts and lists of them both write the same


def config_of(nics, hosts=()):
    """The config file with these nics: dicts of the keys, those of the driver's section under its name."""
    names = list(hosts) or sorted({nic["host"] for nic in nics if "host" in nic})
    lines = []
    for host in names:
        host = host if isinstance(host, dict) else {"name": host}
        lines += ["[[host]]"] + [f"{key} = {toml(value)}" for key, value in host.items()]
    for nic in nics:
        nic = nic | ({"port": PORT} if PORT else {})
        lines += ["[[nic]]"] + [f"{key} = {toml(value)}" for key, value in nic.items() if not isinstance(value, dict)]
        for section, keys in nic.items():
            if isinstance(keys, dict):
                lines += [f"[nic.{section}]"] + [f"{key} = {toml(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def pair(card=None, other=None, **keys):
    """Two hosts a and b, nic0 and nic1 on one wire. `card` and `keys` are of nic0, `other` of nic1's card."""
    card = {"wire": "w0", "command_latency_us": 10000} | (card or {})
    other = {"wire": "w0"} | (other or {})
    nic0 = {"name": "nic0", "host": "a", "driver": "simnic", "address": "02:00:00:00:00:01",
            "addresses": ["10.9.0.1/24"]} | keys
    nic1 = {"name": "nic1", "host": "b", "driver": "simnic", "address": "02:00:00:00:00:02",
            "addresses": ["10.9.0.2/24"]}
    return config_of([nic0 | {"simnic": card}, nic1 | {"simnic": other}])


def run(argv, seconds=SECONDS, **options):
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run([str(word) for word in argv], text=True, timeout=seconds, **options)


LOOKED_FOR_LEAKS = set()


def leaks_are_looked_for_once(what):
    """What the environment of a program has besides: a search for leaks takes AddressSanitizer as long as all else, and
    who allocated what takes it half of the rest."""
    if what not in LOOKED_FOR_LEAKS:
        LOOKED_FOR_LEAKS.add(what)
        return {}
    asan = ("malloc_context_size=1", os.environ.get("ASAN_OPTIONS"), "detect_leaks=0")
    return {"ASAN_OPTIONS": ":".join(filter(None, asan))}


class Control:
    """The control socket, spoken to directly: the quickest way to look again and again."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        self.socket.connect(str(path))
        self.unread = b""

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        """The next line, or None when the daemon has hung up."""
        while b"\n" not in self.unread:
            try:
                more = self.socket.recv(1 << 20)
            except ConnectionResetError:
                return None
            if not more:
                return None
            self.unread += more
        line, self.unread = self.unread.split(b"\n", 1)
        return json.loads(line)

    def answer_to(self, verb, **arguments):
        self.send(json.dumps({"v": 1, "verb": verb, **arguments}).encode() + b"\n")
        answer = self.line()
        assert answer is not None, f"usernic hung up on {verb}"
        return answer

    def ask(self, verb, **arguments):
        answer = self.answer_to(verb, **arguments)
        assert answer["ok"], answer
        return answer["result"]

    def close(self):
        self.socket.close()


class Inside:
    """A process in a host, or anywhere: `inside.join(group=..., dev=...)` is done there. See inside.py."""

    def __init__(self, prefix):
        argv = [*prefix, sys.executable, HERE / "inside.py"]
        self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.pid = self.process.pid

    def __getattr__(self, method):
        def call(**arguments):
            self.process.stdin.write(json.dumps([method, arguments]) + "\n")
            self.process.stdin.flush()
            if not select.select([self.process.stdout], [], [], SECONDS)[0]:
                raise AssertionError(f"no answer to {method} from inside")
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError(f"the process inside ended at {method}, with {self.process.wait(SECONDS)}")
            answer = json.loads(line)
            if "error" in answer:
                raise AssertionError(f"{method}({arguments}): {answer['error']}")
            return answer["ok"]

        return call

    def must(self, *argv):
        """A command that must succeed; its output."""
        done = self.run(argv=[str(word) for word in argv])
        if done["code"] != 0:
            raise AssertionError(f"{' '.join(map(str, argv))}: exit {done['code']}: {done['err']}{done['out']}")
        return done["out"]

    def sysctl(self, name, value):
        """"net/ipv4/ip_forward": without the program of that name, which not everybody has on their PATH."""
        self.must("sh", "-c", f"echo {value} >/proc/sys/{name}")

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Place(Inside):
    """Fresh namespaces with a root of their own, in which `ip netns` and interfaces leave this machine alone."""

    def __init__(self):
        self.users = [] if os.geteuid() == 0 else ["-U"]
        super().__init__(["unshare", *(["-Ur"] if self.users else []), "-m", "-n", "--"])
        self.must("ip", "link", "set", "lo", "up")  # and now it is inside
        self.must("mount", "-t", "tmpfs", "tmpfs", "/run")

    def prefix(self):
        return ["nsenter", "-t", str(self.pid), "-m", "-n",
                *(["-U", "--preserve-credentials"] if self.users else []), "--"]


RECEIVER = """import hashlib, socket, sys
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server:
    print("listens", flush=True)
    connection = server.accept()[0]
digest = hashlib.sha256()
while octets := connection.recv(1 << 20):
    digest.update(octets)
print(digest.hexdigest())
"""


class TcpReceiver:
    """A process, where `prefix` says, that receives one TCP stream there, and listens already."""

    def __init__(self, prefix, port, address=""):
        argv = [*prefix, sys.executable, "-c", RECEIVER, address, port]
        self.process = subprocess.Popen([str(word) for word in argv], stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "listens\n":
            self.close()
            raise AssertionError(f"nobody listens on port {port}")

    def sha256(self):
        """Of the stream, when it has ended."""
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Lab:
    """One `usernic run`, in a folder of its own."""

    def __init__(self, config=None, place=None, folder=None):
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="usernic-e2e-"))
        self.owns_folder = folder is None
        self.socket = self.folder / "control"
        self.config = None
        if config is not None:
            self.config = self.folder / "lab.toml"
            self.config.write_text(config)
        self.prefix = place.prefix() if place else []
        self.process, self.insides, self.said = None, {}, ""
        self.quick = None

    # --- Its life ---

    def start(self, seconds=SECONDS, **options):
        """Returns when it says that it is ready."""
        ready, told = os.pipe()
        with open(ready, "rb") as ready:
            self.spawn("--ready-fd", told, pass_fds=[told], **options)
            os.close(told)
            octet = ready.read(1) if select.select([ready], [], [], seconds)[0] else b""
        if octet == b"":
            raise AssertionError(f"usernic run is not ready: exit code {self.process.poll()}\n{self.report()}")
        return self

    def spawn(self, *arguments, **options):
        config = [self.config] if self.config else []
        chosen = ["--socket", self.socket] if self.socket else []
        argv = [*self.prefix, PROGRAM, "run", *config, *chosen, *arguments]
        with open(self.folder / "stdout", "w") as out, open(self.folder / "stderr", "w") as err:
            self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=err, **options)

    def stop(self, number=signal.SIGTERM, seconds=SECONDS):
        """The exit code."""
        self.leave()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"usernic run does not end within {seconds} s\n{self.report()}") from None

    def leave(self):
        """Everything that talks to it goes away."""
        if self.quick:
            self.quick.close()
            self.quick = None
        for inside in self.insides.values():
            inside.close()
        self.insides = {}

    def close(self):
        self.leave()
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.said = self.report()
        if self.owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def stderr(self):
        file = self.folder / "stderr"
        return file.read_text() if file.exists() else ""

    def report(self):
        if self.said:
            return self.said
        config = self.config.read_text() if self.config and self.config.exists() else "(built-in)\n"
        out = (self.folder / "stdout").read_text() if (self.folder / "stdout").exists() else ""
        return f"--- config\n{config}--- usernic run, stdout\n{out}--- usernic run, stderr\n{self.stderr()}---"

    # --- Asking it ---

    def usernic(self, *arguments, **options):
        """Any verb as a command; does not judge its exit code."""
        environment = os.environ | {"USERNIC_SOCKET": str(self.socket)} | leaks_are_looked_for_once(arguments[:1])
        return run([*self.prefix, PROGRAM, *arguments], env=environment, **options)

    def wait_in_vain(self, dev, says, *flags):
        """A `rx-mode --wait` for what does not come. A short one does, but where others are busy it may be over before
        it is known what the kernel wants: then a long one."""
        for seconds in (1, SECONDS // 2):
            done = self.usernic("rx-mode", dev, f"--wait={seconds}", *flags)
            if done.returncode == 0 or says(done):
                break
        return done

    def must(self, *arguments, **options):
        done = self.usernic(*arguments, **options)
        if done.returncode != 0:
            raise AssertionError(f"usernic {' '.join(map(str, arguments))}: exit {done.returncode}\n"
                                 f"{done.stderr}{done.stdout}")
        return done.stdout

    def json(self, *arguments):
        return json.loads(self.must(*arguments, "--json"))

    def link(self, dev="nic0"):
        return next(row for row in self.json("link") if row["name"] == dev)

    def exec(self, host, *command, **options):
        return self.must("exec", host, "--", *command, **options)

    def ping(self, host, to, count=3, *options):
        """So many times, each answered, or it fails. The first one, with as many tries as it takes, finds the way."""
        inside = self.inside(host)
        inside.must("ping", "-c", 1, "-i", 0.2, "-w", SECONDS, *options, to)
        for _ in range(count):
            inside.must("ping", "-c", 1, "-W", SECONDS, *options, to)

    def exec_prefix(self, host):
        return [*self.prefix, PROGRAM, "--socket", self.socket, "exec", host, "--"]

    def inside(self, host):
        if host not in self.insides:
            self.insides[host] = Inside(self.exec_prefix(host))
        return self.insides[host]

    def control(self):
        self.quick = self.quick or Control(self.socket)
        return self.quick

    # --- Waiting for it ---

    def until(self, verb, holds, seconds=SECONDS, **arguments):
        """Looks until `holds(report)`; the report, and when that was."""
        deadline = time.monotonic() + seconds
        while True:
            report = self.control().ask(verb, **arguments)
            now = time.monotonic()
            if holds(report):
                return report, now
            if now > deadline:
                raise AssertionError(f"not within {seconds} s, but: {json.dumps(report)}\n{self.report()}")
            select.select([], [], [], LOOK_AGAIN)

    def until_rx_mode(self, holds, dev="nic0", seconds=SECONDS):
        return self.until("rx-mode", holds, seconds, dev=dev)

    def until_link(self, holds, dev="nic0", seconds=SECONDS):
        return self.until("link", lambda rows: holds(next(r for r in rows if r["name"] == dev)), seconds)


def class_of(address):
    return "multicast" if int(address[:2], 16) & 1 else "unicast"


def is_held(report, address):
    of = class_of(address)
    return address in report["wanted"][of] and address in report["programmed"][of]


def is_gone(report, address):
    of = class_of(address)
    return address not in report["wanted"][of] and address not in report["programmed"][of]


def is_settled(report):
    return report["generation"]["wanted"] == report["generation"]["programmed"]


class LabTest(unittest.TestCase):
    """A test with labs; what they said is shown when it fails."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if reason := why_not():
            raise unittest.SkipTest(reason)

    def setUp(self):
        self.labs = []

    def lab(self, config=None, **options):
        """A usernic that is ready."""
        return self.new_lab(config, **options).start()

    def new_lab(self, config=None, **options):
        lab = Lab(config, **options)
        self.labs.append(lab)
        self.addCleanup(lab.close)
        return lab

    def place(self):
        place = Place()
        self.addCleanup(place.close)
        return place

    def tcp_receiver(self, *arguments, **options):
        receiver = TcpReceiver(*arguments, **options)
        self.addCleanup(receiver.close)
        return receiver

    def folder(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="usernic-e2e-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def follow(self, lab, *flags):
        """A `usernic monitor`, and what reads its next line."""
        process = subprocess.Popen([*lab.prefix, PROGRAM, "--socket", lab.socket, "monitor", *flags],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        unread = b""

        def line():
            nonlocal unread
            while b"\n" not in unread:
                self.assertTrue(select.select([process.stdout], [], [], SECONDS)[0], "nothing new from monitor")
                more = os.read(process.stdout.fileno(), 65536)
                self.assertTrue(more, "monitor has ended")
                unread += more
            said, unread = unread.split(b"\n", 1)
            return said.decode()

        return process, line

    def report(self):
        return "\n".join(lab.report() for lab in self.labs)

    def assert_sentence(self, text, *words):
        """One line from usernic for a person, with these words in it."""
        lines = text.splitlines()
        self.assertEqual(len(lines), 1, f"one sentence, not: {text!r}")
        self.assertTrue(lines[0].startswith("usernic: "), text)
        for word in words:
            self.assertIn(word, lines[0])
        self.assertGreater(len(lines[0].split()), 3, text)

    def eventually(self, holds, what, seconds=SECONDS):
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                self.fail(f"not within {seconds} s: {what}")
            select.select([], [], [], LOOK_AGAIN * 5)
