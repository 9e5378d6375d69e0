// SPDX-License-Identifier: Apache-2.0
#include "usernic/work.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>

#include "core/device.h"
#include "core/lock_graph.h"
#include "core/test_card.h"
#include "core/test_watch.h"

namespace usernic {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

Time in(Duration time) {
  return Clock::now() + time;
}

struct WorkTest : testing::Test {
  Net net;
  Workqueue ordered{net, "ordered", Workqueue::kOrdered};
  Workqueue concurrent{net, "concurrent", 2};
  Event ran;
  Work work{[this] { ran.set(); }};

  // An item that is inside its body until told to go on.
  Event entered, go_on;
  Work slow{[this] {
    entered.set();
    go_on.wait(entered.count());
  }};
  void start_slow(Workqueue& queue) {
    const uint32_t before = entered.count();
    ASSERT_TRUE(queue.queue(slow));
    ASSERT_TRUE(entered.wait(before + 1));
  }
  void TearDown() override {
    for (int i = 0; i < 10; ++i) go_on.set();
    ordered.flush();
    concurrent.flush();
  }
};

// --- Queueing ---

TEST_F(WorkTest, AQueuedItemRunsOnce) {
  EXPECT_TRUE(ordered.queue(work));
  ordered.flush();
  EXPECT_EQ(ran.count(), 1u);
  EXPECT_FALSE(work.pending());
}

TEST_F(WorkTest, QueueingAPendingItemIsNoChange) {
  start_slow(ordered);
  EXPECT_TRUE(ordered.queue(work));
  EXPECT_TRUE(work.pending());
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(ordered.queue(work));
  go_on.set();
  ordered.flush();
  EXPECT_EQ(ran.count(), 1u);
}

TEST_F(WorkTest, QueuedWhileRunningItRunsAgainOnce) {
  start_slow(ordered);
  EXPECT_FALSE(slow.pending()) << "running is not pending";
  EXPECT_TRUE(ordered.queue(slow));
  EXPECT_TRUE(slow.pending());
  EXPECT_FALSE(ordered.queue(slow)) << "it is owed one more run, not two";
  go_on.set();
  ASSERT_TRUE(entered.wait(2));
  go_on.set();
  slow.flush();
  EXPECT_EQ(entered.count(), 2u);
}

TEST_F(WorkTest, AnItemMayQueueItself) {
  int runs = 0;
  std::optional<Work> self;
  self.emplace([&] {
    if (++runs < 5 && !ordered.queue(*self)) ADD_FAILURE();
    if (runs == 5) ran.set();
  });
  ordered.queue(*self);
  ASSERT_TRUE(ran.wait());
  self->flush();
  EXPECT_EQ(runs, 5);
}

TEST_F(WorkTest, AnItemIsNeverConcurrentWithItselfAndSeesTheLastChange) {
  constexpr int kThreads = 4, kRounds = 2'000;
  Atomic<int> inside{0};
  Atomic<bool> two_inside{false};
  Atomic<uint32_t> changes{0};
  uint32_t seen = 0;  // plain: the item is alone with it
  uint32_t runs = 0;
  Work item([&] {
    if (inside.fetch_add(1) != 0) two_inside.store(true);
    seen = changes.load();
    ++runs;
    inside.fetch_sub(1);
  });
  {
    Thread threads[kThreads];
    for (Thread& thread : threads) {
      thread = Thread("queuer", [&] {
        for (int i = 0; i < kRounds; ++i) {
          changes.fetch_add(1);
          concurrent.queue(item);
        }
      });
    }
  }
  item.flush();
  EXPECT_FALSE(two_inside.load());
  EXPECT_EQ(seen, uint32_t{kThreads * kRounds}) << "a run follows the last queueing";
  EXPECT_LE(runs, uint32_t{kThreads * kRounds});
}

TEST_F(WorkTest, AnItemQueuedElsewhereWhileRunningStaysNonReentrant) {
  start_slow(ordered);
  EXPECT_TRUE(concurrent.queue(slow));
  EXPECT_FALSE(entered.wait(2, kMoment)) << "[kernel: an item stays on the queue that runs it]";
  go_on.set();
  EXPECT_TRUE(entered.wait(2));
  go_on.set();
}

TEST_F(WorkTest, AnOrderedQueueRunsOneAfterTheOtherInOrder) {
  std::string order;
  Work a([&] { order += 'a'; }), b([&] { order += 'b'; }), c([&] { order += 'c'; });
  start_slow(ordered);
  for (Work* each : {&b, &a, &c}) ordered.queue(*each);
  EXPECT_EQ(order, "");
  go_on.set();
  ordered.flush();
  EXPECT_EQ(order, "bac");
}

TEST_F(WorkTest, AConcurrentQueueRunsAsManyAtOnceAsItMayAndNoMore) {
  Event begun, end;
  const auto body = [&] {
    begun.set();
    end.wait();
  };
  Work a(body), b(body), c(body);
  for (Work* each : {&a, &b, &c}) concurrent.queue(*each);
  EXPECT_TRUE(begun.wait(2));
  EXPECT_FALSE(begun.wait(3, kMoment));
  end.set();
  concurrent.flush();
  EXPECT_EQ(begun.count(), 3u);
}

TEST_F(WorkTest, TwentyItemsThatBlockOnTwentyQueuesAllRunAtOnce) {
  constexpr uint32_t kItems = 20;
  Event begun, end;
  std::vector<std::unique_ptr<Workqueue>> queues;
  std::vector<std::unique_ptr<Work>> items;
  for (uint32_t i = 0; i < kItems; ++i) {
    queues.push_back(std::make_unique<Workqueue>(net, "one", Workqueue::kOrdered));
    items.push_back(std::make_unique<Work>([&] {
      begun.set();
      end.wait();
    }));
  }
  for (uint32_t i = 0; i < kItems; ++i) queues[i]->queue(*items[i]);
  EXPECT_TRUE(begun.wait(kItems)) << "only " << begun.count() << " of them got a worker";
  EXPECT_TRUE(ordered.queue(work));
  EXPECT_TRUE(ran.wait()) << "and a short item still finds one";
  end.set();
  for (auto& queue : queues) queue->flush();
}

TEST_F(WorkTest, ThePoolShrinksAndGrowsAgain) {
  for (int round = 0; round < 3; ++round) {
    Event begun, end;
    std::vector<std::unique_ptr<Work>> items;
    Workqueue wide(net, "wide", 12);
    for (int i = 0; i < 12; ++i) {
      items.push_back(std::make_unique<Work>([&] {
        begun.set();
        end.wait();
      }));
      wide.queue(*items.back());
    }
    EXPECT_TRUE(begun.wait(12));
    end.set();
    wide.flush();
  }
}

// --- Delayed items ---

TEST_F(WorkTest, ADelayedItemRunsAtItsTimeAndNotBefore) {
  Time at{};
  Work item([&] {
    at = Clock::now();
    ran.set();
  });
  const Time due = in(milliseconds(10));
  EXPECT_TRUE(ordered.queue_at(item, due));
  EXPECT_TRUE(item.pending());
  ASSERT_TRUE(ran.wait());
  item.flush();
  EXPECT_GE(at, due);
}

TEST_F(WorkTest, ATimeThatHasPassedIsNow) {
  EXPECT_TRUE(ordered.queue_at(work, Clock::now() - hours(1)));
  EXPECT_TRUE(ran.wait());
  work.flush();
}

TEST_F(WorkTest, DelayedItemsRunInTheOrderOfTheirTimes) {
  std::string order;
  Work a([&] { order += 'a'; }), b([&] { order += 'b'; });
  Work c([&] {
    order += 'c';
    ran.set();
  });
  const Time now = Clock::now();
  ordered.queue_at(c, now + milliseconds(30));
  ordered.queue_at(a, now + milliseconds(10));
  ordered.queue_at(b, now + milliseconds(20));
  ASSERT_TRUE(ran.wait());
  ordered.flush();
  EXPECT_EQ(order, "abc");
}

TEST_F(WorkTest, AWaitingItemIsMovedForwardButNotBack) {
  EXPECT_TRUE(ordered.queue_at(work, in(hours(1))));
  EXPECT_TRUE(ordered.queue_at(work, in(milliseconds(5))));
  EXPECT_FALSE(ordered.queue_at(work, in(hours(1))));
  EXPECT_TRUE(ran.wait());
  work.flush();
  EXPECT_EQ(ran.count(), 1u);
}

TEST_F(WorkTest, QueueingAWaitingItemRunsItNow) {
  EXPECT_TRUE(ordered.queue_at(work, in(hours(1))));
  EXPECT_TRUE(ordered.queue(work));
  EXPECT_TRUE(ran.wait());
  work.flush();
  EXPECT_FALSE(work.pending());
}

TEST_F(WorkTest, AnItemThatIsDueNowIsNotPutOff) {
  start_slow(ordered);
  EXPECT_TRUE(ordered.queue(work));
  EXPECT_FALSE(ordered.queue_at(work, in(hours(1))));
  go_on.set();
  EXPECT_TRUE(ran.wait());
  work.flush();
}

TEST_F(WorkTest, AnItemMayRearmItself) {
  int runs = 0;
  Time due{};
  bool early = false;
  std::optional<Work> self;
  self.emplace([&] {
    early = early || Clock::now() < due;
    if (++runs == 5) return ran.set();
    due = in(milliseconds(2));
    EXPECT_TRUE(ordered.queue_at(*self, due));
  });
  ordered.queue(*self);
  ASSERT_TRUE(ran.wait());
  self->flush();
  EXPECT_EQ(runs, 5);
  EXPECT_FALSE(early);
}

TEST_F(WorkTest, AnItemThatRearmedItselfIsMovedForwardAndQueuedNowLikeAnyOther) {
  std::optional<Work> self;
  int runs = 0;
  self.emplace([&] {
    ++runs;
    entered.set();
    if (runs < 3) ordered.queue_at(*self, in(hours(1)));
    go_on.wait(runs);
  });
  ordered.queue(*self);
  ASSERT_TRUE(entered.wait(1));
  ordered.queue_at(*self, in(milliseconds(1)));  // while it runs and has re-armed itself
  go_on.set();
  ASSERT_TRUE(entered.wait(2)) << "moved forward";
  EXPECT_TRUE(ordered.queue(*self));
  go_on.set();
  ASSERT_TRUE(entered.wait(3)) << "queued now";
  go_on.set();
  self->flush();
  EXPECT_FALSE(self->pending());
}

// --- flush ---

TEST_F(WorkTest, FlushWaitsForThePendingAndTheRunningRun) {
  start_slow(ordered);
  ordered.queue(work);
  Event flushed;
  Thread flusher("flusher", [&] {
    work.flush();
    flushed.set();
  });
  EXPECT_TRUE(flushed.stays_away());
  go_on.set();
  flusher.join();
  EXPECT_EQ(ran.count(), 1u);
}

TEST_F(WorkTest, FlushOfAnItemWaitsForTheRunThatIsOwedToo) {
  start_slow(ordered);
  ordered.queue(slow);
  Event flushed;
  Thread flusher("flusher", [&] {
    slow.flush();
    flushed.set();
  });
  go_on.set();
  ASSERT_TRUE(entered.wait(2));
  EXPECT_TRUE(flushed.stays_away());
  go_on.set();
  flusher.join();
}

TEST_F(WorkTest, FlushOfAnIdleItemReturnsAtOnce) {
  work.flush();
  ordered.queue(work);
  work.flush();
  work.flush();
  ordered.queue_at(work, in(hours(1)));
  work.flush();  // a timer that has not fired is not waited for [kernel: flush_work]
  EXPECT_EQ(ran.count(), 1u);
  EXPECT_TRUE(work.cancel_sync());
}

TEST_F(WorkTest, FlushOfAnItemThatIsPutOffMeanwhileReturns) {
  for (int round = 0; round < 50; ++round) {
    start_slow(ordered);
    ASSERT_TRUE(ordered.queue(work));
    Event begins;
    Thread flusher("flusher", [&] {
      begins.set();
      work.flush();
      EXPECT_EQ(ran.count(), 0u) << "another run, for which nobody waits";
    });
    ASSERT_TRUE(begins.wait());
    ordered.move_to(work, in(milliseconds(200)));
    flusher.join();
    work.cancel_sync();
    go_on.set();
    ordered.flush();
    ASSERT_FALSE(HasFailure());
  }
}

TEST_F(WorkTest, FlushOfAQueueWaitsForWhatWasQueuedBefore) {
  start_slow(concurrent);
  Event flushed;
  Thread flusher("flusher", [&] {
    concurrent.flush();
    flushed.set();
  });
  EXPECT_TRUE(flushed.stays_away());
  EXPECT_TRUE(concurrent.queue(work));
  EXPECT_TRUE(ran.wait()) << "the other place of the queue is free";
  go_on.set();
  flusher.join();
}

TEST_F(WorkTest, FlushOfAQueueDoesNotWaitForWhatIsQueuedLater) {
  start_slow(ordered);
  Event second_entered, second_end;
  Work second([&] {
    second_entered.set();
    second_end.wait();
  });
  Event flushing, flushed;
  Thread flusher("flusher", [&] {
    flushing.set();
    ordered.flush();
    flushed.set();
  });
  ASSERT_TRUE(flushing.wait());
  EXPECT_TRUE(flushed.stays_away());
  ordered.queue(second);
  go_on.set();
  EXPECT_TRUE(second_entered.wait());
  EXPECT_TRUE(flushed.wait()) << "the second item is still running";
  second_end.set();
  second.flush();
}

TEST_F(WorkTest, FlushOfAQueueWaitsForARunThatWasOwedWhenItBegan) {
  start_slow(ordered);
  EXPECT_TRUE(ordered.queue(slow));  // before the flush: this run counts
  Event flushed;
  Thread flusher("flusher", [&] {
    ordered.flush();
    flushed.set();
  });
  EXPECT_TRUE(flushed.stays_away());
  go_on.set();
  ASSERT_TRUE(entered.wait(2));
  EXPECT_TRUE(flushed.stays_away());
  go_on.set();
  flusher.join();
}

// --- cancel, disable ---

TEST_F(WorkTest, CancelTakesAPendingItemBack) {
  start_slow(ordered);
  ordered.queue(work);
  EXPECT_TRUE(work.cancel_sync());
  EXPECT_FALSE(work.pending());
  EXPECT_FALSE(work.cancel_sync());
  go_on.set();
  ordered.flush();
  EXPECT_EQ(ran.count(), 0u);
}

TEST_F(WorkTest, CancelTakesAWaitingItemBack) {
  ordered.queue_at(work, in(hours(1)));
  EXPECT_TRUE(work.cancel_sync());
  EXPECT_FALSE(work.pending());
  EXPECT_TRUE(ordered.queue(work)) << "it may be queued again";
  EXPECT_TRUE(ran.wait());
  work.flush();
}

TEST_F(WorkTest, CancelOfARunningItemAsksItToStopAndWaitsForItsReturn) {
  Event begun, returned;
  bool was_stop = false;
  Work item([&] {
    const StopToken stop = current_stop_token();
    begun.set();
    was_stop = stop.wait_until(soon());
    returned.set();
  });
  ordered.queue(item);
  ASSERT_TRUE(begun.wait());
  EXPECT_FALSE(item.cancel_sync()) << "it was not pending";
  EXPECT_EQ(returned.count(), 1u);
  EXPECT_TRUE(was_stop);
}

TEST_F(WorkTest, CancelTakesTheOwedRunOfARunningItemBack) {
  start_slow(ordered);
  ordered.queue(slow);
  Event cancelled;
  bool was_pending = false;
  Thread canceller("canceller", [&] {
    was_pending = slow.cancel_sync();
    cancelled.set();
  });
  EXPECT_TRUE(cancelled.stays_away());
  go_on.set();
  canceller.join();
  EXPECT_TRUE(was_pending);
  EXPECT_FALSE(entered.wait(2, kMoment));
}

TEST_F(WorkTest, CancelStopsAnItemThatRearmsItself) {
  // [kernel: cancel_work_sync "can be used even if the work re-queues itself"]
  for (const bool delayed : {false, true}) {
    Event rearmed;
    std::optional<Work> self;
    self.emplace([&] {
      entered.set();
      (void)current_stop_token().wait_until(soon());
      if (delayed) {
        ordered.queue_at(*self, in(hours(1)));
      } else {
        ordered.queue(*self);
      }
      rearmed.set();
    });
    const uint32_t before = entered.count();
    ordered.queue(*self);
    ASSERT_TRUE(entered.wait(before + 1));
    (void)self->cancel_sync();
    EXPECT_EQ(rearmed.count(), 1u);
    EXPECT_FALSE(self->pending()) << (delayed ? "queue_at" : "queue");
    (void)self->cancel_sync();
  }
}

TEST_F(WorkTest, ARunAfterACancelHasAFreshStopToken) {
  Event begun;
  Atomic<int> stops{0};
  Work item([&] {
    begun.set();
    if (current_stop_token().wait_until(begun.count() == 1 ? soon() : Clock::now())) stops.fetch_add(1);
  });
  ordered.queue(item);
  ASSERT_TRUE(begun.wait());
  item.cancel_sync();
  ordered.queue(item);
  item.flush();
  EXPECT_EQ(begun.count(), 2u);
  EXPECT_EQ(stops.load(), 1);
}

TEST_F(WorkTest, DisableIsCounted) {
  ordered.queue(work);
  work.flush();
  work.disable_sync();
  work.disable_sync();
  EXPECT_FALSE(ordered.queue(work));
  EXPECT_FALSE(ordered.queue_at(work, Clock::now()));
  work.enable();
  EXPECT_FALSE(ordered.queue(work));
  work.enable();
  EXPECT_TRUE(ordered.queue(work));
  work.flush();
  EXPECT_EQ(ran.count(), 2u);
}

TEST_F(WorkTest, AnItemIsDisabledBeforeItWasEverQueued) {
  work.disable_sync();
  EXPECT_FALSE(ordered.queue(work));
  EXPECT_FALSE(work.pending());
  work.enable();
  EXPECT_TRUE(ordered.queue(work));
  work.flush();
  EXPECT_EQ(ran.count(), 1u);
}

TEST_F(WorkTest, DisableCancelsAndWaits) {
  start_slow(ordered);
  ordered.queue(work);
  work.disable_sync();
  Event disabled;
  Thread disabler("disabler", [&] {
    slow.disable_sync();
    disabled.set();
  });
  EXPECT_TRUE(disabled.stays_away());
  EXPECT_FALSE(ordered.queue(slow)) << "refused although it still runs";
  go_on.set();
  disabler.join();
  ordered.flush();
  EXPECT_EQ(ran.count(), 0u);
  EXPECT_EQ(entered.count(), 1u);
  work.enable();
  slow.enable();
}

TEST_F(WorkTest, DisablingAFreshItemWhileOthersQueueItIsSafe) {
  for (int round = 0; round < 300; ++round) {
    Atomic<int> runs{0};
    Work fresh([&] { runs.fetch_add(1); });
    Event go;
    Thread queuer("queuer", [&] {
      go.wait();
      concurrent.queue(fresh);
    });
    go.set();
    fresh.disable_sync();
    const int after_disable = runs.load();
    queuer.join();
    EXPECT_FALSE(fresh.pending());
    EXPECT_EQ(runs.load(), after_disable) << "no run begins after disable_sync returned";
    fresh.cancel_sync();
  }
}

// --- Ends: asan and tsan see what touches an item or a queue that is gone ---

TEST_F(WorkTest, AnItemThatEndedByItselfMayGoAfterACancel) {
  Workqueue* const queues[] = {&ordered, &concurrent};
  for (int round = 0; round < 2'000; ++round) {
    Atomic<bool> ended{false};
    auto item = std::make_unique<Work>([&] { ended.store(true); });
    ASSERT_TRUE(queues[round % 2]->queue(*item));
    while (!ended.load()) spin_pause();
    if (round % 3 == 0) item->flush();
    if (round % 3 == 1) item->disable_sync();
    item->cancel_sync();
  }
}

TEST_F(WorkTest, AQueueMayGoWhileOthersStillWakeUpInIt) {
  for (int round = 0; round < 300; ++round) {
    auto queue = std::make_unique<Workqueue>(net, "short", Workqueue::kOrdered);
    Event go;
    Work item([&] { go.wait(); });
    ASSERT_TRUE(queue->queue(item));
    Thread flusher("flusher", [&] { item.flush(); });
    Thread canceller("canceller", [&] {
      while (item.pending()) continue;
      for (int i = 0; i < 20; ++i) item.cancel();
      item.cancel_sync();
    });
    go.set();
    queue->flush();
    queue.reset();
  }
}

TEST_F(WorkTest, CurrentWorkIsTheRunningItemAndNullElsewhere) {
  EXPECT_EQ(current_work(), nullptr);
  EXPECT_FALSE(current_stop_token().stop_requested());
  EXPECT_EQ(current_stop_token().word(), nullptr);
  Work* seen = nullptr;
  bool in_queue = false, in_other = true;
  Work item([&] {
    seen = current_work();
    in_queue = ordered.is_current();
    in_other = concurrent.is_current();
  });
  ordered.queue(item);
  item.flush();
  EXPECT_EQ(seen, &item);
  EXPECT_TRUE(in_queue);
  EXPECT_FALSE(in_other);
  EXPECT_FALSE(ordered.is_current());
}

// --- Parking ---

TEST_F(WorkTest, NoItemStartsWhileTheQueueIsParked) {
  ordered.park();
  EXPECT_TRUE(ordered.queue(work));
  EXPECT_TRUE(ran.stays_away());
  ordered.unpark();
  EXPECT_TRUE(ran.wait());
  work.flush();
}

TEST_F(WorkTest, ParkAsksTheRunningItemToStopAndWaitsUntilTheQueueIsIdle) {
  Event begun, returned;
  bool was_stop = false;
  Work item([&] {
    begun.set();
    was_stop = current_stop_token().wait_until(soon());
    returned.set();
  });
  ordered.queue(item);
  ordered.queue(work);
  ASSERT_TRUE(begun.wait());
  ordered.park();
  EXPECT_EQ(returned.count(), 1u);
  EXPECT_TRUE(was_stop);
  EXPECT_TRUE(ran.stays_away()) << "what was pending stays pending";
  EXPECT_TRUE(work.pending());
  ordered.unpark();
  EXPECT_TRUE(ran.wait());
  work.flush();
}

TEST_F(WorkTest, ParkReturnsNoSoonerThanTheRunningItem) {
  start_slow(ordered);
  Event parked;
  Thread parker("parker", [&] {
    ordered.park();
    parked.set();
  });
  EXPECT_TRUE(parked.stays_away());
  go_on.set();
  EXPECT_TRUE(parked.wait());
  parker.join();
  ordered.unpark();
}

TEST_F(WorkTest, ParksAreCounted) {
  ordered.park();
  ordered.park();
  ordered.queue(work);
  ordered.unpark();
  EXPECT_TRUE(ran.stays_away());
  ordered.unpark();
  EXPECT_TRUE(ran.wait());
  work.flush();
}

TEST_F(WorkTest, AnItemWhoseTimeComesWhileParkedRunsAfterwards) {
  ordered.park();
  ordered.queue_at(work, in(milliseconds(1)));
  EXPECT_TRUE(ran.stays_away());
  ordered.unpark();
  EXPECT_TRUE(ran.wait());
  work.flush();
}

TEST_F(WorkTest, AParkedQueueHoldsUpNobodyElse) {
  ordered.park();
  ordered.queue(slow);
  EXPECT_TRUE(concurrent.queue(work));
  EXPECT_TRUE(ran.wait());
  EXPECT_TRUE(slow.cancel_sync()) << "pending items can be taken back from a parked queue";
  ordered.unpark();
}

TEST_F(WorkTest, ALaneGuardInsideAnItemOfTheLaneIsNothing) {
  bool current_inside = false;
  Work item([&] {
    const LaneGuard guard(ordered);
    const LaneGuard again(ordered);
    current_inside = ordered.is_current();
    ran.set();
  });
  ordered.queue(item);
  ASSERT_TRUE(ran.wait()) << "it waits for itself";
  item.flush();
  EXPECT_TRUE(current_inside);
  EXPECT_TRUE(ordered.queue(work));
  EXPECT_TRUE(ran.wait(2)) << "and left the queue running";
  work.flush();
}

TEST_F(WorkTest, ALaneGuardInsideALaneGuardIsNothing) {
  {
    const LaneGuard guard(ordered);
    EXPECT_TRUE(ordered.is_current());
    {
      const LaneGuard again(ordered);
      ordered.queue(work);
    }
    EXPECT_TRUE(ordered.is_current());
    EXPECT_TRUE(ran.stays_away()) << "the inner one did not unpark";
  }
  EXPECT_FALSE(ordered.is_current());
  EXPECT_TRUE(ran.wait());
  work.flush();
}

TEST_F(WorkTest, ParksFromSeveralThreadsNeverOverlapARunningItem) {
  constexpr int kThreads = 3, kRounds = 300;
  Atomic<int> parked{0};
  Atomic<bool> overlapped{false}, ended{false};
  Atomic<uint32_t> runs{0};
  Work item([&] {
    if (parked.load() != 0) overlapped.store(true);
    runs.fetch_add(1);
  });
  Thread queuer("queuer", [&] {
    while (!ended.load()) ordered.queue(item);
  });
  {
    Thread parkers[kThreads];
    for (Thread& parker : parkers) {
      parker = Thread("parker", [&] {
        for (int i = 0; i < kRounds; ++i) {
          const LaneGuard guard(ordered);
          parked.fetch_add(1);
          spin_pause();
          parked.fetch_sub(1);
        }
      });
    }
  }
  const uint32_t before = runs.load();
  for (const Time deadline = soon(); runs.load() < before + 2 && Clock::now() < deadline;) item.flush();
  EXPECT_GE(runs.load(), before + 2) << "the queue runs again when the last park is gone";
  ended.store(true);
  queuer.join();
  item.cancel_sync();
  EXPECT_FALSE(overlapped.load());
}

// --- Owners ---

struct OwnedWorkTest : WorkTest {
  TestCard card;
  NetdevPtr dev = *net.alloc_netdev<TestDriver>({.name = "t0"}, card);
  Work owned{[this] {
               entered.set();
               go_on.wait(entered.count());
             },
             dev.get()};
  size_t references() { return dev->ref_holders().size(); }
  void SetUp() override { ASSERT_TRUE(dev->register_netdev()); }
};

TEST_F(OwnedWorkTest, TheOwnerIsHeldWhilePendingAndRunning) {
  EXPECT_EQ(references(), 0u);
  ordered.park();
  ordered.queue(owned);
  EXPECT_EQ(references(), 1u);
  ordered.queue(owned);
  EXPECT_EQ(references(), 1u) << "once, however often it is queued";
  EXPECT_EQ(dev->ref_holders()[0].find("work item"), 0u) << dev->ref_holders()[0];
  ordered.unpark();
  ASSERT_TRUE(entered.wait());
  EXPECT_EQ(references(), 1u);
  ordered.queue(owned);
  go_on.set();
  ASSERT_TRUE(entered.wait(2));
  EXPECT_EQ(references(), 1u) << "over both runs";
  go_on.set();
  dev.reset();  // sleeps until the reference is gone
}

TEST_F(OwnedWorkTest, TheOwnerIsDroppedByCancel) {
  ordered.queue_at(owned, in(hours(1)));
  EXPECT_EQ(references(), 1u);
  EXPECT_TRUE(owned.cancel_sync());
  EXPECT_EQ(references(), 0u);
  ordered.park();
  ordered.queue(owned);
  EXPECT_TRUE(owned.cancel_sync());
  EXPECT_EQ(references(), 0u);
  ordered.unpark();
}

TEST_F(OwnedWorkTest, ADisabledItemTakesNoReference) {
  owned.disable_sync();
  EXPECT_FALSE(ordered.queue(owned));
  EXPECT_EQ(references(), 0u);
  owned.enable();
}

// --- Reports ---

struct WorkReportTest : WorkTest {
  void SetUp() override {
    if (!kChecksOn) GTEST_SKIP() << "checks are off";
    LockGraph::instance().forget_all();  // each test makes an order of its own
  }
  // Runs the body as an item of `queue` and catches what it reports.
  Reports reports;
  std::string reported_in_item(Workqueue& queue, std::function<void(Work&)> body) {
    std::optional<Work> item;
    item.emplace([&] { body(*item); });
    queue.queue(*item);
    queue.flush();
    return reports.rules();
  }
};

TEST_F(WorkReportTest, AnItemThatWaitsForItself) {
  EXPECT_EQ(reported_in_item(ordered,
                             [](Work& self) {
                               self.flush();
                               self.cancel_sync();
                               self.disable_sync();
                             }),
            "flush-self flush-self flush-self");
}

TEST_F(WorkReportTest, AnItemThatFlushesOrParksItsOwnQueue) {
  EXPECT_EQ(reported_in_item(ordered,
                             [this](Work&) {
                               ordered.flush();
                               ordered.park();
                             }),
            "flush-self park-self");
  EXPECT_TRUE(ordered.queue(work)) << "the park that was reported did not happen";
  EXPECT_TRUE(ran.wait());
}

TEST_F(WorkReportTest, AnItemThatWaitsForAnotherOfItsOrderedQueue) {
  EXPECT_EQ(reported_in_item(ordered,
                             [this](Work&) {
                               ordered.queue(work);  // cannot start before this one ends
                               work.flush();
                             }),
            "flush-self");
}

TEST_F(WorkReportTest, TakingBackAnotherItemOfTheOwnQueueIsFine) {
  EXPECT_EQ(reported_in_item(ordered,
                             [this](Work&) {
                               ordered.queue(work);
                               EXPECT_TRUE(work.cancel_sync());
                             }),
            "");
}

// A lane's items take rtnl and IL: who waits for one holds neither.
TEST_F(WorkReportTest, WaitingForALaneUnderRtnlIsReportedWithBothPlaces) {
  TestCard card;
  const NetdevPtr dev = *net.alloc_netdev<TestDriver>({.name = "t0"}, card);
  Workqueue& lane = dev->lane();
  lane.queue(work);
  lane.flush();
  const std::string held = next_line();
  net.rtnl().lock();
  const std::string waited = next_line();
  work.flush();
  work.cancel_sync();
  work.disable_sync();
  work.enable();
  lane.flush();
  lane.park();
  lane.unpark();
  net.rtnl().unlock();
  ASSERT_EQ(reports.rules(), "wait-under-lock wait-under-lock wait-under-lock wait-under-lock wait-under-lock");
  EXPECT_EQ(at(reports.all[0].here), waited);
  EXPECT_EQ(at(reports.all[0].there), held);
}

TEST_F(WorkReportTest, WaitingForALaneUnderAnInstanceLockIsReported) {
  TestCard card;
  const NetdevPtr dev = *net.alloc_netdev<TestDriver>({.name = "t0"}, card);
  {
    const MutexGuard il(Device::of(*dev).instance_lock);
    dev->lane().flush();
  }
  EXPECT_EQ(reports.rules(), "wait-under-lock");
}

TEST_F(WorkReportTest, WaitingForAnotherQueueUnderRtnlIsFine) {
  const MutexGuard rtnl(net.rtnl());
  ordered.queue(work);
  work.flush();
  work.cancel_sync();
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(WorkReportTest, WaitingForTheRxModeUnderRtnlOrOnItsLaneIsReported) {
  TestCard card;
  const NetdevPtr dev = *net.alloc_netdev<TestDriver>({.name = "t0"}, card);
  ASSERT_TRUE(dev->register_netdev());
  {
    const MutexGuard rtnl(net.rtnl());
    (void)dev->rx_mode().settle(Clock::now());
  }
  {
    const LaneGuard lane(dev->lane());
    (void)dev->rx_mode().settle(Clock::now());
  }
  EXPECT_EQ(reports.rules(), "wait-under-lock wait-on-lane");
}

TEST_F(WorkReportTest, WaitingInAtomicContextIsReported) {
  const BhScope bh;
  ordered.flush();
  EXPECT_EQ(reports.rules(), "sleep-in-atomic");
}

TEST_F(WorkReportTest, AnItemOutsideTheLanesMayOperateADevice) {
  // Only lanes that wait for lanes can come full circle; an item elsewhere is process context like any other.
  TestCard card;
  const NetdevPtr dev = *net.alloc_netdev<TestDriver>({.name = "t0"}, card);
  ASSERT_TRUE(dev->register_netdev());
  EXPECT_EQ(reported_in_item(net.system_workqueue(), [&](Work&) { EXPECT_EQ(outcome(dev->open()), "ok"); }), "");
}

TEST_F(WorkReportTest, AnItemOfALaneThatOperatesAnotherDevice) {
  TestCard card;
  const NetdevPtr a = *net.alloc_netdev<TestDriver>({.name = "a"}, card);
  const NetdevPtr b = *net.alloc_netdev<TestDriver>({.name = "b"}, card);
  ASSERT_TRUE(a->register_netdev());
  ASSERT_TRUE(b->register_netdev());
  EXPECT_EQ(reported_in_item(a->lane(), [&](Work&) { EXPECT_EQ(outcome(b->open()), "ok"); }), "lock-nested");
}

TEST(WorkDeathTest, AnItemDestroyedWhilePendingIsAReport) {
  const auto destroy_pending = [] {
    Net net;
    Workqueue queue(net, "queue", Workqueue::kOrdered);
    queue.park();
    Work item([] {});
    queue.queue(item);
  };
  EXPECT_DEATH(destroy_pending(), "work-freed");
}

TEST(WorkDeathTest, AQueueDestroyedWithItemsIsAReport) {
  const auto destroy_busy = [] {
    Net net;
    Work item([] {});
    Workqueue queue(net, "queue", Workqueue::kOrdered);
    queue.park();
    queue.queue(item);
  };
  EXPECT_DEATH(destroy_busy(), "workqueue-freed");
}

}  // namespace
}  // namespace usernic
