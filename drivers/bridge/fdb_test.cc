// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/bridge/fdb.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace usernic::fdb_test {
namespace {

using std::chrono::seconds;
using At = std::optional<Fdb::PortNumber>;

constexpr Time kStart{seconds(1'000'000)};
constexpr MacAddress station(uint64_t n) {
  return MacAddress::from_u64(0x0200'0000'0000 + n);
}

struct FdbTest : testing::Test {
  Fdb fdb{seconds(300)};
};

TEST_F(FdbTest, AStationIsWhereItWasSeenLast) {
  EXPECT_EQ(fdb.find(station(1), kStart), At());
  fdb.learn(station(1), 3, kStart);
  fdb.learn(station(2), 4, kStart);
  EXPECT_EQ(fdb.find(station(1), kStart), At(3));
  fdb.learn(station(1), 0, kStart);
  EXPECT_EQ(fdb.find(station(1), kStart), At(0));
  EXPECT_EQ(fdb.find(station(2), kStart), At(4));
  EXPECT_EQ(fdb.entries(kStart).size(), 2u);
}

TEST_F(FdbTest, AnEntryThatIsNotRenewedEnds) {
  fdb.learn(station(1), 3, kStart);
  fdb.learn(station(2), 3, kStart + seconds(1));
  EXPECT_EQ(fdb.find(station(1), kStart + seconds(299)), At(3));
  EXPECT_EQ(fdb.find(station(1), kStart + seconds(300)), At());
  EXPECT_EQ(fdb.entries(kStart + seconds(300)).size(), 1u);
  fdb.learn(station(1), 3, kStart + seconds(300));
  EXPECT_EQ(fdb.find(station(1), kStart + seconds(599)), At(3));
}

TEST_F(FdbTest, AStaticEntryStaysWhereItIs) {
  fdb.learn(station(1), 3, kStart);
  ASSERT_TRUE(fdb.add_static(station(1), 5));
  fdb.learn(station(1), 3, kStart);
  EXPECT_EQ(fdb.find(station(1), kStart + seconds(1'000'000)), At(5));
  fdb.forget_learned(5);
  EXPECT_EQ(fdb.find(station(1), kStart), At(5));
  ASSERT_TRUE(fdb.del_static(station(1)));
  EXPECT_EQ(fdb.find(station(1), kStart), At());
  EXPECT_EQ(fdb.del_static(station(1)).error(), std::errc::no_such_file_or_directory);
  fdb.learn(station(1), 3, kStart);
  EXPECT_EQ(fdb.del_static(station(1)).error(), std::errc::no_such_file_or_directory) << "a learned one is none";
}

TEST_F(FdbTest, APortIsForgottenAlone) {
  fdb.learn(station(1), 0, kStart);
  fdb.learn(station(2), 1, kStart);
  ASSERT_TRUE(fdb.add_static(station(3), 0));
  fdb.forget_learned(0);
  EXPECT_EQ(fdb.entries(kStart).size(), 2u);
  fdb.forget_all(0);
  ASSERT_EQ(fdb.entries(kStart).size(), 1u);
  EXPECT_EQ(fdb.entries(kStart)[0].address, station(2));
}

TEST_F(FdbTest, TheTableIsBoundedAndTheOldestOfASetGoes) {
  constexpr uint64_t kMany = 100'000;
  for (uint64_t n = 0; n < 100; ++n) ASSERT_TRUE(fdb.add_static(station(kMany + n), 7));
  for (uint64_t n = 1; n <= kMany; ++n) fdb.learn(station(n), 3, kStart + std::chrono::microseconds(n));
  const auto all = fdb.entries(kStart + seconds(1));
  EXPECT_EQ(all.size(), Fdb::kSets * Fdb::kWays);
  EXPECT_EQ(std::ranges::count_if(all, &Fdb::Entry::is_static), 100);
  EXPECT_EQ(fdb.find(station(kMany - 1), kStart + seconds(1)), At(3)) << "the newest is there";
  uint64_t old = 0;
  for (const Fdb::Entry& each : all) old += !each.is_static && each.address < station(kMany / 2) ? 1 : 0;
  EXPECT_EQ(old, 0u) << "of sets with 8 places, 50,000 newer stations leave none to an older one";
}

TEST_F(FdbTest, StaticEntriesHaveAnEndToo) {
  uint64_t added = 0;
  while (fdb.add_static(station(added), 1)) ++added;
  EXPECT_EQ(fdb.add_static(station(added), 1).error(), std::errc::no_space_on_device);
  EXPECT_GE(added, Fdb::kWays);
  EXPECT_LE(added, Fdb::kSets * Fdb::kWays);
  fdb.learn(station(added), 1, kStart);  // no place: it is looked for everywhere
  EXPECT_EQ(fdb.find(station(added), kStart), At());
}

}  // namespace
}  // namespace usernic::fdb_test
