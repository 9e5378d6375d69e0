// SPDX-License-Identifier: Apache-2.0 OR MIT
// The VLAN ids on the card, by themselves, and in the filter that retries them.
#include "core/filter/card_vlans.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/filter/card_filter.h"

namespace usernic {
namespace {

constexpr Duration kVlanRetry = std::chrono::seconds(1);

VlanSet ids(std::initializer_list<uint16_t> which) {
  VlanSet set;
  for (const uint16_t id : which) set.set(id);
  return set;
}

// "-6 +5"
std::string plan_of(CardVlans& vlans) {
  std::string text;
  const auto note = [&text](char sign, uint16_t id) {
    text += fmt::format("{}{}{}", text.empty() ? "" : " ", sign, id);
  };
  vlans.plan(
      Time(), [&](uint16_t id, bool) { note('-', id); }, [&](uint16_t id) { note('+', id); });
  return text;
}

TEST(CardVlansTest, WhatTheCardForgotIsPutThereAgainAndNotTakenOff) {
  addr_list_lock.assert_held();
  CardVlans vlans;
  vlans.configure(4, false);
  vlans.aim(true, ids({5, 6}));
  EXPECT_EQ(plan_of(vlans), "+5 +6");
  for (const uint16_t id : {5, 6}) EXPECT_FALSE(vlans.answer(id, true, Outcome::kDone, kVlanRetry, Time()));
  vlans.aim(true, ids({5}));
  EXPECT_EQ(plan_of(vlans), "-6");
  vlans.forget();
  EXPECT_TRUE(vlans.sure().none() && vlans.maybe().none());
  vlans.aim(true, ids({5}));
  EXPECT_EQ(plan_of(vlans), "+5");
}

struct CardFilterTest : testing::Test {
  CardFilterTest() {
    filter.configure(
        {.vlan_slots = 4}, [](const void*, AddressClass, const MacAddress&) { return 0u; }, nullptr, kVlanRetry);
  }
  // Answers a plan; returns how many adds of a VLAN were in it.
  uint32_t run(Result<> of_vlans) USERNIC_REQUIRES(addr_list_lock) {
    uint32_t adds = 0;
    filter.place({.vlan_filter = true}, ids({5}), now);
    for (RxStep& step : filter.plan(now)) {
      const bool vlan = step.command.object == RxObject::kVlan;
      adds += vlan && step.command.kind == RxCommandKind::kAdd;
      step.state = RxStep::State::kAnswered;
      if (vlan) step.result = of_vlans;
      filter.answer(step, false, now);
    }
    filter.end_answers();
    return adds;
  }

  ChangeCount changes;
  EntryPool pool;
  AddressTable uc{changes, pool, AddressClass::kUnicast, 1}, mc{changes, pool, AddressClass::kMulticast, 1};
  CardFilter filter{uc, mc};
  Time now{std::chrono::hours(1)};
};

TEST_F(CardFilterTest, AVlanThatFailedWaitsForItsTimeOrUntilAllIsDue) {
  addr_list_lock.assert_held();
  EXPECT_EQ(run(fail(std::errc::io_error)), 1u);
  EXPECT_EQ(filter.due(), now + kVlanRetry);
  filter.wake(now, false);
  EXPECT_EQ(run({}), 0u);
  filter.wake(now, true);
  EXPECT_EQ(run({}), 1u);
  EXPECT_EQ(filter.due(), kForever);
}

}  // namespace
}  // namespace usernic
