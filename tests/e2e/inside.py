#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A process inside a host: joins groups, sends and hears frames, runs the kernel's tools, for a test outside.

A request is one line of JSON, ["method", {arguments}]; so is the answer, {"ok": result} or {"error": sentence}. Times
are of CLOCK_MONOTONIC, which every process of the machine shares. Ends when nobody talks to it any more.
"""

import fcntl
import json
import select
import socket
import struct
import subprocess
import sys
import time

SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_DROP_MEMBERSHIP = 263, 1, 2
MEMBERSHIPS = {"multicast": 0, "promisc": 1, "allmulti": 2, "unicast": 3}
SIOCADDMULTI, SIOCDELMULTI = 0x8931, 0x8932
ETH_P_ALL = 3
MARK = b"a frame of an e2e test:"


def octets(address):
    return bytes.fromhex(address.replace(":", ""))


class Inside:
    def __init__(self):
        self.kept = {}  # sockets by what they are a member of; a membership lives as long as its socket
        self.ears = {}

    # --- Memberships ---

    def join(self, group, dev, who=""):
        """An IPv4 or IPv6 group; `who` tells members of the same group apart."""
        index = socket.if_nametoindex(dev)
        if ":" in group:
            member = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            request = socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", index)
            option = (socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        else:
            member = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            request = socket.inet_aton(group) + socket.inet_aton("0.0.0.0") + struct.pack("@i", index)
            option = (socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        self.kept[group, dev, who] = member
        begun = time.monotonic()
        member.setsockopt(*option)
        return begun

    def leave(self, group, dev, who=""):
        self.kept.pop((group, dev, who)).close()
        return time.monotonic()

    def join_packet(self, kind, dev, address="00:00:00:00:00:00"):
        """A PACKET_MR_* membership."""
        member = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        request = struct.pack("@iHH8s", socket.if_nametoindex(dev), MEMBERSHIPS[kind], 6, octets(address))
        self.kept[kind, dev, address] = member
        begun = time.monotonic()
        member.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, request)
        return begun

    def leave_packet(self, kind, dev, address="00:00:00:00:00:00"):
        return self.leave(kind, dev, address)

    def change_list(self, request, addresses, dev):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
            begun = time.monotonic()
            for address in addresses:
                fcntl.ioctl(door, request, struct.pack("16sH14s", dev.encode(), socket.AF_UNSPEC, octets(address)))
        return begun

    def add_multicast(self, addresses, dev):
        """What `ip maddr add` does, many times."""
        return self.change_list(SIOCADDMULTI, addresses, dev)

    def del_multicast(self, addresses, dev):
        return self.change_list(SIOCDELMULTI, addresses, dev)

    # --- Frames ---

    def listen(self, devs):
        for dev in devs:
            ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            ear.bind((dev, ETH_P_ALL))
            self.ears[dev] = ear

    def send(self, frames, dev, size=60):
        """Frames of [destination, marker, VLAN or None], of so many octets at least."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as mouth:
            mouth.bind((dev, 0))
            for destination, marker, vlan in frames:
                tag = b"" if vlan is None else struct.pack("!HH", 0x8100, vlan)
                frame = octets(destination) + octets("02:00:00:00:ee:ee") + tag + b"\x88\xb5" + MARK + marker.encode()
                mouth.send(frame.ljust(size, b"\0"))

    def hear(self, dev, last, seconds=None):
        """The markers that arrived, until `last` has, or none came for so long. (Whoever asks has a deadline.)"""
        heard = []
        while last not in heard and select.select([self.ears[dev]], [], [], seconds)[0]:
            frame, address = self.ears[dev].recvfrom(65536)
            _, _, kind = address[:3]
            if kind != socket.PACKET_OUTGOING and MARK in frame:
                heard.append(frame.split(MARK)[1].rstrip(b"\0").decode())
        return heard

    def hear_for(self, dev, address):
        """Returns when a frame to that address has arrived, whoever it is for. (Whoever asks has a deadline.)"""
        while self.ears[dev].recv(65536)[:6] != octets(address):
            pass

    # --- Tools ---

    def run(self, argv):
        begun = time.monotonic()
        done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return {"code": done.returncode, "out": done.stdout, "err": done.stderr, "begun": begun}


def main():
    inside = Inside()
    for line in sys.stdin:
        try:
            method, arguments = json.loads(line)
            answer = {"ok": getattr(inside, method)(**arguments)}
        except Exception as error:  # whatever it is, the test wants to know
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
