// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/bond/bond.h"

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

constexpr MacAddress kBondMac = MacAddress::from_u64(0x0200'0000'00b0);
constexpr MacAddress kPeer = MacAddress::from_u64(0x0200'0000'0099);
constexpr MacAddress kGroup = MacAddress::from_u64(0x0300'0000'0001);
constexpr MacAddress kStp = MacAddress::from_u64(0x0180'c200'0000);
constexpr MacAddress mac(uint64_t n) {
  return MacAddress::from_u64(0x0200'0000'0010 + n);
}

struct BondTest : testing::Test {
  Net net;
  SkbPool pool{32, 1518};
  TestPort port, low_ports[2];
  NetdevPtr lows[2] = {nic(0), nic(1)};
  NetdevPtr dev = *Bond::probe(net, {.name = "bond0", .address = kBondMac});
  Bond& bond = Bond::of(*dev);

  NetdevPtr nic(uint64_t n) {
    NetdevPtr low = *net.alloc_netdev<TestNic>({.name = "nic%d", .address = mac(n)});
    EXPECT_EQ(outcome(low->register_netdev()), "ok");
    EXPECT_EQ(outcome(low->attach_port(low_ports[n])), "ok");
    return low;
  }
  static TestNic& card(const NetdevPtr& low) { return TestNic::of(*low); }
  void SetUp() override {
    ASSERT_TRUE(dev->register_netdev() && dev->attach_port(port));
    ASSERT_TRUE(bond.add_lower(*lows[0]) && bond.add_lower(*lows[1]) && dev->open());
    ASSERT_TRUE(port.carrier_ups.wait());
  }
  void TearDown() override {
    if (dev != nullptr) dev->detach_port();
    for (NetdevPtr& low : lows) {
      if (low != nullptr) low->detach_port();
    }
  }
  // The port hears of the carrier only, so what follows on the bond's own queue is looked at until it is so.
  bool becomes_active(const NetDevice* low) {
    return becomes([&] { return bond.active().get() == low; });
  }
  template <class Condition>
  static bool becomes(Condition&& condition) {
    const StopToken never;
    for (const Time deadline = soon(); !condition() && Clock::now() < deadline;) {
      (void)never.wait_until(Clock::now() + std::chrono::milliseconds(1));
    }
    return condition();
  }
};

TEST_F(BondTest, OnlyTheActiveOneSendsAndReceives) {
  EXPECT_EQ(bond.active().get(), lows[0].get());
  EXPECT_EQ(lows[0]->address(), kBondMac);
  EXPECT_EQ(lows[1]->address(), kBondMac);
  send(*dev, pool, {frame(kPeer, kBondMac, 1)});
  EXPECT_EQ(card(lows[0]).sent.now().size(), 1u);
  EXPECT_EQ(card(lows[1]).sent.now().size(), 0u);
  receive(*lows[0], pool, {frame(kBondMac, kPeer, 2), frame(kStp, kPeer, 3)});
  Drops drops(*lows[1]);
  receive(*lows[1], pool, {frame(kBondMac, kPeer, 4), frame(kStp, kPeer, 5)});
  EXPECT_EQ(drops.take(), DropNotes{"in: the device is not active in its bond"});
  EXPECT_EQ(port.received.now(), (All{frame(kBondMac, kPeer, 2), frame(kStp, kPeer, 3)}));
  EXPECT_EQ(low_ports[0].received.now().size(), 0u);
  EXPECT_EQ(low_ports[1].received.now(), All{frame(kStp, kPeer, 5)});
  EXPECT_EQ(pool.available(), 32u);
}

// A link aggregation of the same two NICs.
struct AggregateTest : BondTest {
  static constexpr MacAddress kLacp = MacAddress::from_u64(0x0180'c200'0002);
  NetdevPtr aggregate = *Bond::probe(net, {.name = "agg0", .address = mac(7)}, BondMode::k8023ad);
  Bond& both = Bond::of(*aggregate);
  TestPort up;

  void SetUp() override {
    ASSERT_TRUE(aggregate->register_netdev() && aggregate->attach_port(up) && aggregate->open());
    for (const NetdevPtr& low : lows) ASSERT_EQ(outcome(both.add_lower(*low)), "ok");
    ASSERT_TRUE(becomes([&] { return both.actives().size() == 2 && aggregate->carrier_ok(); }));
  }
  void TearDown() override {
    if (aggregate != nullptr) aggregate->detach_port();
    BondTest::TearDown();
  }
};

TEST_F(AggregateTest, TheGroupOfLacpIsWantedOfALowerAsLongAsItIsInIt) {
  ASSERT_TRUE(lows[0]->mc().contains(kLacp) && lows[1]->mc().contains(kLacp));
  lows[0]->carrier_off();
  ASSERT_TRUE(becomes([&] { return both.actives().size() == 1; }));
  EXPECT_TRUE(lows[0]->mc().contains(kLacp)) << "whether it is used or not";
  ASSERT_TRUE(aggregate->close());
  EXPECT_TRUE(lows[0]->mc().contains(kLacp) && lows[1]->mc().contains(kLacp));
  ASSERT_TRUE(both.remove_lower(*lows[0]));
  EXPECT_FALSE(lows[0]->mc().contains(kLacp));
  aggregate->detach_port();
  aggregate.reset();
  EXPECT_FALSE(lows[1]->mc().contains(kLacp));
  ASSERT_TRUE(dev->register_netdev() && bond.add_lower(*lows[0]));
  EXPECT_FALSE(lows[0]->mc().contains(kLacp)) << "an active-backup bond asks for nothing of the kind";
}

TEST_F(AggregateTest, EachReceivesAndLacpStaysWithItsOwnPort) {
  for (size_t n = 0; n < 2; ++n) {
    receive(*lows[n], pool, {frame(mac(7), kPeer, 1), frame(kLacp, kPeer, 2, 0x8809), frame(kGroup, kPeer, 3)});
    EXPECT_EQ(up.received.now(), (All{frame(mac(7), kPeer, 1), frame(kGroup, kPeer, 3)}));
    EXPECT_EQ(low_ports[n].received.now(), All{frame(kLacp, kPeer, 2, 0x8809)});
  }
}

TEST_F(AggregateTest, AFlowGoesOutByOneInOrderAndSeveralByAll) {
  All flows;
  for (uint8_t n = 0; n < 32; ++n) flows.push_back(frame(MacAddress::from_u64(0x0200'0000'0900 + n), mac(7), n));
  send(*aggregate, pool, flows);
  const All first = card(lows[0]).sent.now(), second = card(lows[1]).sent.now();
  EXPECT_EQ(first.size() + second.size(), flows.size());
  EXPECT_FALSE(first.empty() || second.empty());
  for (int round = 0; round < 2; ++round) {
    send(*aggregate, pool, flows);
    EXPECT_EQ(card(lows[0]).sent.now(), first) << "a flow stays where it is";
    EXPECT_EQ(card(lows[1]).sent.now(), second);
  }
  struct Ip {
    uint16_t type;
    uint8_t version;
    size_t last_octet;  // of the destination
  };
  for (const Ip& ip : {Ip{0x0800, 0x45, 14 + 19}, Ip{0x86dd, 0x60, 14 + 39}}) {
    Frame of_ip = frame(kPeer, mac(7), ip.version, ip.type);
    size_t by_first = 0;
    for (uint8_t n = 0; n < 32; ++n) {
      of_ip[ip.last_octet] = n;
      send(*aggregate, pool, {of_ip});
      by_first += card(lows[0]).sent.now().size();
      card(lows[1]).sent.now();
    }
    EXPECT_GT(by_first, 0u);
    EXPECT_LT(by_first, 32u);
  }
}

TEST_F(AggregateTest, WhatIsWantedIsWantedOfEachThatIsUsed) {
  ASSERT_TRUE(aggregate->mc().add(kGroup));
  EXPECT_TRUE(lows[0]->mc().contains(kGroup) && lows[1]->mc().contains(kGroup));
  lows[1]->carrier_off();
  ASSERT_TRUE(becomes([&] { return both.actives().size() == 1; }));
  EXPECT_TRUE(lows[0]->mc().contains(kGroup));
  EXPECT_FALSE(lows[1]->mc().contains(kGroup));
  send(*aggregate, pool, All(8, frame(kPeer, mac(7), 1)));
  EXPECT_EQ(card(lows[0]).sent.now().size(), 8u);
  receive(*lows[1], pool, {frame(mac(7), kPeer, 2)});
  EXPECT_EQ(up.received.now(), All{});
  EXPECT_EQ(outcome(both.set_primary(lows[0].get())), "EOPNOTSUPP");
  lows[0]->carrier_off();
  EXPECT_TRUE(becomes([&] { return !aggregate->carrier_ok(); }));
  lows[1]->carrier_on();
  EXPECT_TRUE(becomes([&] { return aggregate->carrier_ok() && lows[1]->mc().contains(kGroup); }));
}

TEST_F(AggregateTest, LowersComeAndGoWhileFramesAreOnTheirWay) {
  const Traffic one(pool, *aggregate, {frame(kPeer, mac(7), 1), frame(kGroup, mac(7), 2)}, *lows[0],
                    {frame(mac(7), kPeer, 3)});
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(both.remove_lower(*lows[i % 2]));
    ASSERT_TRUE(one.flows());
    ASSERT_TRUE(both.add_lower(*lows[i % 2]));
  }
}

TEST_F(BondTest, FailoverMovesEverythingThatIsWanted) {
  ASSERT_TRUE(dev->mc().add(kGroup) && dev->uc().add(kPeer) && dev->rx_mode().set_promiscuity(1));
  EXPECT_EQ(lows[1]->mc().size() + lows[1]->uc().size(), 0u);
  lows[0]->carrier_off();
  ASSERT_TRUE(becomes_active(lows[1].get()));
  EXPECT_EQ(lows[0]->mc().size() + lows[0]->uc().size(), 0u);
  EXPECT_EQ(lows[0]->rx_mode().status().promiscuity, 0u);
  EXPECT_TRUE(lows[1]->mc().contains(kGroup) && lows[1]->uc().contains(kPeer));
  EXPECT_EQ(lows[1]->rx_mode().status().promiscuity, 1u);
  send(*dev, pool, {frame(kPeer, kBondMac, 1)});
  EXPECT_EQ(card(lows[1]).sent.now().size(), 1u);
  lows[0]->carrier_on();
  dev->lane().flush();
  EXPECT_EQ(bond.active().get(), lows[1].get()) << "it stays until it fails";
  EXPECT_EQ(outcome(bond.set_primary(lows[0].get())), "ok");
  EXPECT_EQ(bond.active().get(), lows[0].get());
  ASSERT_TRUE(lows[0]->close());
  EXPECT_TRUE(becomes_active(lows[1].get()));
  ASSERT_TRUE(lows[0]->open());
  EXPECT_TRUE(becomes_active(lows[0].get())) << "the primary comes back";
  EXPECT_EQ(lows[1]->mc().size() + lows[1]->uc().size(), 0u);
}

// It is up, has the right address, and nothing happens to it: the bond looks at it all the same.
TEST_F(BondTest, ALowerThatNeedsNoChangeIsUsedToo) {
  NetdevPtr low = *net.alloc_netdev<TestNic>({.name = "nic%d", .address = kPeer});
  NetdevPtr other = *Bond::probe(net, {.name = "bond1", .address = kPeer});
  ASSERT_TRUE(low->register_netdev() && low->open() && other->register_netdev() && other->open());
  ASSERT_TRUE(becomes([&] { return other->ref_holders().empty(); })) << "what opening it queued has run";
  EXPECT_EQ(outcome(Bond::of(*other).add_lower(*low)), "ok");
  EXPECT_TRUE(becomes([&] { return Bond::of(*other).active().get() == low.get() && other->carrier_ok(); }));
}

TEST_F(BondTest, OnlyARegisteredBondTakesLowersIn) {
  ASSERT_TRUE(bond.remove_lower(*lows[1]));
  NetdevPtr other = *Bond::probe(net, {.name = "bond1", .address = kPeer});
  EXPECT_EQ(outcome(Bond::of(*other).add_lower(*lows[1])), "ENODEV");
  EXPECT_EQ(lows[1]->address(), mac(1));
}

TEST_F(BondTest, AClosedBondWantsNothingOfALowerAndHasNoCarrier) {
  ASSERT_TRUE(dev->close() && dev->mc().add(kGroup));
  lows[0]->carrier_off();
  ASSERT_TRUE(becomes_active(lows[1].get()));
  EXPECT_EQ(lows[1]->mc().size(), 0u);
  EXPECT_FALSE(dev->carrier_ok());
}

TEST_F(BondTest, WithoutAUsableOneThereIsNoCarrier) {
  const uint32_t downs = port.carrier_downs.count(), ups = port.carrier_ups.count();
  lows[0]->carrier_off();
  lows[1]->carrier_off();
  EXPECT_TRUE(port.carrier_downs.wait(downs + 1));
  EXPECT_FALSE(bond.active());
  send(*dev, pool, {frame(kPeer, kBondMac, 1)});
  EXPECT_EQ(dev->stats().tx_dropped, 1u);
  lows[1]->carrier_on();
  EXPECT_TRUE(port.carrier_ups.wait(ups + 1));
  EXPECT_EQ(bond.active().get(), lows[1].get());
}

TEST_F(BondTest, ALowerThatLeavesOrGoesIsReplaced) {
  ASSERT_TRUE(dev->mc().add(kGroup));
  EXPECT_EQ(outcome(bond.remove_lower(*lows[0])), "ok");
  EXPECT_EQ(lows[0]->address(), mac(0));
  EXPECT_EQ(lows[0]->mc().size(), 0u);
  EXPECT_EQ(bond.active().get(), lows[1].get());
  EXPECT_EQ(outcome(bond.remove_lower(*lows[0])), "ENOENT");
  receive(*lows[0], pool, {frame(mac(0), kPeer, 1)});
  EXPECT_EQ(low_ports[0].received.now().size(), 1u);
  ASSERT_TRUE(bond.add_lower(*lows[0]));
  lows[1]->detach_port();
  lows[1].reset();
  ASSERT_TRUE(becomes_active(lows[0].get()));
  EXPECT_TRUE(lows[0]->mc().contains(kGroup));
  EXPECT_EQ(lows[0]->mc().references(kGroup), 1u);
}

TEST_F(BondTest, WithoutALowerThereIsNoCarrierAndNothingIsSent) {
  ASSERT_TRUE(bond.remove_lower(*lows[1]));
  EXPECT_TRUE(dev->carrier_ok());
  ASSERT_TRUE(bond.remove_lower(*lows[0]));
  EXPECT_FALSE(dev->carrier_ok());
  dev->carrier_on();  // as a sender saw it just before
  Drops drops(*dev);
  send(*dev, pool, {frame(kPeer, kBondMac, 1)});
  EXPECT_EQ(drops.take(), DropNotes{"out: no device below is active"});
  EXPECT_EQ(dev->stats().tx_dropped, 1u);
  EXPECT_EQ(pool.available(), 32u);
}

TEST_F(BondTest, LowersOfAClosedBondCarryItWhenItIsOpened) {
  ASSERT_TRUE(dev->close());
  EXPECT_FALSE(dev->carrier_ok());
  ASSERT_TRUE(dev->open());
  EXPECT_TRUE(becomes([&] { return dev->carrier_ok(); }));
}

TEST_F(BondTest, ThePrimaryIsPreferredUntilItLeaves) {
  EXPECT_EQ(outcome(bond.set_primary(dev.get())), "ENOENT") << "it is none of its lowers";
  ASSERT_TRUE(bond.set_primary(lows[1].get()));
  EXPECT_EQ(bond.active().get(), lows[1].get());
  ASSERT_TRUE(bond.remove_lower(*lows[0]) && bond.add_lower(*lows[0]));
  lows[1]->carrier_off();
  ASSERT_TRUE(becomes_active(lows[0].get()));
  lows[1]->carrier_on();
  EXPECT_TRUE(becomes_active(lows[1].get())) << "whoever else left";
  ASSERT_TRUE(bond.remove_lower(*lows[1]) && bond.add_lower(*lows[1]));
  EXPECT_EQ(bond.active().get(), lows[0].get()) << "it is a lower like any other now";
}

TEST_F(BondTest, ALowerThatGoesIsFreed) {
  struct Mortal : TestNic {
    Mortal(NetDevice& dev, Event& end) : TestNic(dev), ended(end) {}
    ~Mortal() { ended.set(); }
    Event& ended;
  };
  Event ended;
  NetdevPtr low = *net.alloc_netdev<Mortal>({.name = "nic%d", .address = mac(2)}, ended);
  ASSERT_TRUE(low->register_netdev() && bond.add_lower(*low));
  low.reset();
  EXPECT_TRUE(ended.wait()) << "the bond keeps its memory";
}

// What waits for its lane does not come after it has its own address again.
TEST_F(BondTest, ALowerThatLeavesWhileANewAddressWaitsForItKeepsItsOwn) {
  lows[0]->lane().park();
  ASSERT_TRUE(dev->set_mac_address(mac(9)));
  ASSERT_TRUE(becomes([&] { return lows[1]->address() == mac(9); }));
  ASSERT_TRUE(bond.remove_lower(*lows[0]));
  lows[0]->lane().unpark();
  lows[0]->lane().flush();
  EXPECT_EQ(lows[0]->address(), mac(0));
}

TEST_F(BondTest, WhatBecomesOfALowerIsNoReasonToGiveItTheAddressAgain) {
  const uint32_t asked = card(lows[1]).asked_address.count();
  lows[0]->carrier_off();
  ASSERT_TRUE(becomes_active(lows[1].get()));
  ASSERT_TRUE(bond.set_primary(lows[0].get()));
  lows[0]->carrier_on();
  ASSERT_TRUE(becomes_active(lows[0].get()));
  lows[1]->lane().flush();
  EXPECT_EQ(card(lows[1]).asked_address.count(), asked);
}

TEST_F(BondTest, WhatIsTakenOrCannotIsLeftOut) {
  NetdevPtr other = *Bond::probe(net, {.name = "bond1"});
  ASSERT_TRUE(other->register_netdev());
  EXPECT_EQ(outcome(Bond::of(*other).add_lower(*lows[0])), "EBUSY");
  EXPECT_EQ(outcome(bond.add_lower(*lows[0])), "EEXIST");
  EXPECT_EQ(outcome(bond.add_lower(*dev)), "ELOOP");
  ASSERT_TRUE(bond.remove_lower(*lows[1]));
  card(lows[1]).address_answer = fail(std::errc::io_error);
  EXPECT_EQ(outcome(bond.add_lower(*lows[1])), "EIO");
  MutexGuard rtnl(net.rtnl());
  EXPECT_EQ(lowers_of(*dev).size(), 1u);
  EXPECT_EQ(rx_handler(*lows[1], RxStage::kUpper), nullptr);
}

TEST_F(BondTest, TheAddressOfTheBondIsThatOfItsLowers) {
  ASSERT_TRUE(dev->set_mac_address(mac(9)));
  EXPECT_TRUE(becomes([&] { return lows[0]->address() == mac(9) && lows[1]->address() == mac(9); }));
  EXPECT_EQ(lows[0]->uc().size(), 0u);
}

// A lower device whose lane is stuck keeps neither the others nor a failover waiting.
TEST_F(BondTest, AStuckLowerKeepsNobodyElseFromTheNewAddress) {
  lows[0]->lane().park();
  ASSERT_TRUE(dev->set_mac_address(mac(9)));
  EXPECT_TRUE(becomes([&] { return lows[1]->address() == mac(9); }));
  EXPECT_EQ(lows[0]->address(), kBondMac);
  EXPECT_TRUE(lows[0]->uc().contains(mac(9)));
  lows[0]->carrier_off();
  EXPECT_TRUE(becomes_active(lows[1].get()));
  lows[0]->lane().unpark();
  EXPECT_TRUE(becomes([&] { return lows[0]->address() == mac(9); }));
}

TEST_F(BondTest, ALowerThatRefusesTheNewAddressIsAskedOnceAChange) {
  TestNic& stubborn = card(lows[0]);
  stubborn.address_answer = fail(std::errc::io_error);
  const uint32_t before = stubborn.asked_address.count();
  ASSERT_TRUE(dev->set_mac_address(mac(9)));
  EXPECT_TRUE(becomes([&] { return lows[1]->address() == mac(9); }));
  EXPECT_TRUE(stubborn.asked_address.wait(before + 1));
  EXPECT_FALSE(stubborn.asked_address.wait(before + 10, kMoment));
  EXPECT_EQ(lows[0]->address(), kBondMac);
  EXPECT_TRUE(lows[0]->uc().contains(mac(9)));
}

TEST_F(BondTest, ABondGoesWhileALowerIsStuck) {
  lows[0]->lane().park();
  ASSERT_TRUE(dev->set_mac_address(mac(9)));
  EXPECT_TRUE(becomes([&] { return lows[1]->address() == mac(9); }));
  dev->detach_port();
  dev.reset();
  EXPECT_TRUE(becomes([&] { return lows[1]->address() == mac(1); }));
  EXPECT_EQ(lows[0]->address(), kBondMac);
  lows[0]->lane().unpark();
  EXPECT_TRUE(becomes([&] { return lows[0]->address() == mac(0); }));
}

TEST_F(BondTest, ALowerMayGoRightAfterTheBond) {
  lows[0]->lane().park();
  dev->detach_port();
  dev.reset();
  lows[0]->detach_port();
  lows[0]->lane().unpark();
  lows[0].reset();
}

TEST_F(BondTest, TheMtuIsThatOfTheSmallestAtMost) {
  EXPECT_EQ(outcome(dev->change_mtu(1501)), "EINVAL");
  ASSERT_TRUE(lows[1]->change_mtu(1300));
  EXPECT_TRUE(becomes([&] { return dev->mtu() == 1300; }));
}

TEST_F(BondTest, ClosingTakesEverythingBackAndItsEndFreesTheLowers) {
  ASSERT_TRUE(dev->mc().add(kGroup) && dev->close());
  EXPECT_EQ(lows[0]->mc().size(), 0u);
  EXPECT_FALSE(dev->carrier_ok());
  ASSERT_TRUE(dev->open());
  EXPECT_EQ(lows[0]->mc().size(), 1u);
  dev->detach_port();
  dev->unregister_netdev();
  {
    MutexGuard rtnl(net.rtnl());
    EXPECT_TRUE(uppers_of(*lows[0]).empty() && uppers_of(*lows[1]).empty()) << "as soon as it is nobody's device";
  }
  dev.reset();
  EXPECT_EQ(lows[0]->mc().size(), 0u);
  EXPECT_TRUE(becomes([&] { return lows[0]->address() == mac(0) && lows[1]->address() == mac(1); }));
  MutexGuard rtnl(net.rtnl());
  EXPECT_EQ(rx_handler(*lows[0], RxStage::kUpper), nullptr);
  EXPECT_TRUE(uppers_of(*lows[0]).empty());
}

// Who finds an address gone from the old one finds it on the new one.
TEST_F(BondTest, TheNewOneIsToldBeforeTheOldOneForgets) {
  for (uint64_t n = 0; n < 2'000; ++n) ASSERT_TRUE(dev->mc().add(MacAddress::from_u64(0x0300'0001'0000 + n)));
  ASSERT_TRUE(dev->mc().add(kGroup));
  Atomic<bool> stop{false}, from_first{true};
  Atomic<uint32_t> looks{0}, deaf{0};
  Thread watcher("watcher", [&] {
    while (!stop.load()) {
      if (from_first.load() && !lows[0]->mc().contains(kGroup) && !lows[1]->mc().contains(kGroup)) deaf.fetch_add(1);
      looks.fetch_add(1);
    }
  });
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(bond.set_primary(lows[1].get()));
    from_first.store(false);
    ASSERT_TRUE(becomes([&, seen = looks.load()] { return looks.load() > seen + 1; }));
    ASSERT_TRUE(bond.set_primary(lows[0].get()));
    from_first.store(true);
  }
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(bond.remove_lower(*lows[0]));
    from_first.store(false);
    ASSERT_TRUE(becomes([&, seen = looks.load()] { return looks.load() > seen + 1; }));
    ASSERT_TRUE(bond.add_lower(*lows[0]) && bond.set_primary(lows[0].get()));
    from_first.store(true);
  }
  stop.store(true);
  EXPECT_EQ(deaf.load(), 0u);
}

TEST_F(BondTest, LowersGoOneAfterTheOtherWhileFramesAreOnTheirWay) {
  const Traffic one(pool, *dev, {frame(kPeer, kBondMac, 1)}, *lows[0], {frame(kBondMac, kPeer, 2)});
  const Traffic two(pool, *dev, {frame(kPeer, kBondMac, 3)}, *lows[1], {frame(kBondMac, kPeer, 4)});
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(one.flows() && two.flows());
    lows[i]->detach_port();
    lows[i]->unregister_netdev();
    ASSERT_TRUE(one.flows() && two.flows());
    EXPECT_TRUE(becomes_active(i == 0 ? lows[1].get() : nullptr));
  }
  EXPECT_TRUE(becomes([&] { return !dev->carrier_ok(); }));
}

// Carriers flap, frames come and go, the bond opens and closes; in the end the active one has it all.
TEST_F(BondTest, FailoversUnderTrafficLoseNothingThatIsWanted) {
  Atomic<bool> stop{false};
  {
    Thread traffic("traffic", [&] {
      while (!stop.load()) {
        send(*dev, pool, {frame(kPeer, kBondMac, 1)});
        receive(*lows[0], pool, {frame(kBondMac, kPeer, 2)});
        receive(*lows[1], pool, {frame(kBondMac, kPeer, 3)});
      }
    });
    Thread lists("lists", [&] {
      for (uint64_t n = 1; !stop.load(); ++n) {
        ASSERT_TRUE(dev->mc().add(MacAddress::from_u64(0x0300'0000'0100 + n % 200)));
        if (n <= 100) continue;
        ASSERT_TRUE(dev->mc().del(MacAddress::from_u64(0x0300'0000'0100 + (n - 100) % 200)));
      }
    });
    for (int i = 0; i < 300; ++i) {
      NetDevice& low = *lows[i % 2];
      low.carrier_off();
      const bool reopened = i % 7 != 0 || (dev->close() && dev->open());
      const bool again = i % 5 != 0 || (bond.remove_lower(low) && bond.add_lower(low));
      ASSERT_TRUE(reopened && again);
      low.carrier_on();
    }
    stop.store(true);
  }
  lows[1]->carrier_off();
  ASSERT_TRUE(becomes_active(lows[0].get()));
  EXPECT_EQ(lows[0]->mc().snapshot(), dev->mc().snapshot());
  EXPECT_EQ(lows[1]->mc().size(), 0u);
  EXPECT_EQ(pool.available(), 32u);
}

}  // namespace
}  // namespace usernic
