// SPDX-License-Identifier: Apache-2.0 OR MIT
// What an upper device sends: a batch goes down as a batch, and rings one doorbell.
#include <array>
#include <functional>

#include "core/stack/lower_link_fixture.h"
#include "testing/drops.h"
#include "testing/inet_frames.h"
#include "testing/port.h"
#include "testing/traffic.h"

namespace usernic {
namespace {

// A NIC that counts what it is given, and takes what the test says.
struct BellNic {
  explicit BellNic(NetDevice& dev) : dev_(dev) {}
  Result<> open() {
    if (opening) return std::exchange(opening, nullptr)();
    dev_.tx_queue(0).start();
    return {};
  }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING {
    const uint32_t number = taken.count() + 1;
    if (flickers) {  // full, it seems, and then it is not
      queue.stop();
      for (int i = 0; i < 20; ++i) spin_pause();
      queue.start();
    }
    SkbPool::free(skb);
    if (!more) ++doorbells;
    if (number == stops_at || (stops_every != 0 && number % stops_every == 0)) queue.stop();
    taken.set();
    return drops_every != 0 && number % drops_every == 0 ? NetdevTx::kDropped : NetdevTx::kOk;
  }
  Event taken;
  uint32_t doorbells = 0;
  uint32_t stops_at = 0, stops_every = 0, drops_every = 0;
  bool flickers = false;
  std::function<Result<>()> opening;

 private:
  NetDevice& dev_;
};

// Adds four octets to each frame, and sends it on one of its lowers.
struct TagUpper {
  static constexpr uint32_t kTag = 4;
  explicit TagUpper(NetDevice& dev) : dev_(dev), changed_([] {}, &dev) {}
  ~TagUpper() { changed_.cancel_sync(); }
  Result<> open() {
    dev_.tx_queue(0).start();
    return {};
  }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool) noexcept USERNIC_NONBLOCKING {
    if (++frames == drops) {
      SkbPool::free(skb);
      return NetdevTx::kDropped;
    }
    (void)skb.push(kTag);
    return links_[frames % links_.size()]->xmit(skb, queue);
  }
  uint32_t frames = 0, drops = 0;  // `drops`: the number of one that goes no further

  Result<> add(NetDevice& lower) {
    MutexGuard rtnl(dev_.net().rtnl());
    links_.push_back(std::make_unique<LowerLink>(dev_, dev_.lane(), changed_));
    return links_.back()->link(lower);
  }
  void unlink() {
    MutexGuard rtnl(dev_.net().rtnl());
    for (const auto& each : links_) each->unlink();
  }

 private:
  NetDevice& dev_;
  Work changed_;
  std::vector<std::unique_ptr<LowerLink>> links_;
};

struct LowerXmitTest : testing::Test {
  static constexpr uint32_t kFrames = 32, kBytes = 60;
  Net net;
  SkbPool pool{64, 256};
  Duration patience = std::chrono::seconds(5);

  template <class Driver>
  NetdevPtr make() {
    NetdevPtr dev = *net.alloc_netdev<Driver>({.name = "d%d", .watchdog = patience});
    EXPECT_EQ(outcome(dev->register_netdev()), "ok");
    EXPECT_EQ(outcome(dev->open()), "ok");
    return dev;
  }
  template <class Driver>
  static Driver& of(const NetdevPtr& dev) {
    return *static_cast<Driver*>(dev->driver());
  }
  NetdevPtr over(const NetdevPtr& lower) {
    NetdevPtr dev = make<TagUpper>();
    EXPECT_EQ(outcome(of<TagUpper>(dev).add(*lower)), "ok");
    return dev;
  }
  void sends(const NetdevPtr& dev, uint32_t frames = kFrames) {
    send(*dev, pool, All(frames, Frame(kBytes)));
    EXPECT_EQ(pool.available(), 64u);
  }
  static std::string counts(const NetdevPtr& dev) {
    const LinkStats stats = dev->stats();
    return fmt::format("{} sent of {} octets, {} dropped", stats.tx_packets, stats.tx_bytes, stats.tx_dropped);
  }
};

TEST_F(LowerXmitTest, ABatchRingsOneDoorbellHoweverManyDevicesAreAbove) {
  const NetdevPtr low = make<BellNic>(), middle = over(low), top = over(middle);
  sends(top);
  EXPECT_EQ(of<BellNic>(low).taken.count(), kFrames);
  EXPECT_EQ(of<BellNic>(low).doorbells, 1u);
  EXPECT_EQ(counts(top), "32 sent of 1920 octets, 0 dropped");
  EXPECT_EQ(counts(middle), "32 sent of 2048 octets, 0 dropped");
  sends(top, 1);
  EXPECT_EQ(of<BellNic>(low).doorbells, 2u);
}

TEST_F(LowerXmitTest, TheDoorbellIsRungWhenTheLastFrameGoesNoFurther) {
  const NetdevPtr low = make<BellNic>(), up = over(low);
  of<TagUpper>(up).drops = kFrames;
  sends(up);
  EXPECT_EQ(of<BellNic>(low).taken.count(), kFrames - 1);
  EXPECT_EQ(of<BellNic>(low).doorbells, 1u);
  EXPECT_EQ(counts(up), "31 sent of 1860 octets, 1 dropped");
}

TEST_F(LowerXmitTest, WhatALowerDropsIsDroppedAndCountedAbove) {
  const NetdevPtr low = make<BellNic>(), up = over(low);
  of<BellNic>(low).drops_every = 4;
  sends(up);
  EXPECT_EQ(counts(up), "24 sent of 1440 octets, 8 dropped");
  low->carrier_off();
  sends(up);
  EXPECT_EQ(counts(up), "24 sent of 1440 octets, 40 dropped");
}

TEST_F(LowerXmitTest, WhatALowerDropsIsSeenToBeDroppedThere) {
  const NetdevPtr low = make<BellNic>(), up = over(low);
  Drops above(*up), below(*low);
  low->carrier_off();
  sends(up, 1);
  EXPECT_EQ(below.take(), DropNotes{"out: the device has no carrier"});
  EXPECT_EQ(above.take(), DropNotes{"out: by the device below"});
}

// Back-pressure: nothing is lost that a lower's queue has no room for, however many devices are above it.
struct BackPressureTest : LowerXmitTest {
  NetdevPtr low = make<BellNic>(), middle = over(low), top = over(middle);
  TestPort port;
  void SetUp() override { ASSERT_TRUE(top->attach_port(port)); }
  void TearDown() override {
    top->detach_port();
    top.reset(), middle.reset();
    EXPECT_EQ(pool.available(), 64u);
  }
  // What is left of a batch, to be sent when the port is woken.
  uint32_t left_of(uint32_t frames) {
    SkbBatch batch;
    for (uint32_t i = 0; i < frames; ++i) put(batch, pool, Frame(kBytes));
    top->xmit(top->tx_queue(0), batch);
    return batch.size();
  }
  bool wakes(uint32_t before) const { return port.woken.wait(before + 1); }
};

TEST_F(BackPressureTest, WhatHasNoRoomWaitsAndNothingMoreIsTaken) {
  of<BellNic>(low).stops_at = 10;
  EXPECT_EQ(left_of(32), 0u);
  EXPECT_EQ(of<BellNic>(low).taken.count(), 10u);
  EXPECT_EQ(pool.available(), 64u - 22u);
  EXPECT_TRUE(middle->tx_queue(0).xmit_stopped());
  EXPECT_EQ(left_of(5), 0u) << "those above wait by themselves";
  EXPECT_TRUE(top->tx_queue(0).xmit_stopped());
  EXPECT_EQ(left_of(5), 5u);
  const uint32_t before = port.woken.count();
  low->tx_queue(0).wake();
  ASSERT_TRUE(wakes(before));
  EXPECT_FALSE(middle->tx_queue(0).xmit_stopped() || top->tx_queue(0).xmit_stopped());
  EXPECT_EQ(of<BellNic>(low).taken.count(), 37u);
  EXPECT_EQ(counts(top), "37 sent of 2220 octets, 0 dropped");
  EXPECT_EQ(left_of(5), 0u);
  EXPECT_EQ(of<BellNic>(low).taken.count(), 42u);
}

TEST_F(BackPressureTest, ALoneFrameWaitsToo) {
  low->tx_queue(0).stop();
  EXPECT_EQ(left_of(1), 0u);
  EXPECT_EQ(left_of(1), 0u) << "in the queue of the one above";
  EXPECT_EQ(left_of(1), 1u);
  const uint32_t before = port.woken.count();
  low->tx_queue(0).wake();
  ASSERT_TRUE(wakes(before));
  EXPECT_EQ(of<BellNic>(low).taken.count(), 2u);
}

// Whatever becomes of the lower, nobody waits for a queue that is not woken any more.
TEST_F(BackPressureTest, ALowerThatGoesDownOrAwayHoldsNobodyBack) {
  const auto ways = std::to_array<std::function<void()>>(
      {[&] { low->carrier_off(); }, [&] { ASSERT_TRUE(low->close()); }, [&] { ASSERT_TRUE(low->detach()); },
       [&] { of<TagUpper>(middle).unlink(); }});
  for (const auto& end : ways) {
    if (!low->present()) {
      ASSERT_TRUE(low->attach());
    }
    low->carrier_on();
    ASSERT_TRUE(low->open());
    low->tx_queue(0).stop();
    ASSERT_EQ(left_of(4), 0u);
    ASSERT_EQ(left_of(4), 0u);
    ASSERT_TRUE(top->tx_queue(0).xmit_stopped());
    const uint32_t before = port.woken.count();
    end();
    ASSERT_TRUE(wakes(before));
    EXPECT_FALSE(top->tx_queue(0).xmit_stopped());
    EXPECT_EQ(pool.available(), 64u);
  }
}

TEST_F(BackPressureTest, WhoClosesDropsWhatWaits) {
  low->tx_queue(0).stop();
  ASSERT_EQ(left_of(4), 0u);
  ASSERT_TRUE(middle->close());
  EXPECT_EQ(pool.available(), 64u);
  EXPECT_FALSE(middle->tx_queue(0).xmit_stopped() && !middle->tx_queue(0).stopped());
  ASSERT_TRUE(middle->open());
  low->tx_queue(0).wake();
  EXPECT_EQ(left_of(3), 0u);
  EXPECT_EQ(of<BellNic>(low).taken.count(), 3u);
}

TEST_F(BackPressureTest, WhatWaitsAndIsDroppedSaysWhy) {
  Drops drops(*middle);
  low->tx_queue(0).stop();
  ASSERT_EQ(left_of(2), 0u);
  ASSERT_TRUE(middle->close() && middle->open());
  constexpr const char* kClosed = "out: the device was closed before there was room below";
  EXPECT_EQ(drops.take(), (DropNotes{kClosed, kClosed}));
  low->tx_queue(0).stop();
  ASSERT_EQ(left_of(1), 0u);
  of<TagUpper>(middle).unlink();
  EXPECT_EQ(drops.take(), DropNotes{"out: it waited for a device that is not below any more"});
  EXPECT_EQ(left_of(1), 0u);
  EXPECT_EQ(drops.take(), DropNotes{"out: there is no device below"});
}

// What waits is neither sent nor dropped, and counts once when it goes.
TEST_F(BackPressureTest, WhatWaitsCountsWhenItGoes) {
  low->tx_queue(0).stop();
  ASSERT_EQ(left_of(4), 0u);
  EXPECT_EQ(counts(top), "4 sent of 240 octets, 0 dropped") << "they are the next one's";
  EXPECT_EQ(counts(middle), "0 sent of 0 octets, 0 dropped");
  low->tx_queue(0).wake();
  EXPECT_TRUE(eventually([&] { return counts(middle) == "4 sent of 256 octets, 0 dropped"; })) << counts(middle);
}

TEST_F(BackPressureTest, WhatWaitsAndIsDroppedIsNotSent) {
  const auto ways = std::to_array<std::function<void()>>(
      {[&] { ASSERT_TRUE(middle->close() && middle->open()); }, [&] { low->carrier_off(); }});
  uint32_t dropped = 0;
  for (const auto& end : ways) {
    low->tx_queue(0).stop();
    ASSERT_EQ(left_of(4), 0u);
    end();
    dropped += 4;
    const std::string expected = fmt::format("0 sent of 0 octets, {} dropped", dropped);
    EXPECT_TRUE(eventually([&] { return counts(middle) == expected; })) << counts(middle);
  }
}

TEST_F(BackPressureTest, ALowerWhoseOpenFailsHoldsNobodyBack) {
  ASSERT_TRUE(low->close());
  of<BellNic>(low).opening = [&] {
    EXPECT_EQ(left_of(4), 0u) << "it runs already, and its queue is not started";
    EXPECT_TRUE(middle->tx_queue(0).xmit_stopped());
    return fail(std::errc::io_error);
  };
  EXPECT_EQ(outcome(low->open()), "EIO");
  EXPECT_TRUE(eventually([&] { return !middle->tx_queue(0).xmit_stopped(); }));
  EXPECT_EQ(counts(middle), "0 sent of 0 octets, 4 dropped");
}

// An upper that takes superframes, over one that does not, and sends them as they are.
struct SuperUpper {
  explicit SuperUpper(NetDevice& dev) : dev_(dev), changed_([] {}, &dev), link(dev, dev.lane(), changed_) {}
  ~SuperUpper() { changed_.cancel_sync(); }
  Features hw_features() const { return {Feature::kTxSum, Feature::kTso4}; }
  Result<> open() {
    dev_.tx_queue(0).start();
    return {};
  }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool) noexcept USERNIC_NONBLOCKING { return link.xmit(skb, queue); }

 private:
  NetDevice& dev_;
  Work changed_;

 public:
  LowerLink link;
};

TEST_F(LowerXmitTest, ASuperframeIsAsManyFramesAsTheLowerMakesOfIt) {
  SkbPool segments{64, 1600}, large{4, 70'000, &segments};
  const NetdevPtr low = make<BellNic>(), up = make<SuperUpper>();
  {
    MutexGuard rtnl(net.rtnl());
    ASSERT_TRUE(of<SuperUpper>(up).link.link(*low));
  }
  const auto sends = [&](uint32_t supers) {
    SkbBatch batch;
    for (uint32_t n = 0; n < supers; ++n) batch.push_back(superframe(large, {.payload_bytes = 14'600}, 1460));
    up->xmit(up->tx_queue(0), batch);
    EXPECT_TRUE(batch.empty());
  };
  sends(1);
  EXPECT_EQ(counts(low), "10 sent of 15140 octets, 0 dropped");
  EXPECT_EQ(counts(up), "10 sent of 15140 octets, 0 dropped");
  sends(2);
  EXPECT_EQ(counts(up), "30 sent of 45420 octets, 0 dropped");
  of<BellNic>(low).drops_every = 10;
  sends(1);
  EXPECT_EQ(counts(up), "39 sent of 59046 octets, 1 dropped");
  of<BellNic>(low).drops_every = 0, of<BellNic>(low).stops_at = of<BellNic>(low).taken.count() + 4;
  sends(1);
  EXPECT_EQ(counts(up), "43 sent of 65102 octets, 1 dropped") << "six wait";
  low->tx_queue(0).wake();
  EXPECT_TRUE(of<BellNic>(low).taken.wait(50));
  EXPECT_TRUE(eventually([&] { return counts(up) == "49 sent of 74186 octets, 1 dropped"; })) << counts(up);
  MutexGuard rtnl(net.rtnl());
  of<SuperUpper>(up).link.unlink();
}

// Nobody tells when there are buffers for segments again.
TEST_F(LowerXmitTest, WhatFindsNoBuffersBelowIsTriedAgain) {
  SkbPool segments{16, 1600}, large{4, 70'000, &segments};
  const NetdevPtr low = make<BellNic>(), up = make<SuperUpper>();
  {
    MutexGuard rtnl(net.rtnl());
    ASSERT_TRUE(of<SuperUpper>(up).link.link(*low));
  }
  SkbBatch away, batch;
  segments.alloc(away, 16);
  batch.push_back(superframe(large, {.payload_bytes = 14'600}, 1460));
  EXPECT_EQ(up->xmit(up->tx_queue(0), batch), 10u);
  EXPECT_TRUE(up->tx_queue(0).xmit_stopped());
  EXPECT_EQ(counts(up), "0 sent of 0 octets, 0 dropped");
  SkbPool::free(away);
  EXPECT_TRUE(of<BellNic>(low).taken.wait(10));
  EXPECT_TRUE(eventually([&] { return counts(up) == "10 sent of 15140 octets, 0 dropped"; })) << counts(up);
  EXPECT_FALSE(up->tx_queue(0).xmit_stopped());
  MutexGuard rtnl(net.rtnl());
  of<SuperUpper>(up).link.unlink();
}

// The card stops and is woken again and again, by another thread, while frames come, from others as well, in whose
// start_xmit a stop is taken back without a word: each arrives, in order.
TEST_F(BackPressureTest, NoWakeIsMissed) {
  constexpr uint32_t kAll = 20'000;
  of<BellNic>(low).stops_every = 7;
  of<BellNic>(low).flickers = true;
  SkbPool others{8, 256};
  Atomic<bool> stop{false};
  Thread waker("waker", [&] {
    while (!stop.load()) {
      if (low->tx_queue(0).stopped()) low->tx_queue(0).wake();
      spin_pause();
    }
  });
  Thread other("other", [&] {
    while (!stop.load()) {
      SkbBatch one;
      put(one, others, Frame(kBytes));
      low->xmit(low->tx_queue(0), one);
      SkbPool::free(one);
    }
  });
  struct AtTheEnd {  // whatever the outcome, threads that are waited for have an end
    Atomic<bool>& stop;
    ~AtTheEnd() { stop.store(true); }
  } at_the_end{stop};
  SkbBatch batch;
  for (uint32_t sent = 0; sent < kAll || !batch.empty();) {
    const uint32_t before = port.woken.count();
    for (; batch.size() < 16 && sent < kAll; ++sent) put(batch, pool, Frame(kBytes));
    top->xmit(top->tx_queue(0), batch);
    const bool goes_on = batch.empty() || !top->tx_queue(0).xmit_stopped() || wakes(before);
    ASSERT_TRUE(goes_on);
  }
  EXPECT_TRUE(eventually([&] { return middle->stats().tx_packets == kAll; })) << counts(middle);
}

TEST_F(LowerXmitTest, TheWatchdogMissesTheLowersQueueAndNotThoseThatWaitForIt) {
  testing::internal::CaptureStderr();
  patience = std::chrono::milliseconds(20);
  const NetdevPtr low = make<BellNic>(), up = over(low);
  low->tx_queue(0).stop();
  SkbBatch batch;
  put(batch, pool, Frame(kBytes));
  EXPECT_EQ(up->xmit(batch), 1u);
  EXPECT_TRUE(up->tx_queue(0).xmit_stopped());
  EXPECT_TRUE(eventually([&] { return low->stats().tx_timeouts != 0; }));
  EXPECT_EQ(up->stats().tx_timeouts, 0u);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(said.contains("d0 (driver BellNic): TX queue 0 is stopped")) << said;
  EXPECT_FALSE(said.contains("d1")) << said;
}

TEST_F(LowerXmitTest, AnUpperMaySpreadABatchOverItsLowers) {
  const NetdevPtr first = make<BellNic>(), second = make<BellNic>(), up = over(first);
  ASSERT_EQ(outcome(of<TagUpper>(up).add(*second)), "ok");
  sends(up);
  EXPECT_EQ(of<BellNic>(first).taken.count(), kFrames / 2);
  EXPECT_EQ(of<BellNic>(second).taken.count(), kFrames / 2);
  EXPECT_NE(of<BellNic>(first).doorbells, 0u);
  EXPECT_NE(of<BellNic>(second).doorbells, 0u);
  EXPECT_EQ(counts(up), "32 sent of 1920 octets, 0 dropped");
}

TEST_F(LowerXmitTest, WithoutALowerFramesAreDropped) {
  const NetdevPtr low = make<BellNic>(), up = over(low);
  of<TagUpper>(up).unlink();
  sends(up);
  EXPECT_EQ(counts(up), "0 sent of 0 octets, 32 dropped");
}

}  // namespace
}  // namespace usernic
