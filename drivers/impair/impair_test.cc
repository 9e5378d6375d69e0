// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/impair/impair.h"

#include <gtest/gtest.h>

#include <bit>

#include "testing/drops.h"
#include "testing/nic.h"
#include "testing/octet_port.h"
#include "testing/port.h"
#include "testing/traffic.h"
#include "usernic/address_list.h"
#include "usernic/rx_mode.h"

namespace usernic {
namespace {

constexpr MacAddress kNicMac = MacAddress::from_u64(0x0200'0000'0001);
constexpr MacAddress kPeer = MacAddress::from_u64(0x0200'0000'0099);
constexpr MacAddress kGroup = MacAddress::from_u64(0x0300'0000'0001);
constexpr uint32_t kMany = 200;

using Ways = std::pair<Way, const char*>;

struct ImpairTest : testing::Test {
  Net net;
  SkbPool pool{64, 1518};
  TestPort nic_port, port;
  NetdevPtr nic = *net.alloc_netdev<TestNic>({.name = "nic0", .address = kNicMac});
  TestNic& card = TestNic::of(*nic);
  NetdevPtr bad;

  void SetUp() override { ASSERT_TRUE(nic->register_netdev() && nic->open() && nic->attach_port(nic_port)); }
  void TearDown() override {
    if (bad != nullptr) bad->detach_port();
    if (nic != nullptr) nic->detach_port();
  }
  void make(const ImpairConfig& config) {
    if (bad != nullptr) bad->detach_port();
    bad.reset();
    bad = *Impair::probe(net, {.name = "bad0"}, *nic, config);
    ASSERT_EQ(outcome(bad->register_netdev()), "ok");
    ASSERT_TRUE(bad->open() && bad->attach_port(port));
    bad->lane().flush();
    ASSERT_TRUE(bad->carrier_ok());
  }
  static Frame numbered(uint32_t number, Way way) {
    Frame octets = way == Way::kIn ? frame(kNicMac, kPeer, 0) : frame(kPeer, kNicMac, 0);
    octets[20] = static_cast<uint8_t>(number >> 8), octets[21] = static_cast<uint8_t>(number);
    return octets;
  }
  static uint32_t number_of(const Frame& octets) { return uint32_t{octets[20]} << 8 | octets[21]; }
  Frames& heard(Way way) { return way == Way::kIn ? port.received : card.sent; }
  void pass(Way way, uint32_t from, uint32_t to) {
    for (uint32_t number = from; number < to; ++number) {
      way == Way::kIn ? receive(*nic, pool, {numbered(number, way)}) : send(*bad, pool, {numbered(number, way)});
    }
  }
  void pass_batches(Way way, uint32_t count) {
    constexpr uint32_t kBatch = 8;
    for (uint32_t first = 0; first < count; first += kBatch) {
      All batch;
      for (uint32_t number = first; number < first + kBatch; ++number) batch.push_back(numbered(number, way));
      way == Way::kIn ? receive(*nic, pool, batch) : send(*bad, pool, batch);
    }
  }
  static std::vector<uint32_t> numbers(const All& frames) {
    std::vector<uint32_t> all;
    for (const Frame& each : frames) all.push_back(number_of(each));
    return all;
  }
  uint64_t counter(const std::string& name) {
    const auto all = named_counters(*bad);
    for (const NamedCounter& each : *all) {
      if (each.name == name) return each.value;
    }
    ADD_FAILURE() << "no counter " << name;
    return 0;
  }
};

constexpr Ways kWays[] = {{Way::kIn, "in_"}, {Way::kOut, "out_"}};

TEST_F(ImpairTest, AGoodWireIsTheDeviceBelow) {
  make({});
  EXPECT_EQ(bad->address(), kNicMac);
  ASSERT_TRUE(bad->mc().add(kGroup) && bad->rx_mode().set_allmulti(1) && bad->rx_mode().settle(soon()));
  EXPECT_TRUE(nic->mc().contains(kGroup));
  EXPECT_EQ(nic->rx_mode().status().allmulti, 1u);
  for (const auto& [way, name] : kWays) {
    pass(way, 0, 3);
    EXPECT_EQ(heard(way).now(), (All{numbered(0, way), numbered(1, way), numbered(2, way)}));
    EXPECT_EQ(counter(std::string(name) + "frames"), 3u);
  }
  EXPECT_EQ(nic_port.received.now(), All{}) << "it takes all";
  EXPECT_EQ(outcome(bad->change_mtu(1501)), "ERANGE");
  nic->carrier_off();
  bad->lane().flush();
  EXPECT_FALSE(bad->carrier_ok());
}

// Exactly the frames of the seed are lost, of the ways that are asked for.
TEST_F(ImpairTest, FramesAreLostAsTheSeedSays) {
  for (const ImpairedWays which : {ImpairedWays::kBoth, ImpairedWays::kIn, ImpairedWays::kOut}) {
    const ImpairConfig config{.direction = which, .loss_ppm = 300'000, .seed = 11};
    make(config);
    for (const auto& [way, name] : kWays) {
      const bool harmed = which == ImpairedWays::kBoth || (which == ImpairedWays::kIn) == (way == Way::kIn);
      std::vector<uint32_t> expected;
      for (uint32_t n = 0; n < kMany; ++n) {
        if (!harmed || !fate_of(config, way, n).lost) expected.push_back(n);
      }
      pass(way, 0, kMany);
      EXPECT_EQ(numbers(heard(way).now()), expected);
      EXPECT_EQ(counter(std::string(name) + "lost"), kMany - expected.size());
    }
  }
}

TEST_F(ImpairTest, OneBitIsTurnedBehindTheHeader) {
  make({.corrupt_ppm = kImpairPpm, .seed = 5});
  for (const auto& [way, name] : kWays) {
    pass(way, 0, kMany);
    const All all = heard(way).now();
    ASSERT_EQ(all.size(), kMany);
    for (uint32_t n = 0; n < kMany; ++n) {
      const Frame sent = numbered(n, way);
      int turned = 0;
      for (size_t i = 0; i < sent.size(); ++i) {
        const int here = std::popcount(static_cast<unsigned>(sent[i] ^ all[n][i]));
        EXPECT_TRUE(here == 0 || i >= 14) << i;
        turned += here;
      }
      EXPECT_EQ(turned, 1);
    }
  }
  receive(*nic, pool, {Frame(14, 2)});
  EXPECT_EQ(port.received.now(), All{Frame(14, 2)}) << "nothing to turn";
}

TEST_F(ImpairTest, ADelayedFrameIsNotEarlyAndStaysInItsOrder) {
  make({.delay_us = 20'000, .jitter_us = 20'000, .seed = 9});
  for (const auto& [way, name] : kWays) {
    pass_batches(way, kMany);
    std::vector<uint32_t> expected(kMany);
    for (uint32_t n = 0; n < kMany; ++n) expected[n] = n;
    EXPECT_EQ(numbers(heard(way).wait(kMany)), expected);
  }
  make({.delay_us = 30'000});
  const Time before = Clock::now();
  pass(Way::kIn, 0, 1);
  port.received.wait(1);
  EXPECT_GE(Clock::now() - before, std::chrono::milliseconds(30));
}

TEST_F(ImpairTest, ADoubledFrameArrivesTwiceAndOrderStays) {
  for (const ImpairConfig& config :
       {ImpairConfig{.duplicate_ppm = 300'000, .seed = 2},
        ImpairConfig{.duplicate_ppm = 300'000, .delay_us = 500, .jitter_us = 500, .seed = 2}}) {
    make(config);
    for (const auto& [way, name] : kWays) {
      std::vector<uint32_t> expected;
      for (uint32_t n = 0; n < kMany; ++n) expected.insert(expected.end(), 1 + fate_of(config, way, n).duplicated, n);
      pass_batches(way, kMany);
      EXPECT_EQ(numbers(heard(way).wait(static_cast<uint32_t>(expected.size()))), expected);
      EXPECT_EQ(counter(std::string(name) + "duplicated"), expected.size() - kMany);
    }
  }
}

// Somebody who believed in it would hand on what is not what was sent.
TEST_F(ImpairTest, ADamagedFramesSumIsNotVerifiedAnyMore) {
  make({.direction = ImpairedWays::kIn, .corrupt_ppm = kImpairPpm});
  OctetPort octets{{}};
  bad->detach_port();
  ASSERT_TRUE(bad->attach_port(octets));
  SkbBatch batch;
  put(batch, pool, numbered(0, Way::kIn));
  batch.front()->set_offload({.sum = FrameSum::kVerified});
  nic->receive(batch);
  ASSERT_EQ(octets.now().size(), 1u);
  EXPECT_EQ(octets.offloads[0].sum, FrameSum::kNone);
  bad->detach_port();
  ASSERT_TRUE(bad->attach_port(port));
}

// Those of the seed come after frames that were sent later; all others are in order.
TEST_F(ImpairTest, TheOvertakenComeLateAndHoldNobodyBack) {
  const ImpairConfig config{.reorder_ppm = 100'000, .reorder_us = 100'000, .seed = 21};
  make(config);
  for (const auto& [way, name] : kWays) {
    std::vector<uint32_t> first, late;
    for (uint32_t n = 0; n < kMany; ++n) (fate_of(config, way, n).overtaken ? late : first).push_back(n);
    ASSERT_GT(late.size(), 5u);
    pass(way, 0, kMany);
    EXPECT_EQ(counter(std::string(name) + "overtaken"), late.size());
    const std::vector<uint32_t> all = numbers(heard(way).wait(kMany));
    std::vector<uint32_t> in_order, overtaken;
    for (const uint32_t n : all) (fate_of(config, way, n).overtaken ? overtaken : in_order).push_back(n);
    EXPECT_EQ(in_order, first);
    EXPECT_EQ(overtaken, late);
  }
}

// A thousand are under way at most: the rest is dropped and counted, and the buffers are back at the end.
TEST_F(ImpairTest, WhatHasNoRoomIsDroppedAndWhoClosesDropsWhatIsUnderWay) {
  make({.delay_us = 10'000'000});
  SkbPool& copies = net.shared_pool(nic->mtu_max() + kFrameOverhead);
  const uint32_t all = copies.available();
  for (const auto& [way, name] : kWays) {
    Drops drops(*bad);
    pass(way, 0, ImpairedWay::kHeldMax + 7);
    EXPECT_EQ(counter(std::string(name) + "no_room"), 7u);
    const std::string to = way == Way::kIn ? "in: " : "out: ";
    EXPECT_EQ(drops.take(), DropNotes(7, to + "too much is on the impaired wire"));
  }
  Drops drops(*bad);
  EXPECT_EQ(copies.available(), all - 2 * ImpairedWay::kHeldMax);
  ASSERT_TRUE(bad->close());
  const DropNotes under_way = drops.take();
  ASSERT_EQ(under_way.size(), 2 * ImpairedWay::kHeldMax);
  EXPECT_EQ(under_way.front(), "in: the device was closed while it was on the impaired wire");
  EXPECT_EQ(copies.available(), all);
  EXPECT_EQ(card.sent.now(), All{});
  ASSERT_TRUE(bad->open());
  bad->lane().flush();
  pass(Way::kOut, 0, 1);
  EXPECT_EQ(copies.available(), all - 1);
}

// Frames that are due while the card is full wait, and go on in their order.
TEST_F(ImpairTest, WhatTheCardHasNoRoomForGoesOnLater) {
  make({.direction = ImpairedWays::kOut, .delay_us = 1000});
  card.tx_full.store(true);
  pass(Way::kOut, 0, 10);
  EXPECT_TRUE(eventually([&] { return nic->tx_queue(0).stopped(); }));
  pass(Way::kOut, 10, 20);
  card.tx_full.store(false);
  nic->tx_queue(0).wake();
  std::vector<uint32_t> expected(20);
  for (uint32_t n = 0; n < 20; ++n) expected[n] = n;
  EXPECT_EQ(numbers(card.sent.wait(20)), expected);
}

// Traffic both ways while the device is opened, closed and unregistered, and the card below goes away.
TEST_F(ImpairTest, ItComesAndGoesUnderTraffic) {
  const ImpairConfig config{.loss_ppm = 100'000,
                            .duplicate_ppm = 100'000,
                            .delay_us = 200,
                            .jitter_us = 200,
                            .reorder_ppm = 100'000,
                            .reorder_us = 100,
                            .seed = 1};
  SkbPool& copies = net.shared_pool(nic->mtu_max() + kFrameOverhead);
  const uint32_t all = copies.available();
  for (int round = 0; round < 10; ++round) {
    make(config);
    Traffic traffic(pool, *bad, {numbered(1, Way::kOut), numbered(2, Way::kOut)}, *nic, {numbered(3, Way::kIn)});
    ASSERT_TRUE(traffic.flows(20));
    ASSERT_TRUE(bad->close() && bad->open());
    ASSERT_TRUE(traffic.flows(20));
    if (round % 2 == 0) {
      ASSERT_TRUE(nic->close() && nic->open());
      ASSERT_TRUE(traffic.flows(20));
    }
  }
  bad->detach_port();
  bad.reset();
  EXPECT_TRUE(eventually([&] { return copies.available() == all; }));
}

TEST_F(ImpairTest, ADeviceHasOneTakerOfItsFrames) {
  make({});
  const NetdevPtr second = *Impair::probe(net, {.name = "bad1"}, *nic, {});
  EXPECT_EQ(outcome(second->register_netdev()), "EBUSY");
  EXPECT_EQ(outcome(Impair::probe(net, {.name = "bad2"}, *nic, {.jitter_us = 1})), "EINVAL");
}

}  // namespace
}  // namespace usernic
