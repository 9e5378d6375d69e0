// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/rx_handler.h"

#include <gtest/gtest.h>

#include <memory>

#include "testing/inet_frames.h"
#include "testing/nic.h"
#include "testing/port.h"
#include "testing/traffic.h"

namespace usernic {
namespace {

constexpr MacAddress kMac = MacAddress::from_u64(0x0200'0000'0001);

// Takes the frames of one number.
struct Taker final : RxHandler {
  explicit Taker(uint8_t number, Features kinds = {}) : number(number), kinds(kinds) {}
  ~Taker() override = default;
  const uint8_t number;
  const Features kinds;
  Frames taken;
  size_t passed = 0;  // frames that it was shown
  void receive(SkbBatch& frames) noexcept override {
    const BlockingByDesign a_test_may;
    SkbBatch rest;
    passed += frames.size();
    while (Skb* const skb = frames.pop_front()) skb->data()[14] == number ? taken.take(*skb) : rest.push_back(*skb);
    frames.splice(rest);
  }
  Features superframes() const noexcept override { return kinds; }
};

struct RxHandlerTest : testing::Test {
  Net net;
  SkbPool pool{8, 64};
  TestPort port;
  NetdevPtr nic = *net.alloc_netdev<TestNic>({.name = "nic0", .address = kMac});
  void SetUp() override { ASSERT_TRUE(nic->register_netdev() && nic->open() && nic->attach_port(port)); }
  void TearDown() override {
    if (nic != nullptr) nic->detach_port();
  }
  static Frame numbered(uint8_t number) { return frame(kMac, kMac, number); }
};

TEST_F(RxHandlerTest, EachStageTakesItsOwnAndThePortGetsTheRest) {
  Taker vlan(1), upper(2), other(3);
  {
    MutexGuard rtnl(net.rtnl());
    ASSERT_TRUE(register_rx_handler(*nic, RxStage::kUpper, upper) && register_rx_handler(*nic, RxStage::kVlan, vlan));
    EXPECT_EQ(outcome(register_rx_handler(*nic, RxStage::kUpper, other)), "EBUSY");
    EXPECT_EQ(rx_handler(*nic, RxStage::kUpper), &upper);
    unregister_rx_handler(*nic, RxStage::kUpper, other);  // not his
  }
  receive(*nic, pool, {numbered(3), numbered(2), numbered(1), numbered(4), numbered(2)});
  EXPECT_EQ(vlan.taken.now(), All{numbered(1)});
  EXPECT_EQ(upper.taken.now(), (All{numbered(2), numbered(2)}));
  EXPECT_EQ(port.received.now(), (All{numbered(3), numbered(4)}));
  MutexGuard rtnl(net.rtnl());
  unregister_rx_handler(*nic, RxStage::kUpper, upper);
  receive(*nic, pool, {numbered(2)});
  EXPECT_EQ(port.received.now(), All{numbered(2)});
}

// Else it is cut before the first of them sees it.
TEST_F(RxHandlerTest, ASuperframeIsWholeForHandlersThatAllTakeIt) {
  SkbPool segments{16, 1600}, large{2, 20'000, &segments};
  const Features tcp{Feature::kTso4};
  Taker vlan_takes(1, tcp), vlan_takes_none(1), upper_takes(2, tcp), upper_takes_none(2);
  const auto shown = [&](Taker* vlan, Taker& upper) {
    MutexGuard rtnl(net.rtnl());
    const size_t before = upper.passed;
    EXPECT_TRUE(register_rx_handler(*nic, RxStage::kUpper, upper));
    if (vlan != nullptr) {
      EXPECT_TRUE(register_rx_handler(*nic, RxStage::kVlan, *vlan));
    }
    SkbBatch batch;
    batch.push_back(superframe(large, {.payload_bytes = 14'600}, 1460));
    nic->receive(batch);
    if (vlan != nullptr) unregister_rx_handler(*nic, RxStage::kVlan, *vlan);
    unregister_rx_handler(*nic, RxStage::kUpper, upper);
    return upper.passed - before;
  };
  EXPECT_EQ(shown(nullptr, upper_takes), 1u);
  EXPECT_EQ(shown(&vlan_takes, upper_takes), 1u);
  EXPECT_EQ(shown(&vlan_takes, upper_takes_none), 10u);
  EXPECT_EQ(shown(&vlan_takes_none, upper_takes), 10u);
  EXPECT_EQ(port.received.now().size(), 40u) << "it takes none";
}

TEST_F(RxHandlerTest, ADeviceThatIsDownDropsAndOneThatGoesHasNoHandlers) {
  Taker taker(1);
  {
    MutexGuard rtnl(net.rtnl());
    ASSERT_TRUE(register_rx_handler(*nic, RxStage::kUpper, taker));
  }
  ASSERT_TRUE(nic->close());
  receive(*nic, pool, {numbered(1)});
  EXPECT_EQ(nic->stats().rx_dropped, 1u);
  EXPECT_EQ(taker.taken.now(), All{});
  nic->detach_port();
  nic->unregister_netdev();
  MutexGuard rtnl(net.rtnl());
  EXPECT_EQ(rx_handler(*nic, RxStage::kUpper), nullptr);
  EXPECT_EQ(outcome(register_rx_handler(*nic, RxStage::kUpper, taker)), "ENODEV");
}

TEST_F(RxHandlerTest, SynchronizeWaitsForTheSectionsThatBeganBefore) {
  Event synchronized;
  auto section = std::make_unique<RxSection>(*nic);
  Thread waiter("waiter", [&] {
    MutexGuard rtnl(net.rtnl());
    synchronize_rx(*nic);
    synchronized.set();
  });
  EXPECT_TRUE(synchronized.stays_away());
  { RxSection later(*nic); }
  section.reset();
  EXPECT_TRUE(synchronized.wait());
}

// Readers never stop, and what they look at is freed behind them.
TEST_F(RxHandlerTest, WhatIsTakenOutIsReadByNobodyOnceSynchronized) {
  Atomic<Atomic<uint32_t>*> current{new Atomic<uint32_t>{0}};
  Atomic<bool> stop{false};
  const auto read = [&] {
    while (!stop.load()) {
      RxSection section(*nic);
      EXPECT_EQ(current.load()->load(), 0u);
    }
  };
  Thread readers[] = {Thread("read-1", read), Thread("read-2", read)};
  for (int i = 0; i < 2'000; ++i) {
    Atomic<uint32_t>* const old = current.exchange(new Atomic<uint32_t>{0});
    MutexGuard rtnl(net.rtnl());
    synchronize_rx(*nic);
    old->store(1);
    delete old;
  }
  stop.store(true);
  for (Thread& each : readers) each.join();
  delete current.load();
}

}  // namespace
}  // namespace usernic
