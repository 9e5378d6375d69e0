// SPDX-License-Identifier: Apache-2.0 OR MIT
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

#include "core/list/wanted.h"
#include "testing/addresses.h"
#include "testing/card.h"
#include "testing/watch.h"
#include "usernic/rx_mode.h"

namespace usernic {
namespace {

struct AddressListTest : testing::Test {
  Net net;
  TestCard card, lower_card;
  NetdevPtr dev = *net.alloc_netdev<TestDriver>({.name = "up0"}, card);
  NetdevPtr lower = *net.alloc_netdev<TestDriver>({.name = "low0"}, lower_card);
  AddressList& list = dev->uc();

  void SetUp() override {
    ASSERT_TRUE(dev->register_netdev());
    ASSERT_TRUE(lower->register_netdev());
  }
};

TEST_F(AddressListTest, ReferencesAreCounted) {
  EXPECT_TRUE(list.add(uc(1)));
  EXPECT_TRUE(list.add(uc(1)));
  EXPECT_EQ(list.references(uc(1)), 2u);
  EXPECT_EQ(list.size(), 1u);
  EXPECT_TRUE(list.del(uc(1)));
  EXPECT_TRUE(list.contains(uc(1)));
  EXPECT_TRUE(list.del(uc(1)));
  EXPECT_FALSE(list.contains(uc(1)));
  EXPECT_EQ(list.del(uc(1)), Result<>(fail(std::errc::no_such_file_or_directory)));
}

TEST_F(AddressListTest, ZerosAndTheOtherClassAreTakenAsTheyAre) {
  for (AddressList* each : {&dev->uc(), &dev->mc()}) {
    for (const MacAddress& address : {uc(1), mc(1), MacAddress{}, kBroadcast}) {
      EXPECT_TRUE(each->add(address));
      EXPECT_TRUE(each->add_global(address));
      EXPECT_EQ(each->references(address), 2u);
    }
    EXPECT_EQ(each->size(), 4u);
    EXPECT_EQ(each->snapshot(), (std::vector{MacAddress{}, uc(1), mc(1), kBroadcast}));
    for (const MacAddress& address : {uc(1), mc(1), MacAddress{}}) {
      EXPECT_TRUE(each->del(address));
      EXPECT_TRUE(each->del_global(address));
      EXPECT_FALSE(each->contains(address));
    }
    EXPECT_TRUE(each->flush());
    EXPECT_EQ(each->size(), 0u);
  }
}

TEST_F(AddressListTest, ExclusiveIsRefusedOnlyWhileAUserHoldsTheAddress) {
  EXPECT_TRUE(list.add(uc(1)));
  EXPECT_EQ(list.add_excl(uc(1)), Result<>(fail(std::errc::file_exists)));
  EXPECT_TRUE(list.del(uc(1)));
  EXPECT_TRUE(list.add_excl(uc(1)));
  EXPECT_EQ(list.add_excl(uc(1)), Result<>(fail(std::errc::file_exists)));
  EXPECT_TRUE(list.del(uc(1)));
  EXPECT_FALSE(list.contains(uc(1)));
}

TEST_F(AddressListTest, TheGlobalReferenceCountsOnce) {
  AddressList& groups = dev->mc();
  EXPECT_TRUE(groups.add_global(mc(1)));
  EXPECT_TRUE(groups.add_global(mc(1)));
  EXPECT_EQ(groups.references(mc(1)), 1u);
  EXPECT_TRUE(groups.add(mc(1)));
  EXPECT_TRUE(groups.del(mc(1)));
  EXPECT_TRUE(groups.del_global(mc(1)));
  EXPECT_EQ(groups.del_global(mc(1)), Result<>(fail(std::errc::no_such_file_or_directory)));
}

TEST_F(AddressListTest, FlushDropsUsersReferencesAndKeepsSynced) {
  ASSERT_TRUE(dev->mc().add(mc(1)));
  ASSERT_TRUE(sync(lower->mc(), dev->mc()));
  ASSERT_TRUE(lower->mc().add(mc(1)));
  ASSERT_TRUE(lower->mc().add(mc(2)));
  EXPECT_TRUE(lower->mc().flush());
  EXPECT_EQ(lower->mc().snapshot(), std::vector{mc(1)});
  unsync(lower->mc(), dev->mc());
}

TEST_F(AddressListTest, AGoneDeviceAnswersNoDevice) {
  DeviceHandle handle(*dev);
  dev->unregister_netdev();
  EXPECT_EQ(handle->uc().add(uc(1)), Result<>(fail(std::errc::no_such_device)));
  dev.reset();
  EXPECT_EQ(handle->uc().add(uc(1)), Result<>(fail(std::errc::no_such_device)));
  EXPECT_FALSE(handle->uc().contains(uc(1)));
}

TEST_F(AddressListTest, SyncBringsOnlyWhatChangedAndUnsyncTakesItBack) {
  for (uint64_t n = 0; n < 200; ++n) ASSERT_TRUE(dev->mc().add(mc(n + 1)));
  ASSERT_TRUE(sync(lower->mc(), dev->mc()));
  EXPECT_EQ(lower->mc().size(), 200u);
  ASSERT_TRUE(dev->mc().del(mc(7)));
  ASSERT_TRUE(dev->mc().add(mc(500)));
  ASSERT_TRUE(sync(lower->mc(), dev->mc()));
  EXPECT_EQ(lower->mc().snapshot(), dev->mc().snapshot());
  ASSERT_TRUE(lower->mc().add(mc(8)));
  unsync(lower->mc(), dev->mc());
  EXPECT_EQ(lower->mc().snapshot(), std::vector{mc(8)});
  unsync(lower->mc(), dev->mc());  // nothing left to take back
}

TEST_F(AddressListTest, SyncRefusesTheOtherClassAndItself) {
  EXPECT_EQ(sync(lower->uc(), dev->mc()), Result<>(fail(std::errc::invalid_argument)));
  EXPECT_EQ(sync(dev->mc(), dev->mc()), Result<>(fail(std::errc::invalid_argument)));
}

TEST_F(AddressListTest, SyncRefusesADeviceOfAnotherNet) {
  Net other;
  TestCard card;
  const NetdevPtr theirs = *other.alloc_netdev<TestDriver>({.name = "low0"}, card);
  ASSERT_TRUE(theirs->register_netdev());
  EXPECT_EQ(sync(theirs->mc(), dev->mc()), Result<>(fail(std::errc::invalid_argument)));
}

TEST_F(AddressListTest, AStackGrownFromTheTopIsNestedRight) {
  TestCard third_card;
  const NetdevPtr third = *net.alloc_netdev<TestDriver>({.name = "low1"}, third_card);
  ASSERT_TRUE(third->register_netdev());
  ASSERT_TRUE(dev->mc().add(mc(1)));
  ASSERT_TRUE(sync(lower->mc(), dev->mc()));
  ASSERT_TRUE(sync(third->mc(), lower->mc()));
  ASSERT_TRUE(dev->mc().add(mc(2)));
  ASSERT_TRUE(sync(lower->mc(), dev->mc()));  // a wrong level would be a report
  ASSERT_TRUE(sync(third->mc(), lower->mc()));
  EXPECT_EQ(third->mc().snapshot(), dev->mc().snapshot());
  unsync(third->mc(), lower->mc());
  unsync(lower->mc(), dev->mc());
}

TEST_F(AddressListTest, ALowerDeviceMayFollowBeforeTheUpperIsRegistered) {
  TestCard early_card;
  NetdevPtr early = *net.alloc_netdev<TestDriver>({.name = "early"}, early_card);
  ASSERT_TRUE(early->uc().add(uc(1)));
  ASSERT_TRUE(sync(lower->uc(), early->uc()));
  ASSERT_TRUE(early->register_netdev());
  ASSERT_TRUE(early->open());
  ASSERT_TRUE(early->rx_mode().settle(soon()));
  ASSERT_TRUE(early->uc().del(uc(1)));
  ASSERT_TRUE(early->rx_mode().settle(soon()));
  ASSERT_TRUE(sync(lower->uc(), early->uc()));
  EXPECT_EQ(lower->uc().size(), 0u) << "it hears of the end although the card heard first";
  unsync(lower->uc(), early->uc());
}

// A naive model: a multiset of references per address, and what the last sync saw.
RC_GTEST_FIXTURE_PROP(AddressListTest, BehavesLikeANaiveModel, ()) {
  struct Model {
    std::map<MacAddress, int> users;
    std::set<MacAddress> global;
    bool has(const MacAddress& a) const { return users.contains(a) || global.contains(a); }
  } model;
  std::set<MacAddress> synced;
  const auto steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, 8), rc::gen::inRange(1, 12)));
  const auto noent = Result<>(fail(std::errc::no_such_file_or_directory));
  for (const auto& [op, n] : steps) {
    const MacAddress a = uc(n);
    switch (op) {
      case 0:
      case 1:
        RC_ASSERT(list.add(a) == Result<>());
        ++model.users[a];
        break;
      case 2: {
        const bool present = model.has(a);
        RC_ASSERT(list.add_excl(a).has_value() == !present);
        if (!present) model.global.insert(a);
        break;
      }
      case 3:
        RC_ASSERT(list.add_global(a) == Result<>());
        model.global.insert(a);
        break;
      case 4:
      case 5: {
        const Result<> result = list.del(a);
        if (model.users.contains(a)) {
          if (--model.users[a] == 0) model.users.erase(a);
          RC_ASSERT(result == Result<>());
        } else {
          RC_ASSERT(result.has_value() == (model.global.erase(a) != 0));
        }
        break;
      }
      case 6:
        RC_ASSERT(list.del_global(a) == (model.global.erase(a) != 0 ? Result<>() : noent));
        break;
      case 7:
        RC_ASSERT(sync(lower->uc(), list) == Result<>());
        synced.clear();
        for (uint64_t i = 1; i < 12; ++i) {
          if (model.has(uc(i))) synced.insert(uc(i));
        }
        break;
    }
    std::vector<MacAddress> expected;
    for (uint64_t i = 1; i < 12; ++i) {
      if (model.has(uc(i))) expected.push_back(uc(i));
    }
    RC_ASSERT(list.snapshot() == expected);
    RC_ASSERT(list.size() == expected.size());
    RC_ASSERT(lower->uc().snapshot() == std::vector<MacAddress>(synced.begin(), synced.end()));
  }
}

TEST_F(AddressListTest, AddressesThatComeAndGoTakeNoMemoryWithAStalledFollower) {
  ASSERT_TRUE(dev->mc().add(mc(1)));
  ASSERT_TRUE(sync(lower->mc(), dev->mc()));  // and never again
  WantedList& table = WantedList::of(dev->mc());
  for (uint64_t n = 2; n < 100'000; ++n) {
    ASSERT_TRUE(dev->mc().add(mc(n)));
    ASSERT_TRUE(dev->mc().del(mc(n)));
  }
  {
    ListGuard guard(table.wanted().lock, table.wanted().level());
    EXPECT_EQ(table.entries(), 1u);
  }
  unsync(lower->mc(), dev->mc());
}

}  // namespace
}  // namespace usernic
