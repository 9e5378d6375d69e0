// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/tx_queue.h"

#include <gtest/gtest.h>

#include <functional>

#include "testing/port.h"
#include "testing/unseen_by_clang.h"
#include "testing/watch.h"
#include "usernic/net.h"
#include "usernic/thread.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic {
namespace {

// A ring of `ring_size` descriptors that the test completes.
struct Ring {
  uint32_t size = 4;
  Atomic<uint32_t> used{0};
  uint32_t needed = 1;  // room below which the driver stops its queue
  bool start_in_open = true;
  std::vector<bool> more;  // what start_xmit was told, call by call
  std::vector<uint8_t> sent;
  Context context = Context::kProcess;
  bool lock_held = false;
  std::function<void()> in_xmit;

  uint32_t room() const { return size - used.load(); }
};

class RingDriver {
 public:
  RingDriver(NetDevice& dev, Ring& ring) : dev_(dev), ring_(ring) {}

  Result<> open() {
    for (uint16_t i = 0; ring_.start_in_open && i < dev_.tx_queue_count(); ++i) dev_.tx_queue(i).start();
    return {};
  }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    ring_.context = current_context();
    ring_.lock_held = queue.xmit_lock().held_by_me();
    if (ring_.in_xmit) ring_.in_xmit();
    if (queue.maybe_stop([this] { return ring_.room(); }, 1)) return NetdevTx::kBusy;
    ring_.more.push_back(more);
    ring_.sent.push_back(*skb.data());
    ring_.used.fetch_add(1);
    SkbPool::free(skb);
    queue.maybe_stop([this] { return ring_.room(); }, ring_.needed);
    return NetdevTx::kOk;
  }

 private:
  NetDevice& dev_;
  Ring& ring_;
};

struct TxQueueTest : testing::Test {
  Net net;
  SkbPool pool{64, 64};
  Ring ring;
  TestPort port;
  SkbBatch frames;
  NetdevPtr dev = *net.alloc_netdev<RingDriver>({.name = "t0", .tx_queues = 2}, ring);
  TxQueue& queue = dev->tx_queue(0);

  void SetUp() override {
    ASSERT_TRUE(dev->register_netdev());
    ASSERT_TRUE(dev->attach_port(port));
    ASSERT_TRUE(dev->open());
  }
  void add_frames(int count, uint8_t first = 0) {
    for (int i = 0; i < count; ++i) {
      Skb& skb = *pool.alloc();
      *skb.put(10) = static_cast<uint8_t>(first + i);
      frames.push_back(skb);
    }
  }
  void complete(uint32_t count) {
    ring.used.fetch_sub(count);
    queue.maybe_wake([this] { return ring.room(); }, ring.needed);
  }
};

TEST_F(TxQueueTest, FramesGoInOrderAndOnlyTheLastRingsTheDoorbell) {
  add_frames(3);
  dev->xmit(queue, frames);
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(ring.sent, (std::vector<uint8_t>{0, 1, 2}));
  EXPECT_EQ(ring.more, (std::vector<bool>{true, true, false}));
}

TEST_F(TxQueueTest, StartXmitRunsWithBhsDisabledUnderTheXmitLock) {
  add_frames(1);
  dev->xmit(queue, frames);
  EXPECT_TRUE(ring.lock_held);
  EXPECT_EQ(ring.context, kChecksOn ? Context::kBhDisabled : Context::kProcess);
}

TEST_F(TxQueueTest, WhatWasSentIsCountedByItsQueue) {
  add_frames(3);
  dev->xmit(queue, frames);
  EXPECT_EQ(queue.counters.packets.load(), 3u);
  EXPECT_EQ(queue.counters.bytes.load(), 30u);
  EXPECT_EQ(queue.counters.dropped.load(), 0u);
  EXPECT_EQ(dev->tx_queue(1).counters.packets.load(), 0u);
}

TEST_F(TxQueueTest, AQueueThatStopsKeepsTheRestInTheBatch) {
  add_frames(6);
  dev->xmit(queue, frames);
  EXPECT_EQ(ring.sent.size(), 4u);
  EXPECT_TRUE(queue.stopped());
  EXPECT_EQ(frames.size(), 2u);
  EXPECT_EQ(*frames.front()->data(), 4) << "in order, none lost";
  EXPECT_EQ(queue.counters.packets.load(), 4u);
}

TEST_F(TxQueueTest, AStoppedQueueNeverEntersTheDriver) {
  queue.stop();
  add_frames(2);
  dev->xmit(queue, frames);
  EXPECT_EQ(frames.size(), 2u);
  EXPECT_TRUE(ring.sent.empty());
  EXPECT_EQ(queue.counters.dropped.load(), 0u) << "not sent is not dropped";
  add_frames(1);
  dev->xmit(dev->tx_queue(1), frames);
  EXPECT_EQ(ring.sent.size(), 3u) << "the other queue has its own state";
}

TEST_F(TxQueueTest, AWakeReachesThePortAndTheRestIsSent) {
  add_frames(6);
  dev->xmit(queue, frames);
  EXPECT_EQ(port.woken.count(), 0u);
  complete(4);
  EXPECT_EQ(port.woken.count(), 1u);
  EXPECT_FALSE(queue.stopped());
  dev->xmit(queue, frames);
  EXPECT_EQ(ring.sent, (std::vector<uint8_t>{0, 1, 2, 3, 4, 5}));
}

TEST_F(TxQueueTest, MaybeWakeWakesOnlyAStoppedQueueAndOnlyWithRoomEnough) {
  complete(0);
  EXPECT_EQ(port.woken.count(), 0u) << "it was not stopped";
  ring.needed = 3;
  add_frames(2);
  dev->xmit(queue, frames);
  ASSERT_TRUE(queue.stopped());
  complete(0);
  EXPECT_TRUE(queue.stopped()) << "room for 2, 3 are needed";
  complete(1);
  EXPECT_FALSE(queue.stopped());
  EXPECT_EQ(port.woken.count(), 1u);
}

TEST_F(TxQueueTest, StartOpensTheQueueWithoutTellingThePort) {
  queue.stop();
  queue.start();
  EXPECT_FALSE(queue.stopped());
  EXPECT_EQ(port.woken.count(), 0u);
}

TEST_F(TxQueueTest, WithoutAPortAWakeIsNoError) {
  dev->detach_port();
  queue.stop();
  queue.wake();
  EXPECT_FALSE(queue.stopped());
  EXPECT_EQ(port.woken.count(), 0u);
}

TEST_F(TxQueueTest, BusyLeavesTheFrameInTheBatchUntouched) {
  ring.used.store(ring.size);  // full, but the queue was woken too early
  add_frames(3);
  Skb* const first = frames.front();
  dev->xmit(queue, frames);
  EXPECT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames.front(), first);
  EXPECT_EQ(first->size(), 10u);
  EXPECT_EQ(queue.counters.packets.load(), 0u);
  EXPECT_TRUE(queue.stopped());
  complete(ring.size);
  dev->xmit(queue, frames);
  EXPECT_EQ(ring.sent, (std::vector<uint8_t>{0, 1, 2}));
}

TEST_F(TxQueueTest, MaybeStopLooksAgainAfterItStopped) {
  // A completion between the first look and the stop: nobody will wake the queue any more.
  int looks = 0;
  const auto room = [&] { return looks++ == 0 ? 0u : 1u; };
  EXPECT_FALSE(queue.maybe_stop(room, 1));
  EXPECT_FALSE(queue.stopped());
  EXPECT_EQ(looks, 2);
  EXPECT_TRUE(queue.maybe_stop([] { return 0u; }, 1));
  EXPECT_TRUE(queue.stopped());
  queue.start();
  EXPECT_FALSE(queue.maybe_stop([] { return 1u; }, 1));
  EXPECT_FALSE(queue.stopped());
}

TEST_F(TxQueueTest, ACompletionThatRacesWithTheStopNeverLeavesTheQueueStoppedForEver) {
  constexpr uint32_t kFrames = 3'000;
  ring.size = 2;
  Atomic<bool> sent_all{false};
  Thread completer("completer", [&] {
    while (!sent_all.load() || ring.used.load() != 0) {
      if (ring.used.load() != 0) complete(1);
      spin_pause();
    }
  });
  const Time deadline = soon();
  for (uint32_t i = 0; i < kFrames; ++i) {
    if (frames.empty()) add_frames(1);
    const uint32_t woken = port.woken.count();
    dev->xmit(queue, frames);
    while (!frames.empty() && Clock::now() < deadline) {
      if (queue.stopped()) port.woken.wait(woken + 1, std::chrono::milliseconds(100));
      dev->xmit(queue, frames);
    }
  }
  sent_all.store(true);
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(queue.counters.packets.load(), kFrames);
}

TEST_F(TxQueueTest, ADeviceWithoutCarrierDropsAndCounts) {
  dev->carrier_off();
  add_frames(3);
  dev->xmit(queue, frames);
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(queue.counters.dropped.load(), 3u);
  EXPECT_EQ(pool.available(), 64u) << "the frames are home";
  dev->carrier_on();
  add_frames(1);
  dev->xmit(queue, frames);
  EXPECT_EQ(ring.sent.size(), 1u);
}

TEST_F(TxQueueTest, ADeviceThatIsDownOrDetachedDropsAndCounts) {
  ASSERT_TRUE(dev->detach());
  add_frames(2);
  dev->xmit(queue, frames);
  EXPECT_EQ(queue.counters.dropped.load(), 2u);
  ASSERT_TRUE(dev->attach());
  ASSERT_TRUE(dev->close());
  add_frames(3);
  dev->xmit(queue, frames);
  EXPECT_EQ(queue.counters.dropped.load(), 5u);
  EXPECT_TRUE(ring.sent.empty());
  EXPECT_EQ(pool.available(), 64u);
}

TEST_F(TxQueueTest, QueuesAreStoppedByCloseAndOpenedByTheDriversOpen) {
  EXPECT_FALSE(queue.stopped());
  ASSERT_TRUE(dev->close());
  EXPECT_TRUE(queue.stopped());
  EXPECT_TRUE(dev->tx_queue(1).stopped());
  ring.start_in_open = false;
  ASSERT_TRUE(dev->open());
  EXPECT_TRUE(queue.stopped()) << "nobody but the driver knows when its ring is ready";
}

TEST_F(TxQueueTest, DetachStopsTheQueuesAndAttachWakesThem) {
  ASSERT_TRUE(dev->detach());
  EXPECT_TRUE(queue.stopped());
  ASSERT_TRUE(dev->attach());
  EXPECT_FALSE(queue.stopped());
  EXPECT_EQ(port.woken.count(), 2u) << "both queues";
}

TEST_F(TxQueueTest, CloseWaitsForAnXmitThatIsInTheDriver) {
  Event in_driver, go_on;
  ring.in_xmit = [&] {
    in_driver.set();
    go_on.wait();
  };
  add_frames(2);
  Thread sender("sender", [&] { dev->xmit(queue, frames); });
  ASSERT_TRUE(in_driver.wait());
  Event closed;
  Thread closer("closer", [&] {
    EXPECT_TRUE(dev->close());
    closed.set();
  });
  EXPECT_TRUE(closed.stays_away());
  go_on.set();
  sender.join();
  closer.join();
  EXPECT_TRUE(queue.stopped());
  const size_t sent = ring.sent.size();
  add_frames(1);
  dev->xmit(queue, frames);
  EXPECT_EQ(ring.sent.size(), sent) << "nobody enters the driver afterwards";
}

TEST_F(TxQueueTest, TwoSendersOnOneQueueTakeTurns) {
  ring.size = 1'000'000;
  Atomic<int> inside{0};
  Atomic<bool> two_inside{false};
  ring.in_xmit = [&] {
    if (inside.fetch_add(1) != 0) two_inside.store(true);
    inside.fetch_sub(1);
  };
  {
    Thread senders[3];
    for (Thread& sender : senders) {
      sender = Thread("sender", [&] {
        for (int i = 0; i < 500; ++i) {
          SkbBatch mine;
          pool.alloc(mine, 2);
          for (Skb* skb = mine.front(); skb != nullptr; skb = SkbBatch::next(*skb)) *skb->put(1) = 1;
          dev->xmit(queue, mine);
        }
      });
    }
  }
  EXPECT_FALSE(two_inside.load());
  EXPECT_EQ(queue.counters.packets.load(), ring.sent.size());
  EXPECT_EQ(pool.available(), 64u);
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
