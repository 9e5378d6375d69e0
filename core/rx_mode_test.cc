// SPDX-License-Identifier: Apache-2.0
#include "usernic/rx_mode.h"

#include <gtest/gtest.h>

#include "core/test_card.h"
#include "core/test_watch.h"

namespace usernic {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr MacAddress uc(uint64_t n) {
  return MacAddress::from_u64(0x0200'0000'0000 | n);
}
constexpr MacAddress mc(uint64_t n) {
  return MacAddress::from_u64(0x0300'0000'0000 | n);
}

struct RxModeTest : testing::Test {
  Net net;
  TestCard card;
  NetdevPtr dev;
  RxMode* mode = nullptr;

  void start() {
    dev = *net.alloc_netdev<TestDriver>({.name = "t0", .rx_retry = milliseconds(20)}, card);
    mode = &dev->rx_mode();
    ASSERT_TRUE(dev->register_netdev());
    ASSERT_TRUE(dev->open());
    ASSERT_TRUE(mode->settle(soon()));
  }
  void settle() { ASSERT_EQ(mode->settle(soon()), Result<>()); }
  template <class Read>
  auto on_card(Read&& read) {
    MutexGuard guard(card.mutex);
    return read(card);
  }
  size_t exact_multicast() {
    return on_card([](TestCard& c) { return c.exact[1].size(); });
  }
};

TEST_F(RxModeTest, AnAddressThatIsWantedIsHeldExactly) {
  start();
  EXPECT_FALSE(mode->covered(mc(1)));
  ASSERT_TRUE(dev->mc().add(mc(1)));
  const RxTicket ticket = mode->ticket(mc(1));
  EXPECT_EQ(mode->wait(ticket, soon()), Result<>());
  EXPECT_TRUE(mode->covered(mc(1)));
  EXPECT_TRUE(on_card([](TestCard& c) { return c.exact[1].contains(mc(1)); }));
  ASSERT_TRUE(dev->mc().del(mc(1)));
  settle();
  EXPECT_EQ(exact_multicast(), 0u);
  EXPECT_FALSE(mode->covered(mc(1)));
}

TEST_F(RxModeTest, AnUneventfulChangeIsOneDriverCallWithOneCommand) {
  start();
  const uint32_t calls = on_card([](TestCard& c) { return c.calls; });
  ASSERT_TRUE(dev->uc().add(uc(1)));
  settle();
  ASSERT_TRUE(dev->uc().add(uc(1)));  // a second reference is no effective change
  settle();
  EXPECT_EQ(on_card([](TestCard& c) { return c.calls; }), calls + 1);
  EXPECT_EQ(on_card([](TestCard& c) { return c.log.size(); }), 1u);
}

TEST_F(RxModeTest, MulticastOverflowsIntoTheHashAndComesBack) {
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

TEST_F(RxModeTest, UnicastWithoutHashOverflowsIntoPromiscAndComesBackAtThreeQuarters) {
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

TEST_F(RxModeTest, AHashThatIsOverfullGoesToAllmulti) {
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

TEST_F(RxModeTest, WithoutAHashMulticastOverflowsIntoAllmultiAndComesBackAtThreeQuarters) {
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

TEST_F(RxModeTest, WithNothingWiderTheAddressThatFindsNoRoomSaysSo) {
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

TEST_F(RxModeTest, ASharedTableServesUnicastFirst) {
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

TEST_F(RxModeTest, TheOwnAddressTakesASlotFromAnother) {
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

TEST_F(RxModeTest, NothingIsTakenAwayAfterAnAddThatWasHeldBack) {
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

TEST_F(RxModeTest, SettleWaitsForARetryThatWasStopped) {
  start();
  on_card([](TestCard& c) {
    c.decide = [](const RxCommand&, bool&) -> Result<> { return fail(std::errc::io_error); };
    c.call_time = milliseconds(1);
    return 0;
  });
  ASSERT_TRUE(dev->mc().add(mc(1)));
  const auto wait_for_call = [&] {
    const uint32_t before = on_card([](TestCard& c) { return c.calls; });
    while (on_card([](TestCard& c) { return c.calls; }) == before)
      std::ignore = StopToken().wait_until(Clock::now() + milliseconds(1));
  };
  while (mode->status().failed.empty()) std::ignore = StopToken().wait_until(Clock::now() + milliseconds(1));
  on_card([](TestCard& c) { return c.call_time = seconds(10), 0; });
  wait_for_call();
  Atomic<uint32_t> parked{0}, end{0};
  Thread parks("parks", [&] {
    const LaneGuard stops_the_retry(dev->lane());
    parked.store(1);
    wake_all(parked);
    while (end.load() == 0) wait_on(end, 0);
  });
  while (parked.load() == 0) wait_on(parked, 0);
  EXPECT_FALSE(mode->covered(mc(1)));
  EXPECT_EQ(mode->settle(Clock::now()).error(), std::errc::timed_out);
  on_card([](TestCard& c) { return c.call_time = {}, c.decide = nullptr, 0; });
  end.store(1);
  wake_all(end);
  settle();
  EXPECT_TRUE(mode->covered(mc(1)));
}

TEST_F(RxModeTest, TheOwnAddressTakesTheSlotThatAnotherGotMeanwhile) {
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
  while (mode->status().failed.empty()) std::ignore = StopToken().wait_until(Clock::now() + milliseconds(1));
  ASSERT_TRUE(dev->set_mac_address(uc(9)));  // finds nobody whose slot it could have
  dev->lane().flush();
  on_card([&](TestCard&) { return failing = false; });
  const Time patience = soon();
  const auto own_is_held = [&] { return on_card([](TestCard& c) { return c.exact[0].contains(uc(9)); }); };
  while (!own_is_held() && Clock::now() < patience)
    std::ignore = StopToken().wait_until(Clock::now() + milliseconds(1));
  EXPECT_TRUE(own_is_held());
}

TEST_F(RxModeTest, PromiscuityIsCountedAndFollowed) {
  start();
  ASSERT_TRUE(mode->set_promiscuity(1));
  ASSERT_TRUE(mode->set_promiscuity(1));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return c.promisc; }));
  ASSERT_TRUE(mode->set_promiscuity(-1));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return c.promisc; }));
  ASSERT_TRUE(mode->set_promiscuity(-1));
  settle();
  EXPECT_FALSE(on_card([](TestCard& c) { return c.promisc; }));
  EXPECT_EQ(mode->set_promiscuity(-1), Result<>(fail(std::errc::invalid_argument)));
  EXPECT_EQ(mode->set_promiscuity(2), Result<>(fail(std::errc::invalid_argument)));
}

TEST_F(RxModeTest, ATransientFailureIsRetriedAndReadable) {
  int failures = 3;
  card.decide = [&](const RxCommand& command, bool&) -> Result<> {
    if (command.address == mc(1) && failures-- > 0) return fail(std::errc::io_error);
    return {};
  };
  start();
  ASSERT_TRUE(dev->mc().add(mc(1)));
  ASSERT_TRUE(dev->mc().add(mc(2)));
  EXPECT_EQ(mode->wait(mode->ticket(mc(2)), soon()), Result<>()) << "one dead address holds up no other";
  EXPECT_EQ(mode->wait(mode->ticket(mc(1)), soon()), Result<>());
  const RxModeStatus status = mode->status();
  EXPECT_EQ(status.stats.failures, 3u);
  EXPECT_EQ(status.stats.retries, 3u);
  EXPECT_TRUE(status.failed.empty());
}

TEST_F(RxModeTest, ATicketEndsWithTheLastErrorAtItsDeadline) {
  card.decide = [](const RxCommand& command, bool&) -> Result<> {
    if (command.address == mc(1)) return fail(std::errc::io_error);
    return {};
  };
  start();
  ASSERT_TRUE(dev->mc().add(mc(1)));
  EXPECT_EQ(mode->wait(mode->ticket(mc(1)), Clock::now() + milliseconds(50)), Result<>(fail(std::errc::io_error)));
  const RxModeStatus status = mode->status();
  ASSERT_EQ(status.failed.size(), 1u);
  EXPECT_EQ(status.failed[0].address, mc(1));
  EXPECT_EQ(status.failed[0].error, std::errc::io_error);
  EXPECT_GE(status.failed[0].attempts, 1u);
}

TEST_F(RxModeTest, ATicketOfADeletedAddressIsCanceled) {
  start();
  ASSERT_TRUE(dev->mc().add(mc(1)));
  const RxTicket ticket = mode->ticket(mc(1));
  ASSERT_TRUE(dev->mc().del(mc(1)));
  EXPECT_EQ(mode->wait(ticket, soon()), Result<>(fail(std::errc::operation_canceled)));
  ASSERT_TRUE(dev->mc().add(mc(1)));
  EXPECT_EQ(mode->wait(ticket, soon()), Result<>(fail(std::errc::operation_canceled))) << "newer than the ticket";
}

TEST_F(RxModeTest, ADelThatFailsIsRetried) {
  int failures = 2;
  card.decide = [&](const RxCommand& command, bool&) -> Result<> {
    if (command.kind == RxCommandKind::kDel && failures-- > 0) return fail(std::errc::operation_not_supported);
    return {};
  };
  start();
  ASSERT_TRUE(dev->mc().add(mc(1)));
  settle();
  ASSERT_TRUE(dev->mc().del(mc(1)));
  settle();  // waits for retries too
  EXPECT_EQ(exact_multicast(), 0u);
}

TEST_F(RxModeTest, AnAddThatFailedButWorkedIsTakenOffAgain) {
  bool fail_next = true;
  card.decide = [&](const RxCommand& command, bool& apply) -> Result<> {
    if (command.kind != RxCommandKind::kAdd || !std::exchange(fail_next, false)) return {};
    apply = true;
    return fail(std::errc::io_error);
  };
  start();
  ASSERT_TRUE(dev->mc().add(mc(1)));
  for (int i = 0; i < 1000 && exact_multicast() == 0; ++i) (void)StopToken().wait_until(Clock::now() + milliseconds(1));
  ASSERT_TRUE(dev->mc().del(mc(1)));
  settle();
  EXPECT_EQ(exact_multicast(), 0u);
}

TEST_F(RxModeTest, PromiscOffIsDeferredWhileAnAddressIsNotProgrammed) {
  bool dead = true;
  card.decide = [&](const RxCommand& command, bool&) -> Result<> {
    if (command.address == uc(1) && dead) return fail(std::errc::io_error);
    return {};
  };
  start();
  ASSERT_TRUE(mode->set_promiscuity(1));
  settle();
  ASSERT_TRUE(dev->uc().add(uc(1)));
  EXPECT_EQ(mode->wait(mode->ticket(uc(1)), soon()), Result<>()) << "promisc covers it";
  ASSERT_TRUE(mode->set_promiscuity(-1));
  (void)mode->settle(Clock::now() + milliseconds(60));
  EXPECT_TRUE(on_card([](TestCard& c) { return c.promisc; }));
  EXPECT_NE(mode->status().reason.find("deferred"), std::string::npos) << mode->status().reason;
  {
    MutexGuard guard(card.mutex);
    dead = false;
  }
  settle();
  EXPECT_FALSE(on_card([](TestCard& c) { return c.promisc; }));
  EXPECT_TRUE(mode->covered(uc(1)));
}

TEST_F(RxModeTest, ACardThatForgotIsProgrammedAgain) {
  start();
  for (uint64_t n = 1; n <= 6; ++n) ASSERT_TRUE(dev->mc().add(mc(n)));
  settle();
  {
    MutexGuard guard(card.mutex);
    card.reset();
    mode->card_forgot();
    EXPECT_FALSE(mode->covered(mc(1)));
    EXPECT_EQ(mode->status().generation_programmed, 0u);
  }
  settle();
  for (uint64_t n = 1; n <= 6; ++n) EXPECT_TRUE(on_card([n](TestCard& c) { return c.accepts(mc(n)); })) << n;
}

TEST_F(RxModeTest, EverythingWantedComesBackAfterCloseAndOpen) {
  start();
  for (uint64_t n = 1; n <= 3; ++n) ASSERT_TRUE(dev->mc().add(mc(n)));
  settle();
  ASSERT_TRUE(dev->close());
  EXPECT_EQ(mode->status().multicast_mode, FilterMode::kNone);
  EXPECT_EQ(mode->wait(mode->ticket(mc(1)), soon()), Result<>(fail(std::errc::network_down)));
  ASSERT_TRUE(dev->mc().add(mc(4)));
  ASSERT_TRUE(dev->mc().del(mc(1)));
  ASSERT_TRUE(dev->open());
  settle();
  EXPECT_EQ(exact_multicast(), 3u);
}

TEST_F(RxModeTest, NobodyIsEvictedWhileItsCoverWaitsForARetry) {
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

TEST_F(RxModeTest, AFlagThatFailsAndIsThenRefusedLeavesNobodyBusy) {
  int asked = 0;
  card.decide = [&](const RxCommand& command, bool&) -> Result<> {
    if (command.kind != RxCommandKind::kWiden) return {};
    return fail(++asked == 1 ? std::errc::io_error : std::errc::operation_not_supported);
  };
  start();
  ASSERT_TRUE(mode->set_promiscuity(1));
  settle();
  const uint64_t runs = mode->status().stats.runs;
  (void)StopToken().wait_until(Clock::now() + milliseconds(30));
  EXPECT_LE(mode->status().stats.runs, runs + 1);
  EXPECT_EQ(asked, 2);
}

TEST_F(RxModeTest, ADeferredFlagThatFailedOnceLeavesNobodyBusy) {
  card.decide = [&, widened = false](const RxCommand& command, bool&) mutable -> Result<> {
    const bool first_widen = command.kind == RxCommandKind::kWiden && !std::exchange(widened, true);
    return command.address == uc(1) || first_widen ? fail(std::errc::io_error) : Result<>();
  };
  dev = *net.alloc_netdev<TestDriver>({.name = "t0", .rx_retry = milliseconds(200)}, card);
  mode = &dev->rx_mode();
  ASSERT_TRUE(dev->register_netdev());
  ASSERT_TRUE(dev->open());
  ASSERT_TRUE(dev->uc().add(uc(1)));
  ASSERT_TRUE(mode->set_promiscuity(1));
  dev->lane().flush();
  ASSERT_TRUE(mode->set_promiscuity(-1));
  (void)StopToken().wait_until(Clock::now() + milliseconds(300));  // past the flag's retry, before the address' second
  EXPECT_LE(mode->status().stats.runs, 12u);
}

TEST_F(RxModeTest, ANarrowingThatWasStoppedIsStillOwed) {
  start();
  ASSERT_TRUE(mode->set_promiscuity(1));
  settle();
  {
    MutexGuard guard(card.mutex);
    card.call_time = std::chrono::hours(1);
  }
  ASSERT_TRUE(mode->set_promiscuity(-1));
  const uint32_t calls = on_card([](TestCard& c) { return c.calls; });
  const auto called = [&] { return on_card([](TestCard& c) { return c.calls; }) > calls; };
  for (int i = 0; i < 1000 && !called(); ++i) (void)StopToken().wait_until(Clock::now() + milliseconds(1));
  {
    LaneGuard parked(dev->lane());  // stops the call before its first command
    MutexGuard guard(card.mutex);
    card.call_time = {};
  }
  settle();
  EXPECT_FALSE(on_card([](TestCard& c) { return c.promisc; }));
}

TEST_F(RxModeTest, SettleWaitsForANarrowingThatWasDeferredAndThenFailed) {
  Atomic<bool> address_fails{true}, narrow_fails{true};
  card.decide = [&](const RxCommand& command, bool&) -> Result<> {
    const bool narrow = command.kind == RxCommandKind::kNarrow && command.object == RxObject::kPromisc;
    const bool fails = (command.address == uc(1) && address_fails.load()) || (narrow && narrow_fails.load());
    return fails ? fail(std::errc::io_error) : Result<>();
  };
  start();
  ASSERT_TRUE(mode->set_promiscuity(1));
  settle();
  ASSERT_TRUE(dev->uc().add(uc(1)));
  dev->lane().flush();
  ASSERT_TRUE(mode->set_promiscuity(-1));
  dev->lane().flush();
  ASSERT_EQ(mode->status().generation_programmed, mode->status().generation_wanted) << "deferred is no failure";
  const uint64_t failures = mode->status().stats.failures;
  address_fails.store(false);
  mode->retry_now();
  dev->lane().flush();
  ASSERT_EQ(mode->status().stats.failures, failures + 1) << "the narrowing";
  EXPECT_EQ(mode->settle(Clock::now()).error(), std::errc::timed_out);
  narrow_fails.store(false);
  settle();
  EXPECT_FALSE(on_card([](TestCard& c) { return c.promisc; }));
}

TEST_F(RxModeTest, AnAddressWantedAgainWhileItIsTakenOffIsNotCovered) {
  Event off, again;
  card.after_command = [&](const TestCard&) {
    if (card.log.back().kind != RxCommandKind::kDel) return;
    off.set();
    (void)again.wait();
  };
  start();
  ASSERT_TRUE(dev->mc().add(mc(1)));
  settle();
  ASSERT_TRUE(dev->mc().del(mc(1)));
  ASSERT_TRUE(off.wait());
  EXPECT_EQ(mode->status().programmed_multicast, std::vector{mc(1)}) << "until the driver has answered";
  ASSERT_TRUE(dev->mc().add(mc(1)));  // the card does not have it, and the core does not know yet
  EXPECT_FALSE(mode->covered(mc(1)));
  EXPECT_EQ(mode->wait(mode->ticket(mc(1)), Clock::now()).error(), std::errc::timed_out);
  again.set();
  EXPECT_EQ(mode->wait(mode->ticket(mc(1)), soon()), Result<>());
  EXPECT_EQ(exact_multicast(), 1u);
}

TEST_F(RxModeTest, AnAddressWantedAgainWhileWhatCarriedItGoesHasNoTicketYet) {
  Event off, again;
  card.after_command = [&](const TestCard&) {
    if (card.log.back().kind != RxCommandKind::kNarrow) return;
    off.set();
    (void)again.wait();
  };
  start();
  ASSERT_TRUE(dev->mc().add(mc(1)));
  ASSERT_TRUE(mode->set_allmulti(1));
  settle();
  {
    const LaneGuard one_run_for_both(dev->lane());
    ASSERT_TRUE(dev->mc().del(mc(1)));
    ASSERT_TRUE(mode->set_allmulti(-1));
  }
  ASSERT_TRUE(off.wait());
  ASSERT_TRUE(dev->mc().add(mc(1)));
  EXPECT_EQ(mode->wait(mode->ticket(mc(1)), Clock::now()).error(), std::errc::timed_out);
  again.set();
  EXPECT_EQ(mode->wait(mode->ticket(mc(1)), soon()), Result<>());
}

TEST_F(RxModeTest, NothingIsCoveredAnyMoreWhenStopIsCalled) {
  struct Looks : TestDriver {
    Looks(NetDevice& its, TestCard& on) : TestDriver(its, on), dev(its) {}
    void stop() {
      covered = dev.rx_mode().covered(mc(1));
      up = dev.rx_mode().status().up;
      TestDriver::stop();
    }
    NetDevice& dev;
    bool covered = true, up = true;
  };
  dev = *net.alloc_netdev<Looks>({.name = "t0"}, card);
  ASSERT_TRUE(dev->register_netdev() && dev->open() && dev->mc().add(mc(1)));
  ASSERT_TRUE(dev->rx_mode().settle(soon()));
  ASSERT_TRUE(dev->close());
  EXPECT_FALSE(static_cast<Looks*>(dev->driver())->covered);
  EXPECT_FALSE(static_cast<Looks*>(dev->driver())->up);
}

TEST_F(RxModeTest, AVlanThatFailsIsRetriedAlthoughAnotherWorks) {
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

TEST_F(RxModeTest, NoVlanGoesBeforeTheFilterIsOpen) {
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

TEST_F(RxModeTest, AVlanTableSmallerThanDeclaredOpensTheFilter) {
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

TEST_F(RxModeTest, AllmultiOfACardThatHasNoneIsPromisc) {
  card.caps.allmulti = false;
  start();
  ASSERT_TRUE(mode->set_allmulti(1));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return c.promisc; }));
}

TEST_F(RxModeTest, ALimitThatTheCardTeachesIsLearned) {
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

TEST_F(RxModeTest, VlanFilterFollowsItsIdsAndOpensWhenTheyAreTooMany) {
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

TEST_F(RxModeTest, ABurstWhileACallTakesLongIsFewCallsAndNobodyWaits) {
  card.call_time = milliseconds(10);
  card.caps.multicast_slots = 20'000;
  start();
  const uint32_t before = on_card([](TestCard& c) { return c.calls; });
  const Time begin = Clock::now();
  for (uint64_t n = 1; n <= 10'000; ++n) ASSERT_TRUE(dev->mc().add(mc(n)));
  settle();
  const uint32_t calls = on_card([](TestCard& c) { return c.calls; }) - before;
  EXPECT_LE(calls, (Clock::now() - begin) / milliseconds(10) + 1);
  EXPECT_EQ(exact_multicast(), 10'000u);
}

TEST_F(RxModeTest, CloseEndsACommandThatTakesForEver) {
  card.call_time = std::chrono::hours(1);
  dev = *net.alloc_netdev<TestDriver>({.name = "t0"}, card);
  ASSERT_TRUE(dev->register_netdev());
  ASSERT_TRUE(dev->open());
  ASSERT_TRUE(dev->mc().add(mc(1)));
  const auto called = [this] { return on_card([](TestCard& c) { return c.calls; }) != 0; };
  while (!called()) (void)StopToken().wait_until(Clock::now() + milliseconds(1));
  EXPECT_TRUE(dev->change_mtu(1400)) << "each parks the lane and lets it go on";
  EXPECT_TRUE(dev->close());
  EXPECT_EQ(dev->rx_mode().status().stats.failures, 0u) << "being stopped is no failure";
}

TEST_F(RxModeTest, NoDriverCallOnADeviceThatIsDownOrAbsent) {
  start();
  ASSERT_TRUE(dev->detach());
  const uint32_t calls = on_card([](TestCard& c) { return c.calls; });
  ASSERT_TRUE(dev->mc().add(mc(1)));
  dev->lane().flush();
  EXPECT_EQ(on_card([](TestCard& c) { return c.calls; }), calls);
  ASSERT_TRUE(dev->attach());
  settle();
  EXPECT_EQ(exact_multicast(), 1u);
}

}  // namespace
}  // namespace usernic
