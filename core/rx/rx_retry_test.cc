// SPDX-License-Identifier: Apache-2.0 OR MIT
// Commands that fail, are refused or stopped: tried again, and told.
#include "core/rx/rx_mode_fixture.h"
#include "usernic/thread.h"
#include "usernic/work.h"

namespace usernic {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

using RxRetryTest = RxModeTest;

TEST_F(RxRetryTest, SettleWaitsForARetryThatWasStopped) {
  start();
  on_card([](TestCard& c) {
    c.decide = [](const RxCommand&, bool&) -> Result<> { return fail(std::errc::io_error); };
    c.call_time = milliseconds(1);
    return 0;
  });
  ASSERT_TRUE(dev->mc().add(mc(1)));
  const auto wait_for_call = [&] {
    const uint32_t before = on_card([](TestCard& c) { return c.calls; });
    ASSERT_TRUE(eventually([&] { return on_card([](TestCard& c) { return c.calls; }) != before; }));
  };
  ASSERT_TRUE(eventually([&] { return !mode->status().failed.empty(); }));
  on_card([](TestCard& c) { return c.call_time = hours(1), 0; });
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

TEST_F(RxRetryTest, ADeviceThatGoesDoesNotWaitForItsNextRetry) {
  card.decide = [](const RxCommand&, bool&) -> Result<> { return fail(std::errc::io_error); };
  dev = *net.alloc_netdev<TestDriver>({.name = "t0", .rx_retry = std::chrono::seconds(60)}, card);
  ASSERT_TRUE(dev->register_netdev() && dev->open() && dev->mc().add(mc(1)));
  dev->lane().flush();
  ASSERT_EQ(dev->rx_mode().status().failed.size(), 1u);
  Event gone;
  Thread unregisters("unregisters", [&] {
    dev->unregister_netdev();
    gone.set();
  });
  EXPECT_TRUE(gone.wait());
}

TEST_F(RxRetryTest, ATransientFailureIsRetriedAndReadable) {
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

TEST_F(RxRetryTest, ADelThatFailsIsRetried) {
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

TEST_F(RxRetryTest, AnAddThatFailedButWorkedIsTakenOffAgain) {
  bool fail_next = true;
  card.decide = [&](const RxCommand& command, bool& apply) -> Result<> {
    if (command.kind != RxCommandKind::kAdd || !std::exchange(fail_next, false)) return {};
    apply = true;
    return fail(std::errc::io_error);
  };
  start();
  ASSERT_TRUE(dev->mc().add(mc(1)));
  ASSERT_TRUE(eventually([&] { return exact_multicast() != 0; }));
  ASSERT_TRUE(dev->mc().del(mc(1)));
  settle();
  EXPECT_EQ(exact_multicast(), 0u);
}

TEST_F(RxRetryTest, PromiscOffIsDeferredWhileAnAddressIsNotProgrammed) {
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
  EXPECT_TRUE(eventually([&] { return mode->status().reason.find("deferred") != std::string::npos; }))
      << mode->status().reason;
  (void)mode->settle(Clock::now() + milliseconds(60));  // some retries
  EXPECT_TRUE(on_card([](TestCard& c) { return c.promisc; }));
  {
    MutexGuard guard(card.mutex);
    dead = false;
  }
  settle();
  EXPECT_FALSE(on_card([](TestCard& c) { return c.promisc; }));
  EXPECT_TRUE(mode->covered(uc(1)));
}

TEST_F(RxRetryTest, AFlagThatFailsAndIsThenRefusedLeavesNobodyBusy) {
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

TEST_F(RxRetryTest, ADeferredFlagThatFailedOnceLeavesNobodyBusy) {
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

TEST_F(RxRetryTest, ANarrowingThatWasStoppedIsStillOwed) {
  start();
  ASSERT_TRUE(mode->set_promiscuity(1));
  settle();
  {
    MutexGuard guard(card.mutex);
    card.call_time = std::chrono::hours(1);
  }
  const uint32_t calls = on_card([](TestCard& c) { return c.calls; });
  ASSERT_TRUE(mode->set_promiscuity(-1));
  const auto called = [&] { return on_card([](TestCard& c) { return c.calls; }) > calls; };
  ASSERT_TRUE(eventually(called));
  {
    LaneGuard parked(dev->lane());  // stops the call before its first command
    MutexGuard guard(card.mutex);
    card.call_time = {};
  }
  settle();
  EXPECT_FALSE(on_card([](TestCard& c) { return c.promisc; }));
}

TEST_F(RxRetryTest, SettleWaitsForANarrowingThatWasDeferredAndThenFailed) {
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

}  // namespace
}  // namespace usernic
