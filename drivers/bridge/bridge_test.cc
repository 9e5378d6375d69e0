// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/bridge/bridge.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "testing/drops.h"
#include "testing/nic.h"
#include "testing/port.h"
#include "testing/traffic.h"
#include "usernic/address_list.h"
#include "usernic/rx_handler.h"
#include "usernic/rx_mode.h"

namespace usernic {
namespace {

constexpr MacAddress kBridgeMac = MacAddress::from_u64(0x0200'0000'00b0);
constexpr MacAddress kGroup = MacAddress::from_u64(0x0300'0000'0001);
constexpr MacAddress kBroadcast = MacAddress::from_u64(0xffff'ffff'ffff);
constexpr MacAddress kLldp = MacAddress::from_u64(0x0180'c200'000e);
constexpr MacAddress station(uint64_t n) {
  return MacAddress::from_u64(0x0200'0000'0100 + n);
}

struct BridgeTest : testing::Test {
  static constexpr size_t kPorts = 3;
  Net net;
  SkbPool pool{64, 1518};
  TestPort port, low_ports[kPorts];
  NetdevPtr lows[kPorts] = {nic(0), nic(1), nic(2)};
  NetdevPtr dev = *Bridge::probe(net, {.name = "br0", .address = kBridgeMac});
  Bridge& bridge = Bridge::of(*dev);

  NetdevPtr nic(size_t n) {
    NetdevPtr low =
        *net.alloc_netdev<TestNic>({.name = "nic%d", .address = MacAddress::from_u64(0x0200'0000'0010 + n)});
    EXPECT_EQ(outcome(low->register_netdev()), "ok");
    EXPECT_EQ(outcome(low->attach_port(low_ports[n])), "ok");
    EXPECT_EQ(outcome(low->open()), "ok");
    return low;
  }
  static TestNic& card(const NetdevPtr& low) { return TestNic::of(*low); }
  void SetUp() override {
    ASSERT_TRUE(dev->register_netdev() && dev->attach_port(port));
    for (NetdevPtr& low : lows) ASSERT_EQ(outcome(bridge.add_port(*low)), "ok");
    ASSERT_TRUE(dev->open());
    dev->lane().flush();
    ASSERT_TRUE(dev->carrier_ok());
  }
  void TearDown() override {
    if (dev != nullptr) dev->detach_port();
    for (NetdevPtr& low : lows) {
      if (low != nullptr) low->detach_port();
    }
    EXPECT_EQ(pool.available(), 64u);
  }
  // Who got frames since the last call: "1 2 up", ports by number, "own 0" for the port's own stack.
  std::string heard() {
    std::string all;
    const auto add = [&](const std::string& who, Frames& frames) {
      const size_t count = frames.now().size();
      if (count != 0)
        all += fmt::format("{}{}{}", all.empty() ? "" : " ", who, count > 1 ? fmt::format("x{}", count) : "");
    };
    for (size_t n = 0; n < kPorts; ++n) {
      if (lows[n] == nullptr) continue;
      add(std::to_string(n), card(lows[n]).sent);
      add(fmt::format("own{}", n), low_ports[n].received);
    }
    add("up", port.received);
    return all;
  }
  std::string when_from(size_t n, const MacAddress& to, const MacAddress& from) {
    receive(*lows[n], pool, {frame(to, from, 1)});
    return heard();
  }
  std::string when_sent(const MacAddress& to) {
    send(*dev, pool, {frame(to, kBridgeMac, 1)});
    return heard();
  }
  void learn(size_t n, const MacAddress& who) { EXPECT_EQ(when_from(n, kBridgeMac, who), "up"); }
};

// The reception table: what comes in where, for whom, and who gets it.
TEST_F(BridgeTest, WhoReceivesWhat) {
  learn(1, station(1));
  ASSERT_TRUE(bridge.add_static(station(2), *lows[2]));
  const struct {
    const char* what;
    MacAddress to;
    const char *at0, *at1, *at2, *sent;
  } kTable[] = {
      {"the bridge's own", kBridgeMac, "up", "up", "up", "0 1 2"},
      {"known at port 1", station(1), "1", "", "1", "1"},
      {"static at port 2", station(2), "2", "2", "", "2"},
      {"known nowhere", station(9), "1 2", "0 2", "0 1", "0 1 2"},
      {"a group", kGroup, "1 2 up", "0 2 up", "0 1 up", "0 1 2"},
      {"a broadcast", kBroadcast, "1 2 up", "0 2 up", "0 1 up", "0 1 2"},
      {"a link-local group", kLldp, "own0", "own1", "own2", "0 1 2"},
      {"a port's own address", lows[0]->address(), "1 2", "0 2", "0 1", "0 1 2"},
  };
  for (const auto& row : kTable) {
    SCOPED_TRACE(row.what);
    const char* const at[] = {row.at0, row.at1, row.at2};
    for (size_t n = 0; n < kPorts; ++n) EXPECT_EQ(when_from(n, row.to, station(100 + n)), at[n]) << "in at port " << n;
    EXPECT_EQ(when_sent(row.to), row.sent) << "from above";
  }
  EXPECT_EQ(dev->stats().tx_dropped, 0u);
}

TEST_F(BridgeTest, FramesAreAsTheyWereWhoeverGetsThem) {
  const Frame one = tagged(frame(kGroup, station(1), 7), 5);
  receive(*lows[0], pool, {one});
  EXPECT_EQ(card(lows[1]).sent.now(), All{one});
  EXPECT_EQ(card(lows[2]).sent.now(), All{one});
  EXPECT_EQ(port.received.now(), All{one});
  send(*dev, pool, {one});
  for (const NetdevPtr& low : lows) EXPECT_EQ(card(low).sent.now(), All{one});
}

TEST_F(BridgeTest, ABatchKeepsItsOrderAtEachPort) {
  learn(1, station(1));
  All all, to_one;
  for (uint8_t n = 0; n < 20; ++n) {
    all.push_back(frame(n % 3 == 0 ? kGroup : n % 3 == 1 ? station(1) : station(9), station(0), n));
    to_one.push_back(all.back());
  }
  receive(*lows[0], pool, all);
  EXPECT_EQ(card(lows[1]).sent.now(), to_one);
}

TEST_F(BridgeTest, AStationThatMovesIsFollowedAtOnce) {
  learn(0, station(1));
  EXPECT_EQ(when_from(2, station(1), station(2)), "0");
  learn(1, station(1));
  EXPECT_EQ(when_from(2, station(1), station(2)), "1");
  EXPECT_EQ(when_from(1, station(1), station(2)), "") << "never back where it came from";
  const auto all = bridge.stations();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].port.get(), lows[1].get());
}

TEST_F(BridgeTest, NobodyTeachesItWhereItsOwnAddressIsOrAGroup) {
  EXPECT_EQ(when_from(0, station(1), kBridgeMac), "1 2");
  EXPECT_EQ(when_from(0, station(1), kGroup), "1 2");
  EXPECT_EQ(when_from(0, station(1), MacAddress{}), "1 2");
  EXPECT_TRUE(bridge.stations().empty());
  EXPECT_EQ(when_from(1, kBridgeMac, station(3)), "up");
}

TEST_F(BridgeTest, WhatIsTooShortForAFrameIsDropped) {
  receive(*lows[0], pool, {Frame(13)});
  send(*dev, pool, {Frame(13)});  // known nowhere
  EXPECT_EQ(heard(), "0 1 2");
  EXPECT_EQ(dev->stats().tx_dropped, 1u);
}

TEST_F(BridgeTest, WhatIsSentToItsOtherAddressesIsItsOwnToo) {
  ASSERT_TRUE(dev->uc().add(station(7)));
  EXPECT_EQ(when_from(0, station(7), station(1)), "up");
  ASSERT_TRUE(dev->rx_mode().set_promiscuity(1));
  learn(1, station(2));
  EXPECT_EQ(when_from(0, station(2), station(1)), "1 up");
  EXPECT_EQ(when_from(0, station(9), station(1)), "1 2 up");
}

TEST_F(BridgeTest, PortsArePromiscuousAndHearWhatTheBridgeWants) {
  ASSERT_TRUE(dev->mc().add(kGroup));
  for (const NetdevPtr& low : lows) {
    EXPECT_EQ(low->rx_mode().status().promiscuity, 1u);
    EXPECT_TRUE(low->mc().contains(kGroup) && low->uc().contains(kBridgeMac));
  }
  ASSERT_TRUE(dev->close());
  EXPECT_FALSE(lows[0]->mc().contains(kGroup));
  EXPECT_EQ(lows[0]->rx_mode().status().promiscuity, 1u) << "a port of a closed bridge is one";
  ASSERT_TRUE(bridge.remove_port(*lows[0]));
  EXPECT_EQ(lows[0]->rx_mode().status().promiscuity, 0u);
  ASSERT_TRUE(dev->open());
  EXPECT_FALSE(lows[0]->mc().contains(kGroup));
  EXPECT_TRUE(lows[1]->mc().contains(kGroup));
}

TEST_F(BridgeTest, AClosedBridgeForwardsNothing) {
  ASSERT_TRUE(dev->close());
  EXPECT_EQ(when_from(0, kGroup, station(1)), "");
  EXPECT_EQ(when_from(0, kLldp, station(1)), "own0");
  EXPECT_TRUE(bridge.stations().empty());
}

TEST_F(BridgeTest, APortThatLeavesIsForgotten) {
  learn(0, station(1));
  ASSERT_TRUE(bridge.add_static(station(2), *lows[0]));
  ASSERT_TRUE(bridge.remove_port(*lows[0]));
  EXPECT_EQ(outcome(bridge.remove_port(*lows[0])), "ENOENT");
  EXPECT_EQ(outcome(bridge.add_static(station(2), *lows[0])), "ENOENT");
  EXPECT_TRUE(bridge.stations().empty());
  EXPECT_EQ(when_from(1, station(1), station(3)), "2");
  EXPECT_EQ(when_from(0, kGroup, station(1)), "own0") << "it is a device of its own again";
  ASSERT_TRUE(bridge.add_port(*lows[0]));
  EXPECT_EQ(when_from(1, station(1), station(3)), "0 2");
}

TEST_F(BridgeTest, APortThatGoesOrHasNoCarrierIsLeftOut) {
  learn(0, station(1));
  lows[0]->carrier_off();
  dev->lane().flush();
  EXPECT_EQ(when_from(1, station(1), station(3)), "2") << "who was there may be elsewhere by now";
  lows[0]->carrier_on();
  learn(0, station(1));
  lows[0]->detach_port();
  lows[0].reset();
  dev->lane().flush();
  EXPECT_EQ(when_from(1, station(1), station(3)), "2");
  ASSERT_TRUE(lows[1]->close() && lows[2]->close());
  dev->lane().flush();
  EXPECT_FALSE(dev->carrier_ok());
}

TEST_F(BridgeTest, WhatCannotBeAPortIsRefused) {
  NetdevPtr other = *Bridge::probe(net, {.name = "br1"});
  EXPECT_EQ(outcome(Bridge::of(*other).add_port(*lows[0])), "ENODEV");
  ASSERT_TRUE(other->register_netdev());
  EXPECT_EQ(outcome(Bridge::of(*other).add_port(*lows[0])), "EBUSY");
  EXPECT_EQ(lows[0]->rx_mode().status().promiscuity, 1u);
  EXPECT_EQ(outcome(bridge.add_port(*lows[0])), "EEXIST");
  EXPECT_EQ(outcome(bridge.add_port(*dev)), "ELOOP");
  ASSERT_TRUE(bridge.add_port(*other)) << "a bridge at a bridge";
  ASSERT_TRUE(bridge.remove_port(*lows[0]) && Bridge::of(*other).add_port(*lows[0]));
  EXPECT_EQ(outcome(bridge.add_port(*lows[0])), "ELOOP") << "it is below a port already";
  EXPECT_EQ(outcome(bridge.add_static(kGroup, *lows[1])), "EADDRNOTAVAIL");
  bridge.remove_port(*other);
}

TEST_F(BridgeTest, ThereAreAtMostSixtyThreePorts) {
  std::vector<NetdevPtr> more;
  for (size_t n = kPorts; n <= Bridge::kPortsMax; ++n) {
    more.push_back(*net.alloc_netdev<TestNic>({.name = "more%d"}));
    ASSERT_TRUE(more.back()->register_netdev());
    EXPECT_EQ(outcome(bridge.add_port(*more.back())), n < Bridge::kPortsMax ? "ok" : "ENOSPC");
  }
}

TEST_F(BridgeTest, TheMtuIsThatOfTheSmallestAtMostAndWhatDoesNotFitGoesNowhere) {
  EXPECT_EQ(outcome(dev->change_mtu(1501)), "EINVAL");
  ASSERT_TRUE(lows[1]->change_mtu(1300));
  dev->lane().flush();
  EXPECT_EQ(dev->mtu(), 1300u);
  Frame wide = frame(kGroup, station(1), 1);
  wide.resize(1514);
  receive(*lows[0], pool, {wide});
  EXPECT_EQ(heard(), "2") << "port 2 takes it, port 1 and the bridge's own device do not";
  EXPECT_EQ(dev->stats().tx_dropped, 1u);
  EXPECT_EQ(lows[1]->stats().tx_dropped, 0u);
}

TEST_F(BridgeTest, WhatAPortDoesNotTakeIsCounted) {
  learn(1, station(1));
  lows[1]->tx_queue(0).stop();
  receive(*lows[0], pool, {frame(station(1), station(2), 1), frame(kGroup, station(2), 2)});
  EXPECT_EQ(heard(), "2 up");
  EXPECT_EQ(dev->stats().tx_dropped, 2u);
}

TEST_F(BridgeTest, WhatItSendsToNobodySaysWhy) {
  Drops drops(*dev);
  learn(1, station(1));
  ASSERT_TRUE(bridge.add_static(station(2), *lows[2]));
  lows[2]->carrier_off();
  send(*dev, pool, {frame(station(2), kBridgeMac, 1)});
  EXPECT_EQ(drops.take(), DropNotes{"out: its port is down"});
  dev->lane().park();  // it does not hear that its ports' MTUs shrink
  for (const NetdevPtr& low : lows) {
    ASSERT_TRUE(low->change_mtu(1300));
  }
  Frame wide = frame(station(1), kBridgeMac, 2);
  wide.resize(1514);
  send(*dev, pool, {wide});
  EXPECT_EQ(drops.take(), DropNotes{"out: longer than its port's MTU allows"});
  ASSERT_TRUE(lows[0]->change_mtu(1500));
  wide = frame(kGroup, kBridgeMac, 3);
  wide.resize(1514);
  send(*dev, pool, {wide});
  EXPECT_EQ(drops.take(), DropNotes{"out: longer than its port's MTU allows"}) << "of one port; another took it";
  EXPECT_EQ(heard(), "0");
  EXPECT_EQ(dev->stats().tx_dropped, 3u);
  for (const NetdevPtr& low : lows) low->carrier_off();
  send(*dev, pool, {frame(kGroup, kBridgeMac, 4)});
  EXPECT_EQ(drops.take(), DropNotes{"out: no port is up"});
  dev->lane().unpark();
}

TEST_F(BridgeTest, WithoutABufferForACopyOneOfThemDoesNotGetIt) {
  Drops drops(*dev);
  SkbPool& copies = net.shared_pool(dev->mtu_max() + kFrameOverhead);
  SkbBatch away;
  copies.alloc(away, copies.available());
  receive(*lows[0], pool, {frame(kGroup, station(1), 1)});
  EXPECT_EQ(drops.take(), (DropNotes{"in: there was no buffer for a copy", "out: there was no buffer for a copy"}));
  send(*dev, pool, {frame(kGroup, kBridgeMac, 2)});
  EXPECT_EQ(drops.take().size(), 2u);
  EXPECT_EQ(heard(), "2x2") << "the last one gets the frame itself";
  EXPECT_EQ(dev->stats().tx_dropped, 4u);
}

TEST_F(BridgeTest, ItsEndGivesThePortsBack) {
  learn(0, station(1));
  dev->detach_port();
  dev.reset();
  for (const NetdevPtr& low : lows) EXPECT_EQ(low->rx_mode().status().promiscuity, 0u);
  EXPECT_EQ(when_from(0, kGroup, station(1)), "own0");
  MutexGuard rtnl(net.rtnl());
  EXPECT_EQ(rx_handler(*lows[0], RxStage::kUpper), nullptr);
  EXPECT_TRUE(uppers_of(*lows[0]).empty());
}

TEST_F(BridgeTest, PortsComeAndGoWhileFramesAreOnTheirWay) {
  {
    const Traffic one(pool, *dev, {frame(kGroup, kBridgeMac, 1)}, *lows[0], {frame(station(2), station(1), 2)});
    const Traffic two(pool, *dev, {frame(station(1), kBridgeMac, 3)}, *lows[1], {frame(kGroup, station(2), 4)});
    for (int i = 0; i < 50; ++i) {
      NetDevice& low = *lows[static_cast<size_t>(i) % kPorts];
      ASSERT_EQ(outcome(bridge.remove_port(low)), "ok");
      const bool again = i % 7 != 0 || (dev->close() && dev->open());
      ASSERT_TRUE(again);
      ASSERT_TRUE(one.flows() && two.flows());
      ASSERT_EQ(outcome(bridge.add_port(low)), "ok");
    }
    lows[2]->detach_port();
    lows[2]->unregister_netdev();
    ASSERT_TRUE(one.flows() && two.flows());
  }
  heard();
}

}  // namespace
}  // namespace usernic
