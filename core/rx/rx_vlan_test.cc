// SPDX-License-Identifier: Apache-2.0 OR MIT
// The card's VLAN filter.
#include "core/rx/rx_mode_fixture.h"
#include "usernic/work.h"

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
    card.after_command = [&](const TestCard& c) { deaf = deaf || !(c.vlan_open || c.vlans.contains(5)); };
  }
  ASSERT_TRUE(mode->set_vlan_filter(false));
  dev->lane().flush();
  ASSERT_TRUE(dev->mc().add(mc(1)));  // another run while the flag waits for its retry
  settle();
  EXPECT_FALSE(deaf);
  EXPECT_TRUE(on_card([](TestCard& c) { return c.vlan_open && c.vlans.empty(); }));
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
  EXPECT_TRUE(on_card([](TestCard& c) { return c.vlan_open; }));
  ASSERT_TRUE(mode->vlan_del(3));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return !c.vlan_open && c.vlans.size() == 2; }));
}

TEST_F(RxVlanTest, VlanFilterFollowsItsIdsAndOpensWhenTheyAreTooMany) {
  card.caps.vlan_slots = 2;
  start();
  ASSERT_TRUE(mode->vlan_add(10));
  ASSERT_TRUE(mode->vlan_add(20));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return c.vlan_open && c.vlans.empty(); })) << "open until asked for";
  ASSERT_TRUE(mode->set_vlan_filter(true));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return !c.vlan_open && c.vlans.size() == 2; }));
  ASSERT_TRUE(mode->vlan_add(30));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return c.vlan_open; }));
  ASSERT_TRUE(mode->vlan_del(10));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return !c.vlan_open && c.vlans == std::set<uint16_t>{20, 30}; }));
  EXPECT_EQ(mode->vlan_add(4095), Result<>(fail(std::errc::invalid_argument)));
}

TEST_F(RxVlanTest, TheReasonNamesVlansThatDoNotFit) {
  card.caps.vlan_slots = 2;
  start();
  ASSERT_TRUE(mode->set_vlan_filter(true));
  for (uint16_t id = 1; id <= 2; ++id) ASSERT_TRUE(mode->vlan_add(id));
  settle();
  EXPECT_EQ(mode->status().reason, "everything fits");
  ASSERT_TRUE(mode->vlan_add(3));
  settle();
  EXPECT_EQ(mode->status().reason, "3 VLANs, 2 slots: filter open");
  for (uint64_t i = 0; i < 5; ++i) ASSERT_TRUE(dev->mc().add(mc(i)));
  settle();
  EXPECT_EQ(mode->status().reason, "5 multicast addresses, 4 slots; 3 VLANs, 2 slots: filter open") << "all of them";
  ASSERT_TRUE(mode->vlan_del(3));
  settle();
  EXPECT_EQ(mode->status().reason, "5 multicast addresses, 4 slots");
  ASSERT_TRUE(mode->vlan_add(3));
  ASSERT_TRUE(mode->set_vlan_filter(false));
  settle();
  EXPECT_EQ(mode->status().reason, "5 multicast addresses, 4 slots") << "nobody asks for the filter";
}

TEST_F(RxVlanTest, TheReasonNamesACardWithoutVlanSlots) {
  card.caps.vlan_slots = 0;
  start();
  ASSERT_TRUE(mode->set_vlan_filter(true));
  ASSERT_TRUE(mode->vlan_add(7));
  settle();
  EXPECT_EQ(mode->status().reason, "1 VLAN, no slots: filter open");
}

TEST_F(RxVlanTest, TheReasonSaysWhenTheFilterShouldBeOpenAndIsNotYet) {
  card.caps.vlan_slots = 1;
  start();
  ASSERT_TRUE(mode->vlan_add(1) && mode->set_vlan_filter(true));
  settle();
  {
    MutexGuard guard(card.mutex);
    card.decide = [](const RxCommand& command, bool&) -> Result<> {
      return command.kind == RxCommandKind::kWiden ? fail(std::errc::io_error) : Result<>();
    };
  }
  ASSERT_TRUE(mode->vlan_add(2));
  EXPECT_TRUE(eventually([&] { return mode->status().reason == "2 VLANs, 1 slot: filter still closed"; }))
      << mode->status().reason;
  {
    MutexGuard guard(card.mutex);
    card.decide = nullptr;
  }
  settle();
  EXPECT_EQ(mode->status().reason, "2 VLANs, 1 slot: filter open");
}

TEST_F(RxVlanTest, TheReasonNamesAVlanThatTheCardRefused) {
  card.caps.vlan_slots = 4;
  card.decide = [&](const RxCommand& command, bool&) -> Result<> {
    return command.kind == RxCommandKind::kAdd && command.vlan == 7 ? fail(std::errc::no_space_on_device) : Result<>();
  };
  start();
  ASSERT_TRUE(mode->set_vlan_filter(true));
  ASSERT_TRUE(mode->vlan_add(6));
  ASSERT_TRUE(mode->vlan_add(7));
  settle();
  EXPECT_EQ(mode->status().reason, "2 VLANs, the card refused one: filter open");
  {
    MutexGuard guard(card.mutex);
    card.decide = nullptr;
  }
  ASSERT_TRUE(mode->set_vlan_filter(false));
  settle();
  ASSERT_TRUE(mode->set_vlan_filter(true));
  settle();
  EXPECT_EQ(mode->status().reason, "everything fits") << "asked again";
}

}  // namespace
}  // namespace usernic
