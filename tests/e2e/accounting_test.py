# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Where every frame is: from one kernel over the wire to the other, each is in exactly one counter."""

import json
import signal

from lab import SECONDS, LabTest, pair

OWN, FOREIGN, GROUP, BROADCAST = "02:00:00:00:00:01", "02:00:00:00:0f:01", "01:00:5e:7f:02:03", "ff:ff:ff:ff:ff:ff"
COUNT = 30
FLOOD = 400  # fits into the kernel's queue of a TAP, and into no ring of the cards here


def kernel(inside, dev):
    """What the kernel counted there: frames received, and sent."""
    row = json.loads(inside.must("ip", "-s", "-j", "link", "show", "dev", dev))[0]["stats64"]
    return row["rx"]["packets"], row["tx"]["packets"]


class AccountingTest(LabTest):
    def start(self, flow_control):
        small = {"rx_descriptors": 4, "tx_descriptors": 16, "flow_control": flow_control}
        self.one = self.lab(pair({"command_latency_us": 0} | small, small))
        self.a, self.b = self.one.inside("a"), self.one.inside("b")
        self.a.listen(devs=["nic0"])
        self.number = 0

    def stats(self, dev="nic0"):
        return self.one.control().ask("stats", dev=dev)

    def send(self, to, count=COUNT, size=60):
        """Numbered frames from host b; their markers."""
        markers = [f"{self.number + i}" for i in range(count)]
        self.number += count
        self.b.send(frames=[[to, marker, None] for marker in markers], dev="nic1", size=size)
        return markers

    def heard_then(self):
        """The markers that host a heard until now: a frame behind them arrives, whatever else does not."""
        heard = []
        for _ in range(SECONDS):  # what is sent while a ring is full is lost without flow control
            last = f"last {self.number}"
            self.number += 1
            self.b.send(frames=[[OWN, last, None]], dev="nic1")
            heard += self.a.hear(dev="nic0", last=last, seconds=1)
            if any(marker.startswith("last") for marker in heard):
                return [marker for marker in heard if not marker.startswith("last")]
        self.fail("nothing arrives any more")

    def flood(self, meanwhile=lambda: None):
        """All of the frames are in the kernel's queue before the first one is taken out."""
        self.one.process.send_signal(signal.SIGSTOP)
        try:
            markers = self.send(OWN, FLOOD)
            meanwhile()
        finally:
            self.one.process.send_signal(signal.SIGCONT)
        return markers

    def rises(self, counter, by, does):
        """A counter of the receiver rises by so many frames; others on the wire can make it more."""
        before = self.stats()["rx"][counter]
        does()
        self.eventually(lambda: self.stats()["rx"][counter] >= before + by, f"rx {counter} rises by {by}")

    def check_sums(self):
        """Nothing is on its way for ever, so the sums are true sooner or later, and all at once."""
        sums = {}

        def holds():
            by_dev = {dev: (self.stats(dev), kernel(inside, dev)) for dev, inside in
                      (("nic0", self.a), ("nic1", self.b))}
            sums.clear()
            for dev, other in (("nic0", "nic1"), ("nic1", "nic0")):
                (stats, (received, sent)), heard = by_dev[dev], by_dev[other][0]["rx"]
                rx, tx = stats["rx"], stats["tx"]
                sums[dev] = {
                    "kernel sent": [sent, tx["packets"] + tx["dropped"] + tx["oversized"]],
                    "on the wire": [tx["packets"] - tx["errors"],
                                    sum(heard[of] for of in ("packets", "dropped", "errors", "filtered", "off"))],
                    "kernel received": [received, rx["packets"] - rx["refused"]]}
            return all(left == right for of in sums.values() for left, right in of.values())

        try:
            self.eventually(holds, "the sums")
        except AssertionError:
            self.fail(f"frames are in no counter, or in two: {sums}, {self.stats('nic0')}, {self.stats('nic1')}")

    def test_each_frame_is_in_one_counter(self):
        self.start(flow_control=False)
        self.assertEqual(self.send(OWN, 3), self.heard_then()[-3:])
        for to in (FOREIGN, GROUP):
            self.rises("filtered", COUNT, lambda to=to: self.send(to))
            self.check_sums()

        def all_count_the_same():  # the kernel may say something in between
            row = self.one.link("nic0")
            return row["rx_filtered"] == self.stats()["rx"]["filtered"] == row["drops"]["filter"]

        self.eventually(all_count_the_same, "link and stats count what was filtered alike")

        # Longer than the receiver's MTU.
        self.a.must("ip", "link", "set", "nic0", "mtu", "1280")
        self.one.until_link(lambda row: row["mtu"] == 1280)
        self.rises("errors", COUNT, lambda: self.send(OWN, size=1514))
        self.a.must("ip", "link", "set", "nic0", "mtu", "1500")
        self.one.until_link(lambda row: row["mtu"] == 1500)
        self.check_sums()
        self.assertGreaterEqual(self.stats()["drops"]["too_long"], COUNT)

        # More than its ring holds.
        self.rises("dropped", 1, self.flood)
        lost = FLOOD - len(self.heard_then())
        self.assertGreater(lost, 0)
        self.assertGreaterEqual(self.stats()["rx"]["dropped"], lost)
        self.assertGreaterEqual(self.stats()["drops"]["ring_full"], lost)
        self.check_sums()

        # Nobody at home: no carrier, down.
        self.a.must("ip", "link", "set", "nic0", "carrier", "off")
        self.one.until_link(lambda row: not row["carrier"])
        self.rises("off", COUNT, lambda: self.send(OWN))
        self.a.must("ip", "link", "set", "nic0", "carrier", "on")
        self.a.must("ip", "link", "set", "nic0", "down")
        self.one.until_link(lambda row: not row["up"])
        self.rises("off", COUNT, lambda: self.send(OWN))
        self.a.must("ip", "link", "set", "nic0", "up")
        self.one.until_link(lambda row: row["up"] and row["carrier"])
        self.check_sums()
        self.assertGreaterEqual(self.one.link("nic0")["drops"]["no_carrier"], 2 * COUNT)

    def test_so_it_is_when_an_interface_or_its_mtu_changes_with_frames_on_their_way(self):
        self.start(flow_control=False)
        # The kernel takes none from its card; or the card is off before they come.
        self.flood(lambda: self.a.must("ip", "link", "set", "nic0", "down"))
        self.one.until_link(lambda row: not row["up"])
        self.a.must("ip", "link", "set", "nic0", "up")
        self.one.until_link(lambda row: row["up"] and row["carrier"])
        self.a.listen(devs=["nic0"])  # the old ear says "Network is down"
        self.heard_then()
        self.check_sums()

        # Longer than what the device of the sender takes; or it has taken the MTU by then.
        def longer():
            self.b.must("ip", "link", "set", "nic1", "mtu", "4000")
            self.send(OWN, size=4014)
            self.b.must("ip", "link", "set", "nic1", "mtu", "1500")

        self.flood(longer)
        self.one.until_link(lambda row: row["mtu"] == 1500, dev="nic1")
        self.heard_then()
        self.check_sums()

        # The sender is closed with frames in its ring.
        self.flood(lambda: self.b.must("ip", "link", "set", "nic1", "down"))
        self.one.until_link(lambda row: not row["up"], dev="nic1")
        self.b.must("ip", "link", "set", "nic1", "up")
        self.one.until_link(lambda row: row["up"] and row["carrier"], dev="nic1")
        self.heard_then()
        self.check_sums()

    def test_with_flow_control_none_is_lost_however_small_the_ring(self):
        self.start(flow_control=True)
        sent = self.flood()
        self.assertEqual(self.heard_then(), sent)
        self.assertEqual(self.stats()["rx"]["dropped"], 0)
        self.assertGreater(self.stats()["tx"]["pause"], 0)
        self.assertGreater(self.stats("nic1")["rx"]["pause"], 0)
        self.check_sums()

    def test_short_frames_arrive_padded(self):
        self.start(flow_control=True)
        self.send(OWN, 1, size=0)
        self.heard_then()
        self.assertEqual(self.stats()["rx"]["errors"], 0, "no runts")
        self.assertGreaterEqual(self.stats()["rx"]["bytes"], 60 * self.stats()["rx"]["packets"])
        self.check_sums()
