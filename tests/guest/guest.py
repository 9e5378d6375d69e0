# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A Linux of Debian's under QEMU, with USB, for a test outside: this machine's kernel may have none.

`Guest` boots the newest kernel image that is installed here, with an initramfs made on the spot of what is installed
here: busybox, usbip, iproute2, and the modules that are asked for. `guest.must("ip link")` is a shell command in there.
The guest reaches 127.0.0.1 of the place where QEMU runs as HOST; its ports 3240 and 3241 are 127.0.0.1's there. A USB
adapter of QEMU's (usb-net) is plugged into it, with a network of its own behind: ADAPTER_PEER answers there.
"""

import base64
import contextlib
import lzma
import os
import pathlib
import platform
import re
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time

SECONDS = 600  # the one deadline, of a guest without hardware virtualization on a slow machine
HOST = "10.0.2.2"
QEMU = "qemu-system-x86_64"
PANICKED = 79  # the exit code
USBIP_PORT, USBIP_HOST_PORT = 3240, 3241  # of usbipd for devices of the guest's own, and for what is plugged into it
ADAPTER_ADDRESS, ADAPTER_NETWORK, ADAPTER_PEER = "52:54:00:77:77:77", "10.66.0.0/24", "10.66.0.2"
ALWAYS = ("virtio_pci", "virtio_net")
PROGRAMS = ("usbip", "usbipd", "ip")
FOLDERS = ("/usr/sbin", "/sbin", "/usr/bin", "/bin")

# Runs a command a line from the second serial line: its output, and a line with the mark and the exit code.
MARK = "=the-end="
INIT = f"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin/applets
export PATH=/usr/sbin:/usr/bin:/bin:/bin/applets
while read -r module; do insmod "$module" || echo "insmod $module failed"; done < /modules
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
stty -F /dev/ttyS1 raw -echo
exec < /dev/ttyS1 > /dev/ttyS1 2>&1
echo "{MARK} 0"
while IFS= read -r command; do
  sh -c "$command" < /dev/null
  echo "{MARK} $?"
done
poweroff -f
"""


class Missing(Exception):
    """What the machine lacks, as a sentence."""


def why_not():
    """Why no guest can be tried here, or None."""
    if platform.machine() != "x86_64":
        return f"the guest runs this machine's programs on x86-64, and this is {platform.machine()}"
    return None if shutil.which(QEMU) else f"no {QEMU} here; Debian's package is qemu-system-x86"


def find_program(name):
    for folder in FOLDERS:
        if (path := pathlib.Path(folder, name)).exists():
            return path
    raise Missing(f"the guest needs {name}, which is not installed: scripts/lib/packages.sh names the packages")


def kernel():
    """The newest installed kernel that has USB over IP: its image, and the folder of its modules."""
    def version(image):
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", image.name)]

    for image in sorted(pathlib.Path("/boot").glob("vmlinuz-*"), key=version, reverse=True):
        modules = pathlib.Path("/lib/modules", image.name.removeprefix("vmlinuz-"))
        if (modules / "modules.dep").exists() and "/vhci-hcd.ko" in (modules / "modules.dep").read_text():
            return image, modules
    raise Missing("no kernel in /boot has the module vhci-hcd; Debian's package is linux-image-amd64 (not -cloud-)")


class Modules:
    """A kernel's modules by name, and what each depends on."""

    def __init__(self, folder):
        self.folder, self.path, self.needs = folder, {}, {}
        for line in (folder / "modules.dep").read_text().splitlines():
            path, _, needs = line.partition(":")
            self.path[self.name_of(path)] = path
            self.needs[self.name_of(path)] = [self.name_of(need) for need in needs.split()]
        self.builtin = {self.name_of(path) for path in (folder / "modules.builtin").read_text().split()}

    @staticmethod
    def name_of(path):
        return pathlib.PurePath(path).name.split(".")[0].replace("-", "_")

    def in_order(self, names):
        """Those and what they need, each after what it needs."""
        order = []

        def add(name):
            if name in order or name in self.builtin:
                return
            if name not in self.path:
                raise Missing(f"the kernel in {self.folder} has no module {name}")
            for need in self.needs[name]:
                add(need)
            order.append(name)

        for name in names:
            add(name)
        return order

    def octets(self, name):
        path = self.folder / self.path[name]
        octets = path.read_bytes()
        return lzma.decompress(octets) if path.suffix == ".xz" else octets


class Archive:
    """An initramfs: a cpio archive in the "newc" format."""

    def __init__(self, file):
        self.file, self.inode, self.folders = file, 0, set()

    def add(self, path, octets, mode=0o100755):
        path = str(path).lstrip("/")
        self.folder(pathlib.PurePath(path).parent)
        self.inode += 1
        name = path.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(octets), 0, 0, 0, 0, len(name), 0)
        self.pad(b"070701" + b"".join(b"%08x" % field for field in fields) + name)
        self.pad(octets)

    def pad(self, octets):
        self.file.write(octets + bytes(-len(octets) % 4))

    def folder(self, path):
        if path.name and path not in self.folders:
            self.folders.add(path)
            self.folder(path.parent)
            self.add(path, b"", 0o040755)

    def link(self, path, target):
        self.add(path, target.encode(), 0o120777)

    def end(self):
        self.add("TRAILER!!!", b"", 0)


def libraries_of(program):
    """What the loader would load for it, the loader included."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True)
    return set(re.findall(r"(/\S+)", listed.stdout)) if listed.returncode == 0 else set()


def write_initramfs(file, modules, names, programs):
    """`programs`: {path in the guest: path here}, with the libraries that they need."""
    archive = Archive(file)
    for folder in ("proc", "sys", "dev", "tmp", "run", "var", "bin/applets", "usr/share/hwdata"):
        archive.folder(pathlib.PurePath(folder))
    archive.link("var/run", "/run")
    archive.add("init", INIT.encode())
    archive.link("bin/sh", "busybox")
    programs = {"/bin/busybox": find_program("busybox")} | {f"/usr/sbin/{name}": find_program(name)
                                                           for name in PROGRAMS} | programs
    libraries = set()
    for inside, outside in programs.items():
        archive.add(inside, pathlib.Path(outside).read_bytes())
        libraries |= libraries_of(outside)
    for library in sorted(libraries):
        archive.add(library, pathlib.Path(library).read_bytes())
    order = modules.in_order([name.replace("-", "_") for name in names])
    for name in order:
        archive.add(f"lib/modules/{name}.ko", modules.octets(name))
    archive.add("modules", "".join(f"/lib/modules/{name}.ko\n" for name in order).encode())
    archive.end()


class Guest:
    """One that is up. `prefix`: where QEMU runs. Raises Missing."""

    def __init__(self, modules, programs=None, prefix=(), memory_mb=256):
        image, folder = kernel()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="usernic-guest-"))
        self.process, self.watcher, self.shell, self.unread = None, None, None, b""
        try:
            with open(self.folder / "initramfs", "wb") as file:
                write_initramfs(file, Modules(folder), [*ALWAYS, *modules], programs or {})
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self.folder / "shell"))
            listener.listen()
            self.start(image, prefix, memory_mb)
            self.watcher = threading.Thread(target=self.watch)
            self.watcher.start()
            listener.settimeout(SECONDS)
            self.shell, _ = listener.accept()
            listener.close()
            self.answer("the boot")
        except BaseException:
            self.close()
            raise

    def start(self, image, prefix, memory_mb):
        forwarded = ",".join(f"hostfwd=tcp:127.0.0.1:{port}-:{port}" for port in (USBIP_PORT, USBIP_HOST_PORT))
        options = [
            ("machine", "q35,accel=tcg"), ("m", memory_mb), ("kernel", image), ("initrd", self.folder / "initramfs"),
            ("append", "console=ttyS0 quiet mitigations=off nokaslr panic=-1"), ("display", "none"),
            ("serial", f"file:{self.folder / 'console'}"), ("serial", f"unix:{self.folder / 'shell'}"),
            ("netdev", f"user,id=net,{forwarded}"), ("device", "virtio-net-pci,netdev=net,romfile="),
            ("device", "qemu-xhci,id=xhci"), ("netdev", f"user,id=far,net={ADAPTER_NETWORK},host={ADAPTER_PEER}"),
            ("device", f"usb-net,bus=xhci.0,netdev=far,mac={ADAPTER_ADDRESS}"),
        ]
        argv = [*prefix, QEMU, "-nodefaults", "-no-user-config", "-no-reboot"]
        for name, value in options:
            argv += [f"-{name}", str(value)]
        with open(self.folder / "qemu", "w") as said:
            self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=said,
                                            stderr=said)

    def watch(self):
        """A guest whose kernel panics ends all of this process at once: nobody in it has anything to wait for."""
        self.process.wait()
        if "Kernel panic" in (report := self.report()):
            os.write(2, f"the guest's kernel panicked\n{report}\n".encode())
            shutil.rmtree(self.folder, ignore_errors=True)
            os._exit(PANICKED)

    # --- Commands ---

    def run(self, command):
        """A shell command in the guest: its exit code and what it printed."""
        self.shell.sendall(command.encode() + b"\n")
        return self.answer(command)

    def answer(self, what):
        deadline = time.monotonic() + SECONDS
        while not (found := re.search(rb"(?:^|\n)" + MARK.encode() + rb" (\d+)\r?\n", self.unread)):
            left = max(0, deadline - time.monotonic())
            if not select.select([self.shell], [], [], left)[0]:
                raise AssertionError(f"no answer to {what}\n{self.report()}")
            more = self.shell.recv(65536)
            if not more:
                raise AssertionError(f"the guest ended at {what}\n{self.report()}")
            self.unread += more
        said, self.unread = self.unread[:found.start()], self.unread[found.end():]
        return int(found[1]), said.decode(errors="replace").replace("\r", "")

    def must(self, command):
        """One that must succeed; what it printed."""
        code, said = self.run(command)
        if code != 0:
            raise AssertionError(f"in the guest: {command}: exit {code}: {said}")
        return said

    def groups(self, dev):
        """The link-layer groups that its kernel wants of an interface."""
        rows = [line.split() for line in self.must("cat /proc/net/dev_mcast").split("\n") if line]
        return [":".join(row[4][n:n + 2] for n in range(0, 12, 2)) for row in rows if row[1] == dev]

    def write(self, path, text):
        self.must(f"echo {base64.b64encode(text.encode()).decode()} | base64 -d > {path}")

    def until(self, command, seconds=SECONDS):
        """Again and again, until it succeeds; what it printed then."""
        deadline = time.monotonic() + seconds
        while True:
            code, said = self.run(command)
            if code == 0:
                return said
            if time.monotonic() > deadline:
                raise AssertionError(f"in the guest, not within {seconds} s: {command}: {said}\n{self.report()}")
            select.select([], [], [], 0.05)

    # --- Its end ---

    def report(self):
        texts = [(name, self.folder / name) for name in ("console", "qemu")]
        return "\n".join(f"--- {name}\n{path.read_text(errors='replace')[-8000:]}" for name, path in texts
                         if path.exists())

    def close(self):
        if self.shell:
            with contextlib.suppress(OSError):
                self.shell.close()
        if self.process:
            self.process.kill()
            self.process.wait()
        if self.watcher:
            self.watcher.join()
        shutil.rmtree(self.folder, ignore_errors=True)
