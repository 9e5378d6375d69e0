// SPDX-License-Identifier: Apache-2.0 OR MIT
// What an upper device sends: a batch goes down as a batch, and rings one doorbell.
#include "core/stack/lower_link_fixture.h"
#include "testing/test_nic.h"

namespace usernic {
namespace {

// A NIC that counts what it is given, and takes what the test says.
struct BellNic {
  explicit BellNic(NetDevice& dev) : dev_(dev) {}
  Result<> open() {
    dev_.tx_queue(0).start();
    return {};
  }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    ++frames;
    if (!more) ++doorbells;
    if (frames == stops_at) queue.stop();
    return drops_every != 0 && frames % drops_every == 0 ? NetdevTx::kDropped : NetdevTx::kOk;
  }
  uint32_t frames = 0, doorbells = 0;
  uint32_t stops_at = 0, drops_every = 0;

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

  template <class Driver>
  NetdevPtr make() {
    NetdevPtr dev = *net.alloc_netdev<Driver>({.name = "d%d"});
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
  EXPECT_EQ(of<BellNic>(low).frames, kFrames);
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
  EXPECT_EQ(of<BellNic>(low).frames, kFrames - 1);
  EXPECT_EQ(of<BellNic>(low).doorbells, 1u);
  EXPECT_EQ(counts(up), "31 sent of 1860 octets, 1 dropped");
}

TEST_F(LowerXmitTest, WhatALowerDoesNotTakeIsDroppedAndCountedAbove) {
  const NetdevPtr low = make<BellNic>(), up = over(low);
  of<BellNic>(low).stops_at = 10;
  sends(up);
  EXPECT_EQ(counts(up), "10 sent of 600 octets, 22 dropped");
  low->tx_queue(0).start();
  of<BellNic>(low).stops_at = 0;
  of<BellNic>(low).drops_every = 4;
  sends(up);
  EXPECT_EQ(counts(up), "34 sent of 2040 octets, 30 dropped");
  low->carrier_off();
  sends(up);
  EXPECT_EQ(counts(up), "34 sent of 2040 octets, 62 dropped");
}

TEST_F(LowerXmitTest, AnUpperMaySpreadABatchOverItsLowers) {
  const NetdevPtr first = make<BellNic>(), second = make<BellNic>(), up = over(first);
  ASSERT_EQ(outcome(of<TagUpper>(up).add(*second)), "ok");
  sends(up);
  EXPECT_EQ(of<BellNic>(first).frames, kFrames / 2);
  EXPECT_EQ(of<BellNic>(second).frames, kFrames / 2);
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
