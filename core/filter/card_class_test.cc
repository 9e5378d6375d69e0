// SPDX-License-Identifier: Apache-2.0 OR MIT
// One address class on the card, by itself: the states of an entry, back-off, and how wide the filter must be.
#include "core/filter/card_class.h"

#include <gtest/gtest.h>

#include "testing/addresses.h"
#include "testing/watch.h"

namespace usernic {
namespace {

constexpr Duration kFirst = std::chrono::seconds(1);

uint32_t last_octet(const void*, AddressClass, const MacAddress& address) {
  return address.octets[5];
}

// One thread, and no lock to take: each test says that it has what stands for it.
struct CardClassTest : testing::Test {
  CardClassTest() {
    card.slots = &slots;
    card.bucket_of = last_octet;
    card.retry_first = kFirst;
  }

  void want(uint64_t n, bool wanted = true) USERNIC_REQUIRES(addr_list_lock) {
    table.set_refs(table.find_or_make(mc(n)), wanted ? AddressEntry::kUser : 0);
  }
  void drain() USERNIC_REQUIRES(addr_list_lock) {
    for (bool drained = false; !drained;) {
      drained = card.drain(UINT64_MAX);
      if (card.take_in()) card.settle_drained();
    }
  }
  // It is on the card.
  AddressEntry& program(uint64_t n) USERNIC_REQUIRES(addr_list_lock) {
    AddressEntry& entry = *table.find(mc(n));
    entry.sure = true;
    card.set_maybe(entry, true);
    card.move(entry, CardState::kExact);
    return entry;
  }
  // `count` of them are wanted; those beyond the slots stand outside.
  void fill(uint32_t count) USERNIC_REQUIRES(addr_list_lock) {
    for (uint32_t n = 0; n < count; ++n) want(n);
    drain();
    for (uint32_t n = 0; n < count; ++n) {
      n < slots.slots ? void(program(n)) : card.move(*table.find(mc(n)), CardState::kOver);
    }
  }

  SlotTable slots{.slots = 4, .limit = 4};
  ChangeCount changes;
  EntryPool pool;
  AddressTable table{changes, pool, AddressClass::kMulticast, 1};
  CardClass card{table};
};

TEST_F(CardClassTest, AnEntryComesGoesAndIsFreedOnceItIsOff) {
  addr_list_lock.assert_held();
  want(1);
  drain();
  EXPECT_EQ(card.count(CardState::kTrying), 1u);
  program(1);
  EXPECT_EQ(slots.free(), 3);
  want(1, false);
  drain();
  EXPECT_EQ(card.count(CardState::kLeaving), 1u);
  EXPECT_EQ(card.wanted(), 0u);
  AddressEntry& entry = *table.find(mc(1));
  EXPECT_FALSE(entry.covers()) << "nobody counts on what is taken off";
  card.set_maybe(entry, false);
  card.move(entry, CardState::kAbsent);
  table.release(entry, AddressTable::kCardBit);
  EXPECT_EQ(table.find(mc(1)), nullptr);
  EXPECT_EQ(slots.free(), 4);
}

TEST_F(CardClassTest, WhatGoesAndComesBackBetweenTwoRunsStaysWhereItIs) {
  addr_list_lock.assert_held();
  want(1);
  drain();
  program(1);
  want(1, false);
  want(1);
  drain();
  EXPECT_EQ(card.count(CardState::kExact), 1u);
}

TEST_F(CardClassTest, AFailureParksItUntilItsTimeAndCountsAsUncovered) {
  addr_list_lock.assert_held();
  want(1);
  drain();
  AddressEntry& entry = *table.find(mc(1));
  Time now{};
  for (const int seconds : {1, 2, 4, 8, 16, 32, 60, 60}) {
    card.park(entry, std::errc::io_error, now);
    EXPECT_TRUE(card.uncovered_by_exact_and_hash());
    EXPECT_EQ(card.next_due(), now + seconds * kFirst);
    card.wake_parked(card.next_due() - Duration(1));
    EXPECT_EQ(card.parked(), 1u);
    now = card.next_due();
    card.wake_parked(now);
    EXPECT_EQ(card.parked(), 0u);
  }
  EXPECT_EQ(entry.card().retry.attempts(), 8u);
  CardClass::worked(entry);
  EXPECT_FALSE(entry.card().retry.owed());
}

TEST_F(CardClassTest, WhatFitsIsExactAndTheRestWhatTheCardHas) {
  addr_list_lock.assert_held();
  fill(4);
  EXPECT_EQ(card.decide(true, true), FilterLevel::kExact);
  want(4);
  drain();
  card.move(*table.find(mc(4)), CardState::kOver);
  EXPECT_EQ(card.decide(true, true), FilterLevel::kAllmulti);
  EXPECT_EQ(card.decide(true, false), FilterLevel::kPromisc);
  EXPECT_EQ(card.decide(false, false), FilterLevel::kDegraded);
  card.hash.configure(4);
  EXPECT_EQ(card.decide(true, true), FilterLevel::kHash);
}

// Hysteresis: from wide back to exact only when a quarter of the slots is free again.
TEST_F(CardClassTest, AWideClassComesBackWithAQuarterOfTheSlotsFree) {
  addr_list_lock.assert_held();
  fill(5);
  card.set_level(card.decide(true, true));
  ASSERT_EQ(card.level, FilterLevel::kAllmulti);
  card.move(*table.find(mc(4)), CardState::kTrying);
  want(4, false);
  drain();
  ASSERT_EQ(card.wanted(), 4u);
  EXPECT_EQ(card.decide(true, true), FilterLevel::kAllmulti) << "full to the last slot";
  want(3, false);
  drain();
  EXPECT_EQ(card.decide(true, true), FilterLevel::kExact);
}

TEST_F(CardClassTest, ABucketCarriesWhoHasNoSlotAndIsClearedAfterTheLastOne) {
  addr_list_lock.assert_held();
  card.hash.configure(16);
  fill(4);
  want(7);
  want(7 + 256);  // the same last octet
  drain();
  for (const uint64_t n : {7, 7 + 256}) card.move(*table.find(mc(n)), CardState::kOver);
  std::vector<uint32_t> set, clear;
  const auto plan = [&] {
    set.clear(), clear.clear();
    card.hash.plan(
        true, [&](uint32_t bucket) { set.push_back(bucket); }, [&](uint32_t bucket) { clear.push_back(bucket); });
  };
  plan();
  EXPECT_EQ(set, std::vector<uint32_t>{7});
  card.hash.answer(7, true, Outcome::kDone, kFirst, Time{});
  want(7, false);
  drain();
  plan();
  EXPECT_TRUE(clear.empty()) << "it carries the other one";
  want(7 + 256, false);
  drain();
  plan();
  EXPECT_EQ(clear, std::vector<uint32_t>{7});
}

TEST_F(CardClassTest, ABucketOutOfTheHashIsReportedAndTakenForTheFirst) {
  addr_list_lock.assert_held();
  card.hash.configure(4);
  const Reports reports;
  EXPECT_EQ(card.bucket(mc(9)), 0u);
  ASSERT_EQ(reports.rules(), "rx-hash-range");
  EXPECT_TRUE(reports.all[0].text.contains("rx_hash gives 9")) << reports.all[0].text;
}

TEST_F(CardClassTest, AfterAResetWhatIsWantedComesBackAndTheRestIsFreed) {
  addr_list_lock.assert_held();
  fill(100);
  want(1, false);
  want(99, false);
  drain();
  while (card.forget_chunk(false)) {
  }
  EXPECT_EQ(slots.occupied, 0u);
  EXPECT_EQ(card.wanted(), 0u);
  card.come_back();
  EXPECT_EQ(card.count(CardState::kTrying), 98u);
  EXPECT_EQ(table.entries(), 98u);
  while (card.forget_chunk(true)) {
  }
  card.come_back();
  EXPECT_EQ(card.wanted(), 0u) << "closed, nothing of it is known";
  EXPECT_EQ(table.referenced(), 98u) << "and all of it is wanted";
}

}  // namespace
}  // namespace usernic
