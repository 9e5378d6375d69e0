// SPDX-License-Identifier: Apache-2.0 OR MIT
// The rules of the kernel's address lists, one test a rule [netdevices: address lists].
#include "usernic/hw_addr_list.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <string>

#include "testing/watch.h"

namespace usernic {
namespace {

constexpr size_t kLen = 6;

struct Addr {
  explicit Addr(uint8_t n) { std::memset(octets, n, kLen); }
  uint8_t octets[kLen];
  operator const uint8_t*() const { return octets; }
};

// A card that remembers, and refuses what it is told to.
struct Card {
  std::map<int, int> held;  // first octet -> references, 1 without
  std::set<int> refuses;
  std::string log;
};
int push(Card* card, const unsigned char* addr) {
  card->log += fmt::format("+{} ", addr[0]);
  if (card->refuses.contains(addr[0])) return -EIO;
  card->held[addr[0]] = 1;
  return 0;
}
int take_back(Card* card, const unsigned char* addr) {
  card->log += fmt::format("-{} ", addr[0]);
  if (card->refuses.contains(addr[0])) return -EIO;
  card->held.erase(addr[0]);
  return 0;
}
int push_refs(Card* card, const unsigned char* addr, int refs) {
  card->log += fmt::format("+{}x{} ", addr[0], refs);
  card->held[addr[0]] = refs;
  return 0;
}
int take_back_refs(Card* card, const unsigned char* addr, int refs) {
  card->log += fmt::format("-{}x{} ", addr[0], refs);
  refs == 0 ? (void)card->held.erase(addr[0]) : (void)(card->held[addr[0]] = refs);
  return 0;
}

struct HwAddrListTest : testing::Test {
  HwAddrList list, other;
  Card card;

  void add(uint8_t n, unsigned how = HwAddr::kPlain) { ASSERT_TRUE(list.add(Addr(n), kLen, HwAddr::kMulticast, how)); }
  Result<> del(uint8_t n) { return list.del(Addr(n), kLen, HwAddr::kMulticast); }
  std::string sync() {
    card.log.clear();
    const int error = list.sync_dev(&card, push, take_back);
    return fmt::format("{}{}", card.log, error);
  }
  // "1:refcount/sync_cnt/synced 2:..." in order of the list.
  static std::string counts(HwAddrList& of) {
    std::string text;
    for (HwAddr* e = of.first(); e != nullptr; e = of.next(*e)) {
      text += fmt::format("{}{}:{}/{}/{}", text.empty() ? "" : " ", e->addr[0], e->refcount, e->sync_cnt, e->synced);
    }
    return text;
  }
};

TEST_F(HwAddrListTest, ASecondAdditionIsAReference) {
  add(1);
  add(1);
  EXPECT_EQ(counts(list), "1:2/0/0");
  EXPECT_EQ(list.count(), 1u);
  EXPECT_EQ(outcome(del(1)), "ok");
  EXPECT_EQ(outcome(del(1)), "ok");
  EXPECT_EQ(list.count(), 0u);
  EXPECT_EQ(outcome(del(1)), "ENOENT");
}

TEST_F(HwAddrListTest, AnAddressTooLongIsRefused) {
  const uint8_t longest[HwAddr::kMax + 1] = {1};
  EXPECT_EQ(outcome(list.add(longest, HwAddr::kMax, HwAddr::kLan)), "ok");
  EXPECT_EQ(outcome(list.add(longest, HwAddr::kMax + 1, HwAddr::kLan)), "EINVAL");
}

TEST_F(HwAddrListTest, TheTypeIsPartOfTheKeyAndAnyIgnoresIt) {
  ASSERT_TRUE(list.add(Addr(1), kLen, HwAddr::kLan));
  ASSERT_TRUE(list.add(Addr(1), kLen, HwAddr::kSan));
  EXPECT_EQ(list.count(), 2u);
  EXPECT_EQ(list.find(Addr(1), kLen, HwAddr::kUnicast), nullptr);
  EXPECT_NE(list.find(Addr(1), kLen, HwAddr::kSan), list.find(Addr(1), kLen, HwAddr::kLan));
  EXPECT_NE(list.find(Addr(1), kLen), nullptr);
  EXPECT_EQ(outcome(list.del(Addr(1), kLen, HwAddr::kMulticast)), "ENOENT");
  EXPECT_EQ(outcome(list.del(Addr(1), kLen, HwAddr::kSan)), "ok");
  EXPECT_EQ(list.first()->type, HwAddr::kLan);
}

TEST_F(HwAddrListTest, ExclusiveIsRefusedWhileAnybodyHoldsItAlsoStale) {
  ASSERT_TRUE(list.add(Addr(1), kLen, HwAddr::kUnicast, HwAddr::kExcl));
  EXPECT_EQ(outcome(list.add(Addr(1), kLen, HwAddr::kUnicast, HwAddr::kExcl)), "EEXIST");
  EXPECT_EQ(sync(), "+1 0");
  ASSERT_TRUE(list.del(Addr(1), kLen, HwAddr::kUnicast));  // wanted no more, still on the card
  EXPECT_EQ(outcome(list.add(Addr(1), kLen, HwAddr::kUnicast, HwAddr::kExcl)), "EEXIST");
}

TEST_F(HwAddrListTest, TheGlobalReferenceCountsOnce) {
  add(1, HwAddr::kGlobal);
  add(1, HwAddr::kGlobal);
  EXPECT_EQ(counts(list), "1:1/0/0");
  add(2);
  EXPECT_EQ(outcome(list.del(Addr(2), kLen, HwAddr::kMulticast, HwAddr::kGlobal)), "ENOENT");
  EXPECT_EQ(outcome(list.del(Addr(1), kLen, HwAddr::kMulticast, HwAddr::kGlobal)), "ok");
  EXPECT_EQ(outcome(list.del(Addr(1), kLen, HwAddr::kMulticast, HwAddr::kGlobal)), "ENOENT");
}

TEST_F(HwAddrListTest, SyncDevPushesWhatIsNewAndTakesBackWhatIsStale) {
  add(1);
  add(2);
  EXPECT_EQ(sync(), "+1 +2 0");
  EXPECT_EQ(counts(list), "1:2/1/0 2:2/1/0");
  EXPECT_EQ(sync(), "0") << "nothing changed";
  ASSERT_TRUE(del(1));
  add(3);
  EXPECT_EQ(counts(list), "1:1/1/0 2:2/1/0 3:1/0/0");
  EXPECT_EQ(sync(), "-1 +3 0") << "stale ones first";
  EXPECT_EQ(counts(list), "2:2/1/0 3:2/1/0");
}

TEST_F(HwAddrListTest, SyncDevEndsAtTheFirstErrorAndReturnsIt) {
  for (uint8_t n : {1, 2, 3}) add(n);
  card.refuses = {2};
  EXPECT_EQ(sync(), fmt::format("+1 +2 {}", -EIO));
  EXPECT_EQ(counts(list), "1:2/1/0 2:1/0/0 3:1/0/0");
  EXPECT_EQ(list.find(Addr(2), kLen)->error, -EIO);
  card.refuses.clear();
  EXPECT_EQ(sync(), "+2 +3 0");
}

TEST_F(HwAddrListTest, AnUnsyncThatFailsIsDeferredAndAWishMeanwhileKeepsTheEntry) {
  add(1);
  EXPECT_EQ(sync(), "+1 0");
  card.refuses = {1};
  ASSERT_TRUE(del(1));
  EXPECT_EQ(sync(), "-1 0");
  EXPECT_EQ(counts(list), "1:1/1/0");
  add(1);
  EXPECT_EQ(sync(), "0") << "wanted again, and still there";
}

TEST_F(HwAddrListTest, SyncDevWithoutUnsyncDropsStaleEntriesSilently) {
  add(1);
  EXPECT_EQ(sync(), "+1 0");
  ASSERT_TRUE(del(1));
  EXPECT_EQ(list.sync_dev(&card, push, nullptr), 0);
  EXPECT_EQ(list.count(), 0u);
}

TEST_F(HwAddrListTest, UnsyncDevTakesBackAllAndKeepsWhatIsWanted) {
  for (uint8_t n : {1, 2}) add(n);
  EXPECT_EQ(sync(), "+1 +2 0");
  ASSERT_TRUE(del(1));
  card.log.clear();
  list.unsync_dev(&card, take_back);
  EXPECT_EQ(card.log, "-1 -2 ");
  EXPECT_EQ(counts(list), "2:1/0/0");
  EXPECT_EQ(sync(), "+2 0");
  list.unsync_dev(&card, nullptr);
  EXPECT_EQ(counts(list), "2:1/0/0") << "only the counts";
}

TEST_F(HwAddrListTest, RefSyncTellsTheNumberOfReferences) {
  add(1);
  add(1);
  EXPECT_EQ(list.ref_sync_dev(&card, push_refs, take_back_refs), 0);
  EXPECT_EQ(card.log, "+1x2 ");
  EXPECT_EQ(counts(list), "1:4/2/0");
  add(1);
  EXPECT_EQ(list.ref_sync_dev(&card, push_refs, take_back_refs), 0);
  EXPECT_EQ(counts(list), "1:6/3/0");
  ASSERT_TRUE(del(1));
  ASSERT_TRUE(del(1));
  card.log.clear();
  EXPECT_EQ(list.ref_sync_dev(&card, push_refs, take_back_refs), 0);
  EXPECT_EQ(card.log, "-1x1 ");
  EXPECT_EQ(counts(list), "1:2/1/0");
  ASSERT_TRUE(del(1));
  EXPECT_EQ(list.ref_sync_dev(&card, push_refs, take_back_refs), 0);
  EXPECT_EQ(list.count(), 0u);
  EXPECT_TRUE(card.held.empty());
}

TEST_F(HwAddrListTest, RefUnsyncTakesBackAll) {
  add(1);
  add(1);
  ASSERT_EQ(list.ref_sync_dev(&card, push_refs, take_back_refs), 0);
  card.log.clear();
  list.ref_unsync_dev(&card, take_back_refs);
  EXPECT_EQ(card.log, "-1x2 ");
  EXPECT_EQ(counts(list), "1:2/0/0") << "the users' two";
}

TEST_F(HwAddrListTest, SyncToOneLowerListPushesOnceAndTakesBackWhatNobodyWants) {
  add(1);
  add(1);
  ASSERT_TRUE(HwAddrList::sync(other, list, kLen));
  ASSERT_TRUE(HwAddrList::sync(other, list, kLen));
  EXPECT_EQ(counts(list), "1:3/1/0");
  EXPECT_EQ(counts(other), "1:1/0/1");
  ASSERT_TRUE(del(1));
  ASSERT_TRUE(del(1));
  ASSERT_TRUE(HwAddrList::sync(other, list, kLen));
  EXPECT_EQ(list.count() + other.count(), 0u);
}

TEST_F(HwAddrListTest, SyncMultiplePushesToEachAndTakesBackFromEach) {
  HwAddrList third;
  add(1);
  for (HwAddrList* to : {&other, &third}) ASSERT_TRUE(HwAddrList::sync_multiple(*to, list, kLen));
  EXPECT_EQ(counts(list), "1:3/2/0");
  ASSERT_TRUE(HwAddrList::sync_multiple(other, list, kLen));
  EXPECT_EQ(counts(list), "1:3/2/0") << "there already: success without counting";
  EXPECT_EQ(counts(other), "1:1/0/1");
  ASSERT_TRUE(del(1));
  for (HwAddrList* to : {&other, &third}) ASSERT_TRUE(HwAddrList::sync_multiple(*to, list, kLen));
  EXPECT_EQ(list.count() + other.count() + third.count(), 0u);
}

TEST_F(HwAddrListTest, UnsyncRemovesEverythingPushedAndNothingElse) {
  add(1);
  add(2);
  ASSERT_TRUE(HwAddrList::sync(other, list, kLen));
  ASSERT_TRUE(other.add(Addr(2), kLen, HwAddr::kMulticast));
  ASSERT_TRUE(other.add(Addr(3), kLen, HwAddr::kMulticast));
  HwAddrList::unsync(other, list, kLen);
  EXPECT_EQ(counts(list), "1:1/0/0 2:1/0/0");
  EXPECT_EQ(counts(other), "2:1/0/0 3:1/0/0");
}

struct SnapshotTest : HwAddrListTest {
  HwAddrList work, ref;
  void take() {
    list.snapshot(work);
    list.snapshot(ref);
  }
};

TEST_F(SnapshotTest, WhatTheDriverPushedIsFoldedBack) {
  add(1);
  take();
  EXPECT_EQ(work.sync_dev(&card, push, take_back), 0);
  list.reconcile(work, ref);
  EXPECT_EQ(counts(list), "1:2/1/0");
  EXPECT_EQ(work.count() + ref.count(), 0u);
}

TEST_F(SnapshotTest, AnEntryThatWentMeanwhileComesBackStale) {
  add(1);
  take();
  EXPECT_EQ(work.sync_dev(&card, push, take_back), 0);
  ASSERT_TRUE(del(1));
  list.reconcile(work, ref);
  EXPECT_EQ(counts(list), "1:1/1/0");
  EXPECT_EQ(sync(), "-1 0");
  EXPECT_EQ(list.count(), 0u);
}

TEST_F(SnapshotTest, AnEntryThatIsWantedAgainMeanwhileIsFresh) {
  add(1);
  EXPECT_EQ(sync(), "+1 0");
  ASSERT_TRUE(del(1));
  take();
  EXPECT_EQ(work.sync_dev(&card, push, take_back), 0);
  add(1);
  list.reconcile(work, ref);
  EXPECT_EQ(counts(list), "1:1/0/0");
  EXPECT_EQ(sync(), "+1 0");
}

TEST_F(HwAddrListTest, ADeletedEntrysMemoryServesTheNextAddition) {
  add(1);
  HwAddr* const first = list.first();
  ASSERT_TRUE(del(1));
  add(2);
  EXPECT_EQ(list.first(), first);
  EXPECT_EQ(counts(list), "2:1/0/0");
}

}  // namespace
}  // namespace usernic
