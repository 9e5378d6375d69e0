# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The control socket serves whoever behaves, whatever the others do."""

import json
import os
import resource
import stat
import subprocess

from lab import PROGRAM, STUCK_US, Control, LabTest, pair

class ControlTest(LabTest):
    def connect(self, lab):
        client = Control(lab.socket)
        self.addCleanup(client.close)
        return client

    def assert_serves(self, lab):
        self.assertEqual([row["name"] for row in lab.json("link")], ["nic0", "nic1"])

    def test_the_socket_is_its_owners_alone(self):
        lab = self.lab(pair())
        status = os.stat(lab.socket)
        self.assertTrue(stat.S_ISSOCK(status.st_mode))
        self.assertEqual((stat.S_IMODE(status.st_mode), status.st_uid), (0o600, os.geteuid()))

    def test_the_umask_does_not_open_it(self):
        lab = self.new_lab(pair())
        before = os.umask(0)
        try:
            lab.start()
        finally:
            os.umask(before)
        self.assertEqual(stat.S_IMODE(os.stat(lab.socket).st_mode), 0o600)

    def test_the_default_socket_is_in_the_runtime_folder(self):
        lab = self.new_lab(pair())
        environment = {key: value for key, value in os.environ.items() if key != "USERNIC_SOCKET"}
        environment["XDG_RUNTIME_DIR"] = str(lab.folder)
        lab.socket = lab.folder / "usernic" / "control"
        ready, told = os.pipe()
        with open(lab.folder / "stderr", "w") as err, open(ready, "rb") as ready:
            lab.process = subprocess.Popen([PROGRAM, "run", str(lab.config), "--ready-fd", str(told)], env=environment,
                                           stdout=subprocess.DEVNULL, stderr=err, pass_fds=[told])
            os.close(told)
            self.assertEqual(ready.read(1), b"\n")
        self.assertEqual(stat.S_IMODE(os.stat(lab.socket).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(lab.socket.parent).st_mode), 0o700)
        self.assert_serves(lab)

    def test_garbage_is_answered_with_a_sentence(self):
        lab = self.lab(pair())
        for garbage in (b"hello", b"", b"{}", b"[]", b"null", b'"link"', b"{", b'{"v":1}', b'{"v":2,"verb":"link"}',
                        b'{"v":1,"verb":7}', b'{"v":1,"verb":"frob"}', b'{"v":1,"verb":"rx-mode"}',
                        b'{"v":1,"verb":"rx-mode","dev":7}', b'{"v":1,"verb":"wait","dev":"nic0","timeout_ms":-1}',
                        b'{"v":1,"verb":"burst","dev":"nic0","changes":1e30}', b'{"v":1,"verb":"namespaces"}',
                        b'{"v":1,"verb":"wait-address","dev":"nic0","address":"zz"}', b"\xff\xfe\x00\x01",
                        b"[" * 20000, b'{"v":1,"verb":"' + b"x" * 60000 + b'"}', b'{"a":' * 10000,
                        b'{"v":18446744073709551617,"verb":"link"}', b'{"v":1.0,"verb":"link"}',
                        b'{"v":1,"verb":"wait","dev":"nic0","timeout_ms":' + b"9" * 60000 + b"}",
                        b'{"v":1,"verb":"li\x00nk"}', b'{"v":1,"verb":"li\\u0000nk"}', b'{"v":1,"verb":"\\ud800"}',
                        b'{"v":1,"verb":"\xc0\xaf"}', b'{"v":1,"v":1,"verb":"link"}',
                        b'{"v":1,"verb":"wait-address","dev":"nic0","address":[' +
                        b",".join([b'"33:33:00:00:00:01"'] * 2000) + b"]}"):
            with self.subTest(garbage[:60]):
                client = self.connect(lab)
                client.send(garbage + b"\n")
                answer = client.line()
                self.assertIsNotNone(answer, "an answer")
                self.assertIs(answer["ok"], False)
                self.assertGreater(len(answer["error"].split()), 2, answer)
                self.assertEqual(len(client.ask("link")), 2, "the same client may go on")
        self.assert_serves(lab)

    def refusal(self, client, verb, **arguments):
        answer = client.answer_to(verb, **arguments)
        self.assertIs(answer["ok"], False, answer)
        return answer["error"]

    def test_what_a_request_does_not_say_is_asked_for(self):
        client = self.connect(self.lab(pair()))
        for verb in ("rx-mode", "stats", "attach", "wait", "wait-address", "burst"):
            self.assertEqual(self.refusal(client, verb), "the request names no nic")
        self.assertEqual(self.refusal(client, "namespaces"), "the request names no host")
        self.assertEqual(self.refusal(client, "wait-address", dev="nic0"), "'wait-address' needs \"address\"")

    def test_an_address_that_nobody_wants_is_waited_for_until_the_deadline(self):
        client = self.connect(self.lab(pair()))
        report = client.ask("wait-address", dev="nic0", address="01:00:5e:01:02:03", timeout_ms=0)
        self.assertEqual((report["covered"], report["error"]), (False, "nobody wanted it in time"))

    def test_so_many_may_wait_and_the_next_one_is_told(self):
        lab = self.lab(pair())
        wait = b'{"v":1,"verb":"wait-address","dev":"nic0","address":"01:00:5e:01:02:03","timeout_ms":3600000}\n'
        waiting = [self.connect(lab) for _ in range(64)]
        for client in waiting:
            client.send(wait)
        late = self.connect(lab)
        self.eventually(lambda: not late.answer_to("wait", dev="nic0", timeout_ms=0)["ok"], "all of them wait")
        self.assertEqual(self.refusal(late, "wait", dev="nic0", timeout_ms=0), "64 clients are waiting already")
        self.assertEqual(len(late.ask("link")), 2, "what does not wait is answered")
        lab.inside("a").join(group="239.1.2.3", dev="nic0")
        for client in waiting:
            self.assertTrue(client.line()["result"]["covered"])
        late.ask("wait", dev="nic0", timeout_ms=0)

    def test_a_sentence_has_no_control_characters(self):
        client = self.connect(self.lab(pair()))
        for request in ({"verb": "\x1b[31m\n\0"}, {"verb": "stats", "dev": "\x1b[31m\n\0"},
                        {"verb": "namespaces", "host": "\x1b[31m\n\0"}):
            client.send(json.dumps({"v": 1, **request}).encode() + b"\n")
            self.assertIn("'?[31m??'", client.line()["error"])

    def test_a_line_without_end_is_cut_off(self):
        lab = self.lab(pair())
        client = self.connect(lab)
        try:
            for _ in range(1600):  # 100 MB
                client.send(b"x" * 65536)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = client.line()
        self.assertTrue(answer is None or answer["ok"] is False)
        self.assert_serves(lab)

    def test_many_requests_in_one_piece_are_answered_in_order(self):
        client = self.connect(self.lab(pair()))
        client.send(b'{"v":1,"verb":"rx-mode","dev":"nic0"}\n{"v":1,"verb":"rx-mode","dev":"nic1"}\n' * 100)
        self.assertEqual([client.line()["result"]["dev"] for _ in range(200)], ["nic0", "nic1"] * 100)

    def test_half_a_request_is_closed_and_disturbs_nobody(self):
        lab = self.lab(pair())
        half = self.connect(lab)
        half.send(b'{"v":1,"verb":')
        for _ in range(20):
            gone = Control(lab.socket)
            gone.send(b'{"v":1,"verb":"link"')
            gone.close()
        self.assert_serves(lab)
        answer = half.line()
        if answer is not None:  # a sentence first is welcome
            self.assertIs(answer["ok"], False)
            self.assertIsNone(half.line())
        self.assert_serves(lab)

    def test_a_thousand_idle_clients_disturb_nobody(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        enough = hard == resource.RLIM_INFINITY or hard >= 2048
        if enough:
            resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        lab = self.lab(pair())
        clients = [self.connect(lab) for _ in range(1000 if enough else 200)]
        self.assert_serves(lab)
        for client in (clients[0], clients[-1]):
            self.assertEqual(len(client.ask("link")), 2, "and they are still served")
        self.assertEqual(lab.stop(), 0)

    def test_a_client_that_never_reads_disturbs_nobody(self):
        lab = self.lab(pair())
        client = self.connect(lab)
        client.socket.setblocking(False)
        try:
            while True:
                client.send(b'{"v":1,"verb":"rx-mode","dev":"nic0"}\n' * 1000)
        except BlockingIOError:
            pass  # its answers are stuck, so nobody reads its requests
        follower = self.connect(lab)
        follower.send(b'{"v":1,"verb":"monitor"}\n')
        self.assert_serves(lab)
        lab.exec("a", "ip", "link", "set", "nic0", "mtu", "1400")
        lab.until_link(lambda row: row["mtu"] == 1400)
        self.assertEqual(lab.stop(), 0)

    def test_a_client_that_leaves_while_it_waits_disturbs_nobody(self):
        lab = self.lab(pair({"command_latency_us": STUCK_US}))
        for _ in range(100):
            client = Control(lab.socket)
            client.send(b'{"v":1,"verb":"wait","dev":"nic0","timeout_ms":3600000}\n')
            client.close()
        self.assert_serves(lab)
        self.assertEqual(lab.stop(), 0)
