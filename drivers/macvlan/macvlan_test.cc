// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/macvlan/macvlan.h"

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

constexpr MacAddress kNicMac = MacAddress::from_u64(0x0200'0000'0001);
constexpr MacAddress kPeer = MacAddress::from_u64(0x0200'0000'0099);
constexpr MacAddress kGroup = MacAddress::from_u64(0x0300'0000'0001);
constexpr MacAddress mac(uint64_t n) {
  return MacAddress::from_u64(0x0200'0000'0010 + n);
}

struct MacvlanTest : testing::Test {
  Net net;
  SkbPool pool{64, 1518};
  TestPort nic_port, ports[3];
  NetdevPtr nic = *net.alloc_netdev<TestNic>({.name = "nic0", .address = kNicMac});
  TestNic& card = TestNic::of(*nic);
  std::vector<NetdevPtr> all;

  void SetUp() override { ASSERT_TRUE(nic->register_netdev() && nic->open() && nic->attach_port(nic_port)); }
  void TearDown() override {
    for (NetdevPtr& each : all) each->detach_port();
    if (nic != nullptr) nic->detach_port();
  }
  std::string add(MacvlanMode mode, MacAddress address, NetdevPtr& dev) {
    dev = *Macvlan::probe(net, {.name = "mv%d", .address = address}, *nic, mode);
    return outcome(dev->register_netdev());
  }
  NetDevice& make(MacvlanMode mode) {
    NetdevPtr dev;
    EXPECT_EQ(add(mode, mac(all.size()), dev), "ok");
    EXPECT_TRUE(dev->open() && dev->attach_port(ports[all.size()]) && dev->rx_mode().settle(soon()));
    dev->lane().flush();
    all.push_back(std::move(dev));
    return *all.back();
  }
};

TEST_F(MacvlanTest, EachGetsItsUnicastAndTheLowerTheRest) {
  make(MacvlanMode::kBridge);
  NetDevice& second = make(MacvlanMode::kPrivate);
  EXPECT_EQ(nic->uc().snapshot(), (std::vector{mac(0), mac(1)}));
  ASSERT_TRUE(second.uc().add(mac(7)) && second.rx_mode().settle(soon()));
  receive(*nic, pool,
          {frame(mac(0), kPeer, 1), frame(mac(1), kPeer, 2), frame(kNicMac, kPeer, 3), frame(mac(0), kPeer, 4),
           frame(mac(7), kPeer, 5)});
  EXPECT_EQ(ports[0].received.now(), (All{frame(mac(0), kPeer, 1), frame(mac(0), kPeer, 4)}));
  EXPECT_EQ(ports[1].received.now(), (All{frame(mac(1), kPeer, 2), frame(mac(7), kPeer, 5)}));
  EXPECT_EQ(nic_port.received.now(), All{frame(kNicMac, kPeer, 3)});
  EXPECT_EQ(all[0]->stats().rx_packets, 2u);
}

TEST_F(MacvlanTest, AMulticastGoesToWhoeverWantsItAndABroadcastToAll) {
  NetDevice& first = make(MacvlanMode::kBridge);
  NetDevice& third = (make(MacvlanMode::kBridge), make(MacvlanMode::kPrivate));
  ASSERT_TRUE(first.mc().add(kGroup) && third.rx_mode().set_allmulti(1));
  ASSERT_TRUE(first.rx_mode().settle(soon()) && third.rx_mode().settle(soon()));
  EXPECT_TRUE(nic->mc().contains(kGroup));
  EXPECT_EQ(nic->rx_mode().status().allmulti, 1u);
  receive(*nic, pool, {frame(kGroup, kPeer, 1), frame(kBroadcast, kPeer, 2)});
  EXPECT_EQ(ports[0].received.now(), (All{frame(kGroup, kPeer, 1), frame(kBroadcast, kPeer, 2)}));
  EXPECT_EQ(ports[1].received.now(), All{frame(kBroadcast, kPeer, 2)});
  EXPECT_EQ(ports[2].received.now(), (All{frame(kGroup, kPeer, 1), frame(kBroadcast, kPeer, 2)}));
  EXPECT_EQ(nic_port.received.now().size(), 2u);
}

TEST_F(MacvlanTest, ACopyMayOutliveTheLastMacvlan) {
  struct Ring final : DevicePort {
    SkbBatch kept;
    void receive(SkbBatch& frames) noexcept override { kept.splice(frames); }
    void tx_wake(TxQueue&) noexcept override {}
    void carrier_changed(bool) noexcept override {}
  } ring;
  NetDevice& only = make(MacvlanMode::kBridge);
  only.detach_port();
  ASSERT_TRUE(only.attach_port(ring));
  receive(*nic, pool, {frame(kBroadcast, kPeer, 1)});
  only.detach_port();
  all.clear();
  ASSERT_EQ(ring.kept.size(), 1u);
  EXPECT_EQ(ring.kept.front()->bytes()[0], 0xff);
}

TEST_F(MacvlanTest, BridgeSwitchesOnTheSpotAndPrivateDoesNot) {
  NetDevice& first = make(MacvlanMode::kBridge);
  make(MacvlanMode::kBridge);
  NetDevice& third = make(MacvlanMode::kPrivate);
  send(first, pool,
       {frame(mac(1), mac(0), 1), frame(kPeer, mac(0), 2), frame(mac(2), mac(0), 3), frame(kBroadcast, mac(0), 4)});
  EXPECT_EQ(ports[1].received.wait(2), (All{frame(mac(1), mac(0), 1), frame(kBroadcast, mac(0), 4)}));
  EXPECT_EQ(card.sent.now(), (All{frame(kPeer, mac(0), 2), frame(mac(2), mac(0), 3), frame(kBroadcast, mac(0), 4)}));
  send(third, pool, {frame(mac(0), mac(2), 5), frame(kBroadcast, mac(2), 6)});
  EXPECT_EQ(card.sent.now().size(), 2u);
  EXPECT_EQ(ports[0].received.now(), All{});
  EXPECT_EQ(ports[2].received.now(), All{});
  EXPECT_EQ(first.stats().tx_packets, 4u);
}

// A switch, or an access point, may send a broadcast back to where it came from.
TEST_F(MacvlanTest, AMulticastThatIsSentBackIsGivenToNobodyAgain) {
  NetDevice& first = make(MacvlanMode::kBridge);
  make(MacvlanMode::kBridge);
  make(MacvlanMode::kPrivate);
  send(first, pool, {frame(kBroadcast, mac(0), 1)});
  EXPECT_EQ(ports[1].received.wait(1).size(), 1u);
  receive(*nic, pool, {card.sent.now()[0], frame(kBroadcast, mac(2), 2), frame(kBroadcast, kPeer, 3)});
  for (TestPort& each : ports) EXPECT_EQ(each.received.now(), All{frame(kBroadcast, kPeer, 3)});
  EXPECT_EQ(nic_port.received.now().size(), 3u);
}

// A frame is as long as somebody made it.
TEST_F(MacvlanTest, FramesShorterThanAHeaderAreForNobodyHereOrForWhomTheyName) {
  NetDevice& first = make(MacvlanMode::kBridge);
  make(MacvlanMode::kBridge);
  const Frame whole = frame(mac(1), mac(0), 1);
  for (size_t size = 0; size < 14; ++size) {
    SCOPED_TRACE(size);
    const Frame part(whole.begin(), whole.begin() + static_cast<long>(size));
    receive(*nic, pool, {part});
    EXPECT_EQ((size < 6 ? nic_port : ports[1]).received.wait(1), All{part});
    send(first, pool, {part});
    EXPECT_EQ((size < 6 ? card.sent : ports[1].received).wait(1), All{part});
  }
  receive(*nic, pool, {Frame(7, 0xff)});
  EXPECT_EQ(ports[0].received.now(), All{Frame(7, 0xff)});
}

TEST_F(MacvlanTest, PassthruGetsEverythingAndIsAlone) {
  NetDevice& only = make(MacvlanMode::kPassthru);
  NetdevPtr other;
  EXPECT_EQ(add(MacvlanMode::kBridge, mac(5), other), "EINVAL");
  EXPECT_EQ(only.address(), kNicMac);
  EXPECT_EQ(outcome(only.set_mac_address(mac(5))), "EOPNOTSUPP");
  EXPECT_EQ(nic->rx_mode().status().promiscuity, 1u);
  receive(*nic, pool, {frame(kNicMac, kPeer, 1), frame(mac(9), kPeer, 2), frame(kGroup, kPeer, 3)});
  EXPECT_EQ(ports[0].received.now().size(), 3u);
  EXPECT_EQ(nic_port.received.now().size(), 0u);
  ASSERT_TRUE(only.close());
  EXPECT_EQ(nic->rx_mode().status().promiscuity, 0u);
  EXPECT_EQ(nic->uc().size(), 0u);
}

TEST_F(MacvlanTest, PassthruHasTheLowersAddressAlsoWhenThatChanges) {
  NetDevice& only = make(MacvlanMode::kPassthru);
  ASSERT_TRUE(nic->set_mac_address(mac(9)));
  only.lane().flush();
  EXPECT_EQ(only.address(), mac(9));
  EXPECT_EQ(nic->uc().size(), 0u);
}

TEST_F(MacvlanTest, WhatTheLowerDropsIsNotSent) {
  NetDevice& only = make(MacvlanMode::kPrivate);
  only.lane().park();  // it does not hear that its lower is down
  ASSERT_TRUE(nic->close());
  send(only, pool, {frame(kPeer, mac(0), 1)});
  EXPECT_EQ(only.stats().tx_dropped, 1u);
  EXPECT_EQ(only.stats().tx_packets, 0u);
  only.lane().unpark();
}

// Keeps who delivers until it is told.
struct SlowPort final : DevicePort {
  Atomic<bool> inside{false}, go_on{false};
  void receive(SkbBatch&) noexcept override {
    inside.store(true);
    while (!go_on.load()) {
    }
  }
  void tx_wake(TxQueue&) noexcept override {}
  void carrier_changed(bool) noexcept override {}
};

// Whoever saw it running is still delivering: it is not closed before he is done.
TEST_F(MacvlanTest, ClosingWaitsForWhoDelivers) {
  SlowPort slow;
  NetDevice& only = make(MacvlanMode::kBridge);
  only.detach_port();
  ASSERT_TRUE(only.attach_port(slow));
  Event closed;
  {
    Thread receiver("receiver", [&] { receive(*nic, pool, {frame(mac(0), kPeer, 1)}); });
    while (!slow.inside.load()) {
    }
    Thread closer("closer", [&] {
      EXPECT_TRUE(only.close());
      closed.set();
    });
    while (only.running()) {
    }
    EXPECT_TRUE(closed.stays_away());
    slow.go_on.store(true);
  }
  EXPECT_EQ(closed.count(), 1u);
}

// What was switched to it during its last poll is nobody's any more, but not forgotten.
TEST_F(MacvlanTest, WhatWaitsWhenItIsClosedIsDroppedAndCounted) {
  NetDevice& first = make(MacvlanMode::kBridge);
  NetDevice& second = make(MacvlanMode::kBridge);
  SlowPort slow;
  second.detach_port();
  ASSERT_TRUE(second.attach_port(slow));
  Drops drops(second);
  send(first, pool, {frame(mac(1), mac(0), 1)});
  while (!slow.inside.load()) {
  }
  send(first, pool, {frame(mac(1), mac(0), 2), frame(mac(1), mac(0), 3)});
  {
    Event closed;
    Thread closer("closer", [&] {
      EXPECT_TRUE(second.close());
      closed.set();
    });
    EXPECT_TRUE(closed.stays_away());
    slow.go_on.store(true);
  }
  EXPECT_EQ(second.stats().rx_packets + second.stats().rx_dropped, 3u);
  EXPECT_EQ(drops.take(), DropNotes(second.stats().rx_dropped, "in: the device is down"));
  EXPECT_EQ(pool.available(), 64u);
}

TEST_F(MacvlanTest, WithoutABufferForItsCopyAMacvlanDoesNotGetIt) {
  NetDevice& first = make(MacvlanMode::kBridge);
  NetDevice& second = make(MacvlanMode::kBridge);
  Drops of_first(first), of_second(second);
  SkbPool& copies = net.shared_pool(nic->mtu_max() + kFrameOverhead);
  SkbBatch away;
  copies.alloc(away, copies.available());
  receive(*nic, pool, {frame(kBroadcast, kPeer, 1)});
  send(first, pool, {frame(kBroadcast, mac(0), 2)});
  const std::string why = "in: there was no buffer for a copy";
  EXPECT_EQ(of_first.take(), DropNotes{why});
  EXPECT_EQ(of_second.take(), (DropNotes{why, why}));
  EXPECT_EQ(first.stats().rx_dropped, 1u);
  EXPECT_EQ(second.stats().rx_dropped, 2u);
  EXPECT_EQ(nic_port.received.now().size(), 1u);
  EXPECT_EQ(card.sent.now().size(), 1u);
}

TEST_F(MacvlanTest, AddressesAreTakenOnceAndCanChange) {
  NetDevice& first = make(MacvlanMode::kBridge);
  NetDevice& second = make(MacvlanMode::kBridge);
  NetdevPtr other;
  EXPECT_EQ(add(MacvlanMode::kBridge, mac(0), other), "EADDRINUSE");
  EXPECT_EQ(outcome(second.set_mac_address(mac(0))), "EADDRINUSE");
  EXPECT_EQ(outcome(second.set_mac_address(kNicMac)), "EADDRINUSE");
  EXPECT_EQ(add(MacvlanMode::kBridge, kNicMac, other), "EADDRINUSE");
  EXPECT_EQ(outcome(first.set_mac_address(mac(4))), "ok");
  EXPECT_EQ(outcome(second.set_mac_address(mac(0))), "ok");
  EXPECT_EQ(nic->uc().snapshot(), (std::vector{mac(0), mac(4)}));
  receive(*nic, pool, {frame(mac(0), kPeer, 1), frame(mac(4), kPeer, 2)});
  EXPECT_EQ(ports[1].received.now(), All{frame(mac(0), kPeer, 1)});
  EXPECT_EQ(ports[0].received.now(), All{frame(mac(4), kPeer, 2)});
}

TEST_F(MacvlanTest, MtuAndCarrierFollowTheLower) {
  NetDevice& first = make(MacvlanMode::kBridge);
  EXPECT_EQ(outcome(first.change_mtu(1501)), "EINVAL");
  ASSERT_TRUE(nic->change_mtu(1400));
  first.lane().flush();
  EXPECT_EQ(first.mtu(), 1400u);
  nic->carrier_off();
  first.lane().flush();
  EXPECT_FALSE(first.carrier_ok());
  nic->carrier_on();
  first.lane().flush();
  EXPECT_TRUE(first.carrier_ok());
}

TEST_F(MacvlanTest, TheMtuThatItIsGivenIsCutToTheLowers) {
  ASSERT_TRUE(nic->change_mtu(1400));
  const auto probed = [&](const NetdevConfig& config) {
    return (*Macvlan::probe(net, config, *nic, MacvlanMode::kBridge))->mtu();
  };
  EXPECT_EQ(probed({.name = "cut"}), 1400u) << "before anybody can send by it";
  EXPECT_EQ(probed({.name = "small", .mtu = 1000}), 1000u);
}

TEST_F(MacvlanTest, WhatChangedBeforeItWasRegisteredCounts) {
  const NetdevPtr dev = *Macvlan::probe(net, {.name = "mv%d"}, *nic, MacvlanMode::kPassthru);
  ASSERT_TRUE(nic->change_mtu(1400) && nic->set_mac_address(mac(9)) && dev->register_netdev());
  dev->lane().flush();
  EXPECT_EQ(dev->mtu(), 1400u);
  EXPECT_EQ(dev->address(), mac(9));
}

TEST_F(MacvlanTest, ADeviceThatAlreadyHasAHandlerIsBusy) {
  struct Other final : RxHandler {
    ~Other() override = default;
    void receive(SkbBatch&) noexcept override {}
  } handler;
  {
    MutexGuard rtnl(net.rtnl());
    ASSERT_TRUE(register_rx_handler(*nic, RxStage::kUpper, handler));
  }
  NetdevPtr dev;
  EXPECT_EQ(add(MacvlanMode::kBridge, mac(0), dev), "EBUSY");
  MutexGuard rtnl(net.rtnl());
  EXPECT_TRUE(uppers_of(*nic).empty());
  unregister_rx_handler(*nic, RxStage::kUpper, handler);
}

TEST_F(MacvlanTest, TheLowerGoesWhileFramesAreOnTheirWay) {
  for (int round = 0; round < 20; ++round) {
    NetdevPtr low = *net.alloc_netdev<TestNic>({.name = "low", .address = kPeer});
    ASSERT_TRUE(low->register_netdev() && low->open());
    std::vector<NetdevPtr> ups;
    for (uint64_t n = 0; n < 2; ++n) {
      ups.push_back(*Macvlan::probe(net, {.name = "up%d", .address = mac(n)}, *low, MacvlanMode::kBridge));
      ASSERT_TRUE(ups[n]->register_netdev() && ups[n]->open());
    }
    const DeviceHandle memory(*low);
    const All out = {frame(mac(1), mac(0), 1), frame(kBroadcast, mac(0), 2), frame(kNicMac, mac(0), 3)};
    const Traffic traffic(pool, *ups[0], out, *low, {frame(mac(0), kNicMac, 4), frame(kBroadcast, kNicMac, 5)});
    ASSERT_TRUE(traffic.flows());
    low->unregister_netdev();
    ASSERT_TRUE(traffic.flows());
    ups[1]->lane().flush();
    EXPECT_FALSE(ups[1]->carrier_ok());
  }
}

TEST_F(MacvlanTest, TheyOutliveTheLowerAndGoWhileFramesComeIn) {
  make(MacvlanMode::kBridge);
  NetDevice& second = make(MacvlanMode::kBridge);
  ASSERT_TRUE(second.mc().add(kGroup));
  Atomic<bool> stop{false};
  {
    Thread traffic("traffic", [&] {
      while (!stop.load()) {
        receive(*nic, pool, {frame(mac(0), kPeer, 1), frame(kBroadcast, kPeer, 2)});
        send(second, pool, {frame(mac(0), mac(1), 3), frame(kBroadcast, mac(1), 4)});
      }
    });
    for (int i = 0; i < 50; ++i) {
      all[0]->detach_port();
      all[0].reset();
      ASSERT_EQ(add(MacvlanMode::kBridge, mac(0), all[0]), "ok");
      ASSERT_TRUE(all[0]->open() && all[0]->attach_port(ports[0]));
    }
    stop.store(true);
  }
  nic->detach_port();
  nic.reset();
  second.lane().flush();
  EXPECT_FALSE(second.carrier_ok());
  send(second, pool, {frame(kPeer, mac(1), 1)});
  EXPECT_NE(second.stats().tx_dropped, 0u);
  EXPECT_TRUE(second.close());
  for (NetdevPtr& each : all) each->detach_port();
  all.clear();
  EXPECT_EQ(pool.available(), 64u);
}

}  // namespace
}  // namespace usernic
