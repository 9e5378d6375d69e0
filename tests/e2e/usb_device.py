# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A `usernic usb-device` of a test's own: its events, and commands to it."""

import io
import json
import queue
import select
import subprocess
import threading
import time

import lab as lab_module
from lab import SECONDS


class UsbDevice:
    """Serves `model` on a free port; returns when it does. `prefix`: where it runs."""

    def __init__(self, model, *options, prefix=()):
        argv = [*prefix, lab_module.PROGRAM, "usb-device", model, "--listen", "127.0.0.1:0", "--json", "--commands",
                *options]
        self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        bufsize=0)
        self.lines, self.events = queue.Queue(), []
        self.reader = threading.Thread(target=self.read, daemon=True)  # at all times: it drops what nobody takes
        self.reader.start()
        serving = self.wait("serving")
        self.port, self.address = serving["port"], serving["address"]

    def read(self):
        for line in io.BufferedReader(self.process.stdout):
            self.lines.put(line)
        self.lines.put(None)

    def event(self, seconds=SECONDS):
        """The next one, which is in `events` from then on; None when there are no more."""
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no event, but before: {self.events[-5:]}") from None
        if line is None:
            self.lines.put(None)  # for who asks again
            return None
        self.events.append(json.loads(line))
        return self.events[-1]

    def wait(self, kind, holds=lambda event: True):
        """Passes over events until one of that kind does; returns it."""
        deadline = time.monotonic() + SECONDS
        while True:
            event = self.event(max(0, deadline - time.monotonic()))
            assert event is not None, f"usb-device has ended, with {self.process.wait(SECONDS)}"
            if event["event"] == kind and holds(event):
                return event

    def tell(self, command):
        """Carries out a command."""
        self.process.stdin.write(command.encode() + b"\n")
        said = self.wait_any(("done", "refused"), command)
        assert said["event"] == "done", said

    def wait_any(self, kinds, command):
        while True:
            event = self.event()
            assert event is not None, "usb-device has ended"
            if event["event"] in kinds and event.get("command") == command:
                return event

    def state(self):
        """What the filter holds now, and what was transferred."""
        self.process.stdin.write(b"state\n")
        state = self.wait("state")
        self.wait("done")
        return state

    def until(self, holds):
        """Looks until the state is like that; returns it."""
        deadline = time.monotonic() + SECONDS
        while not holds(state := self.state()):
            assert time.monotonic() < deadline, f"not within {SECONDS} s, but: {state}"
            select.select([], [], [], 0.01)
        return state

    def stop(self):
        """Ends it in order; the exit code."""
        self.process.terminate()
        while self.event() is not None:
            pass
        return self.process.wait(SECONDS)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()


def bucket_of(address, buckets):
    """The bucket of an adapter's hash: the top bits of the Ethernet CRC, most significant bit first."""
    crc = 0xffffffff
    for octet in bytes.fromhex(address.replace(":", "")):
        for bit in range(8):
            carry = (crc >> 31) ^ (octet >> bit & 1)
            crc = (crc << 1 & 0xffffffff) ^ (0x04c11db7 if carry else 0)
    return crc * buckets >> 32


def has_bucket(filter_, address):
    return bucket_of(address, 4 * len(filter_["hash"])) in buckets_of(filter_)


def is_filter_of(filter_, groups, exact_max):
    """Are those groups let in, as many as can be one by one and the others by the hash, and is nobody else?"""
    groups, exact = set(groups), set(filter_["multicast"])
    hashed = {bucket_of(address, 4 * len(filter_["hash"])) for address in groups - exact}
    return exact <= groups and len(exact) == min(exact_max, len(groups)) and buckets_of(filter_) == hashed


def buckets_of(filter_):
    """Those that are let through."""
    octets = bytes.fromhex(filter_["hash"])
    return {bucket for bucket in range(8 * len(octets)) if octets[bucket // 8] >> bucket % 8 & 1}
