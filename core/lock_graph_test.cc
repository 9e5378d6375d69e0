// SPDX-License-Identifier: Apache-2.0
#include "core/lock_graph.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>

#include "core/device.h"
#include "core/test_card.h"
#include "core/test_watch.h"

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

TEST_F(LockGraphTest, ALevelThatChangedMeanwhileCountsFromThenOn) {
  SpinLock outer{kOuterSpin}, inner{kOuterSpin};
  const SpinGuard upper(outer, 1);
  outer.set_level(0);
  const SpinGuard lower(inner, 1);
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
  size_t known = 0;
  while (reports.all.empty() && known < classes.size()) {
    const LockGraph::Node node = graph->node(classes[known++], 0);
    if (known == 7) seventh = node;
  }
  EXPECT_EQ(known, LockGraph::kNodesMax);
  EXPECT_EQ(graph->node(classes.back(), 0), LockGraph::kNone);
  EXPECT_EQ(reports.rules(), "lock-graph-full");
  EXPECT_EQ(graph->node(classes[6], 0), seventh) << "what is known stays known";
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
