// SPDX-License-Identifier: Apache-2.0 OR MIT
// Queues that are parked.
#include "core/work/work_fixture.h"
#include "usernic/thread.h"
#include "usernic/work.h"

namespace usernic {
namespace {

using std::chrono::milliseconds;

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

}  // namespace
}  // namespace usernic
