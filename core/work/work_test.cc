// SPDX-License-Identifier: Apache-2.0 OR MIT
// What an item does: queued, delayed, owned, gone.
#include "usernic/work.h"

#include <pthread.h>

#include <algorithm>
#include <system_error>

#include "core/work/work_fixture.h"
#include "usernic/thread.h"

namespace usernic {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

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

// While one lives the machine refuses new threads: none has room for such a stack.
class NoMoreThreads {
 public:
  NoMoreThreads() {
    pthread_attr_t huge;
    pthread_attr_init(&huge);
    pthread_attr_setstacksize(&huge, size_t{1} << 48);
    pthread_getattr_default_np(&before_);
    pthread_setattr_default_np(&huge);
    pthread_attr_destroy(&huge);
  }
  ~NoMoreThreads() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }

 private:
  pthread_attr_t before_;
};

TEST_F(WorkTest, AMachineThatRefusesThreadsIsAskedAgainAndNothingIsLost) {
  constexpr uint32_t kItems = 20;  // more than there are workers
  Workqueue wide(net, "wide", kItems);
  std::vector<std::unique_ptr<Work>> blocked;
  Event begun, end;
  testing::internal::CaptureStderr();
  std::optional<NoMoreThreads> refusal(std::in_place);
  EXPECT_THROW(Thread("one", [] {}), std::system_error);
  for (uint32_t i = 0; i < kItems; ++i) {
    blocked.push_back(std::make_unique<Work>([&] {
      begun.set();
      end.wait();
    }));
    wide.queue(*blocked.back());
  }
  ordered.queue_at(work, in(milliseconds(1)));
  EXPECT_FALSE(ran.wait(1, milliseconds(250))) << "longer than it takes to ask again";
  EXPECT_LT(begun.count(), kItems);
  refusal.reset();
  EXPECT_TRUE(begun.wait(kItems)) << "only " << begun.count() << " of them got a worker";
  EXPECT_TRUE(ran.wait()) << "nor does the delayed item wait for those to end";
  end.set();
  wide.flush();
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("usernic: the machine refuses a worker thread"), said.npos) << said;
  EXPECT_EQ(std::ranges::count(said, '\n'), 1) << said;
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
  start_slow(ordered);  // so that none begins before all are queued
  const Time now = Clock::now();
  ordered.queue_at(c, now + milliseconds(30));
  ordered.queue_at(a, now + milliseconds(10));
  ordered.queue_at(b, now + milliseconds(20));
  go_on.set();
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

}  // namespace
}  // namespace usernic
