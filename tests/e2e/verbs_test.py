# SPDX-License-Identifier: Apache-2.0 OR MIT
"""What the verbs print: JSON of a fixed shape for programs, tables for people, sentences when they cannot."""

import json

from lab import PROGRAM, SECONDS, LabTest, is_held, pair, run

VERBS = ("run", "demo", "link", "rx-mode", "stats", "monitor", "ethtool", "exec")
# The shape of issue and README: a dict is an object with exactly these keys, in this order; a list holds such items.
ADDRESS = "address"
LAG = {"p50": int, "p99": int, "max": int}
RX_MODE_STATS = {"changes": int, "runs": int, "driver_calls": int, "coalesced": int, "retries": int, "failures": int,
                 "lag_us": LAG}
MODE = {"unicast": str, "multicast": str, "reason": str}
GENERATION = {"wanted": int, "programmed": int}
RX_MODE = {
    "dev": str, "address": ADDRESS, "up": bool, "where": str, "generation": GENERATION, "mode": MODE,
    "wanted": {"unicast": [ADDRESS], "multicast": [ADDRESS], "promiscuity": int, "allmulti": int, "vlans": [int]},
    "programmed": {"unicast": [ADDRESS], "multicast": [ADDRESS], "promisc": bool, "allmulti": bool, "vlans": [int]},
    "failed": [{"address": ADDRESS, "error": str, "attempts": int, "next_retry_ms": int}],
    "stats": RX_MODE_STATS,
}
DROPS = {"filter": int, "ring_full": int, "too_long": int, "no_carrier": int, "refused": int, "overrun": int}
LINK = {"name": str, "nic": str, "driver": str, "address": ADDRESS, "mtu": int, "up": bool, "carrier": bool,
        "host": str, "where": str, "port": str, "io": str, "rx_queues": int, "tx_queues": int, "refused": type(None),
        "rx_packets": int, "tx_packets": int, "rx_dropped": int, "tx_dropped": int, "rx_filtered": int, "drops": DROPS}
QUEUE = {"packets": int, "bytes": int, "dropped": int}
DIRECTION = {"packets": int, "bytes": int, "dropped": int, "errors": int}
STATS = {"dev": str, "rx": DIRECTION | {"filtered": int, "off": int, "pause": int, "refused": int},
         "tx": DIRECTION | {"pause": int, "oversized": int, "timeouts": int},
         "rx_queues": [QUEUE], "tx_queues": [QUEUE], "drops": DROPS,
         "rx_mode": RX_MODE_STATS}
MODES = ("exact", "hash", "allmulti", "promisc", "none")


class VerbsTest(LabTest):
    def assert_shape(self, value, shape, where="it"):
        if isinstance(shape, dict):
            self.assertIsInstance(value, dict, where)
            self.assertEqual(list(value), list(shape), where)
            for key, of in shape.items():
                self.assert_shape(value[key], of, f"{where}.{key}")
        elif isinstance(shape, list):
            self.assertIsInstance(value, list, where)
            for i, item in enumerate(value):
                self.assert_shape(item, shape[0], f"{where}[{i}]")
        elif shape is ADDRESS:
            self.assertRegex(value, r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$", where)
        else:
            self.assertIs(type(value), shape, where)

    def busy_lab(self):
        """One with something in every list."""
        lab = self.lab(pair({"vlan_slots": 2}, vlans=[20, 3]))
        a = lab.inside("a")
        for group in ("239.1.2.9", "239.1.2.3", "ff15::1"):
            a.join(group=group, dev="nic0")
        for last in ("0b", "0a"):
            a.must("bridge", "fdb", "add", f"02:00:00:00:0f:{last}", "dev", "nic0", "self")
        wanted = ("01:00:5e:01:02:03", "01:00:5e:01:02:09", "33:33:00:00:00:01", "02:00:00:00:0f:0a",
                  "02:00:00:00:0f:0b")
        lab.until_rx_mode(lambda report: all(is_held(report, address) for address in wanted))
        return lab

    def test_rx_mode_json_has_exactly_this_shape(self):
        lab = self.busy_lab()
        report = lab.json("rx-mode", "nic0")
        self.assert_shape(report, RX_MODE)
        self.assertEqual((report["dev"], report["address"], report["up"]), ("nic0", "02:00:00:00:00:01", True))
        self.assertEqual(report["wanted"]["unicast"], ["02:00:00:00:0f:0a", "02:00:00:00:0f:0b"])
        self.assertEqual(report["wanted"]["vlans"], [3, 20])
        for side in ("wanted", "programmed"):
            for of in ("unicast", "multicast", "vlans"):
                self.assertEqual(report[side][of], sorted(set(report[side][of])), f"{side}.{of} is sorted")
        for of in ("unicast", "multicast"):
            self.assertIn(report["mode"][of], MODES)
        lag = report["stats"]["lag_us"]
        self.assertLessEqual(lag["p50"], lag["p99"])
        self.assertLessEqual(lag["p99"], lag["max"])
        self.assertGreaterEqual(report["stats"]["changes"], 5)
        self.assertGreaterEqual(report["stats"]["driver_calls"], 1)

    def test_link_json_has_exactly_this_shape(self):
        lab = self.lab(pair())
        rows = lab.json("link")
        self.assert_shape(rows, [LINK])
        self.assertEqual([(row["name"], row["driver"], row["host"], row["mtu"]) for row in rows],
                         [("nic0", "simnic", "a", 1500), ("nic1", "simnic", "b", 1500)])

    def test_stats_json_has_exactly_this_shape(self):
        self.assert_shape(self.busy_lab().json("stats", "nic0"), STATS)

    def test_a_driver_says_what_it_is_and_what_its_card_counted(self):
        lab = self.busy_lab()
        said = lab.json("ethtool", "nic0")
        self.assert_shape(said["rings"], {"rx": int, "tx": int, "rx_max": int, "tx_max": int})
        self.assertEqual((said["driver"], said["bus"], said["coalesce"]), ("simnic", "wire:w0", None))
        counters = {each["name"]: each["value"] for each in said["counters"]}
        self.assertLessEqual(counters["tx_frames"], lab.json("stats", "nic0")["tx"]["packets"])
        self.assertGreater(counters["commands"], 0)
        registers = {each["name"]: each["value"] for each in said["registers"]}
        own = next(row for row in lab.json("link") if row["name"] == "nic0")["address"]
        self.assertEqual(registers["own-address"], int(own.replace(":", ""), 16))
        text = lab.usernic("ethtool", "nic0", "-g", "-c").stdout
        self.assertIn("rings:\n  rx            256 of at most 4096\n", text)
        self.assertIn("coalescing:\n  the driver does not say\n", text)
        self.assertNotIn("counters", text)
        self.assertIn("there is no nic 'nic7'", lab.usernic("ethtool", "nic7").stderr)

    def test_the_built_in_config_is_two_nics_on_one_wire(self):
        rows = self.lab().json("link")
        self.assertEqual([(row["name"], row["host"]) for row in rows], [("nic0", "a"), ("nic1", "b")])

    def test_json_is_one_line_and_nothing_else(self):
        lab = self.lab(pair())
        for verb in (["link"], ["rx-mode", "nic0"], ["stats", "nic0"]):
            done = lab.usernic(*verb, "--json")
            self.assertEqual((done.stdout.count("\n"), done.stderr), (1, ""), verb)

    def test_without_json_there_are_tables(self):
        lab = self.busy_lab()
        lines = lab.must("link").splitlines()
        self.assertEqual(len(lines), 3)
        for word in ("NAME", "DRIVER", "ADDRESS", "MTU", "CARRIER", "HOST"):
            self.assertIn(word, lines[0])
        self.assertEqual(lines[1].split()[:5], ["nic0", "simnic", "02:00:00:00:00:01", "1500", "up"])
        self.assertEqual(lines[0].index("ADDRESS"), lines[1].index("02:00:00:00:00:01"), "columns below their heads")
        shown = lab.must("rx-mode", "nic0")
        for word in ("02:00:00:00:0f:0a", "01:00:5e:01:02:03", "exact", "WANTED", "CARD", "driver calls"):
            self.assertIn(word, shown)
        shown = lab.must("stats", "nic0")
        for word in ("PACKETS", "BYTES", "DROPPED", "rx", "tx"):
            self.assertIn(word, shown)

    def test_monitor_tells_the_present_and_every_change(self):
        lab = self.lab(pair())
        lab.must("rx-mode", "nic0", f"--wait={SECONDS}")
        _, line = self.follow(lab, "--json")
        seen = [json.loads(line()) for _ in range(4)]
        self.assertEqual([(event["event"], event.get("dev") or event["link"]["name"]) for event in seen],
                         [("link", "nic0"), ("rx-mode", "nic0"), ("link", "nic1"), ("rx-mode", "nic1")])
        self.assert_shape(seen[0], {"event": str, "link": LINK})
        self.assert_shape(seen[1], {"event": str, "dev": str, "generation": GENERATION, "mode": MODE})

        def until(holds):
            while not holds(event := json.loads(line())):
                pass
            return event

        lab.exec("a", "ip", "link", "set", "nic0", "mtu", "1400")
        until(lambda event: event["event"] == "link" and event["link"]["mtu"] == 1400)
        lab.inside("a").join(group="239.1.2.3", dev="nic0")
        until(lambda event: event.get("dev") == "nic0"
              and event["generation"]["wanted"] == event["generation"]["programmed"] > seen[1]["generation"]["wanted"])
        lab.exec("b", "ip", "link", "set", "nic1", "down")
        until(lambda event: event["event"] == "link" and event["link"]["name"] == "nic1" and not event["link"]["up"])

    def test_monitor_tells_the_counters_of_the_moment(self):
        lab = self.lab(pair())
        lab.ping("a", "10.9.0.2")
        before = lab.link()
        self.assertGreaterEqual(before["tx_packets"], 3)
        _, line = self.follow(lab, "--json")
        event = json.loads(line())
        lab.exec("a", "ip", "link", "set", "nic0", "mtu", "1400")
        while event["event"] != "link" or event["link"]["mtu"] != 1400:
            if event.get("link", {}).get("name") == "nic0":
                for counter in ("rx_packets", "tx_packets"):
                    self.assertGreaterEqual(event["link"][counter], before[counter])
            event = json.loads(line())
        for counter in ("rx_packets", "tx_packets"):
            self.assertGreaterEqual(event["link"][counter], before[counter])
            self.assertLessEqual(event["link"][counter], lab.link()[counter])

    def test_monitor_tells_nothing_of_frames_that_come_and_go(self):
        lab = self.lab(pair())
        lab.must("rx-mode", "nic0", f"--wait={SECONDS}")
        _, line = self.follow(lab, "--json")
        told = {}  # the last that was told of each link, without its counters
        before = lab.link()

        def tell(event):
            if event["event"] != "link":
                return False
            row = {key: value for key, value in event["link"].items() if key[:3] not in ("rx_", "tx_", "dro")}
            self.assertNotEqual(told.get(row["name"]), row, "nothing but counters is new")
            told[row["name"]] = row
            return row["name"] == "nic1" and not row["up"]

        lab.ping("a", "10.9.0.2")
        lab.inside("b").send(frames=[["02:00:00:00:0f:01", "nobody's", None]] * 3, dev="nic1")
        lab.until_link(lambda row: row["tx_packets"] > before["tx_packets"] and row["drops"]["filter"] >= 3)
        lab.exec("b", "ip", "link", "set", "nic1", "down")  # a look that sees it has seen the counters
        while not tell(json.loads(line())):
            pass
        self.assertEqual(sorted(told), ["nic0", "nic1"])

    def test_monitor_tells_the_end_of_an_interface_once(self):
        lab = self.lab(pair())
        lab.must("rx-mode", "nic0", f"--wait={SECONDS}")
        _, line = self.follow(lab, "--json")
        for _ in range(4):
            line()
        lab.exec("a", "ip", "link", "del", "nic0")
        lab.until_link(lambda row: not row["up"])
        lab.exec("b", "ip", "link", "set", "nic1", "mtu", "1400")
        told = []
        while not told or told[-1]["name"] != "nic1" or told[-1]["mtu"] != 1400:
            event = json.loads(line())
            if event["event"].startswith("link"):
                told.append(event["link"] | {"event": event["event"]})
        of_nic0 = [row["event"] for row in told if row["name"] == "nic0"]
        self.assertEqual((of_nic0.count("link-gone"), of_nic0[-1]), (1, "link-gone"))
        self.assert_shape(told[0], LINK | {"event": str})
        _, line = self.follow(lab)
        self.assertTrue(line().startswith("link-gone  nic0"), "and who comes later hears it too")

    def test_monitor_shows_lines_and_ends_with_the_daemon(self):
        lab = self.lab(pair())
        process, line = self.follow(lab)
        self.assertTrue(line().startswith("link  nic0  02:00:00:00:00:01"))
        self.assertTrue(line().startswith("rx-mode  nic0"))
        self.assertEqual(lab.stop(), 0)
        self.assertEqual(process.wait(SECONDS), 1)
        self.assert_sentence(process.stderr.read().decode())

    def test_waiting_for_a_nic_that_is_down_says_so(self):
        lab = self.lab(pair())
        lab.exec("a", "ip", "link", "set", "nic0", "down")
        lab.until_link(lambda row: not row["up"])
        done = lab.usernic("rx-mode", "nic0", "--wait=0.1")
        self.assertEqual(done.returncode, 1)
        self.assert_sentence(done.stderr, "nic0", "down")

    def test_an_unknown_nic_is_a_sentence(self):
        lab = self.lab(pair())
        for verb in ("rx-mode", "stats"):
            for flags in ([], ["--json"]):
                done = lab.usernic(verb, "nic7", *flags)
                self.assertEqual((done.returncode, done.stdout), (1, ""), verb)
                self.assert_sentence(done.stderr, "'nic7'", "nic0")
        done = lab.usernic("rx-mode", "nic7", f"--wait={SECONDS}")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assert_sentence(done.stderr, "'nic7'")

    def test_without_a_usernic_every_verb_says_so(self):
        lab = self.new_lab()
        for verb in (["link"], ["rx-mode", "nic0"], ["rx-mode", "nic0", "--wait"], ["stats", "nic0"], ["monitor"]):
            done = lab.usernic(*verb)
            self.assertEqual((done.returncode, done.stdout), (1, ""), verb)
            self.assert_sentence(done.stderr, str(lab.socket), "usernic run")

    def test_socket_is_chosen_by_option_then_by_environment(self):
        lab = self.lab(pair())
        self.assertIn("nic0", run([PROGRAM, "link", "--socket", lab.socket]).stdout)
        self.assertIn("nic0", run([PROGRAM, "--socket", lab.socket, "link"]).stdout)
        self.assertIn("nic0", run([PROGRAM, "link"], env={"USERNIC_SOCKET": str(lab.socket)}).stdout)
        done = run([PROGRAM, "link", "--socket", lab.folder / "other"], env={"USERNIC_SOCKET": str(lab.socket)})
        self.assertEqual(done.returncode, 1)
        self.assertIn("other", done.stderr)

    def test_help_of_each_verb_has_an_example(self):
        for verb in VERBS:
            done = run([PROGRAM, verb, "--help"])
            self.assertEqual((done.returncode, done.stderr), (0, ""), verb)
            self.assertRegex(done.stdout, rf"Example:\n +usernic {verb}", verb)
        done = run([PROGRAM, "--help"])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for verb in VERBS:
            self.assertRegex(done.stdout, rf"(?m)^ +{verb} ")
        self.assertRegex(run([PROGRAM, "--version"]).stdout, r"^usernic \d+\.\d+\.\d+\n$")

    def test_sim_ends_with_its_last_seed(self):
        last = 2**64 - 1
        for option, seeds in ((["--seed", str(last)], 1), (["--seeds", f"{last - 1}..{last}"], 2)):
            done = run([PROGRAM, "sim", *option, "--scenario", "references"])
            self.assertEqual((done.returncode, done.stdout), (0, ""))
            self.assertTrue(done.stderr.startswith(f"{seeds} histories of {seeds} seeds "), done.stderr)

    def test_sim_says_what_it_does_not_understand(self):
        self.assertEqual(run([PROGRAM, "sim", "-h"]).stdout, run([PROGRAM, "sim", "--help"]).stdout)
        for arguments, words in ((["--scenario", "nope"], ["scenario 'nope'", "burst, commands, follow"]),
                                 (["--mutation", "R99"], ["rule 'R99'", "R1, R2, R3"]),
                                 (["--strategy", "best"], ["--strategy", "random or pct", "'best'"]),
                                 (["--seed", "-1"], ["--seed", "a number", "'-1'"]), (["--seed"], ["--seed", "a number"]),
                                 (["--seeds", "9..1"], ["--seeds", "A..B", "'9..1'"]),
                                 (["--count", "0"], ["--count", "from 1"]), (["--frob"], ["'--frob'"])):
            with self.subTest(arguments):
                done = run([PROGRAM, "sim", *arguments])
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertEqual(done.stderr.count("\n"), 1)
                for word in [*words, "see 'usernic sim --help'"]:
                    self.assertIn(word, done.stderr)

    def test_what_is_not_understood_is_2(self):
        for arguments in (["frob"], ["link", "extra"], ["link", "--frob"], ["rx-mode"], ["rx-mode", "nic0", "nic1"],
                          ["rx-mode", "nic0", "--wait=soon"], ["rx-mode", "nic0", "--wait=-1"],
                          ["rx-mode", "nic0", "--wait="], ["stats"], ["exec"], ["help", "lnik"],
                          ["run", "--ready-fd", "many"], ["run", "--ready-fd", "999"], ["run", "a.toml", "b.toml"],
                          ["demo", "extra"], ["link", "--socket"]):
            with self.subTest(arguments):
                done = self.new_lab().usernic(*arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assert_sentence(done.stderr)
        done = run([PROGRAM])
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("Subcommands:", done.stderr)
