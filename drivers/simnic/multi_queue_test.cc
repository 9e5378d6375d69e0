// SPDX-License-Identifier: Apache-2.0 OR MIT
// Several rings a card: each flow has one, in order, and nothing is lost between them.
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <optional>
#include <set>

#include "drivers/simnic/simnic.h"
#include "drivers/simnic/test_frames.h"
#include "testing/chance.h"
#include "testing/inet_frames.h"
#include "testing/unseen_by_clang.h"
#include "testing/watch.h"
#include "usernic/ethtool.h"
#include "usernic/net.h"
#include "usernic/poll_here.h"
#include "usernic/port.h"
#include "usernic/thread.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic::simnic {
namespace {

constexpr uint16_t kFlows = 24;
constexpr uint16_t kFirstPort = 4000;
constexpr size_t kPortAt = 34, kNumberAt = 42;

Octets numbered(uint16_t flow, uint32_t number, uint32_t payload = 30) {
  Octets frame =
      Packet{.udp = true, .from_port = static_cast<uint16_t>(kFirstPort + flow), .payload_bytes = payload, .sum = false}
          .octets();
  std::copy(kOwnB.octets.begin(), kOwnB.octets.end(), frame.begin());
  for (size_t i = 0; i < 4; ++i) frame[kNumberAt + i] = static_cast<uint8_t>(number >> (24 - 8 * i));
  return frame;
}

// Checks of each flow that its frames are all of one queue, and that none is missing or overtakes.
class FlowPort final : public DevicePort {
 public:
  void receive(SkbBatch&) noexcept override { ADD_FAILURE() << "of which queue?"; }
  void receive_from(uint16_t queue, SkbBatch& frames) noexcept override {
    const BlockingByDesign a_test_may;
    SpinGuardBh guard(lock_);
    for (const Skb* skb = frames.front(); skb != nullptr; skb = Skb::chain_next(*skb)) {
      const uint8_t* const at = skb->data();
      const auto flow = static_cast<size_t>((at[kPortAt] << 8 | at[kPortAt + 1]) - kFirstPort);
      ASSERT_LT(flow, kFlows);
      Flow& of = flows_[flow];
      const uint32_t number = number_at(at);
      if (of.queue >= 0 && of.queue != queue) ++moved_;
      if (number < of.next) ++overtaken_;
      if (number > of.next) missing_ += number - of.next;
      of.queue = queue;
      of.next = number + 1;
    }
    received_.fetch_add(frames.size());
    wake_all(received_);
  }
  void tx_wake(TxQueue& queue) noexcept override { woken[queue.index()].set(); }
  void carrier_changed(bool) noexcept override {}

  bool wait_received(uint32_t count) const {
    const Time deadline = soon();
    for (uint32_t seen; (seen = received_.load()) < count;) {
      if (!wait_on(received_, seen, deadline)) return false;
    }
    return true;
  }
  uint32_t received() const { return received_.load(); }
  // In how many queues there were flows.
  size_t queues() const {
    SpinGuardBh guard(lock_);
    std::set<int> all;
    for (const Flow& each : flows_) all.insert(each.queue);
    all.erase(-1);
    return all.size();
  }
  void expect_no_flow_harmed(bool may_lose = false) const {
    SpinGuardBh guard(lock_);
    EXPECT_EQ(moved_, 0u) << "frames of a flow whose last one came by another queue";
    EXPECT_EQ(overtaken_, 0u);
    EXPECT_TRUE(may_lose || missing_ == 0) << missing_;
  }

  std::array<Event, kSimnicQueuesMax> woken;

 private:
  static uint32_t number_at(const uint8_t* frame) {
    return uint32_t{frame[kNumberAt]} << 24 | uint32_t{frame[kNumberAt + 1]} << 16 |
           uint32_t{frame[kNumberAt + 2]} << 8 | frame[kNumberAt + 3];
  }
  struct Flow {
    int queue = -1;
    uint32_t next = 0;
  };
  static constexpr LockClass kClass{"flow_port"};
  mutable SpinLock lock_{kClass};
  std::array<Flow, kFlows> flows_ USERNIC_GUARDED_BY(lock_);
  uint32_t moved_ USERNIC_GUARDED_BY(lock_) = 0, overtaken_ USERNIC_GUARDED_BY(lock_) = 0;
  uint32_t missing_ USERNIC_GUARDED_BY(lock_) = 0;
  Atomic<uint32_t> received_{0};
};

// A card with its device and a port that checks. Open.
struct FlowNic {
  FlowNic(Net& net, std::shared_ptr<Wire> wire, const MacAddress& address, const SimnicConfig& config)
      : card(std::make_shared<Card>(config, address, std::move(wire))), dev(*Simnic::probe(net, {}, card)) {
    EXPECT_TRUE(dev->register_netdev());
    EXPECT_TRUE(dev->attach_port(port));
    EXPECT_TRUE(dev->open());
  }
  ~FlowNic() { dev->detach_port(); }

  std::shared_ptr<Card> card;
  FlowPort port;
  NetdevPtr dev;
};

SimnicConfig queues(uint32_t rx, uint32_t tx, uint32_t descriptors = 64) {
  return {.rx_queues = rx, .tx_queues = tx, .rx_descriptors = descriptors, .tx_descriptors = descriptors};
}

class MultiQueueTest : public ::testing::Test {
 public:
  // A sender's thread: so many rounds of a frame of each of its flows on one queue, as a reader of one queue sends
  // them.
  void send(FlowNic& from, uint16_t queue, std::vector<uint16_t> flows, uint32_t rounds, bool polls) {
    SkbPool& own = pools.emplace_back(256, 2048);
    senders.emplace_back("sender", [this, &from, &own, queue, flows = std::move(flows), rounds, polls] {
      std::vector<SkbBatch> left(from.dev->tx_queue_count());
      for (uint32_t number = 0; number < rounds; ++number) {
        SkbBatch batch;
        for (const uint16_t flow : flows) {
          Skb* skb;
          while ((skb = own.alloc()) == nullptr) give_time();
          const Octets octets = numbered(flow, number);
          std::ranges::copy(octets, skb->put(static_cast<uint32_t>(octets.size())));
          batch.push_back(*skb);
        }
        do {
          const uint32_t wakes = from.port.woken[queue].count();
          {
            std::optional<PollHere> here;
            if (polls) here.emplace(net);
            from.dev->xmit(batch, left, queue);
          }
          if (!left[queue].empty() && from.dev->tx_queue(queue).xmit_stopped()) from.port.woken[queue].wait(wakes + 1);
        } while (!left[queue].empty());
      }
    });
  }
  static void give_time() {
    const Atomic<uint32_t> never{0};
    wait_on(never, 0, Clock::now() + std::chrono::microseconds(50));
  }

  Net net{{.poll_threads = 2}};
  std::shared_ptr<Wire> wire = std::make_shared<Wire>("w", net.system_workqueue());
  std::deque<SkbPool> pools;
  std::deque<Thread> senders;
};

// The flows that a sender has: those of its number modulo the number of senders.
std::vector<uint16_t> every(uint16_t senders, uint16_t first) {
  std::vector<uint16_t> flows;
  for (uint16_t flow = first; flow < kFlows; flow = static_cast<uint16_t>(flow + senders)) flows.push_back(flow);
  return flows;
}

TEST_F(MultiQueueTest, EachFlowHasOneRingAndTheFlowsAreSpread) {
  FlowNic a(net, wire, kOwnA, queues(4, 4)), b(net, wire, kOwnB, queues(4, 4));
  for (uint16_t i = 0; i < 4; ++i) send(a, i, every(4, i), 200, false);
  EXPECT_TRUE(b.port.wait_received(kFlows * 200));
  senders.clear();
  b.port.expect_no_flow_harmed();
  EXPECT_EQ(b.port.queues(), 4u);
  const QueueStats sent = a.dev->queue_stats(), received = b.dev->queue_stats();
  uint64_t all = 0;
  for (const QueueStats::Queue& each : sent.tx) EXPECT_EQ(each.packets, kFlows / 4 * 200u);
  for (const QueueStats::Queue& each : received.rx) all += each.packets;
  EXPECT_EQ(received.rx.size(), 4u);
  EXPECT_EQ(all, kFlows * 200u);
  const auto counters = named_counters(*b.dev);
  ASSERT_TRUE(counters);
  for (uint32_t i = 0; i < 4; ++i) {
    const auto found = std::ranges::find(*counters, fmt::format("rx_queue_{}_frames", i), &NamedCounter::name);
    ASSERT_NE(found, counters->end());
    EXPECT_EQ(found->value, received.rx[i].packets);
  }
}

// A ring that is full stops its own queue, whose wake is its own, too.
TEST_F(MultiQueueTest, AFullRingStopsNoOtherQueue) {
  SimnicConfig slow = queues(1, 1, 8);
  FlowNic a(net, wire, kOwnA, queues(2, 2, 8));
  auto full = std::make_shared<Card>(slow, kOwnB, wire);  // nobody gives it a descriptor: whoever sends waits
  full->set_pause_max(std::chrono::hours(1));
  full->write(Reg::kControl, kControlRx);
  SkbPool pool(64, 2048);
  std::array<SkbBatch, 2> left;
  const auto send_on = [&](uint16_t queue, uint32_t count) {
    SkbBatch batch;
    for (uint32_t n = 0; n < count; ++n) batch.push_back(skb_of(pool, numbered(queue, n)));
    return a.dev->xmit(batch, left, queue);
  };
  EXPECT_EQ(send_on(0, 12), 8u);
  EXPECT_TRUE(a.dev->tx_queue(0).stopped());
  EXPECT_FALSE(a.dev->tx_queue(1).stopped());
  EXPECT_EQ(send_on(1, 3), 3u);
  full->write(Reg::kControl, 0);  // it makes nobody wait any more
  EXPECT_TRUE(a.port.woken[0].wait());
  EXPECT_EQ(a.port.woken[1].count(), 0u);
  SkbBatch none;
  EXPECT_EQ(a.dev->xmit(none, left, 0), 4u);
  EXPECT_TRUE(eventually([&] { return a.card->counters().tx_frames.load() == 15; }));
  a.dev->close();
}

// As on a card whose packet buffer the rings share: the frame that has no descriptor is in the way of all behind it.
TEST_F(MultiQueueTest, OneFullRingMakesTheSendersWaitAndNothingIsLost) {
  FlowNic a(net, wire, kOwnA, queues(2, 2, 16)), b(net, wire, kOwnB, queues(4, 2, 16));
  for (uint16_t i = 0; i < 2; ++i) send(a, i, every(2, i), 300, false);
  EXPECT_TRUE(b.port.wait_received(kFlows * 300));
  senders.clear();
  b.port.expect_no_flow_harmed();
  EXPECT_EQ(b.card->counters().rx_no_descriptor, 0u);
  EXPECT_EQ(b.dev->stats().rx_dropped, 0u);
}

// Without flow control the full ring alone loses.
TEST_F(MultiQueueTest, WithoutFlowControlAFullRingLosesItsOwnFramesAlone) {
  SimnicConfig lossy = queues(2, 1, 8);
  lossy.flow_control = false;
  Card card(lossy, kOwnB, wire);
  std::array<std::array<Descriptor, 8>, 2> rings;
  std::array<std::array<uint8_t, 2048>, 16> buffers;
  for (uint32_t i = 0; i < 16; ++i) {
    rings[i / 8][i % 8].address = reinterpret_cast<uintptr_t>(buffers[i].data());
    rings[i / 8][i % 8].length = 2048;
  }
  for (uint32_t i = 0; i < 2; ++i) {
    card.write(of_queue(Reg::kRxRing, i), reinterpret_cast<uintptr_t>(rings[i].data()));
    card.write(of_queue(Reg::kRxSize, i), 8);
    card.write(of_queue(Reg::kRxTail, i), 8);
  }
  card.write(Reg::kControl, kControlRx);
  struct Vectors {
    std::array<Atomic<uint32_t>, 3> fired{};
  } vectors;
  const Card::IrqHandler handler{[](void* user, Vector vector) noexcept USERNIC_NONBLOCKING {
                                   static_cast<Vectors*>(user)->fired[static_cast<size_t>(vector)].fetch_add(1);
                                 },
                                 &vectors};
  card.connect_irq(handler);
  for (uint32_t i = 0; i < 2; ++i) card.write(of_queue(Reg::kInterruptArm, i), arm_value(0, 0));
  struct Mouth final : WireEnd {
    void hear(std::span<const Frame>) noexcept override {}
  } mouth;
  wire->plug(mouth);
  const auto say = [&](const Octets& octets) {
    const Frame frame{std::span<const uint8_t>(octets)};
    wire->send(mouth, std::span(&frame, 1));
  };
  for (uint32_t n = 0; n < 20; ++n) say(numbered(0, n));
  EXPECT_EQ(card.counters().rx_frames, 8u);
  EXPECT_EQ(card.counters().rx_no_descriptor, 12u);
  const uint32_t of_first = card.counters().rx_frames_of[0] == 8 ? 0 : 1;
  EXPECT_EQ(card.counters().rx_frames_of[of_first], 8u);
  EXPECT_EQ(vectors.fired[static_cast<size_t>(data_vector(of_first))], 1u) << "once until it is armed again";
  EXPECT_EQ(vectors.fired[static_cast<size_t>(data_vector(1 - of_first))], 0u);
  for (uint16_t flow = 1; card.counters().rx_frames < 9 && flow < kFlows; ++flow) say(numbered(flow, 0));
  EXPECT_EQ(card.counters().rx_frames_of[1 - of_first], 1u) << "the other ring has room";
  EXPECT_EQ(vectors.fired[static_cast<size_t>(data_vector(1 - of_first))], 1u);
  card.disconnect_irq();
  wire->unplug(mouth);
}

// A ring that nobody refills has had its time: from then on it drops. The others make the senders wait as before.
TEST_F(MultiQueueTest, ADeadRingTakesNoFlowControlFromTheOthers) {
  constexpr uint32_t kRing = 8;
  Card card(queues(2, 1, kRing), kOwnB, wire), sender(queues(1, 1, 64), kOwnA, wire);
  std::array<std::array<Descriptor, kRing>, 2> rings;
  std::array<std::array<uint8_t, 2048>, 2 * kRing> buffers;
  for (uint32_t i = 0; i < 2 * kRing; ++i) {
    rings[i / kRing][i % kRing].address = reinterpret_cast<uintptr_t>(buffers[i].data());
    rings[i / kRing][i % kRing].length = 2048;
  }
  for (uint32_t i = 0; i < 2; ++i) {
    card.write(of_queue(Reg::kRxRing, i), reinterpret_cast<uintptr_t>(rings[i].data()));
    card.write(of_queue(Reg::kRxSize, i), kRing);
    card.write(of_queue(Reg::kRxTail, i), kRing);
  }
  card.write(Reg::kControl, kControlRx);
  std::array<Descriptor, 64> tx;
  std::deque<Octets> sent;
  sender.write(Reg::kTxRing, reinterpret_cast<uintptr_t>(tx.data()));
  sender.write(Reg::kTxSize, 64);
  sender.write(Reg::kControl, kControlTx);
  const auto send_more = [&](uint16_t flow, uint32_t count) {
    for (uint32_t n = 0; n < count; ++n) {
      const Octets& octets = sent.emplace_back(numbered(flow, n));
      tx[sent.size() - 1].address = reinterpret_cast<uintptr_t>(octets.data());
      tx[sent.size() - 1].length = static_cast<uint32_t>(octets.size());
    }
    sender.write(Reg::kTxTail, sent.size());
    net.system_workqueue().flush();
  };
  const auto received_by = [&](uint32_t queue) { return card.counters().rx_frames_of[queue].load(); };
  const auto lost = [&] { return card.counters().rx_no_descriptor.load(); };

  card.set_pause_max({});
  send_more(0, kRing + 3);
  EXPECT_TRUE(eventually([&] { return lost() == 3; })) << "its time is over at once";
  const uint32_t dead = received_by(0) != 0 ? 0 : 1, healthy = 1 - dead;
  card.set_pause_max(std::chrono::hours(1));
  uint16_t flow = 1;
  for (; received_by(healthy) == 0; ++flow) {
    ASSERT_LT(flow, kFlows);
    send_more(flow, 1);
  }
  const uint64_t lost_before = lost();
  send_more(static_cast<uint16_t>(flow - 1), kRing + 4);
  EXPECT_EQ(received_by(healthy), kRing);
  EXPECT_EQ(lost(), lost_before) << "the rest waits";
  for (Descriptor& each : rings[healthy]) {
    each.status.store(0);
    each.length = 2048;
  }
  card.write(of_queue(Reg::kRxTail, healthy), 2 * kRing);
  EXPECT_TRUE(eventually([&] { return received_by(healthy) == kRing + 5; }));
  EXPECT_EQ(lost(), lost_before);
  send_more(0, 2);
  EXPECT_EQ(lost(), lost_before + 2) << "of the dead one, for which nobody waits";
}

TEST_F(MultiQueueTest, MoreOfTheOneKindThanOfTheOther) {
  for (const auto& [rx, tx] : {std::pair{1, 4}, {3, 1}}) {
    FlowNic a(net, wire, kOwnA, queues(rx, tx)), b(net, wire, kOwnB, queues(rx, tx));
    for (uint16_t i = 0; i < tx; ++i) send(a, i, every(static_cast<uint16_t>(tx), i), 100, false);
    EXPECT_TRUE(b.port.wait_received(kFlows * 100));
    senders.clear();
    b.port.expect_no_flow_harmed();
    EXPECT_EQ(b.port.queues(), static_cast<size_t>(rx));
    EXPECT_EQ(b.dev->queue_stats().rx.size(), static_cast<size_t>(rx));
  }
}

// Whatever the numbers of queues, descriptors and senders, and whoever polls: all arrive, in order, by one queue a
// flow.
TEST_F(MultiQueueTest, NothingIsLostAndNoFlowIsReordered) {
  const uint64_t seed = random_u64();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Chance chance(seed);
  const auto up_to = [&](uint32_t most) { return static_cast<uint32_t>(chance.between(1, most)); };
  for (int round = 0; round < 6; ++round) {
    SimnicConfig from = queues(up_to(4), up_to(4), 8u << up_to(3)), to = queues(up_to(8), up_to(4), 8u << up_to(3));
    from.byte_limits = chance.one_in(2);
    const bool polls = chance.one_in(2);
    SCOPED_TRACE(fmt::format("{} to {} queues of {} and {} descriptors", from.tx_queues, to.rx_queues,
                             from.tx_descriptors, to.rx_descriptors));
    FlowNic a(net, wire, kOwnA, from), b(net, wire, kOwnB, to);
    for (uint16_t i = 0; i < from.tx_queues; ++i) {
      send(a, i, every(static_cast<uint16_t>(from.tx_queues), i), 150, polls);
    }
    EXPECT_TRUE(b.port.wait_received(kFlows * 150));
    senders.clear();
    b.port.expect_no_flow_harmed();
    EXPECT_EQ(a.dev->stats().tx_packets, kFlows * 150u);
    EXPECT_EQ(b.dev->stats().rx_packets, kFlows * 150u);
    EXPECT_EQ(b.dev->stats().rx_dropped + b.dev->stats().rx_errors, 0u);
  }
}

// Closed, opened and given longer buffers meanwhile: some are lost, and counted, and none overtakes.
TEST_F(MultiQueueTest, QueuesComeAndGoUnderLoad) {
  FlowNic a(net, wire, kOwnA, queues(2, 2)), b(net, wire, kOwnB, queues(4, 2));
  for (uint16_t i = 0; i < 2; ++i) send(a, i, every(2, i), 1500, false);
  for (uint32_t mtu = 2000; mtu <= 8000; mtu += 3000) {
    const uint32_t received = b.port.received();
    EXPECT_TRUE(b.dev->change_mtu(mtu));
    EXPECT_TRUE(b.dev->close() && b.dev->open());
    EXPECT_TRUE(b.port.wait_received(std::min(received + 100, kFlows * 1500u - 200))) << "it goes on";
  }
  senders.clear();
  const auto counted = [&] {
    const LinkStats stats = b.dev->stats();
    return stats.rx_packets + stats.rx_dropped + stats.rx_errors + stats.rx_off + stats.rx_filtered;
  };
  EXPECT_TRUE(eventually([&] { return counted() == a.dev->stats().tx_packets - a.dev->stats().tx_errors; }));
  b.port.expect_no_flow_harmed(true);
}

TEST(MultiQueueConfig, HasLimits) {
  EXPECT_EQ(config_error({.rx_queues = 8, .tx_queues = 8}), "");
  EXPECT_EQ(config_error({.rx_queues = 9}), "rx_queues is 9, it must be 1 to 8");
  EXPECT_EQ(config_error({.tx_queues = 0}), "tx_queues is 0, it must be 1 to 8");
}

}  // namespace
}  // namespace usernic::simnic

USERNIC_UNSEEN_BY_CLANG_END
