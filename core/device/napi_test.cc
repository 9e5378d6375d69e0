// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/napi.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "testing/chance.h"
#include "testing/plain_driver.h"
#include "testing/traffic.h"
#include "testing/unseen_by_clang.h"
#include "testing/watch.h"
#include "usernic/net.h"
#include "usernic/port.h"
#include "usernic/thread.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic {
namespace {

constexpr int kBudget = 8;

// Serves an instance the way the test says, and counts.
struct Poller {
  std::function<int(Napi&, int budget)> body = [](Napi& napi, int) {
    napi.complete_done(0);
    return 0;
  };
  Event polled;  // after the body
  Atomic<bool> in_bh{true};

  int poll(Napi& napi, int budget) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    if (kChecksOn && current_context() != Context::kBhDisabled) in_bh.store(false);
    const int work = body(napi, budget);
    polled.set();  // the instance may be gone by now
    return work;
  }
};

struct NapiTest : testing::Test {
  Net net;
  NetdevPtr dev = *net.alloc_netdev<PlainDriver>({.name = "t0", .rx_queues = 3});
  Poller poller;
  Napi napi{*dev, poller, kBudget};

  void SetUp() override { ASSERT_TRUE(dev->register_netdev()); }
};

TEST_F(NapiTest, APollRunsOncePerScheduleInBhContextWithTheWholeBudget) {
  int budget_seen = 0;
  poller.body = [&](Napi& polled, int budget) {
    budget_seen = budget;
    EXPECT_EQ(&polled, &napi);
    EXPECT_TRUE(polled.complete_done(0)) << "nothing was missed: re-arm";
    return 0;
  };
  napi.enable();
  for (uint32_t i = 1; i <= 3; ++i) {
    EXPECT_TRUE(napi.schedule());
    ASSERT_TRUE(poller.polled.wait(i));
    EXPECT_EQ(budget_seen, kBudget);
  }
  napi.disable();
  EXPECT_EQ(poller.polled.count(), 3u);
  EXPECT_TRUE(poller.in_bh.load());
}

TEST_F(NapiTest, ScheduleOnADisabledInstanceIsKeptAndEnablePolls) {
  EXPECT_FALSE(napi.schedule());
  EXPECT_FALSE(napi.schedule());
  EXPECT_TRUE(poller.polled.stays_away());
  napi.enable();
  EXPECT_TRUE(poller.polled.wait());
  napi.disable();
  EXPECT_EQ(poller.polled.count(), 1u);
  napi.enable();
  napi.disable();
  EXPECT_EQ(poller.polled.count(), 1u) << "what was looked after is not owed again";
}

TEST_F(NapiTest, EnableWithoutAnEventPollsNothing) {
  napi.enable();
  EXPECT_TRUE(poller.polled.stays_away());
  napi.disable();
}

TEST_F(NapiTest, ScheduleWhilePollingIsMissedAndPollsAgain) {
  std::vector<bool> rearm;
  poller.body = [&](Napi& polled, int) {
    if (rearm.empty()) {
      EXPECT_FALSE(polled.schedule()) << "owned by this poll";
      EXPECT_FALSE(polled.schedule());
    }
    rearm.push_back(polled.complete_done(1));
    return 1;
  };
  napi.enable();
  EXPECT_TRUE(napi.schedule());
  ASSERT_TRUE(poller.polled.wait(2));
  napi.disable();
  EXPECT_EQ(rearm, (std::vector<bool>{false, true})) << "the interrupt stays off while another poll is owed";
}

TEST_F(NapiTest, ExactlyTheBudgetIsPolledAgainWithoutASchedule) {
  int rounds = 0;
  poller.body = [&](Napi& polled, int budget) {
    if (++rounds < 5) return budget;
    polled.complete_done(0);
    return 0;
  };
  napi.enable();
  napi.schedule();
  ASSERT_TRUE(poller.polled.wait(5));
  napi.disable();
  EXPECT_EQ(rounds, 5);
}

TEST_F(NapiTest, MoreThanTheBudgetIsReportedAndTakenAsTheBudget) {
  Reports reports;
  int rounds = 0;
  poller.body = [&](Napi& polled, int budget) {
    if (++rounds == 1) return budget + 1;
    polled.complete_done(0);
    return 0;
  };
  napi.enable();
  napi.schedule();
  ASSERT_TRUE(poller.polled.wait(2));
  napi.disable();
  EXPECT_EQ(reports.rules(), "napi-overrun");
}

TEST_F(NapiTest, DisableWaitsForTheOwnerAndNothingPollsAfterwards) {
  Event in_poll, go_on, disabled;
  poller.body = [&](Napi& polled, int) {
    in_poll.set();
    go_on.wait();
    EXPECT_FALSE(polled.complete_done(0)) << "no interrupt is wanted on an instance that is going";
    return 0;
  };
  napi.enable();
  napi.schedule();
  ASSERT_TRUE(in_poll.wait());
  Thread disabler("disabler", [&] {
    napi.disable();
    disabled.set();
  });
  EXPECT_TRUE(disabled.stays_away());
  go_on.set();
  ASSERT_TRUE(disabled.wait());
  EXPECT_FALSE(napi.schedule());
  EXPECT_FALSE(in_poll.wait(2, kMoment));
}

TEST_F(NapiTest, DisableTakesAnInstanceThatAlwaysUsesItsBudget) {
  poller.body = [](Napi&, int budget) { return budget; };
  napi.enable();
  napi.schedule();
  ASSERT_TRUE(poller.polled.wait(10));
  napi.disable();
  const uint32_t polls = poller.polled.count();
  EXPECT_FALSE(poller.polled.wait(polls + 2, kMoment)) << "at most the one whose end it waited for";
}

TEST_F(NapiTest, WorkThatWasLeftWhenDisableTookTheInstanceIsPolledAfterEnable) {
  // The poll said "call me again", and no interrupt will come for what it left.
  Event in_poll, go_on;
  poller.body = [&](Napi&, int budget) {
    in_poll.set();
    go_on.wait();
    return budget;
  };
  napi.enable();
  napi.schedule();
  ASSERT_TRUE(in_poll.wait());
  Thread disabler("disabler", [&] { napi.disable(); });
  EXPECT_FALSE(poller.polled.wait(1, kMoment));
  go_on.set();
  disabler.join();
  poller.body = [](Napi& polled, int) {
    polled.complete_done(0);
    return 0;
  };
  const uint32_t polls = poller.polled.count();
  napi.enable();
  EXPECT_TRUE(poller.polled.wait(polls + 1));
  napi.disable();
}

TEST_F(NapiTest, AnEventWhileDisableWaitsIsKeptAndEnablePolls) {
  Event in_poll, go_on;
  poller.body = [&](Napi& polled, int) {
    in_poll.set();
    go_on.wait();
    polled.complete_done(0);
    return 0;
  };
  napi.enable();
  napi.schedule();
  ASSERT_TRUE(in_poll.wait());
  Thread disabler("disabler", [&] { napi.disable(); });
  EXPECT_FALSE(poller.polled.wait(1, kMoment));
  EXPECT_FALSE(napi.schedule());
  go_on.set();
  disabler.join();
  ASSERT_TRUE(poller.polled.wait(1));
  napi.enable();
  EXPECT_TRUE(in_poll.wait(2));
  napi.disable();
}

// A poll re-arms its interrupt after it gave the instance up: `disable` waits for that tail too.
TEST_F(NapiTest, AnInstanceAndItsDriverMayBeFreedAsSoonAsDisableReturned) {
  Event completed, go_on;
  auto tail_done = std::make_unique<Atomic<bool>>(false);
  Atomic<bool>* const tail = tail_done.get();
  Poller mine;
  mine.body = [&, tail](Napi& polled, int) {
    polled.complete_done(0);
    completed.set();
    go_on.wait();
    tail->store(true);  // the driver's memory
    return 0;
  };
  auto short_lived = std::make_unique<Napi>(*dev, mine, kBudget);
  short_lived->enable();
  short_lived->schedule();
  ASSERT_TRUE(completed.wait());
  Event disabled;
  bool tail_was_done = false;
  Thread disabler("disabler", [&] {
    short_lived->disable();
    short_lived.reset();
    tail_was_done = tail_done->load();
    tail_done.reset();
    disabled.set();
  });
  EXPECT_FALSE(disabled.wait(1, kMoment));
  go_on.set();
  ASSERT_TRUE(disabled.wait());
  disabler.join();
  EXPECT_TRUE(tail_was_done);
}

TEST_F(NapiTest, EnablingTwiceIsReportedAndHarmless) {
  Reports reports;
  napi.enable();
  const std::string second = next_line();
  napi.enable();
  ASSERT_EQ(reports.rules(), "napi-enable-twice");
  EXPECT_EQ(at(reports.all[0].here), second);
  EXPECT_TRUE(napi.schedule());
  EXPECT_TRUE(poller.polled.wait());
  napi.disable();
}

TEST_F(NapiTest, DisablingTwiceIsReportedAndNoHang) {
  Reports reports;
  const std::string first = next_line();
  napi.disable();
  ASSERT_EQ(reports.rules(), "napi-disable-twice") << "an instance begins disabled";
  EXPECT_EQ(at(reports.all[0].here), first);
  napi.enable();
  napi.disable();
  napi.disable();
  EXPECT_EQ(reports.rules(), "napi-disable-twice napi-disable-twice");
}

TEST_F(NapiTest, DisablingInAtomicContextIsReported) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  Reports reports;
  napi.enable();
  const BhScope bh;
  napi.disable();
  EXPECT_EQ(reports.rules(), "sleep-in-atomic");
}

TEST_F(NapiTest, WaitingForThePollThreadInAtomicContextIsReported) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  Reports reports;
  const BhScope bh;
  napi.synchronize();
  EXPECT_EQ(reports.rules(), "sleep-in-atomic");
}

TEST_F(NapiTest, DestroyingAnEnabledInstanceIsReported) {
  Reports reports;
  {
    Napi forgotten(*dev, poller);
    forgotten.enable();
  }
  EXPECT_EQ(reports.rules(), "napi-freed");
}

TEST_F(NapiTest, ReceivedFramesAreCountedAndFreedWithoutAPort) {
  SkbPool pool(4, 64);
  poller.body = [&](Napi& polled, int) {
    SkbBatch frames;
    pool.alloc(frames, 3);
    for (Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*skb)) skb->put(20);
    polled.receive(frames);
    EXPECT_TRUE(frames.empty());
    polled.complete_done(3);
    return 3;
  };
  napi.enable();
  napi.schedule();
  ASSERT_TRUE(poller.polled.wait());
  napi.disable();
  EXPECT_EQ(napi.counters.packets.load(), 3u);
  EXPECT_EQ(dev->stats().rx_packets, 3u);
  EXPECT_EQ(dev->stats().rx_bytes, 60u);
  EXPECT_EQ(pool.available(), 4u);
}

TEST_F(NapiTest, OnePollThreadServesManyInstancesInTurn) {
  constexpr int kInstances = 6;
  constexpr uint32_t kRounds = 50;
  struct Greedy {
    int id;
    std::vector<int>& order;
    Event polls{};
    int poll(Napi& polled, int budget) noexcept USERNIC_NONBLOCKING {
      const BlockingByDesign a_test_may;
      order.push_back(id);
      polls.set();
      if (polls.count() < kRounds) return budget;
      polled.complete_done(0);
      return 0;
    }
  };
  std::vector<int> order;  // by the poll thread alone
  std::vector<std::unique_ptr<Greedy>> greedy;
  std::vector<std::unique_ptr<Napi>> instances;
  // The first one holds the poll thread until all others are scheduled behind it.
  Event holding, all_scheduled;
  poller.body = [&](Napi& polled, int) {
    holding.set();
    all_scheduled.wait();
    polled.complete_done(0);
    return 0;
  };
  napi.enable();
  napi.schedule();
  ASSERT_TRUE(holding.wait());
  for (int id = 0; id < kInstances; ++id) {
    greedy.push_back(std::make_unique<Greedy>(id, order));
    instances.push_back(std::make_unique<Napi>(*dev, *greedy.back(), kBudget));
    instances.back()->enable();
    instances.back()->schedule();
  }
  all_scheduled.set();
  for (auto& each : greedy) ASSERT_TRUE(each->polls.wait(kRounds));
  for (auto& each : instances) each->disable();
  napi.disable();
  ASSERT_EQ(order.size(), kInstances * kRounds);
  for (size_t i = 0; i < order.size(); ++i) ASSERT_EQ(order[i], int(i % kInstances)) << "at poll " << i;
}

TEST_F(NapiTest, NoEventIsLostWhateverTheTiming) {
  constexpr uint32_t kEvents = 20'000;
  const uint64_t seed = random_u64();
  SCOPED_TRACE(fmt::format("seed {:#x}", seed));
  Atomic<uint32_t> waiting{0};
  uint32_t served = 0;  // by the poll thread alone
  Event all_served;
  poller.body = [&](Napi& polled, int budget) {
    int work = 0;
    while (work < budget && waiting.load() != 0) {
      waiting.fetch_sub(1);
      ++work;
    }
    served += work;
    const bool last = served == kEvents;
    if (work < budget) polled.complete_done(work);
    if (last) all_served.set();
    return work;
  };
  napi.enable();
  const auto raise = [&](uint64_t salt) {
    Chance chance(seed + salt);
    for (uint32_t i = 0; i < kEvents / 2; ++i) {
      waiting.fetch_add(1);
      napi.schedule();
      for (uint64_t pause = chance.one_in(8) ? chance.below(400) : 0; pause > 0; --pause) spin_pause();
    }
  };
  {
    Thread one("irq-1", [&] { raise(1); });
    Thread two("irq-2", [&] { raise(2); });
  }
  EXPECT_TRUE(all_served.wait()) << "served " << served << ", waiting " << waiting.load();
  napi.disable();
}

TEST_F(NapiTest, NoEventIsLostOverDisableAndEnable) {
  constexpr uint32_t kEvents = 4'000;
  const uint64_t seed = random_u64();
  SCOPED_TRACE(fmt::format("seed {:#x}", seed));
  Atomic<uint32_t> waiting{0};
  Atomic<uint32_t> served{0};
  Atomic<bool> enabled{false}, polled_while_disabled{false};
  poller.body = [&](Napi& polled, int budget) {
    if (!enabled.load()) polled_while_disabled.store(true);
    int work = 0;
    while (work < budget && waiting.load() != 0) {
      waiting.fetch_sub(1);
      ++work;
    }
    served.fetch_add(work);
    if (work < budget) polled.complete_done(work);
    return work;
  };
  enabled.store(true);
  napi.enable();
  Atomic<bool> raising{true};
  Thread irq("irq", [&] {
    Chance chance(seed);
    for (uint32_t i = 0; i < kEvents; ++i) {
      waiting.fetch_add(1);
      napi.schedule();
      for (uint64_t pause = chance.below(300); pause > 0; --pause) spin_pause();
    }
    raising.store(false);
  });
  while (raising.load()) {
    napi.disable();
    enabled.store(false);
    for (int i = 0; i < 100; ++i) spin_pause();
    enabled.store(true);
    napi.enable();
  }
  irq.join();
  for (const Time deadline = soon(); served.load() != kEvents && Clock::now() < deadline;) {
    poller.polled.wait(poller.polled.count() + 1, std::chrono::milliseconds(20));
  }
  EXPECT_EQ(served.load(), kEvents) << "the last schedule on an enabled instance leads to a poll";
  napi.disable();
  EXPECT_FALSE(polled_while_disabled.load());
}

// Whose receive queue it is, the port hears, and so do those who ask.
TEST_F(NapiTest, FramesAreHandedUpAndCountedByQueue) {
  struct Port final : DevicePort {
    void receive(SkbBatch&) noexcept override {}
    void receive_from(uint16_t queue, SkbBatch& frames) noexcept override {
      const BlockingByDesign a_test_may;
      heard.push_back({queue, frames.size()});
    }
    void tx_wake(TxQueue&) noexcept override {}
    void carrier_changed(bool) noexcept override {}
    std::vector<std::pair<uint16_t, uint32_t>> heard;  // by the one poll thread
  } port;
  ASSERT_TRUE(dev->attach_port(port));
  ASSERT_TRUE(dev->open());
  SkbPool pool(8, 256);
  poller.body = [&](Napi& polled, int) {
    SkbBatch frames;
    for (int i = 0; i <= polled.queue(); ++i) put(frames, pool, Frame(60));
    polled.receive(frames);
    polled.complete_done(polled.queue() + 1);
    return polled.queue() + 1;
  };
  Napi third(*dev, poller, kBudget, 2);
  for (Napi* const each : {&napi, &third}) {
    each->enable();
    each->schedule();
    each->synchronize();
  }
  EXPECT_EQ(port.heard, (std::vector<std::pair<uint16_t, uint32_t>>{{0, 1}, {2, 3}}));
  const QueueStats stats = dev->queue_stats();
  ASSERT_EQ(stats.rx.size(), 3u);
  EXPECT_EQ(stats.rx[0].packets, 1u);
  EXPECT_EQ(stats.rx[1].packets, 0u);
  EXPECT_EQ(stats.rx[2].packets, 3u);
  for (Napi* const each : {&napi, &third}) each->disable();
  dev->detach_port();
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
