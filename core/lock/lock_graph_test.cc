// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/lock/lock_graph.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>

#include "core/device/device.h"
#include "core/lock/level_guard.h"
#include "testing/card.h"
#include "testing/unseen_by_clang.h"
#include "testing/upper.h"
#include "testing/watch.h"
#include "usernic/porting.h"
#include "usernic/skb.h"
#include "usernic/thread.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wthread-safety")
namespace usernic {
namespace {

constexpr LockClass kA{"a"}, kB{"b"}, kC{"c"}, kD{"d"};
constexpr LockClass kOuterSpin{"outer_spin"}, kInnerSpin{"inner_spin"};

struct LockGraphTest : testing::Test {
  void SetUp() override {
    if (!kChecksOn) GTEST_SKIP() << "checks are off";
    LockGraph::instance().forget_all();
  }
  void TearDown() override { LockGraph::instance().forget_all(); }

  template <class... Locks>
  static void take(Locks&... locks) {
    (locks.lock(), ...);
    (locks.unlock(), ...);
  }
  bool details_have(std::string_view text) const {
    return !reports.all.empty() && reports.all.back().details.find(text) != std::string::npos;
  }
  std::string text() const { return reports.all.empty() ? "" : reports.all.back().text; }

  Reports reports;
  Mutex a{kA}, b{kB}, c{kC}, d{kD};
};

TEST_F(LockGraphTest, AnUnknownOrderIsLearntAndTheSameOrderIsFine) {
  take(a, b);
  take(a, b);
  Thread("other", [&] { take(a, b); }).join();
  take(b);
  take(a);
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(LockGraphTest, TheReverseOrderIsReportedWithBothStacksAndTheChain) {
  a.lock();
  const std::string known = next_line();
  b.lock();
  b.unlock();
  a.unlock();
  const std::string held = next_line();
  b.lock();
  const std::string taken = next_line();
  a.lock();
  a.unlock();
  b.unlock();
  ASSERT_EQ(reports.rules(), "lock-order");
  EXPECT_EQ(text(), "'a' is taken under 'b', against the known order 'a' -> 'b'");
  EXPECT_EQ(at(reports.all[0].here), taken);
  EXPECT_EQ(at(reports.all[0].there), held);
  const std::string& details = reports.all[0].details;
  const size_t mine = details.find(held), now = details.find(taken), before = details.find(known);
  EXPECT_LT(mine, now) << details;
  EXPECT_LT(now, before) << "this thread first, then the one that taught the order:\n" << details;
  EXPECT_NE(before, std::string::npos) << details;
}

TEST_F(LockGraphTest, TheReverseOrderByAnotherThreadWithOtherLocksOfTheClassesIsReported) {
  take(a, b);
  Mutex second_a{kA}, second_b{kB};
  Thread("other", [&] { take(second_b, second_a); }).join();
  EXPECT_EQ(reports.rules(), "lock-order");
}

TEST_F(LockGraphTest, AnIndirectReverseIsReportedWithEachStepOfTheChain) {
  take(a, b);
  take(b, c);
  take(c, d);
  take(d, a);
  ASSERT_EQ(reports.rules(), "lock-order");
  EXPECT_EQ(text(), "'a' is taken under 'd', against the known order 'a' -> 'b' -> 'c' -> 'd'");
  EXPECT_TRUE(details_have("'a' -> 'b' is known from"));
  EXPECT_TRUE(details_have("'b' -> 'c' is known from"));
  EXPECT_TRUE(details_have("'c' -> 'd' is known from"));
}

TEST_F(LockGraphTest, TheShortestChainIsShown) {
  take(a, b);
  take(b, c);
  take(c, d);
  take(a, c);
  take(d, a);
  EXPECT_EQ(text(), "'a' is taken under 'd', against the known order 'a' -> 'c' -> 'd'");
}

TEST_F(LockGraphTest, WhatAnOuterLockComesBeforeIsKnownThroughTheInnerOne) {
  take(a, b, c);
  take(c, a);
  EXPECT_EQ(text(), "'a' is taken under 'c', against the known order 'a' -> 'b' -> 'c'");
}

TEST_F(LockGraphTest, AReverseIsReportedOnceAndTeachesNothing) {
  take(a, b);
  take(b, a);
  take(b, a);
  EXPECT_EQ(reports.rules(), "lock-order");
  take(a, b);
  EXPECT_EQ(reports.rules(), "lock-order") << "the order that was there first stays right";
}

TEST_F(LockGraphTest, NestingLevelsOfOneClassHaveAnOrderToo) {
  Mutex second{kA};
  const auto nest = [](Mutex& outer, int outer_level, Mutex& inner, int inner_level) {
    const MutexGuard one(outer, outer_level);
    const MutexGuard two(inner, inner_level);
  };
  nest(a, 0, second, 1);
  nest(second, 0, a, 1);
  EXPECT_EQ(reports.rules(), "");
  nest(a, 1, second, 0);
  EXPECT_EQ(text(), "'a' is taken under 'a'/1, against the known order 'a' -> 'a'/1");
}

TEST_F(LockGraphTest, ALevelGuardKeepsBhsOutAndIsNotInOne) {
  SpinLock outer{kOuterSpin}, inner{kInnerSpin};
  const Atomic<int> level{0};
  {
    const LevelGuard guard(outer, level);
    take(inner);
  }
  take(inner);
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(LockGraphTest, TheSameClassAtTheSameLevelIsNoOrder) {
  Mutex second{kA};
  take(a, second);
  EXPECT_EQ(reports.rules(), "lock-nested");
}

TEST_F(LockGraphTest, ALockThatIsOnlyTriedWaitsForNobody) {
  take(a, b);
  b.lock();
  ASSERT_TRUE(a.try_lock());
  a.unlock();
  b.unlock();
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(LockGraphTest, ALockThatWasTriedComesBeforeWhatIsTakenUnderIt) {
  a.lock();
  ASSERT_TRUE(b.try_lock());
  c.lock();  // both a and b come before c: a is not known to come before b
  c.unlock();
  b.unlock();
  a.unlock();
  take(c, b);
  EXPECT_EQ(text(), "'b' is taken under 'c', against the known order 'b' -> 'c'");
  take(c, a);
  EXPECT_EQ(text(), "'a' is taken under 'c', against the known order 'a' -> 'c'");
}

TEST_F(LockGraphTest, LocksReleasedInAnyOrderTeachWhatWasHeld) {
  a.lock();
  b.lock();
  a.unlock();
  c.lock();
  b.unlock();
  c.unlock();
  take(c, a);
  EXPECT_EQ(text(), "'a' is taken under 'c', against the known order 'a' -> 'b' -> 'c'");
}

TEST_F(LockGraphTest, ManyThreadsLearnAtOnceAndOneReverseIsFoundOnce) {
  Event reported;
  ReportHandler mine = set_report_handler([&](const ContractReport&) { reported.set(); });
  {
    Thread threads[4];
    for (Thread& thread : threads) {
      thread = Thread("learner", [] {
        Mutex locks[]{Mutex(kA), Mutex(kB), Mutex(kC), Mutex(kD)};
        for (int i = 0; i < 1'000; ++i) take(locks[i % 3], locks[3]);
        for (int i = 0; i < 1'000; ++i) take(locks[0], locks[1 + i % 3]);
        take(locks[3], locks[0]);
      });
    }
  }
  set_report_handler(std::move(mine));
  EXPECT_EQ(reported.count(), 1u);
}

TEST_F(LockGraphTest, AFullGraphSaysSoOnceAndChecksNoFurther) {
  const auto graph = std::make_unique<LockGraph>();
  std::deque<LockClass> classes(LockGraph::kNodesMax, LockClass{"one of many"});
  LockGraph::Node seventh = LockGraph::kNone;
  testing::internal::CaptureStderr();
  size_t known = 0;
  while (known < classes.size()) {
    const LockGraph::Node node = graph->node(classes[known++], 0);
    if (known == 7) seventh = node;
  }
  EXPECT_EQ(graph->node(classes.back(), 0), LockGraph::kNone);
  EXPECT_EQ(graph->node(classes.back(), 1), LockGraph::kNone);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(said.find("lock checks"), said.rfind("lock checks")) << said;
  EXPECT_NE(said.find("more lock classes or orders"), std::string::npos) << said;
  EXPECT_EQ(reports.rules(), "") << "nothing is wrong with the program";
  EXPECT_EQ(graph->node(classes[6], 0), seventh) << "what is known stays known";
}

// Each in an interrupt and in process context: a class that both may take says so.
TEST(AnyContextTest, WhatSaysSoMayBeCalledFromAnInterruptToo) {
  Reports reports;
  Net net;
  TestCard card;
  const NetdevPtr dev = *net.alloc_netdev<TestDriver>({.name = "t0"}, card);
  const NetdevPtr upper = *net.alloc_netdev<TestUpper>({.name = "up0"});
  for (const NetdevPtr& each : {std::cref(dev), std::cref(upper)}) ASSERT_TRUE(each->register_netdev());
  for (const NetdevPtr& each : {std::cref(dev), std::cref(upper)}) ASSERT_TRUE(each->open());
  ASSERT_TRUE(static_cast<TestUpper*>(upper->driver())->add(*dev));
  SkbPool pool(4, 64);
  Workqueue queue(net, "any", Workqueue::kOrdered);
  Work work([] {});
  const auto all = [&] {
    SkbPool::free(*pool.alloc());
    SkbBatch frames;
    pool.alloc(frames, pool.available());
    SkbPool::free(frames);
    (void)dev->name();
    dev->carrier_off();
    dev->carrier_on();
    dev->tx_queue(0).stop();
    dev->tx_queue(0).wake();
    dev->rx_mode().call_soon();
    Porting::schedule_retry(dev->rx_mode());
    dev->rx_mode().retry_now();
    Porting::cancel_retry(dev->rx_mode());
    dev->rx_mode().card_forgot();
    const DeviceRef ref(*dev, "test");
    queue.queue_at(work, Clock::now() + std::chrono::hours(1));
    queue.move_to(work, Clock::now() + std::chrono::hours(2));
    Porting::hurry(work);
    work.cancel();
    work.disable();
    work.enable();
    queue.queue(work);
  };
  all();
  {
    const HardIrqScope interrupt;
    all();
  }
  all();
  queue.flush();
  EXPECT_EQ(reports.rules(), "");
  upper->unregister_netdev();
  dev->unregister_netdev();
}

// What a program names its queues, and how many places make them, breaks no contract.
TEST(SiteClassTest, QueuesThatDifferInANumberAreOneClass) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  Net net;
  const auto made = [&net](const std::string& name, Place where = Place::current()) {
    return Workqueue(net, name, Workqueue::kOrdered, where).lock_class();
  };
  const Place here = Place::current();
  EXPECT_EQ(made("rx0 of nic1", here), made("rx17 of nic3", here));
  EXPECT_NE(made("rx0", here), made("tx0", here));
}

TEST(SiteClassDeathTest, ManyMoreNamesThanTheGraphHasRoomForAreNoReport) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto make_many = [] {
    Net net;
    for (int i = 0; i < 300; ++i) {
      const std::string name = {'q', static_cast<char>('a' + i / 26), static_cast<char>('a' + i % 26)};
      const Workqueue queue(net, name, Workqueue::kOrdered);
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(make_many(), testing::ExitedWithCode(0), "lock checks go on with less: more places");
}

struct LockContextTest : LockGraphTest {
  SpinLock lock{kOuterSpin};
  SpinLock inner{kInnerSpin};
};

TEST_F(LockContextTest, UsedInBhContextAndThenWithBhsEnabledIsReportedWithBothPlaces) {
  std::string in_bh;
  {
    const BhScope bh;
    in_bh = next_line();
    const SpinGuard guard(lock);
  }
  EXPECT_EQ(reports.rules(), "");
  const std::string in_process = next_line();
  { const SpinGuard guard(lock); }
  { const SpinGuard guard(lock); }
  ASSERT_EQ(reports.rules(), "lock-context") << "once";
  EXPECT_EQ(at(reports.all[0].here), in_process);
  EXPECT_EQ(at(reports.all[0].there), in_bh);
  EXPECT_EQ(text(),
            "'outer_spin' is taken with BHs enabled, and elsewhere in BH context: "
            "the one could interrupt the other and wait for it");
}

TEST_F(LockContextTest, UsedWithBhsEnabledAndThenInBhContextIsReported) {
  { const SpinGuard guard(lock); }
  const BhScope bh;
  const SpinGuard guard(lock);
  EXPECT_EQ(reports.rules(), "lock-context");
}

TEST_F(LockContextTest, UsedInBhContextAndElsewhereWithBhsDisabledIsFine) {
  { const SpinGuardBh guard(lock); }
  {
    const BhScope bh;
    const SpinGuard guard(lock);
    const SpinGuardBh also_fine(inner);
  }
  { const SpinGuardIrq guard(lock); }
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(LockContextTest, UnderALockThatDisablesBhsIsNotBhContext) {
  { const SpinGuard guard(inner); }
  const SpinGuardBh outer(lock);
  const SpinGuard guard(inner);
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(LockContextTest, UsedInHardIrqContextAndElsewhereWithIrqsEnabledIsReported) {
  { const SpinGuardBh guard(lock); }
  const HardIrqScope irq;
  const SpinGuard guard(lock);
  ASSERT_EQ(reports.rules(), "lock-context");
  EXPECT_NE(text().find("in hard irq context, and elsewhere with hard irqs enabled"), std::string::npos) << text();
}

TEST_F(LockContextTest, UsedInHardIrqContextAndElsewhereWithIrqsDisabledIsFine) {
  { const SpinGuardIrq guard(lock); }
  const BhScope bh;
  { const SpinGuardIrq guard(lock); }
  const HardIrqScope irq;
  const SpinGuard guard(lock);
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(LockContextTest, ATriedLockWaitsForNobodyInAnyContext) {
  { const SpinGuard guard(lock); }
  const BhScope bh;
  ASSERT_TRUE(lock.try_lock());
  lock.unlock();
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(LockContextTest, AClassDeclaredForAnyContextIsFineEverywhere) {
  static constexpr LockClass kLeaf{"leaf", LockUse::kAnyContext};
  SpinLock leaf{kLeaf};
  { const SpinGuard guard(leaf); }
  {
    const BhScope bh;
    const SpinGuard guard(leaf);
  }
  const HardIrqScope irq;
  const SpinGuard guard(leaf);
  EXPECT_EQ(reports.rules(), "");
}

// Waiting is taking: for an item, for a queue, for a lane, for a ticket.
struct WaitOrderTest : LockGraphTest {
  Net net;
  Workqueue ordered{net, "ordered", Workqueue::kOrdered};
  Workqueue concurrent{net, "concurrent", 2};

  void run(Workqueue& queue, Work& work) {
    ASSERT_TRUE(queue.queue(work));
    work.flush();
  }
};

TEST_F(WaitOrderTest, FlushingAnItemUnderALockThatItTakesIsReported) {
  Work item([&] { take(a); });
  run(concurrent, item);
  const std::string held = next_line();
  const MutexGuard guard(a);
  const std::string waited = next_line();
  item.flush();
  ASSERT_EQ(reports.rules(), "lock-order");
  EXPECT_EQ(at(reports.all[0].here), waited);
  EXPECT_EQ(at(reports.all[0].there), held);
  EXPECT_NE(text().find("'work of lock_graph_test.cc:"), std::string::npos) << text();
  EXPECT_TRUE(details_have("queue concurrent"));
}

TEST_F(WaitOrderTest, TakingALockInAnItemThatIsWaitedForUnderItIsReported) {
  bool takes = false;
  Work item([&] {
    if (takes) take(a);
  });
  run(concurrent, item);
  {
    const MutexGuard guard(a);
    item.flush();
  }
  EXPECT_EQ(reports.rules(), "");
  takes = true;
  run(concurrent, item);
  EXPECT_EQ(reports.rules(), "lock-order");
}

TEST_F(WaitOrderTest, CancellingOrDisablingUnderALockThatTheItemTakesIsReported) {
  Work item([&] { take(a); });
  run(ordered, item);
  {
    const MutexGuard guard(a);
    item.cancel_sync();
  }
  EXPECT_EQ(reports.rules(), "lock-order");
  Work other([&] { take(b); });
  run(ordered, other);
  {
    const MutexGuard guard(b);
    other.disable_sync();
  }
  EXPECT_EQ(reports.rules(), "lock-order lock-order");
}

TEST_F(WaitOrderTest, FlushingAQueueUnderALockThatAnItemOfItTakesIsReported) {
  Work item([&] { take(a); });
  run(concurrent, item);
  const MutexGuard guard(a);
  concurrent.flush();
  ASSERT_EQ(reports.rules(), "lock-order");
  EXPECT_NE(text().find("'queue concurrent of lock_graph_test.cc:"), std::string::npos) << text();
}

TEST_F(WaitOrderTest, WaitingForAnItemThatTakesNothingIsFineOnAConcurrentQueueOnly) {
  Work takes([&] { take(a); });
  Work free([] {});
  run(concurrent, takes);
  run(ordered, takes);
  const MutexGuard guard(a);
  run(concurrent, free);
  free.cancel_sync();
  EXPECT_EQ(reports.rules(), "");
  run(ordered, free);  // `takes` might be ahead of it
  EXPECT_EQ(reports.rules(), "lock-order");
}

TEST_F(WaitOrderTest, WaitingForAnItemThatHasEndedIsAsWrongAsWhileItWasQueued) {
  Work takes([&] { take(a); });
  Work free([] {});
  run(ordered, takes);
  run(ordered, free);
  ordered.flush();
  const MutexGuard guard(a);
  free.flush();
  EXPECT_EQ(reports.rules(), "lock-order");
}

TEST_F(WaitOrderTest, QueuesOfTwoNamesDoNotStandForEachOther) {
  Work item([&] { take(a); });
  run(concurrent, item);
  const MutexGuard guard(a);
  ordered.flush();
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(WaitOrderTest, ALockOfTheDriverThatIsHeldWhileWaitingForItsRxModeIsReported) {
  TestCard card;
  const NetdevPtr dev = *net.alloc_netdev<TestDriver>({.name = "t0"}, card);
  ASSERT_TRUE(dev->register_netdev());
  ASSERT_TRUE(dev->open());
  ASSERT_TRUE(dev->rx_mode().settle(soon()));  // a run: the lane, the instance lock, the card's mutex
  {
    const MutexGuard guard(card.mutex);
    (void)dev->rx_mode().settle(Clock::now());
  }
  ASSERT_EQ(reports.rules(), "lock-order");
  EXPECT_EQ(text().find("'lane' is taken under 'test_card', against the known order 'lane' -> "), 0u) << text();
}

TEST_F(WaitOrderTest, ATicketIsWaitedForWithoutRtnl) {
  TestCard card;
  const NetdevPtr dev = *net.alloc_netdev<TestDriver>({.name = "t0"}, card);
  ASSERT_TRUE(dev->register_netdev());
  const MutexGuard rtnl(net.rtnl());
  (void)dev->rx_mode().wait(dev->rx_mode().ticket(MacAddress::from_u64(2)), Clock::now());
  EXPECT_EQ(reports.rules(), "wait-under-lock") << "said once, as a rule of lanes";
}

TEST_F(WaitOrderTest, ParkingALaneUnderALockThatItsItemsTakeIsReported) {
  TestCard card;
  const NetdevPtr dev = *net.alloc_netdev<TestDriver>({.name = "t0"}, card);
  Work item([&] { take(a); });
  run(dev->lane(), item);
  {
    const MutexGuard guard(a);
    const LaneGuard lane(dev->lane());
  }
  EXPECT_EQ(reports.rules(), "lock-order") << "once";
}

TEST_F(WaitOrderTest, RtnlUnderAddrListLockIsReported) {
  TestCard card;
  const NetdevPtr dev = *net.alloc_netdev<TestDriver>({.name = "t0"}, card);
  Wanted& wanted = Device::of(*dev).engine.wanted;
  const std::string held = next_line();
  const SpinGuardBh addresses(wanted.lock, wanted.level());
  const std::string taken = next_line();
  const MutexGuard rtnl(net.rtnl());
  ASSERT_EQ(reports.rules(), "sleep-in-atomic");
  EXPECT_EQ(text(), "may sleep while the spinlock 'addr_list_lock' is held");
  EXPECT_EQ(at(reports.all[0].here), taken);
  EXPECT_EQ(at(reports.all[0].there), held);
}

TEST(LockGraphDeathTest, WithoutAHandlerAReportPrintsBothStacksAndAborts) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  const auto reverse = [] {
    Mutex a{kA}, b{kB};
    {
      const MutexGuard outer(a);
      const MutexGuard inner(b);
    }
    const MutexGuard outer(b);
    const MutexGuard inner(a);
  };
  EXPECT_DEATH(reverse(),
               "contract broken \\[lock-order\\]: 'a' is taken under 'b', against the known order 'a' -> 'b'(.|\n)*"
               "this thread:(.|\n)*held 'b'(.|\n)*then 'a'(.|\n)*known from:(.|\n)*held 'a'(.|\n)*then 'b'");
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
