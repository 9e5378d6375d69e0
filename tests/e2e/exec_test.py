# SPDX-License-Identifier: Apache-2.0 OR MIT
"""`usernic exec HOST -- COMMAND...` becomes the command inside the host."""

import os
import signal
import socket
import subprocess
import threading

from lab import PROGRAM, SECONDS, LabTest, run


class ExecTest(LabTest):
    def popen(self, lab, host, *command, **options):
        argv = [str(word) for word in [*lab.exec_prefix(host), *command]]
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        process = subprocess.Popen(argv, text=True, **options)
        self.addCleanup(process.wait, SECONDS)
        self.addCleanup(process.kill)
        self.addCleanup(process.communicate)
        return process

    def test_it_becomes_the_command_with_the_same_pid(self):
        process = self.popen(self.lab(), "a", "sh", "-c", "echo $$")
        self.assertEqual(int(process.communicate(timeout=SECONDS)[0]), process.pid)

    def test_its_exit_status_is_the_commands(self):
        lab = self.lab()
        for code in (0, 1, 7, 125, 255):
            self.assertEqual(lab.usernic("exec", "a", "--", "sh", "-c", f"exit {code}").returncode, code)
        self.assertEqual(lab.usernic("exec", "a", "--", "sh", "-c", "kill -KILL $$").returncode, -signal.SIGKILL)
        sleeping = self.popen(lab, "a", "sh", "-c", "echo started; exec sleep 60")
        self.assertEqual(sleeping.stdout.readline(), "started\n")
        sleeping.send_signal(signal.SIGTERM)
        self.assertEqual(sleeping.wait(SECONDS), -signal.SIGTERM, "a signal reaches the command")

    def test_it_finds_an_administrators_tools_with_an_ordinary_users_path(self):
        lab = self.lab()
        for path, found in (("/usr/bin:/bin", "/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"),
                            ("/sbin:/bin:/usr/sbin", "/sbin:/bin:/usr/sbin:/usr/local/sbin")):
            echo = self.popen(lab, "a", "sh", "-c", "echo $PATH", env=os.environ | {"PATH": path})
            self.assertEqual(echo.communicate(timeout=SECONDS)[0], found + "\n")

    def test_it_reads_writes_and_takes_arguments_like_the_command(self):
        lab = self.lab()
        cat = self.popen(lab, "a", "cat")
        self.assertEqual(cat.communicate("through\n", timeout=SECONDS), ("through\n", ""))
        self.assertEqual(lab.exec("a", "printf", "%s|", "--json", "two words", "-h", ""), "--json|two words|-h||")

    def test_what_cannot_start_has_the_status_of_env_and_nsenter_and_a_sentence(self):
        lab = self.lab()
        script = lab.folder / "script"
        script.write_text("#!/does/not/exist\n")
        for argv, code, words in ((("a", "--", "/does/not/exist"), 127, ["/does/not/exist"]),
                                  (("a", "--", "no-such-command"), 127, ["no-such-command"]),
                                  (("a", "--", "/"), 126, ["'/'"]),
                                  (("a", "--", script), 126, ["Permission denied"]),
                                  (("c", "--", "true"), 125, ["'c'", "a, b"]),
                                  (("c",), 125, ["'c'", "a, b"])):
            with self.subTest(argv=argv):
                done = lab.usernic("exec", *argv)
                self.assertEqual(done.returncode, code)
                self.assertEqual(done.stdout, "")
                self.assert_sentence(done.stderr, *words)
                if code != 125:
                    self.assertEqual(run(["env", *argv[2:]]).returncode, code, "env's own")
        lab.stop()
        done = lab.usernic("exec", "a", "--", "true")
        self.assertEqual(done.returncode, 125)
        self.assert_sentence(done.stderr, "no usernic is running", str(lab.socket))

    def test_without_a_command_it_is_a_shell(self):
        lab = self.lab()
        tools = lab.folder / "my shell"
        tools.write_text("#!/bin/sh\necho mine; exec cat\n")
        tools.chmod(0o755)
        for shell, said in ((str(tools), "mine\nls /sys/class/net\n"), ("/bin/sh", "lo\nnic0\n"), ("", "lo\nnic0\n"),
                            (None, "lo\nnic0\n")):
            for words in (["a"], ["a", "--"]):
                with self.subTest(shell=shell, words=words):
                    environment = {key: value for key, value in os.environ.items() if key != "SHELL"}
                    if shell is not None:
                        environment["SHELL"] = shell
                    done = run([PROGRAM, "--socket", lab.socket, "exec", *words], stdin=None, env=environment,
                               input="ls /sys/class/net\n")
                    self.assertEqual((done.stdout, done.stderr, done.returncode), (said, "", 0))

    def test_what_is_no_socket_is_said(self):
        file = self.folder() / "file"
        file.write_text("")
        done = run([PROGRAM, "link", "--socket", file])
        self.assertEqual(done.returncode, 1)
        self.assert_sentence(done.stderr, str(file), "is not a socket")

    def test_a_daemon_that_sends_no_namespaces_is_entered_by_nobody(self):
        path = self.folder() / "control"
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
            listening.listen()
            process = subprocess.Popen([PROGRAM, "--socket", path, "exec", "a", "--", "true"], stderr=subprocess.PIPE,
                                       text=True)
            daemon, _ = listening.accept()
            with daemon, daemon.makefile() as requests:
                self.assertIn('"namespaces"', requests.readline())
                with open(os.devnull) as no_namespace:
                    socket.send_fds(daemon, [b'{"v":1,"ok":true,"result":["user","net"]}\n'], [no_namespace.fileno()])
                _, said = process.communicate(timeout=SECONDS)
        self.assertEqual(process.returncode, 125)
        self.assert_sentence(said, "did not send the host's namespaces")

    def test_each_host_shows_its_own_nic_in_sys(self):
        lab = self.lab()
        for host, dev in (("a", "nic0"), ("b", "nic1")):
            self.assertEqual(lab.exec(host, "ls", "/sys/class/net").split(), ["lo", dev])
            self.assertEqual(lab.exec(host, "cat", f"/sys/class/net/{dev}/address").strip(), lab.link(dev)["address"])
            shown = lab.exec(host, "ip", "-o", "link").splitlines()
            self.assertEqual([line.split(":")[1].strip() for line in shown], ["lo", dev])
            self.assertIn("LOOPBACK,UP", shown[0])

    def test_where_sys_may_not_be_mounted_it_goes_on_without(self):
        place = self.place()
        place.must("mount", "-t", "tmpfs", "tmpfs", "/sys/fs")  # as containers hide parts of it
        lab = self.new_lab(place=place)
        lab.prefix += ["unshare", "-U", "--map-user=1000", "--map-group=1000", "--"]  # nothing is hidden from root
        lab.start()
        lab.prefix = place.prefix()
        done = lab.usernic("exec", "a", "--", "ip", "-br", "link", "show", "dev", "nic0")
        self.assertEqual(done.returncode, 0)
        self.assertIn("nic0", done.stdout)
        self.assert_sentence(done.stderr, "cannot mount the host's /sys", "going on without")

    def test_what_is_mounted_inside_is_not_seen_outside(self):
        lab = self.lab()
        lab.exec("a", "true")
        with open("/sys/kernel/uevent_seqnum", encoding="ascii"):
            pass  # /sys is still the one that was there
        self.assertNotIn("nic0", subprocess.run(["ls", "/sys/class/net"], capture_output=True, text=True).stdout)

    def test_a_command_inside_finds_the_same_usernic(self):
        lab = self.lab()
        self.assertIn("nic0", lab.exec("a", "sh", "-c", '"$0" link', PROGRAM))

    def test_many_at_once(self):
        lab = self.lab()
        answers = {}

        def ask(i):
            answers[i] = lab.exec("ab"[i % 2], "ls", "/sys/class/net").split()

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        self.assertEqual(answers, {i: ["lo", f"nic{i % 2}"] for i in range(16)})
