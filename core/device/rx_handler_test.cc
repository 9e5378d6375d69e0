// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/rx_handler.h"

#include <gtest/gtest.h>

#include <memory>

#include "testing/nic.h"
#include "testing/port.h"
#include "testing/traffic.h"

namespace usernic {
namespace {

constexpr MacAddress kMac = MacAddress::from_u64(0x0200'0000'0001);

// Takes the frames of one number.
struct Taker final : RxHandler {
  explicit Taker(uint8_t number) : number(number) {}
  ~Taker() override = default;
  const uint8_t number;
  Frames taken;
  void receive(SkbBatch& frames) noexcept override {
    const BlockingByDesign a_test_may;
    SkbBatch rest;
    while (Skb* const skb = frames.pop_front()) skb->data()[14] == number ? taken.take(*skb) : rest.push_back(*skb);
    frames.splice(rest);
  }
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
