# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A nic behind a bad wire: what it does to frames, and what the kernel's TCP makes of it."""

import hashlib
import random

from lab import LabTest, config_of

OCTETS = 3_000_000
SEND = f"""import random, socket
socket.create_connection(("10.9.0.2", 5001)).sendall(random.Random(7).randbytes({OCTETS}))
"""


def behind_a_bad_wire(**impair):
    """Two hosts a and b; a's nic is `bad0`, over the card nic0."""
    return config_of([{"name": "nic0", "driver": "simnic", "simnic": {"wire": "w0"}},
                      {"name": "bad0", "host": "a", "driver": "impair", "over": "nic0", "impair": impair,
                       "addresses": ["10.9.0.1/24"]},
                      {"name": "nic1", "host": "b", "driver": "simnic", "simnic": {"wire": "w0"},
                       "addresses": ["10.9.0.2/24"]}])


class ImpairTest(LabTest):
    def counters(self, lab):
        return {each["name"]: each["value"] for each in lab.json("ethtool", "bad0")["counters"]}

    def test_tcp_comes_through_whole_whatever_happens_to_its_frames(self):
        lab = self.lab(behind_a_bad_wire(loss_ppm=10000, duplicate_ppm=10000, corrupt_ppm=10000, delay_us=300,
                                         jitter_us=200, reorder_ppm=10000, reorder_us=500, seed=7))
        receiver = self.tcp_receiver(lab.exec_prefix("b"), 5001, "10.9.0.2")
        lab.exec("a", "python3", "-c", SEND)
        self.assertEqual(receiver.sha256(), hashlib.sha256(random.Random(7).randbytes(OCTETS)).hexdigest())
        counters = self.counters(lab)
        self.assertEqual(counters["seed"], 7)
        for what in ("frames", "lost", "duplicated", "corrupted", "overtaken"):
            self.assertGreater(counters[f"out_{what}"], 0, what)
        self.assertGreater(counters["in_frames"], 0)

    def test_one_direction_may_be_good(self):
        lab = self.lab(behind_a_bad_wire(direction="in", loss_ppm=1000000))
        ping = lab.usernic("exec", "a", "--", "ping", "-c", "2", "-i", "0.2", "-W", "1", "10.9.0.2")
        self.assertIn("100% packet loss", ping.stdout)
        counters = self.counters(lab)
        self.assertEqual((counters["out_lost"], counters["in_lost"]), (0, counters["in_frames"]))
        self.assertGreater(counters["in_lost"], 0)
        self.assertNotEqual(counters["seed"], 0, "one at random")
