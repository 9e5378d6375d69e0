// SPDX-License-Identifier: Apache-2.0 OR MIT
// What is wanted is held and reported, and stays so when the card or the device goes and comes.
#include "core/rx/rx_mode_fixture.h"
#include "usernic/work.h"

namespace usernic {
namespace {

using std::chrono::milliseconds;

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

TEST_F(RxModeTest, EveryModeHasItsName) {
  std::string names;
  for (const auto mode :
       {FilterMode::kNone, FilterMode::kExact, FilterMode::kHash, FilterMode::kAllmulti, FilterMode::kPromisc}) {
    names += fmt::format(" {}", filter_mode_name(mode));
  }
  EXPECT_EQ(names, " none exact hash allmulti promisc");
}

TEST_F(RxModeTest, BeforeItsFirstRunNothingIsSaidToFit) {
  dev = *net.alloc_netdev<TestDriver>({.name = "t0"}, card);
  mode = &dev->rx_mode();
  RxModeStatus during;
  card.decide = [&](const RxCommand&, bool&) -> Result<> {
    if (during.reason.empty()) during = mode->status();
    return {};
  };
  ASSERT_TRUE(dev->register_netdev() && dev->mc().add(mc(1)) && dev->open());
  settle();
  EXPECT_TRUE(during.up);
  EXPECT_EQ(during.reason, "nothing is programmed yet");
  EXPECT_EQ(during.unicast_mode, FilterMode::kNone);
  EXPECT_EQ(during.multicast_mode, FilterMode::kNone);
  EXPECT_EQ(mode->status().reason, "everything fits");
  EXPECT_EQ(mode->status().multicast_mode, FilterMode::kExact);
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

TEST_F(RxModeTest, PromiscuityIsCountedAndFollowed) {
  start();
  ASSERT_TRUE(mode->set_promiscuity(1));
  ASSERT_TRUE(mode->set_promiscuity(1));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return c.promisc; }));
  EXPECT_EQ(mode->status().reason, "promiscuity asked for 2 times");
  ASSERT_TRUE(mode->set_promiscuity(-1));
  settle();
  EXPECT_TRUE(on_card([](TestCard& c) { return c.promisc; }));
  EXPECT_EQ(mode->status().reason, "promiscuity asked for 1 time");
  ASSERT_TRUE(mode->set_promiscuity(-1));
  settle();
  EXPECT_FALSE(on_card([](TestCard& c) { return c.promisc; }));
  EXPECT_EQ(mode->set_promiscuity(-1), Result<>(fail(std::errc::invalid_argument)));
  EXPECT_EQ(mode->set_promiscuity(2), Result<>(fail(std::errc::invalid_argument)));
}

TEST_F(RxModeTest, ATicketEndsWithTheLastErrorAtItsDeadline) {
  card.decide = [](const RxCommand& command, bool&) -> Result<> {
    if (command.address == mc(1)) return fail(std::errc::io_error);
    return {};
  };
  start();
  ASSERT_TRUE(dev->mc().add(mc(1)));
  ASSERT_TRUE(eventually([&] { return !mode->status().failed.empty(); }));
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
  ASSERT_TRUE(eventually(called));
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
