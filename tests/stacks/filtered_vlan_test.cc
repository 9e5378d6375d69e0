// SPDX-License-Identifier: Apache-2.0 OR MIT
// A VLAN, on top of something that passes tags through, over cards that let only known VLANs in.
#include "drivers/bond/bond.h"
#include "drivers/macvlan/macvlan.h"
#include "drivers/simnic/nic_fixture.h"
#include "drivers/simnic/tap.h"
#include "drivers/vlan/vlan.h"

namespace usernic {
namespace {

using simnic::CapturePort;
using simnic::Nic;
using simnic::unicast;
using Ids = std::vector<uint16_t>;

constexpr MacAddress kMac = unicast(7);

struct FilteredVlanTest : simnic::SimnicTest {
  simnic::WireTap tap{wire};
  Nic nics[2] = {filtering(simnic::kOwnA), filtering(simnic::kOwnB)};
  CapturePort port;

  Nic filtering(const MacAddress& address) { return Nic(net, wire, address, {.vlan_slots = 4}); }
  void SetUp() override {
    for (Nic& each : nics) ASSERT_TRUE(each.dev->open() && each.dev->rx_mode().set_vlan_filter(true) && each.settled());
  }
  NetdevPtr vlan_on(NetDevice& lower, uint16_t id) {
    NetdevPtr dev = *Vlan::probe(net, {.name = "vlan%d"}, lower, id);
    EXPECT_TRUE(dev->register_netdev() && dev->open() && dev->attach_port(port));
    return dev;
  }
  // The first one is active.
  NetdevPtr bond_on_both() {
    NetdevPtr dev = *Bond::probe(net, {.name = "bond0", .address = kMac});
    EXPECT_TRUE(dev->register_netdev() && dev->open());
    for (Nic& each : nics) EXPECT_TRUE(Bond::of(*dev).add_lower(*each.dev));
    EXPECT_TRUE(becomes_active(Bond::of(*dev), *nics[0].dev));
    return dev;
  }
  void say(uint16_t id) { tap.say(simnic::make_frame(kMac, 60, 0, id)); }
  // How many of the two cards let the frame in: what they do is done when it is said.
  size_t cards_let_in(uint16_t id) {
    const auto in = [&] {
      return nics[0].card->counters().rx_frames.load() + nics[1].card->counters().rx_frames.load();
    };
    const size_t before = in();
    say(id);
    return in() - before;
  }
  bool arrives(uint16_t id) {
    const uint32_t before = port.received();
    say(id);
    return port.wait_received(before + 1);
  }
  Ids ids_on(Nic& nic) {
    EXPECT_TRUE(nic.settled());
    EXPECT_FALSE(nic.card->filter().vlan_open);
    return nic.card->filter().vlans;
  }
  // A failover is the bond's own item, of which only its carrier tells.
  static bool becomes_active(const Bond& bond, const NetDevice& dev) {
    const Time deadline = simnic::soon();
    while (bond.active().get() != &dev && Clock::now() < deadline) {
      (void)StopToken().wait_until(Clock::now() + std::chrono::milliseconds(1));
    }
    return bond.active().get() == &dev;
  }
};

TEST_F(FilteredVlanTest, OnABondItHearsBeforeAndAfterAFailover) {
  const NetdevPtr dev = bond_on_both();
  Bond& bond = Bond::of(*dev);
  NetdevPtr five = vlan_on(*dev, 5);
  EXPECT_EQ(ids_on(nics[0]), Ids{5});
  EXPECT_EQ(ids_on(nics[1]), Ids{});
  EXPECT_TRUE(arrives(5));
  EXPECT_EQ(cards_let_in(6), 0u);

  nics[0].card->set_link(false);
  ASSERT_TRUE(becomes_active(bond, *nics[1].dev));
  EXPECT_EQ(ids_on(nics[1]), Ids{5});
  EXPECT_TRUE(arrives(5));
  nics[0].card->set_link(true);
  EXPECT_EQ(ids_on(nics[0]), Ids{});
  EXPECT_EQ(cards_let_in(5), 1u);

  five->detach_port();
  five.reset();
  EXPECT_EQ(ids_on(nics[1]), Ids{});
  EXPECT_EQ(cards_let_in(5), 0u);
}

TEST_F(FilteredVlanTest, OnABondItHearsWhenALowerIsTakenOutOrGoes) {
  const NetdevPtr dev = bond_on_both();
  Bond& bond = Bond::of(*dev);
  const NetdevPtr five = vlan_on(*dev, 5);
  ASSERT_TRUE(bond.remove_lower(*nics[0].dev));
  EXPECT_EQ(ids_on(nics[0]), Ids{});
  EXPECT_EQ(ids_on(nics[1]), Ids{5});
  EXPECT_TRUE(arrives(5));
  ASSERT_TRUE(bond.add_lower(*nics[0].dev));
  nics[1].dev->detach_port();
  nics[1].dev.reset();
  ASSERT_TRUE(becomes_active(bond, *nics[0].dev));
  EXPECT_EQ(ids_on(nics[0]), Ids{5});
  EXPECT_TRUE(arrives(5));
  ASSERT_TRUE(dev->close());
  EXPECT_EQ(ids_on(nics[0]), Ids{});
  five->detach_port();
}

TEST_F(FilteredVlanTest, OnAMacvlanItHears) {
  NetdevPtr dev = *Macvlan::probe(net, {.name = "mv0", .address = kMac}, *nics[0].dev, MacvlanMode::kBridge);
  ASSERT_TRUE(dev->register_netdev() && dev->open());
  NetdevPtr five = vlan_on(*dev, 5);
  EXPECT_EQ(ids_on(nics[0]), Ids{5});
  EXPECT_TRUE(arrives(5));
  five->detach_port();
  five.reset();
  EXPECT_EQ(ids_on(nics[0]), Ids{});
  EXPECT_EQ(cards_let_in(5), 0u);
}

TEST_F(FilteredVlanTest, OnAVlanOnlyTheOuterIdIsTheCards) {
  NetdevPtr outer = *Vlan::probe(net, {.name = "outer"}, *nics[0].dev, 5);
  ASSERT_TRUE(outer->register_netdev() && outer->open());
  const NetdevPtr inner = vlan_on(*outer, 7);
  EXPECT_EQ(ids_on(nics[0]), Ids{5});
  EXPECT_EQ(outer->rx_mode().status().wanted_vlans, Ids{7});
  inner->detach_port();
}

}  // namespace
}  // namespace usernic
