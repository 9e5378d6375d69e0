# SPDX-License-Identifier: Apache-2.0 OR MIT
"""How a usernic begins and ends: what it leaves behind, and what it says when it cannot begin."""

import json
import os
import pathlib
import signal
import subprocess
import unittest

from lab import PROGRAM, SECONDS, LabTest, config_of, is_held, pair, run

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
HERE = [{"name": "nic0", "driver": "simnic", "addresses": ["10.9.0.1/24"], "simnic": {"wire": "w0"}}]


class EndTest(LabTest):
    """In a place of its own. A veth that reaches into a host is the witness: its end here goes when the host does."""

    def lab_with_witness(self, place):
        lab = self.lab(pair(), place=place)
        lab.exec("a", "ip", "link", "add", "inside0", "type", "veth", "peer", "name", "witness0",
                 "netns", str(place.pid))
        self.assertIn("witness0", self.interfaces(place))
        return lab

    def interfaces(self, place):
        return [link["ifname"] for link in json.loads(place.must("ip", "-j", "link"))]

    def assert_namespaces_go(self, place):
        self.eventually(lambda: "witness0" not in self.interfaces(place), "the host's network namespace is gone")

    def test_an_ending_signal_undoes_everything(self):
        place = self.place()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number.name):
                lab = self.lab_with_witness(place)
                self.assertEqual(lab.stop(number), 0)
                self.assertEqual(lab.stderr(), "")
                self.assert_namespaces_go(place)
                self.assertEqual(sorted(f.name for f in lab.folder.iterdir()), ["lab.toml", "stderr", "stdout"])

    def test_killed_outright_it_leaves_nothing_and_the_next_one_starts(self):
        place = self.place()
        lab = self.lab_with_witness(place)
        self.assertEqual(lab.stop(signal.SIGKILL), -signal.SIGKILL)
        self.assert_namespaces_go(place)
        self.assertTrue(lab.socket.exists(), "a stale socket, or this test shows nothing")
        done = lab.usernic("link")
        self.assertEqual(done.returncode, 1)
        self.assert_sentence(done.stderr, "no usernic is running")
        again = self.lab(pair(), place=place, folder=lab.folder)
        self.assertEqual(len(again.json("link")), 2)
        self.assertEqual(again.stop(), 0)
        self.assertFalse(again.socket.exists())

    def test_the_folder_that_it_made_for_its_socket_goes_too(self):
        runtime = self.folder()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number.name):
                lab = self.new_lab(pair(), folder=self.folder())
                lab.socket = None
                lab.start(env=os.environ | {"XDG_RUNTIME_DIR": str(runtime)})
                self.assertEqual(sorted(f.name for f in (runtime / "usernic").iterdir()), ["control", "control.lock"])
                self.assertEqual(lab.stop(number), 0)
                self.assertEqual(list(runtime.iterdir()), [])

    def test_a_full_disk_leaves_nothing_behind(self):
        place, runtime = self.place(), self.folder()
        place.must("mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=3", "tmpfs", runtime)
        lab = self.new_lab(pair(), place=place)
        lab.socket = None
        lab.spawn(env=os.environ | {"XDG_RUNTIME_DIR": str(runtime)})  # a folder, a lock file, and no room for a socket
        self.assertEqual(lab.process.wait(SECONDS), 1)
        self.assert_sentence(lab.stderr(), str(runtime / "usernic"), "No space left")
        self.assertEqual(place.must("ls", "-A", runtime), "")

    def test_a_command_in_a_host_outlives_it_with_the_host(self):
        lab = self.lab(pair())
        a = lab.inside("a")
        self.assertEqual(a.must("ls", "/sys/class/net").split(), ["lo", "nic0"])
        lab.insides = {}  # stays
        self.addCleanup(a.close)
        self.assertEqual(lab.stop(), 0)
        self.assertEqual(a.must("ls", "/sys/class/net").split(), ["lo"], "the nic is gone, the host is still this one")

    def test_an_interface_shown_here_goes_too(self):
        for number, code in ((signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)):
            with self.subTest(number.name):
                place = self.place()
                lab = self.lab(config_of(HERE), place=place)
                self.assertEqual(self.interfaces(place), ["lo", "nic0"])
                self.assertEqual(lab.stop(number), code)
                self.eventually(lambda: self.interfaces(place) == ["lo"], "the interface is gone")

    def test_what_it_was_told_on_the_way_is_kept_by_nobody(self):
        """Ten times up and down again: no interface, namespace or descriptor is left to stumble over."""
        place, folder = self.place(), self.folder()
        for _ in range(10):
            lab = self.lab(config_of(HERE), place=place, folder=folder)
            self.assertEqual(lab.stop(), 0)
            self.assertEqual(lab.stderr(), "")
        self.assertEqual(self.interfaces(place), ["lo"])


class BeginTest(LabTest):
    def refused(self, lab, *words, code=1):
        lab.spawn("--ready-fd", "1")
        self.assertEqual(lab.process.wait(SECONDS), code)
        self.assert_sentence(lab.stderr(), *words)
        self.assertEqual((lab.folder / "stdout").read_text(), "", "it was never ready")

    def test_a_second_one_on_the_same_socket_is_refused(self):
        first = self.lab(pair())
        second = self.new_lab(pair())
        second.socket = first.socket
        self.refused(second, "another 'usernic run'", str(first.socket), "--socket")
        self.assertEqual(len(first.json("link")), 2, "the first one goes on")

    def test_two_of_them_on_two_sockets_do_not_meet(self):
        first, second = self.lab(pair()), self.lab(pair())
        first.exec("a", "ip", "link", "set", "nic0", "mtu", "1400")
        first.until_link(lambda row: row["mtu"] == 1400)
        self.assertEqual(second.link()["mtu"], 1500)

    def test_what_is_no_socket_is_not_removed_and_nothing_is_left_beside_it(self):
        lab = self.new_lab(pair())
        for make, remove in ((lambda: lab.socket.write_text("precious"), lab.socket.unlink),
                             (lab.socket.mkdir, lab.socket.rmdir),
                             (lambda: lab.socket.symlink_to("/nowhere"), lab.socket.unlink)):
            make()
            before = os.lstat(lab.socket)
            self.refused(lab, str(lab.socket), "not a socket")
            after = os.lstat(lab.socket)
            self.assertEqual((after.st_ino, after.st_size), (before.st_ino, before.st_size))
            self.assertEqual(sorted(f.name for f in lab.folder.iterdir()), ["control", "lab.toml", "stderr", "stdout"])
            remove()

    def test_a_socket_where_none_can_be(self):
        lab = self.new_lab(pair())
        lab.socket = lab.folder / "no" / "folder" / "control"
        self.refused(lab, f"there is no folder {lab.socket.parent}", str(lab.socket.parent))
        lab.socket = lab.folder / ("x" * 200)
        self.refused(lab, "107")

    def test_a_nic_without_a_host_is_shown_where_root_started_it(self):
        place = self.place()
        lab = self.lab(config_of(HERE), place=place)
        shown = json.loads(place.must("ip", "-j", "address", "show", "dev", "nic0"))[0]
        row = lab.link()
        self.assertEqual((row["host"], row["address"]), ("", shown["address"]))
        self.assertIn("10.9.0.1", [address["local"] for address in shown["addr_info"]])
        place.join(group="239.1.2.3", dev="nic0")
        lab.until_rx_mode(lambda report: is_held(report, "01:00:5e:01:02:03"))

    @unittest.skipIf(os.geteuid() == 0, "for ordinary users")
    def test_a_nic_without_a_host_gets_one_of_its_own_name_from_an_ordinary_user(self):
        lab = self.lab(config_of(HERE))
        self.assertEqual(lab.link()["host"], "nic0")
        self.assertIn("nic0", lab.exec("nic0", "ls", "/sys/class/net").split())

    def test_an_interface_name_in_use_is_said(self):
        place = self.place()
        place.must("ip", "link", "add", "nic0", "type", "veth", "peer", "name", "nic9")
        lab = self.new_lab(config_of(HERE), place=place)
        self.refused(lab, f"{lab.config}:2: ", "nic0", "in use")
        self.assertFalse(lab.socket.exists())
        self.assertIn("nic0", place.must("ip", "-br", "link"), "the one that was there stays")

    def test_a_persistent_tap_is_attached_to_and_left_as_it_was_found(self):
        place = self.place()
        place.must("ip", "tuntap", "add", "nic0", "mode", "tap")
        place.must("ip", "link", "set", "nic0", "mtu", "1400", "address", "02:00:00:00:00:77")

        def shown():
            link = json.loads(place.must("ip", "-j", "address", "show", "dev", "nic0"))[0]
            return link["ifindex"], link["mtu"], link["address"], "UP" in link["flags"], link["addr_info"]

        before = shown()
        for _ in range(2):
            lab = self.lab(config_of(HERE), place=place)
            lab.until_link(lambda row: row["up"] and row["carrier"])
            self.assertEqual(shown()[0], before[0], "it is the one that was there")
            self.assertEqual(shown()[2], lab.link()["address"])
            self.assertEqual(lab.stop(), 0)
            self.assertEqual(shown(), before)

    def test_what_is_no_tap_or_not_free_is_said(self):
        place = self.place()
        for make, words in ((["ip", "tuntap", "add", "nic0", "mode", "tun"], "a TUN"),
                            (["ip", "tuntap", "add", "nic0", "mode", "tap", "multi_queue"], "several queues"),
                            (["ip", "link", "add", "nic0", "type", "bridge"], "a bridge, which is no TAP")):
            with self.subTest(words):
                place.must(*make)
                self.refused(self.new_lab(config_of(HERE), place=place), "nic0", "in use", words)
                place.must("ip", "link", "del", "nic0")
        first = self.lab(config_of(HERE), place=place)
        self.refused(self.new_lab(config_of(HERE), place=place), "nic0", "a TAP that another program has open")
        self.assertTrue(first.link()["up"], "the first one goes on")

    def test_what_was_begun_is_undone_when_a_later_nic_cannot_be(self):
        place = self.place()
        place.must("ip", "link", "add", "nic1", "type", "veth", "peer", "name", "nic9")
        before = place.must("ip", "-br", "link")
        lab = self.new_lab(config_of([*HERE, {"name": "nic1", "driver": "dummy"}]), place=place)
        self.refused(lab, f"{lab.config}:8: ", "nic1", "in use")
        self.assertEqual(place.must("ip", "-br", "link"), before)

    def test_a_host_can_be_an_existing_network_namespace(self):
        place = self.place()
        place.must("ip", "netns", "add", "blue")
        nic = {"name": "nic0", "host": "a", "driver": "simnic", "addresses": ["10.9.0.1/24"]}
        lab = self.lab(config_of([nic], hosts=[{"name": "a", "netns": "blue"}]), place=place)
        self.assertIn("10.9.0.1/24", place.must("ip", "-n", "blue", "-br", "address", "show", "dev", "nic0"))
        self.assertIn("nic0", lab.exec("a", "ip", "-br", "link"))
        place.must("ip", "-n", "blue", "link", "set", "nic0", "mtu", "1400")
        lab.until_link(lambda row: row["mtu"] == 1400)
        self.assertEqual(lab.stop(), 0)
        self.assertNotIn("nic0", place.must("ip", "-n", "blue", "link"))
        self.assertIn("blue", place.must("ip", "netns", "list"), "the namespace is not usernic's to remove")

    def test_a_network_namespace_that_is_not_there(self):
        place = self.place()
        nic = {"name": "nic0", "host": "a", "driver": "dummy"}
        lab = self.new_lab(config_of([nic], hosts=[{"name": "a", "netns": "green"}]), place=place)
        self.refused(lab, f"{lab.config}:3: ", "'a'", "green", "ip netns add green")
        self.assertFalse(lab.socket.exists())

    def test_a_network_namespace_that_only_root_may_enter(self):
        place = self.place()
        place.must("ip", "netns", "add", "blue")
        nic = {"name": "nic0", "host": "a", "driver": "dummy"}
        lab = self.new_lab(config_of([nic], hosts=[{"name": "a", "netns": "blue"}]), place=place)
        lab.prefix += ["unshare", "-U", "--map-user=1000", "--map-group=1000", "--"]
        self.refused(lab, f"{lab.config}:3: ", "'a'", '"blue"', "Operation not permitted", "needs root")
        self.assertFalse(lab.socket.exists())

    def test_no_tun_device_is_said_with_what_to_do(self):
        place = self.place()
        place.must("mount", "-t", "tmpfs", "tmpfs", "/dev/net")
        lab = self.new_lab(pair(port="tap"), place=place)  # else it is a veth
        self.refused(lab, "/dev/net/tun", "modprobe tun")
        self.assertFalse(lab.socket.exists())

    def test_a_tun_device_that_is_closed_is_said_with_how_to_open_it(self):
        place = self.place()
        place.must("mount", "-t", "tmpfs", "tmpfs", "/dev/net")
        place.must("touch", "/dev/net/tun")
        place.must("chmod", "0", "/dev/net/tun")
        lab = self.new_lab(pair(port="tap"), place=place)
        lab.prefix += ["unshare", "-U", "--map-user=1000", "--map-group=1000", "--"]  # nothing is closed to root
        self.refused(lab, "/dev/net/tun", "chmod 0666 /dev/net/tun")

    def test_no_user_namespaces_is_said_with_what_to_do(self):
        place = self.place()
        made = place.run(argv=["unshare", "-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_user_namespaces"])
        if made["code"] != 0:
            self.skipTest(f"the limit cannot be set here: {made['err']}")
        lab = self.new_lab(pair())
        lab.prefix = ["unshare", "-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"", "sh",
                      "setpriv", "--bounding-set=-all", "--inh-caps=-all", "--securebits=+noroot", "--"]
        self.refused(lab, "user namespace", "max_user_namespaces")
        self.assertFalse(lab.socket.exists())

    def test_ready_fd_is_told_once_and_closed(self):
        lab = self.new_lab(pair())
        ready, told = os.pipe()
        lab.spawn("--ready-fd", str(told), pass_fds=[told])
        os.close(told)
        with open(ready, "rb") as ready:
            self.assertEqual(ready.read(), b"\n")  # to the end
        self.assertEqual(len(lab.json("link")), 2)
        self.assertIn("ready", (lab.folder / "stdout").read_text())

    def test_what_the_readme_says_to_try_works_as_printed(self):
        blocks = README.read_text().split("Then try it yourself")[1].split("```sh\n")[1:3]
        one_terminal, another = (block.split("```")[0] for block in blocks)
        folder = self.folder()
        (folder / "build/release").mkdir(parents=True)
        (folder / "build/release/usernic").symlink_to(PROGRAM)
        env = os.environ | {"XDG_RUNTIME_DIR": str(folder), "USERNIC_SOCKET": ""}
        with subprocess.Popen(["bash", "-c", "exec " + one_terminal], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True) as usernic:
            self.addCleanup(usernic.kill)
            self.assertTrue(any("ready" in line for line in iter(usernic.stdout.readline, "")))
            done = run(["bash", "-e"], input=another, stdin=None, cwd=folder, env=env)
            usernic.send_signal(signal.SIGINT)
            self.assertEqual(usernic.wait(SECONDS), 0)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertIn(" 3 received", done.stdout)
        self.assertRegex(done.stdout, r"33:33:00:00:12:34 +multicast +yes +yes\n")
        self.assertEqual([file.name for file in folder.iterdir()], ["build"], "nothing is left behind")

    def test_a_nic_takes_memory_when_it_uses_it(self):
        many = 100
        lab = self.new_lab(config_of([{"name": f"nic{i}", "host": "a", "driver": "simnic"} for i in range(many)]))
        lab.start(env=os.environ | {"USERNIC_CHECKS": "0"})  # red zones are written when a buffer is taken
        process = f"/proc/{lab.process.pid}"
        with open(f"{process}/maps", encoding="ascii") as file:
            if "asan" in file.read():
                self.skipTest("a sanitizer's memory is its own")
        resident_kb = int(self.status_of(f"{process}/status")["VmRSS"].split()[0])
        self.assertLess(resident_kb / many, 1024)

    def status_of(self, path):
        with open(path, encoding="ascii") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)

    def test_it_gives_up_every_capability_and_call_that_it_does_not_need(self):
        lab = self.lab(pair())
        net_admin_and_sys_admin = 1 << 12 | 1 << 21
        for task in os.listdir(f"/proc/{lab.process.pid}/task"):
            status = self.status_of(f"/proc/{lab.process.pid}/task/{task}/status")
            self.assertEqual(int(status["CapEff"], 16), net_admin_and_sys_admin)
            self.assertEqual(int(status["CapPrm"], 16), net_admin_and_sys_admin)
            for none in ("CapInh", "CapAmb", "CapBnd") if os.geteuid() == 0 else ("CapInh", "CapAmb"):
                self.assertEqual(int(status[none], 16), 0, none)
            self.assertEqual(status["NoNewPrivs"].strip(), "1")
            self.assertEqual(status["Seccomp"].strip(), "2", "a filter")
