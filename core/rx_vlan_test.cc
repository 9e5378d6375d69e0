// SPDX-License-Identifier: Apache-2.0
// The card's VLAN filter.
#include "core/rx_mode_fixture.h"

namespace usernic {
namespace {

using RxVlanTest = RxModeTest;

TEST_F(RxVlanTest, AVlanThatFailsIsRetriedAlthoughAnotherWorks) {
  card.caps.vlan_slots = 4;
  bool first = true;
  card.decide = [&](const RxCommand& command, bool&) -> Result<> {
    if (command.kind == RxCommandKind::kAdd && command.vlan == 5 && std::exchange(first, false)) {
      return fail(std::errc::io_error);
    }
    return {};
  };
  start();
  ASSERT_TRUE(mode->set_vlan_filter(true));
  settle();
  ASSERT_TRUE(mode->vlan_add(5));
  ASSERT_TRUE(mode->vlan_add(6));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return c.vlans == std::set<uint16_t>{5, 6}; }));
}

TEST_F(RxVlanTest, NoVlanGoesBeforeTheFilterIsOpen) {
  card.caps.vlan_slots = 4;
  int failures = 1;
  bool deaf = false;
  card.decide = [&](const RxCommand& command, bool&) -> Result<> {
    if (command.kind == RxCommandKind::kWiden && failures-- > 0) return fail(std::errc::io_error);
    return {};
  };
  start();
  ASSERT_TRUE(mode->vlan_add(5));
  ASSERT_TRUE(mode->set_vlan_filter(true));
  settle();
  {
    MutexGuard guard(card.mutex);
    card.after_command = [&](const TestCard& c) { deaf = deaf || !(c.vlan_unfiltered || c.vlans.contains(5)); };
  }
  ASSERT_TRUE(mode->set_vlan_filter(false));
  dev->lane().flush();
  ASSERT_TRUE(dev->mc().add(mc(1)));  // another run while the flag waits for its retry
  settle();
  EXPECT_FALSE(deaf);
  EXPECT_TRUE(on_card([](TestCard& c) { return c.vlan_unfiltered && c.vlans.empty(); }));
}

TEST_F(RxVlanTest, AVlanTableSmallerThanDeclaredOpensTheFilter) {
  card.caps.vlan_slots = 4;
  card.decide = [&](const RxCommand& command, bool&) -> Result<> {
    const bool full =
        command.object == RxObject::kVlan && command.kind == RxCommandKind::kAdd && card.vlans.size() >= 2;
    return full ? fail(std::errc::no_space_on_device) : Result<>();
  };
  start();
  ASSERT_TRUE(mode->set_vlan_filter(true));
  for (uint16_t id = 1; id <= 3; ++id) ASSERT_TRUE(mode->vlan_add(id));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return c.vlan_unfiltered; }));
  ASSERT_TRUE(mode->vlan_del(3));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return !c.vlan_unfiltered && c.vlans.size() == 2; }));
}

TEST_F(RxVlanTest, VlanFilterFollowsItsIdsAndOpensWhenTheyAreTooMany) {
  card.caps.vlan_slots = 2;
  start();
  ASSERT_TRUE(mode->vlan_add(10));
  ASSERT_TRUE(mode->vlan_add(20));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return c.vlan_unfiltered && c.vlans.empty(); })) << "open until asked for";
  ASSERT_TRUE(mode->set_vlan_filter(true));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return !c.vlan_unfiltered && c.vlans.size() == 2; }));
  ASSERT_TRUE(mode->vlan_add(30));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return c.vlan_unfiltered; }));
  ASSERT_TRUE(mode->vlan_del(10));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return !c.vlan_unfiltered && c.vlans == std::set<uint16_t>{20, 30}; }));
  EXPECT_EQ(mode->vlan_add(4095), Result<>(fail(std::errc::invalid_argument)));
}

}  // namespace
}  // namespace usernic
