// SPDX-License-Identifier: Apache-2.0 OR MIT
// More is wanted than the card has slots for.
#include "core/rx/rx_mode_fixture.h"
#include "usernic/work.h"

namespace usernic {
namespace {

using std::chrono::milliseconds;

using RxCapacityTest = RxModeTest;

TEST_F(RxCapacityTest, MulticastOverflowsIntoTheHashAndComesBack) {
  start();
  for (uint64_t n = 1; n <= 6; ++n) ASSERT_TRUE(dev->mc().add(mc(n)));
  settle();
  RxModeStatus status = mode->status();
  EXPECT_EQ(status.multicast_mode, FilterMode::kHash);
  EXPECT_EQ(status.reason, "6 multicast addresses, 4 slots");
  EXPECT_EQ(status.programmed_multicast.size(), 6u);
  EXPECT_TRUE(status.uncovered.empty());
  EXPECT_EQ(exact_multicast(), 4u);
  for (uint64_t n = 1; n <= 3; ++n) ASSERT_TRUE(dev->mc().del(mc(n)));
  settle();
  status = mode->status();
  EXPECT_EQ(status.multicast_mode, FilterMode::kExact);
  EXPECT_EQ(exact_multicast(), 3u);
  EXPECT_TRUE(on_card([](TestCard& c) { return c.buckets[1].empty(); }));
}

TEST_F(RxCapacityTest, UnicastWithoutHashOverflowsIntoPromiscAndComesBackAtThreeQuarters) {
  start();
  for (uint64_t n = 1; n <= 5; ++n) ASSERT_TRUE(dev->uc().add(uc(n)));
  settle();
  EXPECT_EQ(mode->status().unicast_mode, FilterMode::kPromisc);
  EXPECT_TRUE(mode->covered(uc(5)));
  ASSERT_TRUE(dev->uc().del(uc(1)));
  settle();
  EXPECT_EQ(mode->status().unicast_mode, FilterMode::kPromisc) << "4 of 4 slots: hysteresis";
  ASSERT_TRUE(dev->uc().del(uc(2)));
  settle();
  EXPECT_EQ(mode->status().unicast_mode, FilterMode::kExact) << "3 of 4 slots";
  EXPECT_EQ(on_card([](TestCard& c) { return c.exact[0].size(); }), 3u);
}

TEST_F(RxCapacityTest, AHashThatIsOverfullGoesToAllmulti) {
  card.caps.multicast_hash_buckets = 4;
  start();
  for (uint64_t n = 1; n <= 4 + 8; ++n) ASSERT_TRUE(dev->mc().add(mc(n)));
  settle();
  EXPECT_EQ(mode->status().multicast_mode, FilterMode::kHash);
  ASSERT_TRUE(dev->mc().add(mc(13)));
  settle();
  EXPECT_EQ(mode->status().multicast_mode, FilterMode::kAllmulti);
  for (uint64_t n = 13; n > 11; --n) {
    ASSERT_TRUE(dev->mc().del(mc(n)));
    settle();
    EXPECT_EQ(mode->status().multicast_mode, FilterMode::kAllmulti) << n - 1 << " wanted: hysteresis";
  }
  ASSERT_TRUE(dev->mc().del(mc(11)));
  settle();
  EXPECT_EQ(mode->status().multicast_mode, FilterMode::kHash) << "6 outside: 3/4 of what the hash carries";
  for (uint64_t n = 5; n <= 10; ++n) ASSERT_TRUE(dev->mc().del(mc(n)));
  settle();
  EXPECT_EQ(mode->status().multicast_mode, FilterMode::kExact);
}

TEST_F(RxCapacityTest, WithoutAHashMulticastOverflowsIntoAllmultiAndComesBackAtThreeQuarters) {
  card.caps.multicast_hash_buckets = 0;
  start();
  for (uint64_t n = 1; n <= 5; ++n) ASSERT_TRUE(dev->mc().add(mc(n)));
  settle();
  EXPECT_EQ(mode->status().multicast_mode, FilterMode::kAllmulti);
  ASSERT_TRUE(dev->mc().del(mc(1)));
  settle();
  EXPECT_EQ(mode->status().multicast_mode, FilterMode::kAllmulti) << "4 of 4 slots: hysteresis";
  ASSERT_TRUE(dev->mc().del(mc(2)));
  settle();
  EXPECT_EQ(mode->status().multicast_mode, FilterMode::kExact);
}

TEST_F(RxCapacityTest, WithNothingWiderTheAddressThatFindsNoRoomSaysSo) {
  card.caps = {.unicast_slots = 2, .promisc = false, .allmulti = false};
  start();
  for (uint64_t n = 1; n <= 3; ++n) ASSERT_TRUE(dev->uc().add(uc(n)));
  EXPECT_EQ(mode->wait(mode->ticket(uc(3)), soon()), Result<>(fail(std::errc::no_space_on_device)));
  const RxModeStatus status = mode->status();
  ASSERT_EQ(status.failed.size(), 1u);
  EXPECT_EQ(status.failed[0].error, std::errc::no_space_on_device);
  EXPECT_EQ(status.uncovered, std::vector{uc(3)});
  ASSERT_TRUE(dev->uc().del(uc(1)));
  EXPECT_EQ(mode->wait(mode->ticket(uc(3)), soon()), Result<>()) << "it gets the slot that became free";
}

TEST_F(RxCapacityTest, ASharedTableServesUnicastFirst) {
  card.caps = {.unicast_slots = 2, .shared_slots = true, .multicast_hash_buckets = 16};
  start();
  ASSERT_TRUE(dev->mc().add(mc(1)));
  ASSERT_TRUE(dev->mc().add(mc(2)));
  settle();
  EXPECT_EQ(exact_multicast(), 2u);
  ASSERT_TRUE(dev->uc().add(uc(1)));
  ASSERT_TRUE(dev->uc().add(uc(2)));
  settle();
  const RxModeStatus status = mode->status();
  EXPECT_EQ(status.unicast_mode, FilterMode::kExact);
  EXPECT_EQ(status.multicast_mode, FilterMode::kHash);
  EXPECT_EQ(exact_multicast(), 0u);
}

TEST_F(RxCapacityTest, TheOwnAddressTakesASlotFromAnother) {
  card.caps = {.unicast_slots = 2, .own_address_uses_slot = true};
  start();
  ASSERT_TRUE(dev->uc().add(uc(1)));
  settle();
  ASSERT_TRUE(dev->set_mac_address(uc(99)));
  ASSERT_TRUE(dev->uc().add(uc(2)));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return c.exact[0].contains(uc(99)); }));
  EXPECT_EQ(mode->status().unicast_mode, FilterMode::kPromisc) << "two secondary addresses, one slot left";
  EXPECT_EQ(mode->status().wanted_unicast, (std::vector{uc(1), uc(2)})) << "the own address is not in the list";
}

TEST_F(RxCapacityTest, NothingIsTakenAwayAfterAnAddThatWasHeldBack) {
  card.caps = {.unicast_slots = 4, .own_address_uses_slot = true, .unicast_hash_buckets = 64};
  // A table that has no room for one address, and has for others: three are on it although it holds one, they say.
  card.decide = [](const RxCommand& command, bool&) -> Result<> {
    const bool full = command.kind == RxCommandKind::kAdd && command.address == uc(1);
    return full ? fail(std::errc::no_space_on_device) : Result<>();
  };
  start();
  ASSERT_TRUE(mode->set_promiscuity(1));
  {
    const LaneGuard together(dev->lane());
    for (uint64_t n = 1; n <= 3; ++n) ASSERT_TRUE(dev->uc().add(uc(n)));
  }
  settle();
  bool deaf = false;
  on_card([&](TestCard& c) { return c.after_command = [&](const TestCard& now) { deaf |= !now.accepts(uc(9)); }, 0; });
  {
    const LaneGuard together(dev->lane());
    ASSERT_TRUE(dev->set_mac_address(uc(9)));
    ASSERT_TRUE(mode->set_promiscuity(-1));
  }
  settle();
  EXPECT_FALSE(deaf) << "promisc went off before the own address was on";
  EXPECT_FALSE(on_card([](TestCard& c) { return c.promisc; }));
}

TEST_F(RxCapacityTest, TheOwnAddressTakesTheSlotThatAnotherGotMeanwhile) {
  card.caps = {.unicast_slots = 1, .own_address_uses_slot = true};
  bool failing = true;
  card.decide = [&failing](const RxCommand& command, bool& apply) -> Result<> {
    if (command.kind != RxCommandKind::kAdd) return {};
    if (command.own && command.address != uc(9)) return fail(std::errc::operation_not_supported);
    apply = failing && command.address == uc(1);
    return apply ? fail(std::errc::io_error) : Result<>();
  };
  start();
  ASSERT_TRUE(dev->uc().add(uc(1)));  // perhaps in the slot, perhaps not
  ASSERT_TRUE(eventually([&] { return !mode->status().failed.empty(); }));
  ASSERT_TRUE(dev->set_mac_address(uc(9)));  // finds nobody whose slot it could have
  dev->lane().flush();
  on_card([&](TestCard&) { return failing = false; });
  const auto own_is_held = [&] { return on_card([](TestCard& c) { return c.exact[0].contains(uc(9)); }); };
  EXPECT_TRUE(eventually(own_is_held));
}

TEST_F(RxCapacityTest, NobodyIsEvictedWhileItsCoverWaitsForARetry) {
  card.caps = {.unicast_slots = 1, .shared_slots = true};
  int failures = 2;
  bool deaf = false;
  card.decide = [&](const RxCommand& command, bool&) -> Result<> {
    if (command.kind == RxCommandKind::kWiden && failures-- > 0) return fail(std::errc::io_error);
    return {};
  };
  start();
  ASSERT_TRUE(dev->mc().add(mc(1)));
  settle();
  {
    MutexGuard guard(card.mutex);
    card.after_command = [&](const TestCard& c) { deaf = deaf || !c.accepts(mc(1)); };
  }
  ASSERT_TRUE(dev->uc().add(uc(1)));
  settle();
  EXPECT_FALSE(deaf);
  EXPECT_TRUE(on_card([](TestCard& c) { return c.allmulti && c.exact[0].contains(uc(1)); }));
}

TEST_F(RxCapacityTest, AllmultiOfACardThatHasNoneIsPromisc) {
  card.caps.allmulti = false;
  start();
  ASSERT_TRUE(mode->set_allmulti(1));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return c.promisc; }));
}

TEST_F(RxCapacityTest, ALimitThatTheCardTeachesIsLearned) {
  card.caps.multicast_slots = 8;  // it says
  card.decide = [&](const RxCommand& command, bool&) -> Result<> {
    const bool full = command.kind == RxCommandKind::kAdd && card.exact[1].size() >= 2;
    return full ? fail(std::errc::no_space_on_device) : Result<>();
  };
  start();
  for (uint64_t n = 1; n <= 5; ++n) ASSERT_TRUE(dev->mc().add(mc(n)));
  settle();
  EXPECT_EQ(mode->status().multicast_mode, FilterMode::kHash);
  EXPECT_TRUE(mode->status().uncovered.empty());
  const size_t commands = on_card([](TestCard& c) { return c.log.size(); });
  ASSERT_TRUE(dev->mc().add(mc(6)));
  settle();
  EXPECT_LE(on_card([](TestCard& c) { return c.log.size(); }), commands + 1) << "it is not asked again and again";
}

}  // namespace
}  // namespace usernic
