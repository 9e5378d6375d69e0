// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/vlan/vlan.h"

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

struct VlanTest : testing::Test {
  Net net;
  SkbPool pool{32, 1518};
  TestPort nic_port, port;
  NetdevPtr nic = *net.alloc_netdev<TestNic>({.name = "nic0", .address = kNicMac});
  TestNic& card = TestNic::of(*nic);
  NetdevPtr vlan;

  void SetUp() override {
    ASSERT_TRUE(nic->register_netdev() && nic->open());
    vlan = make(5);
    ASSERT_TRUE(vlan->open() && vlan->attach_port(port) && nic->attach_port(nic_port));
    vlan->lane().flush();
  }
  void TearDown() override {
    if (vlan != nullptr) vlan->detach_port();
    if (nic != nullptr) nic->detach_port();
  }
  NetdevPtr make(uint16_t id) {
    NetdevPtr dev = *Vlan::probe(net, {.name = "vlan%d"}, *nic, id);
    EXPECT_EQ(outcome(dev->register_netdev()), "ok");
    return dev;
  }
  bool hears_of_mtu(uint32_t mtu) {
    vlan->lane().flush();
    return vlan->mtu() == mtu;
  }
};

TEST_F(VlanTest, FramesCarryTheTagBelowAndNoneAbove) {
  EXPECT_EQ(vlan->address(), kNicMac);
  send(*vlan, pool, {frame(kPeer, kNicMac, 1)});
  EXPECT_EQ(card.sent.now(), All{tagged(frame(kPeer, kNicMac, 1), 5)});
  receive(*nic, pool,
          {tagged(frame(kNicMac, kPeer, 2), 0xe005), frame(kNicMac, kPeer, 3), tagged(frame(kNicMac, kPeer, 4), 6),
           tagged(frame(kNicMac, kPeer, 5), 5)});
  EXPECT_EQ(port.received.now(), (All{frame(kNicMac, kPeer, 2), frame(kNicMac, kPeer, 5)}));
  EXPECT_EQ(nic_port.received.now(), (All{frame(kNicMac, kPeer, 3), tagged(frame(kNicMac, kPeer, 4), 6)}));
  EXPECT_EQ(vlan->stats().rx_packets, 2u);
  EXPECT_EQ(vlan->stats().rx_bytes, 120u);
  EXPECT_EQ(vlan->stats().tx_packets, 1u);
}

// A frame is as long as somebody outside made it.
TEST_F(VlanTest, WhatIsTooShortForATagAndATypeIsNobodysVlan) {
  const Frame whole = tagged(frame(kNicMac, kPeer, 1), 5);
  for (size_t size = 0; size < 18; ++size) {
    SCOPED_TRACE(size);
    const Frame part(whole.begin(), whole.begin() + static_cast<long>(size));
    receive(*nic, pool, {part});
    EXPECT_EQ(nic_port.received.now(), All{part});
  }
  receive(*nic, pool, {Frame(whole.begin(), whole.begin() + 18)});
  EXPECT_EQ(port.received.now(), All{Frame({2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x99, 8, 0})});
  Drops drops(*vlan);
  for (size_t size = 0; size < 12; ++size) send(*vlan, pool, {Frame(size)});
  EXPECT_EQ(drops.take(), DropNotes(12, "out: there is no room for a tag"));
  EXPECT_EQ(vlan->stats().tx_dropped, 12u) << "no room for a tag between the addresses and the type";
  EXPECT_EQ(card.sent.now(), All{});
  EXPECT_EQ(pool.available(), 32u);
}

// An outer tag of 802.1ad belongs to nobody here, whatever is inside; of two C-tags the outer one counts.
TEST_F(VlanTest, OnlyTheOuterTagCountsAndOnlyIfItIsACTag) {
  Frame service = tagged(tagged(frame(kNicMac, kPeer, 1), 5), 5);
  service[12] = 0x88, service[13] = 0xa8;
  const Frame foreign = tagged(tagged(frame(kNicMac, kPeer, 2), 5), 6), priority = tagged(frame(kNicMac, kPeer, 3), 0);
  receive(*nic, pool, {service, foreign, priority, tagged(tagged(frame(kNicMac, kPeer, 4), 6), 5)});
  EXPECT_EQ(nic_port.received.now(), (All{service, foreign, priority}));
  EXPECT_EQ(port.received.now(), All{tagged(frame(kNicMac, kPeer, 4), 6)});
}

TEST_F(VlanTest, AVlanOfAVlanHasTwoTags) {
  NetdevPtr inner = *Vlan::probe(net, {.name = "inner"}, *vlan, 7);
  ASSERT_TRUE(inner->register_netdev() && inner->open());
  inner->lane().flush();
  send(*inner, pool, {frame(kPeer, kNicMac, 1)});
  EXPECT_EQ(card.sent.now(), All{tagged(tagged(frame(kPeer, kNicMac, 1), 7), 5)});
  TestPort inner_port;
  ASSERT_TRUE(inner->attach_port(inner_port));
  receive(*nic, pool, {tagged(tagged(frame(kNicMac, kPeer, 2), 7), 5)});
  EXPECT_EQ(inner_port.received.now(), All{frame(kNicMac, kPeer, 2)});
  inner->detach_port();
}

TEST_F(VlanTest, AnIdIsTakenOnceAndGivenBack) {
  EXPECT_EQ(nic->rx_mode().status().wanted_vlans, std::vector<uint16_t>{5});
  ASSERT_TRUE(nic->rx_mode().vlan_add(5));
  NetdevPtr same = *Vlan::probe(net, {.name = "same"}, *nic, 5);
  EXPECT_EQ(outcome(same->register_netdev()), "EEXIST");
  EXPECT_EQ(outcome(Vlan::probe(net, {}, *nic, 4095)), "ERANGE");
  vlan->detach_port();
  vlan.reset();
  EXPECT_EQ(nic->rx_mode().status().wanted_vlans, std::vector<uint16_t>{5}) << "a user's";
  ASSERT_TRUE(nic->rx_mode().vlan_del(5));
  EXPECT_TRUE(nic->rx_mode().status().wanted_vlans.empty());
  receive(*nic, pool, {tagged(frame(kNicMac, kPeer, 1), 5)});
  EXPECT_EQ(nic_port.received.now().size(), 1u);
  vlan = make(5);
}

// Frames of a device without VLANs are not looked at.
TEST_F(VlanTest, WhatHandsTagsOutGoesWithTheLastVlan) {
  NetdevPtr other = make(6);
  EXPECT_NE(rx_handler(*nic, RxStage::kVlan), nullptr);
  other.reset();
  EXPECT_NE(rx_handler(*nic, RxStage::kVlan), nullptr);
  receive(*nic, pool, {tagged(frame(kNicMac, kPeer, 1), 5)});
  EXPECT_EQ(port.received.now().size(), 1u);
  vlan->detach_port();
  vlan.reset();
  EXPECT_EQ(rx_handler(*nic, RxStage::kVlan), nullptr);
}

TEST_F(VlanTest, WhatItWantsIsWantedBelowWhileItIsUp) {
  ASSERT_TRUE(vlan->mc().add(kGroup) && vlan->rx_mode().set_promiscuity(1) && vlan->set_mac_address(kPeer));
  EXPECT_TRUE(nic->mc().contains(kGroup) && nic->uc().contains(kPeer));
  EXPECT_EQ(nic->rx_mode().status().promiscuity, 1u);
  ASSERT_TRUE(vlan->close());
  EXPECT_EQ(nic->mc().size() + nic->uc().size(), 0u);
  EXPECT_EQ(nic->rx_mode().status().promiscuity, 0u);
  receive(*nic, pool, {tagged(frame(kNicMac, kPeer, 1), 5)});
  EXPECT_EQ(port.received.now().size(), 0u);
  EXPECT_EQ(vlan->stats().rx_dropped, 1u);
}

TEST_F(VlanTest, CarrierIsThatOfTheLower) {
  EXPECT_TRUE(vlan->carrier_ok());
  const uint32_t ups = port.carrier_ups.count(), downs = port.carrier_downs.count() + 1;
  nic->carrier_off();
  EXPECT_TRUE(port.carrier_downs.wait(downs));
  nic->carrier_on();
  EXPECT_TRUE(port.carrier_ups.wait(ups + 1));
  ASSERT_TRUE(nic->close());
  EXPECT_TRUE(port.carrier_downs.wait(downs + 1));
}

TEST_F(VlanTest, MtuIsAtMostThatOfTheLower) {
  EXPECT_EQ(outcome(vlan->change_mtu(1501)), "ERANGE");
  ASSERT_TRUE(nic->change_mtu(1400));
  EXPECT_TRUE(hears_of_mtu(1400));
  ASSERT_TRUE(nic->change_mtu(1500));
  EXPECT_TRUE(hears_of_mtu(1400)) << "it does not grow by itself";
  EXPECT_EQ(outcome(vlan->change_mtu(1500)), "ok");
}

TEST_F(VlanTest, TheMtuThatItIsGivenIsCutToTheLowers) {
  ASSERT_TRUE(nic->change_mtu(1400));
  EXPECT_EQ((*Vlan::probe(net, {.name = "cut"}, *nic, 6))->mtu(), 1400u) << "before anybody can send by it";
  EXPECT_EQ((*Vlan::probe(net, {.name = "small", .mtu = 1000}, *nic, 7))->mtu(), 1000u);
}

TEST_F(VlanTest, AnMtuThatShrankBeforeItWasRegisteredCounts) {
  const NetdevPtr late = *Vlan::probe(net, {.name = "late"}, *nic, 6);
  ASSERT_TRUE(nic->change_mtu(1400) && late->register_netdev());
  late->lane().flush();
  EXPECT_EQ(late->mtu(), 1400u);
}

TEST_F(VlanTest, WhatTheLowerHasNoRoomForWaitsUntilItIsWoken) {
  const All both{frame(kPeer, kNicMac, 1), frame(kPeer, kNicMac, 2)};
  nic->tx_queue(0).stop();
  send(*vlan, pool, both);
  EXPECT_TRUE(vlan->tx_queue(0).xmit_stopped());
  const uint32_t before = port.woken.count();
  nic->tx_queue(0).wake();
  EXPECT_EQ(card.sent.wait(2), (All{tagged(both[0], 5), tagged(both[1], 5)}));
  EXPECT_TRUE(port.woken.wait(before + 1));
  EXPECT_EQ(vlan->stats().tx_dropped, 0u);
  EXPECT_EQ(vlan->stats().tx_packets, 2u);
}

TEST_F(VlanTest, TheLowerGoesWhileFramesAreOnTheirWay) {
  for (uint16_t id = 10; id < 30; ++id) {
    NetdevPtr low = *net.alloc_netdev<TestNic>({.name = "low", .address = kNicMac});
    ASSERT_TRUE(low->register_netdev() && low->open());
    const NetdevPtr up = *Vlan::probe(net, {.name = "up"}, *low, id);
    ASSERT_TRUE(up->register_netdev() && up->open());
    const DeviceHandle memory(*low);
    const Traffic traffic(pool, *up, {frame(kPeer, kNicMac, 1)}, *low, {tagged(frame(kNicMac, kPeer, 2), id)});
    ASSERT_TRUE(traffic.flows());
    low->unregister_netdev();
    ASSERT_TRUE(traffic.flows());
    up->lane().flush();
    EXPECT_FALSE(up->carrier_ok());
  }
}

TEST_F(VlanTest, ALowerThatIsAwayHasNoCarrier) {
  ASSERT_TRUE(nic->detach());
  vlan->lane().flush();
  EXPECT_FALSE(vlan->carrier_ok());
  ASSERT_TRUE(nic->attach());
  vlan->lane().flush();
  EXPECT_TRUE(vlan->carrier_ok());
}

TEST_F(VlanTest, ItOutlivesTheLower) {
  ASSERT_TRUE(vlan->mc().add(kGroup));
  const uint32_t downs = port.carrier_downs.count();
  nic->detach_port();
  nic.reset();
  EXPECT_TRUE(port.carrier_downs.wait(downs + 1));
  send(*vlan, pool, {frame(kPeer, kNicMac, 1)});
  EXPECT_EQ(vlan->stats().tx_dropped, 1u);
  EXPECT_TRUE(vlan->mc().del(kGroup));
  EXPECT_TRUE(vlan->close());
  EXPECT_EQ(pool.available(), 32u);
}

}  // namespace
}  // namespace usernic
