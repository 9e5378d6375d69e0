// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/frame_tap.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "testing/addresses.h"
#include "testing/inet_frames.h"
#include "testing/nic.h"
#include "testing/plain_driver.h"
#include "testing/port.h"
#include "testing/traffic.h"
#include "testing/unseen_by_clang.h"
#include "usernic/address_list.h"
#include "usernic/device_handle.h"
#include "usernic/rx_handler.h"
#include "usernic/rx_mode.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic {
namespace {

using std::chrono::seconds;

constexpr MacAddress kOwn = MacAddress::from_u64(0x0200'0000'0001);
constexpr uint32_t kMtu = 1500;

// Answers as it is told.
struct AnsweringDriver : PlainDriver {
  using PlainDriver::PlainDriver;
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool) noexcept USERNIC_NONBLOCKING {
    if (says.text() != nullptr) return drop_in_xmit(skb, queue, std::exchange(says, {}));
    const NetdevTx now = std::exchange(answer, NetdevTx::kOk);
    now == NetdevTx::kBusy ? queue.stop() : SkbPool::free(skb);
    return now;
  }
  Result<> change_mtu(uint32_t) { return {}; }
  NetdevTx answer = NetdevTx::kOk;
  DropReason says;
};

// "out 1", "in 2: why it was dropped"; by the first octet of the payload.
class NotingTap final : public FrameTap {
 public:
  uint64_t see(const Skb& skb, FrameWay way) noexcept override {
    const BlockingByDesign a_test_may;
    EXPECT_TRUE(on.load());
    SpinGuardBh guard(lock_);
    sizes_.push_back(skb.total_size());
    const int number = skb.size() > 14 ? skb.data()[14] : -1;
    pending_.push_back((way == FrameWay::kIn ? "in " : "out ") + std::to_string(number));
    return pending_.size() - 1;
  }
  void settle(uint64_t seen, FrameFate fate, DropReason why) noexcept override {
    const BlockingByDesign a_test_may;
    SpinGuardBh guard(lock_);
    EXPECT_EQ(fate == FrameFate::kDropped, why.text() != nullptr);
    std::string note = pending_.at(seen);
    if (fate == FrameFate::kNotTaken) note += " not taken";
    if (why.text() != nullptr) note += std::string(": ") + why.text();
    notes_.push_back(note);
  }
  void rx_mode_changed() noexcept override { rx_mode.set(); }
  void gone() noexcept override {
    was_told.set();
    on.store(false);
  }
  std::vector<std::string> take() {
    SpinGuardBh guard(lock_);
    return std::exchange(notes_, {});
  }
  std::vector<uint32_t> sizes() {
    SpinGuardBh guard(lock_);
    return std::exchange(sizes_, {});
  }
  Event rx_mode, was_told;
  Atomic<bool> on{true};

 private:
  static constexpr LockClass kClass{"noting_tap"};
  SpinLock lock_{kClass};
  std::vector<std::string> pending_, notes_;
  std::vector<uint32_t> sizes_;
};

using Notes = std::vector<std::string>;

struct FrameTapTest : testing::Test {
  Net net;
  SkbPool pool{32, 4000};
  TestPort port;
  NotingTap tap;
  NetdevPtr dev = *net.alloc_netdev<AnsweringDriver>({.name = "nic0", .address = kOwn, .mtu = kMtu});
  AnsweringDriver& driver = *static_cast<AnsweringDriver*>(dev->driver());

  void SetUp() override {
    ASSERT_TRUE(dev->register_netdev() && dev->open() && dev->attach_port(port));
    ASSERT_TRUE(attach_tap(*dev, tap));
  }
  void TearDown() override {
    if (dev == nullptr) return;
    detach_tap(*dev, tap);
    dev->detach_port();
  }
  static Frame numbered(uint8_t number, size_t size = 60) {
    Frame octets = frame(kOwn, kOwn, number);
    octets.resize(size);
    return octets;
  }
};

TEST_F(FrameTapTest, WhatIsSentAndReceivedIsSeenAndStaysWhereItGoes) {
  send(*dev, pool, {numbered(1), numbered(2)});
  receive(*dev, pool, {numbered(3), numbered(4)});
  EXPECT_EQ(tap.take(), (Notes{"out 1", "out 2", "in 3", "in 4"}));
  EXPECT_EQ(port.received.now(), (All{numbered(3), numbered(4)}));
  EXPECT_EQ(pool.available(), 32u);
  detach_tap(*dev, tap);
  send(*dev, pool, {numbered(5)});
  receive(*dev, pool, {numbered(6)});
  EXPECT_EQ(tap.take(), Notes{});
}

TEST_F(FrameTapTest, WhatNobodyTakesIsDroppedWithAReason) {
  dev->detach_port();
  receive(*dev, pool, {numbered(1)});
  EXPECT_EQ(tap.take(), (Notes{"in 1", "in 1: the device has no port"}));
  ASSERT_TRUE(dev->attach_port(port));
}

TEST_F(FrameTapTest, ReceivedFramesAreSeenBeforeAHandlerTakesThem) {
  struct : RxHandler {
    void receive(SkbBatch& frames) noexcept override { SkbPool::free(frames); }
  } takes_all;
  {
    MutexGuard rtnl(net.rtnl());
    ASSERT_TRUE(register_rx_handler(*dev, RxStage::kUpper, takes_all));
  }
  receive(*dev, pool, {numbered(1)});
  EXPECT_EQ(tap.take(), Notes{"in 1"});
  MutexGuard rtnl(net.rtnl());
  unregister_rx_handler(*dev, RxStage::kUpper, takes_all);
}

TEST_F(FrameTapTest, AFrameThatTheDriverHasNoRoomForIsSentOnceAndOneThatItDropsSaysSo) {
  driver.answer = NetdevTx::kBusy;
  SkbBatch frames;
  put(frames, pool, numbered(1));
  dev->xmit(dev->tx_queue(0), frames);
  EXPECT_EQ(tap.take(), Notes{"out 1 not taken"});
  dev->tx_queue(0).wake();
  dev->xmit(dev->tx_queue(0), frames);
  EXPECT_EQ(tap.take(), Notes{"out 1"});
  driver.answer = NetdevTx::kDropped;
  send(*dev, pool, {numbered(2)});
  EXPECT_EQ(tap.take(), Notes{"out 2: by the driver"});
}

TEST_F(FrameTapTest, AFrameThatTheDriverDropsAndSaysWhyIsSeenOnceWithThat) {
  driver.says = "it is a Monday";
  send(*dev, pool, {numbered(1), numbered(2)});
  EXPECT_EQ(tap.take(), (Notes{"out 1: it is a Monday", "out 2"}));
  driver.answer = NetdevTx::kDropped;
  send(*dev, pool, {numbered(3)});
  EXPECT_EQ(tap.take(), Notes{"out 3: by the driver"}) << "what was said is of one frame";
  EXPECT_EQ(dev->stats().tx_dropped, 2u);
  EXPECT_EQ(pool.available(), 32u);
  detach_tap(*dev, tap);
  driver.says = "nobody hears it";
  send(*dev, pool, {numbered(4)});
  EXPECT_EQ(dev->stats().tx_dropped, 3u);
}

TEST_F(FrameTapTest, WhatIsDroppedIsSeenWithTheReason) {
  ASSERT_TRUE(dev->change_mtu(500));
  send(*dev, pool, {numbered(1, 519), numbered(2, 518)});
  receive(*dev, pool, {numbered(3, 519), numbered(4, 518)});
  EXPECT_EQ(tap.take(),
            (Notes{"out 1: longer than the MTU allows", "out 2", "in 3: longer than the MTU allows", "in 4"}));
  dev->carrier_off();
  send(*dev, pool, {numbered(5), numbered(6)});
  dev->carrier_on();
  EXPECT_EQ(tap.take(), (Notes{"out 5: the device has no carrier", "out 6: the device has no carrier"}));
  ASSERT_TRUE(dev->detach());
  send(*dev, pool, {numbered(7)});
  ASSERT_TRUE(dev->attach());
  EXPECT_EQ(tap.take(), Notes{"out 7: the device is absent"});
  ASSERT_TRUE(dev->close());
  send(*dev, pool, {numbered(8)});
  receive(*dev, pool, {numbered(9)});
  EXPECT_EQ(tap.take(), (Notes{"out 8: the device is down", "in 9: the device is down"}));

  SkbBatch mine;
  put(mine, pool, numbered(10));
  note_drop(*dev, *mine.front(), FrameWay::kIn, "the port has no use for it");
  EXPECT_EQ(tap.take(), Notes{"in 10: the port has no use for it"});
}

TEST_F(FrameTapTest, ASuperframeThatTheCoreCutsIsSeenAsWhatTheDriverGets) {
  SkbPool large(2, 70'000, &pool);
  const auto send_one = [&](Skb& skb) {
    SkbBatch frames;
    frames.push_back(skb);
    dev->xmit(dev->tx_queue(0), frames);
  };
  send_one(superframe(large, {.payload_bytes = 3000}, 1460));
  EXPECT_EQ(tap.sizes(), (std::vector<uint32_t>{1514, 1514, 134}));
  tap.take();
  Skb& bad = superframe(large, {.payload_bytes = 3000}, 1460);
  bad.data()[14] = 0x15;  // an IPv4 header that is too short
  send_one(bad);
  EXPECT_EQ(tap.take(), Notes{"out 21: it is not what its offload says"});
  SkbPool shorter(2, 1000), longer(1, 70'000, &shorter);
  send_one(superframe(longer, {.payload_bytes = 3000}, 1460));
  EXPECT_EQ(tap.take(), Notes{"out 69: no buffer is long enough for its segments"});
}

TEST_F(FrameTapTest, ADeviceHasSoManyAndOneThatIsGoneHasNone) {
  std::vector<std::unique_ptr<NotingTap>> others;
  for (uint32_t i = 1; i < kFrameTapsMax; ++i) {
    others.push_back(std::make_unique<NotingTap>());
    ASSERT_TRUE(attach_tap(*dev, *others.back()));
  }
  NotingTap late;
  EXPECT_EQ(outcome(attach_tap(*dev, late)), "EBUSY");
  send(*dev, pool, {numbered(1)});
  for (const auto& each : others) EXPECT_EQ(each->take(), Notes{"out 1"});
  detach_tap(*dev, *others[3]);
  EXPECT_TRUE(attach_tap(*dev, late)) << "there is room again";

  const DeviceHandle handle(*dev);
  dev->detach_port();
  dev.reset();
  EXPECT_TRUE(tap.was_told.wait() && late.was_told.wait());
  EXPECT_EQ(others[3]->was_told.count(), 0u);
  EXPECT_EQ(outcome(attach_tap(*handle, tap)), "ENODEV");
  detach_tap(*handle, tap);
}

TEST_F(FrameTapTest, DetachWaitsForTheCallsThatBeganBefore) {
  struct Slow final : FrameTap {
    Event inside, go_on;
    uint64_t see(const Skb&, FrameWay) noexcept override {
      inside.set();
      go_on.wait();
      return 0;
    }
    void settle(uint64_t, FrameFate, DropReason) noexcept override {}
  } slow;
  ASSERT_TRUE(attach_tap(*dev, slow));
  Event detached;
  Thread sender("sender", [&] { send(*dev, pool, {numbered(1)}); });
  ASSERT_TRUE(slow.inside.wait());
  Thread detacher("detacher", [&] {
    detach_tap(*dev, slow);
    detached.set();
  });
  EXPECT_TRUE(detached.stays_away());
  slow.go_on.set();
  EXPECT_TRUE(detached.wait());
}

TEST_F(FrameTapTest, ItHearsThatTheFilterDoesSomethingElse) {
  const NetdevPtr nic = *net.alloc_netdev<TestNic>({.name = "nic1", .address = kOwn});
  ASSERT_TRUE(nic->register_netdev() && nic->open());
  NotingTap on_nic;
  ASSERT_TRUE(attach_tap(*nic, on_nic));
  ASSERT_TRUE(nic->rx_mode().settle(Clock::now() + seconds(60)));
  const uint32_t before = on_nic.rx_mode.count();
  ASSERT_TRUE(nic->mc().add(mc(1)));
  EXPECT_TRUE(on_nic.rx_mode.wait(before + 1));
  ASSERT_TRUE(nic->rx_mode().settle(Clock::now() + seconds(60)));
  const uint32_t settled = on_nic.rx_mode.count();
  ASSERT_TRUE(nic->close());
  EXPECT_TRUE(on_nic.rx_mode.wait(settled + 1)) << "nothing is on the card of a device that is down";
  detach_tap(*nic, on_nic);
}

// Taps come and go, each freed as soon as it is off, while frames move both ways.
TEST_F(FrameTapTest, AttachedAndDetachedUnderTraffic) {
  struct Counting final : FrameTap {
    Atomic<uint32_t> open{0}, seen{0};
    Event came;
    ~Counting() { EXPECT_EQ(open.load(), 0u) << "each is settled before detach returns"; }
    uint64_t see(const Skb&, FrameWay) noexcept override { return open.fetch_add(1), seen.fetch_add(1); }
    void settle(uint64_t, FrameFate, DropReason) noexcept override {
      open.fetch_sub(1);
      came.set();
    }
  };
  const Traffic traffic(pool, *dev, {numbered(1)}, *dev, {numbered(2)});
  const auto come_and_go = [&] {
    for (int i = 0; i < 200; ++i) {
      auto mine = std::make_unique<Counting>();
      ASSERT_TRUE(attach_tap(*dev, *mine));
      EXPECT_TRUE(mine->came.wait(4));
      detach_tap(*dev, *mine);
      const uint32_t seen = mine->seen.load();
      EXPECT_EQ(mine->seen.load(), seen);
    }
  };
  Thread others[] = {Thread("taps-1", come_and_go), Thread("taps-2", come_and_go)};
  for (Thread& each : others) each.join();
  tap.take();
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
