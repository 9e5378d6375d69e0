# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Cards of several queues: flows are spread over them, and each comes whole."""

import subprocess
import sys

from lab import SECONDS, LabTest, config_of

STREAMS = 16
OCTETS = 1 << 20

# Says back what it hears.
ECHO = """
import socket, threading
listener = socket.create_server(("10.9.0.2", 5000), backlog=64)
def serve(peer):
    with peer:
        while data := peer.recv(65536):
            peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()
"""

# All streams at once; prints the numbers of those that did not come back as they were sent.
STREAM = f"""
import os, socket, threading
wrong = []
def stream(number):
    sent, heard = os.urandom({OCTETS}), bytearray()
    with socket.create_connection(("10.9.0.2", 5000)) as peer:
        def hear():
            while data := peer.recv(65536):
                heard.extend(data)
        hearing = threading.Thread(target=hear)
        hearing.start()
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        hearing.join()
    if heard != sent:
        wrong.append(number)
streams = [threading.Thread(target=stream, args=[i]) for i in range({STREAMS})]
[each.start() for each in streams]
[each.join() for each in streams]
print(wrong)
"""


class QueuesTest(LabTest):
    def lab_of(self, **card):
        nics = [{"name": f"nic{i}", "host": host, "driver": "simnic", "addresses": [f"10.9.0.{i + 1}/24"], "simnic": card}
                for i, host in enumerate("ab")]
        return self.lab("[poll]\nthreads = 2\n" + config_of(nics))

    def test_streams_are_spread_and_come_whole(self):
        for card in ({}, {"tso": True}):
            with self.subTest(card):
                lab = self.lab_of(rx_queues=4, tx_queues=4, **card)
                with subprocess.Popen([*lab.exec_prefix("b"), sys.executable, "-c", ECHO], stdout=subprocess.PIPE,
                                      text=True) as server:
                    try:
                        self.assertEqual(server.stdout.readline(), "ready\n")
                        self.assertEqual(lab.exec("a", sys.executable, "-c", STREAM, seconds=2 * SECONDS), "[]\n")
                    finally:
                        server.kill()
                for dev in ("nic0", "nic1"):
                    stats = lab.json("stats", dev)
                    for way in ("rx", "tx"):
                        queues = stats[f"{way}_queues"]
                        self.assertEqual(len(queues), 4)
                        self.assertEqual(sum(each["packets"] for each in queues), stats[way]["packets"], (dev, way))
                        self.assertGreater(sum(each["packets"] > 100 for each in queues), 1, (dev, way, queues))
                    self.assertEqual(stats["rx"]["dropped"] + stats["rx"]["errors"], 0)
                self.assertEqual(lab.stop(), 0)

    def test_how_many_there_are_is_shown(self):
        lab = self.lab_of(rx_queues=2, tx_queues=3)
        row = lab.link()
        self.assertEqual((row["rx_queues"], row["tx_queues"]), (2, 3))
        self.assertIn("; 2 RX queues and 3 TX queues\n", lab.must("link", "-d"))
        self.assertIn("tx queue 2", lab.must("stats", "nic0"))
        lab.ping("a", "10.9.0.2")
