// SPDX-License-Identifier: Apache-2.0 OR MIT
// A list by itself: its change order, who subscribes to it, and when an entry is freed. No device is needed.
#include "core/list/address_table.h"

#include <gtest/gtest.h>

#include <deque>
#include <set>

#include "testing/addresses.h"

namespace usernic {
namespace {

// Lower bits that a chain is chosen by hear of every bit of an address.
TEST(AddressIndexTest, AddressesThatDifferInOneBytesUpperBitsSpread) {
  for (const int shift : {0, 8, 16, 24, 32, 40}) {
    EntryPool pool;
    const AddressIndex index(pool, 0x1234'5678'9abc'def0);
    std::set<uint64_t> chains;
    for (uint64_t i = 0; i < 128; ++i) {
      chains.insert(index.key_of(i << (shift + 1)).hash % std::tuple_size_v<BucketSegment>);
    }
    EXPECT_GT(chains.size(), 64u) << "shift " << shift;
  }
}

// One thread, and no lock to take: each test says that it has what stands for it.
struct AddressTableTest : testing::Test {
  static constexpr uint64_t kUser = AddressEntry::kUser;

  AddressEntry& want(const MacAddress& address, uint64_t refs = kUser) USERNIC_REQUIRES(addr_list_lock) {
    AddressEntry& entry = table.find_or_make(address);
    table.set_refs(entry, refs);
    return entry;
  }
  // Told of all that is new: the addresses in their order.
  std::vector<MacAddress> heard(Subscriber& subscriber) USERNIC_REQUIRES(addr_list_lock) {
    std::vector<MacAddress> all;
    const auto hear = [&](AddressEntry& entry) {
      addr_list_lock.assert_held();
      all.push_back(entry.address());
      entry.wanted() ? void(entry.told |= subscriber.bit) : table.release(entry, subscriber.bit);
    };
    while (!table.drain_chunk(subscriber, UINT64_MAX, hear)) {
    }
    return all;
  }

  ChangeCount changes;
  EntryPool pool;
  AddressTable table{changes, pool, AddressClass::kMulticast, 1};
};

TEST_F(AddressTableTest, AFollowerHearsOfWhatChangedInTheOrderOfItsLastEffectiveChange) {
  addr_list_lock.assert_held();
  Subscriber subscriber;
  ASSERT_TRUE(table.subscribe(subscriber));
  for (uint64_t n : {1, 2, 3}) want(mc(n));
  want(mc(2), 2 * kUser);  // one reference more is no effective change
  want(mc(1), 0);
  want(mc(1));
  EXPECT_EQ(heard(subscriber), (std::vector{mc(2), mc(3), mc(1)}));
  EXPECT_TRUE(table.passed_all(subscriber));
  want(mc(3), 0);
  EXPECT_EQ(heard(subscriber), std::vector{mc(3)});
  table.unsubscribe(subscriber);
}

TEST_F(AddressTableTest, AnEntryLivesUntilEveryFollowerHeardOfItsEnd) {
  addr_list_lock.assert_held();
  Subscriber fast, slow;
  ASSERT_TRUE(table.subscribe(fast));
  ASSERT_TRUE(table.subscribe(slow));
  want(mc(1));
  heard(fast);
  heard(slow);
  want(mc(1), 0);
  const size_t free = pool.free_entries();
  heard(fast);
  ASSERT_NE(table.find(mc(1)), nullptr) << "the slow one has not heard";
  EXPECT_EQ(table.find(mc(1))->told, slow.bit);
  heard(slow);
  EXPECT_EQ(table.find(mc(1)), nullptr);
  EXPECT_EQ(pool.free_entries(), free + 1);
  table.unsubscribe(fast);
  table.unsubscribe(slow);
}

TEST_F(AddressTableTest, WhatComesAndGoesUnheardIsFreedAtOnce) {
  addr_list_lock.assert_held();
  Subscriber subscriber;
  ASSERT_TRUE(table.subscribe(subscriber));
  const size_t free = pool.free_entries();
  want(mc(1));
  want(mc(1), 0);
  EXPECT_EQ(pool.free_entries(), free);
  EXPECT_TRUE(heard(subscriber).empty());
  table.unsubscribe(subscriber);
}

TEST_F(AddressTableTest, ADrainStopsAtAChunkAndAtTheTarget) {
  addr_list_lock.assert_held();
  Subscriber subscriber;
  ASSERT_TRUE(table.subscribe(subscriber));
  constexpr uint64_t kCount = 2 * AddressTable::kChunk + 1;
  for (uint64_t n = 0; n < kCount; ++n) want(mc(n));
  size_t passed = 0;
  const auto count = [&](AddressEntry&) { ++passed; };
  EXPECT_FALSE(table.drain_chunk(subscriber, UINT64_MAX, count));
  EXPECT_EQ(passed, AddressTable::kChunk);
  EXPECT_TRUE(table.drain_chunk(subscriber, AddressTable::kChunk + 3, count));
  EXPECT_EQ(passed, AddressTable::kChunk + 3) << "what is newer is a later run's";
  table.rewind(subscriber);
  passed = 0;
  while (!table.drain_chunk(subscriber, UINT64_MAX, count)) {
  }
  EXPECT_EQ(passed, kCount);
  table.unsubscribe(subscriber);
}

TEST_F(AddressTableTest, AFollowerTooManyIsRefusedAndABitIsReused) {
  addr_list_lock.assert_held();
  std::deque<Subscriber> all(AddressTable::kSubscribersMax);
  for (Subscriber& each : all) ASSERT_TRUE(table.subscribe(each));
  Subscriber late;
  EXPECT_FALSE(table.subscribe(late));
  const uint64_t bit = all[5].bit;
  table.unsubscribe(all[5]);
  ASSERT_TRUE(table.subscribe(late));
  EXPECT_EQ(late.bit, bit);
  table.unsubscribe(late);
  for (Subscriber& each : all) {
    if (each.bit != 0) table.unsubscribe(each);
  }
}

TEST_F(AddressTableTest, TheOwnAddressIsWantedButNotReferenced) {
  addr_list_lock.assert_held();
  table.set_own(mc(1), true);
  EXPECT_TRUE(table.find(mc(1))->wanted());
  EXPECT_EQ(table.referenced(), 0u);
  want(mc(1), AddressEntry::kOwn + kUser);
  EXPECT_EQ(table.referenced(), 1u);
  EXPECT_EQ(changes.generation, 1u) << "wanted it was already";
  want(mc(1), AddressEntry::kOwn);
  table.set_own(mc(1), false);
  EXPECT_EQ(table.find(mc(1)), nullptr);
  EXPECT_EQ(table.entries(), 0u);
}

TEST_F(AddressTableTest, AReadersCursorIsPassedOver) {
  addr_list_lock.assert_held();
  want(mc(1));
  Subscriber reader;
  table.begin_read(reader);
  want(mc(2));
  size_t read = 0;
  EXPECT_TRUE(table.read_chunk(reader, UINT64_MAX, [&](const AddressEntry&) { ++read; }));
  EXPECT_EQ(read, 2u);
  std::vector<MacAddress> seen;
  for (const AddressEntry* each = table.next_entry(nullptr); each != nullptr; each = table.next_entry(each))
    seen.push_back(each->address());
  EXPECT_EQ(seen, (std::vector{mc(1), mc(2)}));
  table.end_read(reader);
}

}  // namespace
}  // namespace usernic
