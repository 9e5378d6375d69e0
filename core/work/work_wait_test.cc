// SPDX-License-Identifier: Apache-2.0 OR MIT
// Waiting for items and taking them back: flush, cancel, disable.
#include "core/work/work_fixture.h"
#include "usernic/thread.h"
#include "usernic/work.h"

namespace usernic {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

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

TEST_F(WorkTest, FlushOfAQueueEndsThoughAnItemQueuesItselfAgainForEver) {
  Atomic<bool> enough{false};
  std::optional<Work> again;
  again.emplace([&] {
    if (!enough.load()) ordered.queue(*again);
    ran.set();
  });
  ASSERT_TRUE(ordered.queue(*again));
  ASSERT_TRUE(ran.wait(2));
  Event flushed;
  Thread flusher("flusher", [&] {
    ordered.flush();
    flushed.set();
  });
  EXPECT_TRUE(flushed.wait());
  enough.store(true);
  flusher.join();
  again->cancel_sync();
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

}  // namespace
}  // namespace usernic
