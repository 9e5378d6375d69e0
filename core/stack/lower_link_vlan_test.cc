// SPDX-License-Identifier: Apache-2.0 OR MIT
// VLAN ids on their way down a stack.
#include <algorithm>

#include "core/stack/lower_link_fixture.h"
#include "usernic/address_list.h"
#include "usernic/rx_mode.h"

namespace usernic {
namespace {

using Ids = std::vector<uint16_t>;

struct LowerLinkVlanTest : LowerLinkTest {
  static Ids ids(const NetdevPtr& dev) { return dev->rx_mode().status().wanted_vlans; }
  static Ids range(uint16_t first, uint16_t last) {
    Ids all;
    for (uint16_t id = first; id <= last; ++id) all.push_back(id);
    return all;
  }
  static bool add(const NetdevPtr& dev, const Ids& all) {
    return std::ranges::all_of(all, [&](uint16_t id) { return dev->rx_mode().vlan_add(id).has_value(); });
  }
  static bool del(const NetdevPtr& dev, const Ids& all) {
    return std::ranges::all_of(all, [&](uint16_t id) { return dev->rx_mode().vlan_del(id).has_value(); });
  }
};

TEST_F(LowerLinkVlanTest, IdsGoDownTheWholeStackWhileItFollows) {
  const NetdevPtr low = nic();
  const std::vector<NetdevPtr> ups = stack(3);
  ASSERT_TRUE(add(ups[2], {5}));
  ASSERT_EQ(link(ups[0], low), "ok");
  EXPECT_EQ(ids(low), Ids{5});
  ASSERT_TRUE(add(ups[2], {0, 4094}) && add(ups[1], {6}));
  EXPECT_EQ(ids(low), (Ids{0, 5, 6, 4094}));
  ASSERT_TRUE(del(ups[2], {5}));
  EXPECT_EQ(ids(low), (Ids{0, 6, 4094}));
  ASSERT_TRUE(ups[1]->close());
  EXPECT_EQ(ids(ups[0]), Ids{});
  EXPECT_EQ(ids(low), Ids{});
  EXPECT_EQ(ids(ups[1]), (Ids{0, 6, 4094}));
  ASSERT_TRUE(add(ups[2], {7}) && ups[1]->open());
  EXPECT_EQ(ids(low), (Ids{0, 6, 7, 4094}));
  of(ups[2]).remove(*ups[1]);
  EXPECT_EQ(ids(low), Ids{6});
}

TEST_F(LowerLinkVlanTest, ACardThatFiltersLetsThemPassAndOneThatDoesNotIsNotMadeTo) {
  cards.emplace_back().caps.vlan_slots = 4;
  TestCard& card = cards.back();
  const NetdevPtr low = *net.alloc_netdev<TestDriver>({.name = "vlans", .address = uc(0x1000)}, card);
  ASSERT_TRUE(low->register_netdev() && low->open());
  const NetdevPtr up = upper();
  ASSERT_EQ(link(up, low), "ok");
  const auto on_card = [&] {
    EXPECT_EQ(outcome(low->rx_mode().settle(soon())), "ok");
    MutexGuard guard(card.mutex);
    return std::pair(card.vlan_open, card.vlans);
  };
  ASSERT_TRUE(add(up, {5}) && up->rx_mode().set_vlan_filter(true));
  EXPECT_EQ(on_card(), std::pair(true, std::set<uint16_t>{}));
  ASSERT_TRUE(low->rx_mode().set_vlan_filter(true) && up->rx_mode().set_vlan_filter(false));
  EXPECT_EQ(on_card(), std::pair(false, std::set<uint16_t>{5}));
  ASSERT_TRUE(add(up, {6}) && del(up, {5}));
  EXPECT_EQ(on_card(), std::pair(false, std::set<uint16_t>{6}));
  ASSERT_TRUE(up->close());
  EXPECT_EQ(on_card(), std::pair(false, std::set<uint16_t>{}));
}

TEST_F(LowerLinkVlanTest, OneReferenceALinkWhichNoUserCanTakeBack) {
  const NetdevPtr low = nic(), one = upper(), two = upper();
  ASSERT_TRUE(link(one, low) == "ok" && link(two, low) == "ok");
  ASSERT_TRUE(add(one, {5, 5}) && add(two, {5}));
  EXPECT_EQ(outcome(low->rx_mode().vlan_del(5)), "ENOENT");
  ASSERT_TRUE(add(low, {5}));
  ASSERT_TRUE(del(one, {5}) && two->close());
  EXPECT_EQ(ids(low), Ids{5});
  ASSERT_TRUE(del(one, {5}));
  EXPECT_EQ(ids(low), Ids{5}) << "the user's";
  ASSERT_TRUE(del(low, {5}));
  EXPECT_EQ(ids(low), Ids{});
  ASSERT_TRUE(two->open());
  EXPECT_EQ(ids(low), Ids{5});
}

TEST_F(LowerLinkVlanTest, AUsersReferencesAreCountedUpTo4095) {
  const NetdevPtr low = nic(), up = upper();
  ASSERT_EQ(link(up, low), "ok");
  for (int i = 0; i < 4095; ++i) ASSERT_TRUE(add(low, {5}));
  EXPECT_EQ(outcome(low->rx_mode().vlan_add(5)), "EOVERFLOW");
  ASSERT_TRUE(add(up, {5}) && del(up, {5}));
  for (int i = 0; i < 4095; ++i) ASSERT_TRUE(del(low, {5}));
  EXPECT_EQ(ids(low), Ids{});
}

TEST_F(LowerLinkVlanTest, IdsOfInnerTagsStayWhereTheyAre) {
  const NetdevPtr low = nic(), inner = upper(uc(0x1000), VlanIds::kInner), top = upper();
  ASSERT_TRUE(link(inner, low) == "ok" && link(top, inner) == "ok");
  ASSERT_TRUE(add(top, {7}) && add(inner, {8}) && add(low, {5}));
  EXPECT_EQ(ids(inner), (Ids{7, 8}));
  EXPECT_EQ(ids(low), Ids{5});
  of(inner).remove(*low);
  EXPECT_EQ(ids(low), Ids{5});
}

TEST_F(LowerLinkVlanTest, EveryIdComesAndGoesWithTheLinkInMoreThanOneHold) {
  const NetdevPtr low = nic(), middle = upper(), up = upper();
  const Ids all = range(0, 4094);
  ASSERT_TRUE(add(up, all) && add(low, {0, 64, 4094}));
  ASSERT_TRUE(up->mc().add(mc(1)) && up->rx_mode().set_promiscuity(1));
  ASSERT_TRUE(link(middle, low) == "ok" && link(up, middle) == "ok");
  EXPECT_EQ(ids(middle), all);
  middle->lane().flush();  // what is left after a hold
  EXPECT_EQ(ids(low), all);
  EXPECT_TRUE(low->mc().contains(mc(1)));
  EXPECT_EQ(low->rx_mode().status().promiscuity, 1u);
  of(up).activate(*middle, false);
  EXPECT_EQ(ids(middle), Ids{});
  middle->lane().flush();
  EXPECT_EQ(ids(low), (Ids{0, 64, 4094}));
  EXPECT_EQ(low->rx_mode().status().promiscuity, 0u);
}

TEST_F(LowerLinkVlanTest, AChangeIsDownWhenItsCallerReturns) {
  const NetdevPtr low = nic();
  const std::vector<NetdevPtr> ups = stack(kStackMax - 1);
  ASSERT_EQ(link(ups[0], low), "ok");
  for (uint16_t id = 0; id < 4095; ++id) {
    ASSERT_TRUE(add(ups.back(), {id}));
    ASSERT_EQ(outcome(low->rx_mode().vlan_del(id)), "ENOENT");
    if (id % 100 != 0) continue;
    ASSERT_EQ(ids(low), range(0, id));
  }
}

TEST_F(LowerLinkVlanTest, TheyMoveFromOneLowerToAnother) {
  const NetdevPtr one = nic(), two = nic(), up = upper();
  ASSERT_TRUE(link(up, one) == "ok" && link(up, two) == "ok");
  of(up).activate(*two, false);
  ASSERT_TRUE(add(up, {5, 6}));
  EXPECT_EQ(ids(two), Ids{});
  of(up).activate(*two, true);
  EXPECT_TRUE(ids(one) == (Ids{5, 6}) && ids(two) == (Ids{5, 6}));
  of(up).activate(*one, false);
  EXPECT_EQ(ids(one), Ids{});
  ASSERT_TRUE(del(up, {5}));
  EXPECT_EQ(ids(two), Ids{6});
}

TEST_F(LowerLinkVlanTest, WhoGoesTakesThemBack) {
  const NetdevPtr low = nic();
  NetdevPtr middle = upper(), up = upper();
  ASSERT_TRUE(link(middle, low) == "ok" && link(up, middle) == "ok");
  ASSERT_TRUE(add(up, {5}) && add(middle, {6}) && add(low, {7}));
  up.reset();
  EXPECT_EQ(ids(low), (Ids{6, 7}));
  middle.reset();
  EXPECT_EQ(ids(low), Ids{7});
}

TEST_F(LowerLinkVlanTest, ALowerThatGoesTakesNothingOfTheOthersAlong) {
  const NetdevPtr other = nic(), up = upper();
  NetdevPtr low = nic();
  ASSERT_TRUE(link(up, low) == "ok" && link(up, other) == "ok" && add(up, {5}));
  low.reset();
  EXPECT_TRUE(ids(other) == Ids{5} && ids(up) == Ids{5});
  ASSERT_TRUE(add(up, {6}) && del(up, {5}));
  EXPECT_EQ(ids(other), Ids{6});
}

}  // namespace
}  // namespace usernic
