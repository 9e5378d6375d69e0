# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A bad config: exit 2, one sentence with file and line that says what would be right, and nothing started."""

import re

from lab import SECONDS, LabTest

GOOD = """[[host]]
name = "a"

[[nic]]
name = "nic0"
host = "a"
driver = "simnic"
address = "02:00:00:00:00:01"
mtu = 1500
addresses = ["10.9.0.1/24"]
[nic.simnic]
wire = "w0"
unicast_slots = 8
"""
SECOND = GOOD + """[[nic]]
name = "nic1"
driver = "dummy"
"""

# What is wrong, what to replace in GOOD or SECOND, the line to name, words of the sentence.
BAD = [
    ("an unknown key", GOOD, "mtu = 1500", "mut = 1500", 9, ["'mut'", "mtu"]),
    ("an unknown key of a card", GOOD, "unicast_slots = 8", "unicast_slot = 8", 13,
     ["'unicast_slot'", "unicast_slots"]),
    ("an unknown table", GOOD, "[[host]]", "[[hots]]", 1, ["'hots'", "host"]),
    ("an unknown key of a host", GOOD, 'name = "a"', 'name = "a"\nnets = "blue"', 3, ["'nets'"]),
    ("a text for a number", GOOD, "mtu = 1500", 'mtu = "1500"', 9, ["'mtu'", "whole number", "68", "9000"]),
    ("a fraction for a number", GOOD, "unicast_slots = 8", "unicast_slots = 8.5", 13, ["'unicast_slots'"]),
    ("a number for a text", GOOD, 'driver = "simnic"', "driver = 7", 7, ["'driver'", "text"]),
    ("a text for a list", GOOD, '["10.9.0.1/24"]', '"10.9.0.1/24"', 10, ["'addresses'", "list"]),
    ("a table for a list of tables", GOOD, "[[host]]", "[host]", 1, ["[[host]]"]),
    ("an MTU of 10", GOOD, "mtu = 1500", "mtu = 10", 9, ["68", "9000", "10"]),
    ("slots of -1", GOOD, "unicast_slots = 8", "unicast_slots = -1", 13, ["'unicast_slots'", "from 0", "-1"]),
    ("a hash of 65 buckets", GOOD, "unicast_slots = 8", "multicast_hash_bits = 65", 13, ["multicast_hash_bits", "65"]),
    ("a negative latency", GOOD, "unicast_slots = 8", "command_latency_us = -5", 13, ["command_latency_us", "-5"]),
    ("two nics of one name", SECOND, '"nic1"', '"nic0"', 15, ["'nic0'", "line 5"]),
    ("two hosts of one name", GOOD, "[[nic]]", '[[host]]\nname = "a"\n[[nic]]', 5, ["'a'", "line 2"]),
    ("two nics of one address", SECOND, 'driver = "dummy"', 'driver = "dummy"\naddress = "02:00:00:00:00:01"', 17,
     ["02:00:00:00:00:01", "line 8"]),
    ("a malformed MAC", GOOD, "02:00:00:00:00:01", "02:00:00:00:01", 8, ["02:00:00:00:01"]),
    ("a MAC that is no MAC", GOOD, "02:00:00:00:00:01", "zz:00:00:00:00:01", 8, ["zz:00:00:00:00:01"]),
    ("a multicast MAC", GOOD, "02:00:00:00:00:01", "01:00:5e:00:00:01", 8, ["unicast", "01:00:5e:00:00:01"]),
    ("an IP address without a prefix", GOOD, "10.9.0.1/24", "10.9.0.1", 10, ["10.9.0.1/24"]),
    ("an IP address of the loopback", GOOD, "10.9.0.1/24", "::1/128", 10, ["not ::1", '"::1/128"']),
    ("a card before its nic", GOOD, "[[nic]]", "[nic.simnic]\n[[nic]]", 5, ["[[nic]]", "comes first"]),
    ("an IP address of 300", GOOD, "10.9.0.1/24", "10.9.0.300/24", 10, ["10.9.0.300/24"]),
    ("no driver", GOOD, 'driver = "simnic"\n', "", None, ["'driver'", "simnic"]),
    ("an unknown driver", GOOD, '"simnic"', '"simnik"', 7, ["'simnik'", "simnic"]),
    ("another driver's table", GOOD, '"simnic"', '"dummy"', 11, ["simnic", "dummy"]),
    ("an unknown host", GOOD, 'host = "a"', 'host = "b"', 6, ["'b'"]),
    ("no name", GOOD, 'name = "nic0"\n', "", None, ["'name'"]),
    ("a name that is too long", GOOD, '"nic0"', '"nic0123456789012"', 5, ["15"]),
    ("a name with a slash", GOOD, '"nic0"', '"nic/0"', 5, ["'name'"]),
    ("VLANs for a card without a filter", GOOD, "mtu = 1500", "vlans = [10]", 9, ["vlan_slots"]),
    ("a VLAN of 4095", GOOD, "mtu = 1500", "vlans = [4095]", 9, ["4094", "4095"]),
    ("no nic at all", GOOD, GOOD, '[[host]]\nname = "a"\n', 1, ["[[nic]]"]),
    ("an empty file", GOOD, GOOD, "", 1, ["[[nic]]"]),
    ("a value without quotes", GOOD, '"simnic"', "simnic", 7, []),
    ("a bracket that is missing", GOOD, "[[nic]]", "[[nic]", 4, []),
    ("a key twice", GOOD, "mtu = 1500", "mtu = 1500\nmtu = 1500", 10, ["mtu"]),
    ("a key of 200,000 parts", GOOD, "mtu = 1500", ".".join(["a"] * 200000) + " = 1", 9, ["16 parts"]),
    ("a number of 30 digits", GOOD, "mtu = 1500", "mtu = " + "9" * 30, 9, ["64 bits"]),
    ("lists in lists", GOOD, "mtu = 1500", "mtu = " + "[" * 100000, 9, []),
    ("a name with a control character", GOOD, '"nic0"', '"nic\\u001b[31m"', 5, ["'name'"]),
    ("a driver with control characters", GOOD, '"simnic"', '"\\u001b[31m\\n"', 7, ["'?[31m?'"]),
    ("no TOML at all", GOOD, GOOD, "\x00\x01\x02", 1, []),
]


class ConfigTest(LabTest):
    def refused(self, config, words, line=None):
        lab = self.new_lab(config)
        lab.spawn("--ready-fd", "1")  # its stdout
        self.assertEqual(lab.process.wait(SECONDS), 2)
        self.assert_sentence(lab.stderr(), *words)
        found = re.search(re.escape(str(lab.config)) + r":(\d+)", lab.stderr())
        self.assertTrue(found, f"file and line in: {lab.stderr()}")
        if line is not None:
            self.assertEqual(int(found[1]), line, lab.stderr())
        self.assertEqual((lab.folder / "stdout").read_text(), "", "it was never ready")
        self.assertEqual(sorted(file.name for file in lab.folder.iterdir()), ["lab.toml", "stderr", "stdout"])

    def test_what_is_wrong_is_said_with_its_line(self):
        for what, config, old, new, line, words in BAD:
            with self.subTest(what):
                self.assertIn(old, config)
                head, _, tail = config.rpartition(old)  # the last one: of a second nic
                self.refused(head + new + tail if config is SECOND else config.replace(old, new, 1), words, line)

    def test_the_same_configs_without_the_fault_run(self):
        self.assertEqual(len(self.lab(GOOD).json("link")), 1)
        place = self.place()  # nic1 has no host: root would see it here
        self.assertEqual(len(self.lab(SECOND, place=place).json("link")), 2)

    def test_a_file_that_cannot_be_read(self):
        lab = self.new_lab()
        for file, words in ((lab.folder / "missing.toml", ["missing.toml", "No such file"]), (lab.folder, [])):
            with self.subTest(str(file)):
                done = lab.usernic("run", file)
                self.assertEqual(done.returncode, 2)
                self.assert_sentence(done.stderr, str(file), *words)
                self.assertFalse(lab.socket.exists())
