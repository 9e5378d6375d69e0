# SPDX-License-Identifier: Apache-2.0 OR MIT
"""`usernic capture`: what is in the file, as tshark reads it, and what ends a capture. And Wireshark's way to it."""

import json
import os
import pathlib
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import unittest

from lab import PROGRAM, SECONDS, Control, LabTest, pair

TSHARK = shutil.which("tshark")
IN, OUT = "1", "2"  # directions, in a packet's flags


def fields_of(argv, names, home, **options):
    """tshark's fields, a dict a frame."""
    done = subprocess.run([TSHARK, "-n", *[str(word) for word in argv], "-T", "json",
                           *[word for name in names for word in ("-e", name)]],
                          capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL,
                          env=os.environ | {"HOME": str(home)} | options.pop("env", {}), **options)
    if done.returncode != 0:
        raise AssertionError(f"tshark: exit {done.returncode}\n{done.stderr}")
    return [frame["_source"]["layers"] for frame in json.loads(done.stdout or "[]")]


class CaptureCase(LabTest):
    def start_capture(self, lab, *arguments, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        process = subprocess.Popen([*lab.prefix, PROGRAM, "--socket", str(lab.socket), "capture",
                                    *[str(word) for word in arguments]], **options)
        self.addCleanup(lambda: [stream.close() for stream in (process.stdout, process.stderr) if stream])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def until_begun(self, file):
        self.eventually(lambda: file.exists() and file.stat().st_size > 0, f"{file} has its beginning")

    def end(self, process, number=signal.SIGINT):
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
        return process.returncode, (out or b"").decode(), err.decode()

    def captured(self, lab, does, *arguments, dev="nic0"):
        """The file of a capture during which `does()` was done."""
        file = lab.folder / "captured.pcapng"
        file.unlink(missing_ok=True)
        process = self.start_capture(lab, dev, "-w", file, *arguments)
        self.until_begun(file)
        does()
        code, _, err = self.end(process)
        self.assertEqual(code, 0, err)
        self.assertRegex(err, r"^\d+ frames? captured, 0 lost\n$")
        return file


@unittest.skipUnless(TSHARK, "tshark is missing")
class CaptureTest(CaptureCase):
    def fields(self, lab, file, *names, display=""):
        return fields_of(["-r", file, *(["-Y", display] if display else [])], names, lab.folder)

    def test_a_ping_is_there_both_ways(self):
        lab = self.lab(pair())
        lab.ping("a", "10.9.0.2", 1)
        file = self.captured(lab, lambda: lab.inside("a").must("ping", "-c", 3, "-i", 0.2, "-s", 200, "10.9.0.2"))
        frames = self.fields(lab, file, "icmp.type", "icmp.seq", "frame.packet_flags_direction", "frame.interface_name",
                             "frame.interface_description", "frame.len", "eth.src",
                             display="icmp.type == 0 or icmp.type == 8")
        told = [(frame["icmp.type"][0], int(frame["frame.packet_flags_direction"][0], 16), frame["eth.src"][0])
                for frame in frames]
        one, other = "02:00:00:00:00:01", "02:00:00:00:00:02"
        self.assertEqual(told, [("8", int(OUT), one), ("0", int(IN), other)] * 3)
        self.assertEqual({frame["frame.interface_name"][0] for frame in frames}, {"nic0"})
        self.assertEqual({frame["frame.interface_description"][0] for frame in frames},
                         {"usernic, driver simnic, host a"})
        self.assertEqual({frame["frame.len"][0] for frame in frames}, {"242"})

    def test_the_snap_length_and_the_count(self):
        lab = self.lab(pair())
        lab.ping("a", "10.9.0.2", 1)
        file = lab.folder / "five.pcapng"
        process = self.start_capture(lab, "nic0", "-w", file, "-c", 5, "-s", 50, "--json")
        self.until_begun(file)
        lab.inside("a").must("ping", "-c", 5, "-i", 0.2, "-s", 500, "10.9.0.2")
        out, err = process.communicate(timeout=SECONDS)
        self.assertEqual((process.returncode, err), (0, b""))
        self.assertEqual(json.loads(out), {"frames": 5, "lost": 0, "files": [str(file)], "ended": ""})
        frames = self.fields(lab, file, "frame.cap_len", display="eth")
        self.assertEqual(len(frames), 5)
        self.assertLessEqual({int(frame["frame.cap_len"][0]) for frame in frames}, set(range(51)))

    def test_a_dropped_frame_says_why(self):
        # Its log goes out by a NIC that has no carrier.
        lab = self.lab(pair() + '[netconsole]\nnic = "nic0"\nremote = "10.9.0.2:6666"\n')
        lab.exec("a", "ip", "link", "set", "nic0", "carrier", "off")
        lab.until_link(lambda row: not row["carrier"])
        file = lab.folder / "captured.pcapng"

        def refuse_and_look():
            lab.exec("a", "ip", "link", "set", "nic0", "mtu", "9500")
            self.eventually(lambda: b"dropped: " in file.read_bytes(), "the drop is captured")
        self.captured(lab, refuse_and_look)
        dropped = self.fields(lab, file, "frame.comment", "udp.dstport", "frame.packet_flags_direction",
                              display='frame.comment contains "dropped"')
        self.assertEqual({(frame["udp.dstport"][0], int(frame["frame.packet_flags_direction"][0], 16),
                           frame["frame.comment"][-1]) for frame in dropped},
                         {("6666", int(OUT), "dropped: the device has no carrier")})

    def test_a_change_of_the_rx_mode_is_an_entry_and_a_comment(self):
        lab = self.lab(pair())
        lab.ping("a", "10.9.0.2", 1)
        group = "33:33:00:00:12:34"

        def join():
            lab.exec("a", "ip", "maddr", "add", group, "dev", "nic0")
            lab.must("rx-mode", "nic0", f"--wait={SECONDS}")
            # The capture's thread tells it in its own time: frames until then have no comment.
            self.eventually(lambda: group.encode() in (lab.folder / "captured.pcapng").read_bytes(), "it is told")
            lab.ping("a", "10.9.0.2", 1)
        file = self.captured(lab, join)
        entries = self.fields(lab, file, "systemd_journal.message", display="systemd_journal")
        told = [entry["systemd_journal.message"][0] for entry in entries]
        self.assertRegex(told[0], r"^nic0: rx mode: unicast exact, multicast exact")
        self.assertEqual(len([text for text in told if f"1 more multicast on the card: {group}" in text]), 1, told)
        commented = self.fields(lab, file, "frame.comment", "frame.len", display=f'frame.comment contains "{group}"')
        self.assertEqual(len(commented), 1)

    def test_into_tshark(self):
        lab = self.lab(pair())
        lab.ping("a", "10.9.0.2", 1)
        process = self.start_capture(lab, "nic0", "-w", "-")
        tshark = subprocess.Popen([TSHARK, "-n", "-l", "-r", "-", "-Y", "icmp.type == 0"], stdin=process.stdout,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                  env=os.environ | {"HOME": str(lab.folder)})
        process.stdout.close()  # it is tshark's now
        process.stdout = None
        self.addCleanup(tshark.stdout.close)
        self.addCleanup(tshark.wait)
        self.addCleanup(tshark.kill)

        def is_shown():
            lab.ping("a", "10.9.0.2", 1)
            return select.select([tshark.stdout], [], [], 0)[0]
        self.eventually(is_shown, "tshark shows a ping while it is captured")
        self.assertIn("10.9.0.2 → 10.9.0.1", tshark.stdout.readline())
        self.assertEqual(self.end(process)[0], 0)
        self.assertEqual(tshark.wait(SECONDS), 0)

    def test_several_files_each_whole(self):
        lab = self.lab(pair())
        lab.ping("a", "10.9.0.2", 1)
        file = lab.folder / "many.pcapng"
        process = self.start_capture(lab, "nic0", "-w", file, "--file-size", "4KiB", "--files", 3)
        self.until_begun(lab.folder / "many_00001.pcapng")
        lab.inside("a").must("ping", "-c", 10, "-i", 0.01, "-s", 1000, "10.9.0.2")
        self.assertEqual(self.end(process)[0], 0)
        files = sorted(lab.folder.glob("many*"))
        self.assertEqual(len(files), 3)
        self.assertGreater(files[0].name, "many_00001.pcapng")
        sequence = []
        for each in files:
            self.assertLessEqual(each.stat().st_size, 4096)
            frames = self.fields(lab, each, "icmp.seq", "frame.interface_name", display="icmp.type == 8")
            sequence += [int(frame["icmp.seq"][0]) for frame in frames]
        self.assertEqual(sequence, list(range(sequence[0], 11)))


class CaptureEndTest(CaptureCase):
    def test_a_nic_that_does_not_exist(self):
        lab = self.lab(pair())
        done = lab.usernic("capture", "nic7", "-w", lab.folder / "x")
        self.assertEqual((done.returncode, done.stderr),
                         (1, "usernic: there is no nic 'nic7'; did you mean 'nic0'?\n"))
        self.assertFalse((lab.folder / "x").exists())

    def test_a_file_that_cannot_be(self):
        lab = self.lab(pair())
        done = lab.usernic("capture", "nic0", "-w", lab.folder / "no" / "x")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^usernic: cannot open .*/no/x: No such file or directory\n$")

    @unittest.skipUnless(os.path.exists("/dev/full"), "/dev/full is missing")
    def test_a_full_disk_and_a_reader_who_leaves(self):
        lab = self.lab(pair())
        done = lab.usernic("capture", "nic0", "-w", "/dev/full")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "usernic: cannot write to /dev/full: No space left on device\n"
                                      "0 frames captured, 0 lost\n")
        read, write = os.pipe()
        process = self.start_capture(lab, "nic0", "-w", "-", stdout=write)
        os.close(write)
        os.read(read, 1)
        os.close(read)
        lab.ping("a", "10.9.0.2", 1)
        _, err = process.communicate(timeout=SECONDS)
        self.assertEqual(process.returncode, 1)
        self.assertRegex(err.decode(),
                         r"^usernic: cannot write to stdout: Broken pipe\n\d+ frames? captured, \d+ lost\n$")

    def test_the_end_of_usernic_run(self):
        lab = self.lab(pair())
        file = lab.folder / "x.pcapng"
        process = self.start_capture(lab, "nic0", "-w", file)
        self.until_begun(file)
        self.assertEqual(lab.stop(), 0)
        _, err = process.communicate(timeout=SECONDS)
        self.assertEqual(process.returncode, 1)
        self.assertRegex(err.decode(), r"^usernic: nic0: usernic run ended\n\d+ frames? captured, \d+ lost\n$")

    def test_who_never_reads_holds_up_nobody_and_is_told_what_he_lost(self):
        lab = self.lab(pair())
        lab.ping("a", "10.9.0.2", 1)
        control = Control(lab.socket)
        self.addCleanup(control.close)
        control.send(json.dumps({"v": 1, "verb": "capture", "dev": "nic0", "buffer_bytes": 65536}).encode() + b"\n")
        _, descriptors, _, _ = socket.recv_fds(control.socket, 4096, 4)
        self.assertEqual(len(descriptors), 1)
        stream = socket.socket(fileno=descriptors[0])
        self.addCleanup(stream.close)
        sent = 2000
        lab.inside("a").must("ping", "-c", sent, "-i", 0.0001, "-s", 1400, "-q", "10.9.0.2")
        stream.shutdown(socket.SHUT_WR)
        octets = b""
        while more := stream.recv(1 << 16):
            octets += more
        packets, statistics = 0, {}
        while octets:
            kind, length = struct.unpack_from("=II", octets)
            packets += kind == 6
            at = 20
            while kind == 5 and at < length - 4:
                code, size = struct.unpack_from("=HH", octets, at)
                statistics[code] = octets[at + 4:at + 4 + size]
                at += 4 + (size + 3) // 4 * 4
            octets = octets[length:]
        received, lost, delivered = (int.from_bytes(statistics[code], sys.byteorder) for code in (4, 5, 8))
        self.assertEqual((delivered, received), (packets, packets + lost))
        self.assertGreater(packets, 10)
        self.assertGreater(lost, 0)
        self.assertGreaterEqual(received, 2 * sent)

    def test_one_that_finds_no_memory_leaves_nothing_behind(self):
        lab = self.lab(pair())
        lab.ping("a", "10.9.0.2", 1)
        pid = lab.process.pid
        with open(f"/proc/{pid}/maps", encoding="ascii") as file:
            if "asan" in file.read():
                self.skipTest("a sanitizer that finds no memory ends the program")
        size = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
        before = resource.prlimit(pid, resource.RLIMIT_AS, (size + (64 << 20), resource.RLIM_INFINITY))
        for _ in range(70):
            control = Control(lab.socket)  # it is hung up on
            self.assertIn("memory", control.answer_to("capture", dev="nic0", buffer_bytes=256 << 20)["error"])
            control.close()
        resource.prlimit(pid, resource.RLIMIT_AS, before)
        file = self.captured(lab, lambda: lab.ping("a", "10.9.0.2", 1))
        self.assertGreater(file.stat().st_size, 0)
        self.assertEqual(lab.stop(), 0)

    def test_the_buffers_of_all_have_a_limit(self):
        lab = self.lab(pair())
        file = lab.folder / "large.pcapng"
        process = self.start_capture(lab, "nic0", "-w", file, "--buffer", "100MiB")
        self.until_begun(file)
        done = lab.usernic("capture", "nic0", "-w", lab.folder / "x", "--buffer", "200MiB")
        self.assertEqual(done.stderr, "usernic: a buffer of 262144 KiB is too much: "
                                      "128 of the 256 MiB that all captures may have are left\n")
        self.assertEqual(self.end(process)[0], 0)

    def test_nohup(self):
        lab = self.lab(pair())
        file = lab.folder / "x.pcapng"
        process = self.start_capture(lab, "nic0", "-w", file,
                                     preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.until_begun(file)
        process.send_signal(signal.SIGHUP)
        size = file.stat().st_size

        def goes_on():
            lab.ping("a", "10.9.0.2", 1)
            return file.stat().st_size > size
        self.eventually(goes_on, "frames come after the hangup")
        self.assertIsNone(process.poll())
        self.assertEqual(self.end(process)[0], 0)

    def test_many_at_once_and_no_more_than_many(self):
        lab = self.lab(pair())
        files = [lab.folder / f"{n}.pcapng" for n in range(16)]
        processes = [self.start_capture(lab, "nic0", "-w", file) for file in files]
        for file in files:
            self.until_begun(file)
        done = lab.usernic("capture", "nic0", "-w", lab.folder / "one-more")
        self.assertEqual(done.stderr, "usernic: nic0 is captured 16 times already, which is all there may be\n")
        lab.ping("a", "10.9.0.2", 1)
        for process in processes:
            code, _, err = self.end(process)
            self.assertEqual(code, 0, err)
            self.assertRegex(err, r"^[1-9]\d* frames captured, 0 lost\n$")
        self.eventually(lambda: self.starts_again(lab), "there is room again")

    def starts_again(self, lab):
        process = self.start_capture(lab, "nic0", "-w", lab.folder / "again.pcapng")
        file = lab.folder / "again.pcapng"
        self.eventually(lambda: process.poll() is not None or (file.exists() and file.stat().st_size > 0), "it decides")
        return self.end(process)[0] == 0 if process.poll() is None else False


class ExtcapTest(CaptureCase):
    """As Wireshark asks, one question a program."""

    def test_what_it_answers(self):
        lab = self.lab(pair())
        lines = lab.must("--extcap-interfaces", "--extcap-version=4.0").splitlines()
        self.assertRegex(lines[0], r"^extcap \{version=[^}]+\}")
        self.assertEqual(lines[1:], ["interface {value=usernic-nic0}{display=usernic nic0 (simnic, host a)}",
                                     "interface {value=usernic-nic1}{display=usernic nic1 (simnic, host b)}"])
        self.assertEqual(lab.must("extcap", "--extcap-interface", "usernic-nic0", "--extcap-dlts"),
                         "dlt {number=1}{name=EN10MB}{display=Ethernet}\n")
        config = lab.must("extcap", "--extcap-interface", "usernic-nic0", "--extcap-config").splitlines()
        self.assertEqual([line.split("{call=")[1].split("}")[0] for line in config], ["--snaplen", "--socket"])
        self.assertEqual(lab.usernic("extcap", "--extcap-interface", "usernic-nic0", "--capture").returncode, 1)
        nobody = lab.usernic("extcap", "--socket", lab.folder / "nobody", "--extcap-interfaces")
        self.assertEqual((nobody.returncode, len(nobody.stdout.splitlines())), (0, 1), "no usernic: no interfaces")

    def test_a_capture_into_its_fifo(self):
        lab = self.lab(pair())
        fifo = lab.folder / "fifo"
        os.mkfifo(fifo)
        process = subprocess.Popen([*lab.prefix, PROGRAM, "--capture", "--extcap-interface", "usernic-nic0", "--fifo",
                                    str(fifo), "--socket", str(lab.socket)], stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        with open(fifo, "rb", buffering=0) as reader:
            self.assertEqual(reader.read(4), b"\x0a\x0d\x0d\x0a")
        lab.ping("a", "10.9.0.2", 1)
        self.assertEqual((process.wait(SECONDS), process.stderr.read()), (0, b""), "who closes the FIFO has enough")

    @unittest.skipUnless(TSHARK and shutil.which("dumpcap"), "tshark is missing")
    def test_tshark_finds_it_and_captures(self):
        lab = self.lab(pair())
        folder = lab.folder / "extcap"
        folder.mkdir()
        (folder / "usernic").symlink_to(pathlib.Path(PROGRAM).resolve())
        environment = {"WIRESHARK_EXTCAP_DIR": str(folder), "HOME": str(lab.folder), "USERNIC_SOCKET": str(lab.socket)}
        prefix = []
        if os.geteuid() == 0:  # root's tshark looks into the system's folder only, which is ours in a place of its own
            folders = subprocess.run([TSHARK, "-G", "folders"], capture_output=True, text=True,
                                     env=os.environ | environment).stdout.splitlines()
            path = next(line.split(":")[1].strip() for line in folders if line.startswith("Extcap path"))
            if not os.path.isdir(path):
                self.skipTest(f"{path} is missing")
            prefix = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', str(folder), path]
        listed = subprocess.run([*prefix, TSHARK, "-D"], capture_output=True, text=True, timeout=SECONDS,
                                env=os.environ | environment)
        self.assertRegex(listed.stdout, r"usernic-nic0 \(usernic nic0 \(simnic, host a\)\)")
        process = subprocess.Popen([*prefix, TSHARK, "-n", "-l", "-i", "usernic-nic0", "-c", "6", "-T", "fields", "-e",
                                    "frame.interface_name", "-e", "_ws.col.Protocol"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=os.environ | environment)
        self.addCleanup(lambda: [stream.close() for stream in (process.stdout, process.stderr)])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def enough():
            lab.ping("a", "10.9.0.2", 1)
            return process.poll() is not None
        self.eventually(enough, "tshark has its frames")
        out, err = process.communicate(timeout=SECONDS)
        self.assertIn("ICMP", out, err)
