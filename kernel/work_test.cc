// SPDX-License-Identifier: Apache-2.0 OR MIT
// Work items in kernel style.
#include <gtest/gtest.h>

#include <string>

#include "kernel/names.h"
#include "testing/watch.h"
#include "usernic/thread.h"

namespace usernic::kernel_work_test {
namespace {

using namespace usernic::kernel;

const unsigned long kHour = msecs_to_jiffies(3'600'000);

// Notes its name, and what the test says.
struct job {
  struct work_struct work;
  struct delayed_work later;
  std::string* log = nullptr;
  std::string name;
  std::function<void()> then;
};
void note(job* it) {
  if (it->log != nullptr) *it->log += it->name;
  if (it->then) it->then();
}
void run_job(struct work_struct* work) {
  note(container_of(work, struct job, work));
}
void run_later_job(struct work_struct* work) {
  note(container_of(to_delayed_work(work), struct job, later));
}

struct KernelWork : testing::Test {
  Net net;
  init_net_is here{net};
  struct workqueue_struct* queue = alloc_ordered_workqueue("jobs", 0);
  std::string log;
  job a, b;
  Event entered, go_on;

  void init(job& it, const char* name) {
    it.log = &log;
    it.name = name;
    INIT_WORK(&it.work, run_job);
    INIT_DELAYED_WORK(&it.later, run_later_job);
  }
  void SetUp() override {
    init(a, "a");
    init(b, "b");
  }
  void TearDown() override {
    for (int i = 0; i < 10; ++i) go_on.set();
    destroy_workqueue(queue);
  }
  // The queue runs `a`, and goes on when told to.
  void keep_busy() {
    a.then = [this] {
      entered.set();
      go_on.wait();
    };
    ASSERT_TRUE(queue_work(queue, &a.work));
    ASSERT_TRUE(entered.wait());
  }
};

TEST_F(KernelWork, AWorkFunctionMayFreeItsContainer) {
  struct request {
    struct work_struct work;
    std::string* log;
    static void handle(struct work_struct* work) {
      request* it = container_of(work, struct request, work);
      *it->log += "handled ";
      delete it;
      EXPECT_EQ(kernel::current_work(), work) << "a pointer to compare with, as in the kernel";
    }
  };
  for (int i = 0; i < 100; ++i) {
    auto* it = new request{.work = {}, .log = &log};
    INIT_WORK(&it->work, request::handle);
    ASSERT_TRUE(queue_work(queue, &it->work));
  }
  flush_workqueue(queue);
  EXPECT_EQ(log.size(), 100 * std::string("handled ").size());
}

TEST_F(KernelWork, QueueingWhatWaitsForLaterIsNoChange) {
  EXPECT_TRUE(queue_delayed_work(queue, &a.later, kHour));
  EXPECT_FALSE(queue_work(queue, &a.later.work)) << "its time is not now";
  EXPECT_FALSE(queue_delayed_work(queue, &a.later, 0));
  flush_workqueue(queue);
  EXPECT_EQ(log, "");
  EXPECT_TRUE(cancel_delayed_work(&a.later));
}

// Of those who queue it at once one is told so, and whoever takes it back takes back one.
TEST_F(KernelWork, OfSeveralWhoQueueADelayedItemAtOnceOneDoes) {
  Atomic<int> queued{0}, canceled{0};
  const auto queue_and_cancel = [&] {
    for (int i = 0; i < 50'000; ++i) {
      if (queue_delayed_work(queue, &a.later, kHour)) queued.fetch_add(1);
      if (cancel_delayed_work(&a.later)) canceled.fetch_add(1);
    }
  };
  { Thread first("first", queue_and_cancel), second("second", queue_and_cancel), third("third", queue_and_cancel); }
  if (cancel_delayed_work(&a.later)) canceled.fetch_add(1);
  EXPECT_GT(queued.load(), 1);
  EXPECT_EQ(queued.load(), canceled.load());
}

TEST_F(KernelWork, WithoutADelayAnItemStandsInLineLikeAnyOther) {
  keep_busy();
  EXPECT_TRUE(queue_delayed_work(queue, &b.later, 0));
  job c, d;
  init(c, "c");
  init(d, "d");
  EXPECT_TRUE(queue_work(queue, &c.work));
  EXPECT_TRUE(queue_delayed_work(queue, &d.later, kHour));
  EXPECT_TRUE(mod_delayed_work(queue, &d.later, 0));
  EXPECT_TRUE(queue_work(queue, &b.work));
  go_on.set();
  flush_workqueue(queue);
  EXPECT_EQ(log, "abcdb");
}

TEST_F(KernelWork, BusyIsPendingAndRunning) {
  EXPECT_EQ(work_busy(&a.work), 0u);
  keep_busy();
  EXPECT_EQ(work_busy(&a.work), WORK_BUSY_RUNNING);
  EXPECT_TRUE(queue_work(queue, &a.work));
  EXPECT_EQ(work_busy(&a.work), WORK_BUSY_RUNNING | WORK_BUSY_PENDING);
  EXPECT_TRUE(cancel_work(&a.work));
  EXPECT_TRUE(queue_delayed_work(queue, &b.later, kHour));
  EXPECT_EQ(work_busy(&b.later.work), WORK_BUSY_PENDING);
  EXPECT_TRUE(cancel_delayed_work_sync(&b.later));
  go_on.set();
  (void)flush_work(&a.work);
  EXPECT_EQ(work_busy(&a.work), 0u);
}

TEST_F(KernelWork, DrainAndDestroyRunWhatItemsQueueMeanwhile) {
  int left = 5;
  b.then = [&] {
    if (--left == 1) (void)Event().wait(1, kMoment);  // long after who waits for the first run has seen it
    if (left > 0) queue_work(queue, &b.work);
  };
  EXPECT_TRUE(queue_work(queue, &b.work));
  drain_workqueue(queue);
  EXPECT_EQ(log, "bbbbb");
  left = 3;
  EXPECT_TRUE(queue_work(queue, &b.work));
  destroy_workqueue(queue);
  queue = create_workqueue("next");
  EXPECT_EQ(log, "bbbbbbbb");
}

TEST_F(KernelWork, ADelayedItemIsDisabledAndFlushedLikeAnyOther) {
  EXPECT_TRUE(queue_delayed_work(queue, &a.later, kHour));
  EXPECT_TRUE(disable_delayed_work(&a.later));
  EXPECT_FALSE(disable_delayed_work_sync(&a.later));
  EXPECT_FALSE(mod_delayed_work(queue, &a.later, 0));
  EXPECT_FALSE(enable_delayed_work(&a.later));
  EXPECT_TRUE(enable_delayed_work(&a.later));
  EXPECT_FALSE(mod_delayed_work(queue, &a.later, kHour));
  EXPECT_TRUE(flush_delayed_work(&a.later));
  EXPECT_EQ(log, "a");
}

TEST_F(KernelWork, AReportNamesTheCallersLine) {
  Reports reports;
  (void)enable_work(&a.work);
  ASSERT_EQ(reports.rules(), "work-enabled-twice");
  EXPECT_TRUE(std::string(reports.all[0].here.file_name()).ends_with("kernel/work_test.cc"));
}

TEST_F(KernelWork, EnableAndQueue) {
  (void)disable_work(&a.work);
  (void)disable_work_sync(&a.work);
  EXPECT_FALSE(enable_and_queue_work(queue, &a.work));
  EXPECT_TRUE(enable_and_queue_work(queue, &a.work));
  flush_workqueue(queue);
  EXPECT_EQ(log, "a");
}

TEST_F(KernelWork, ACpuIsAHint) {
  keep_busy();
  const int cpus[] = {0, 1'000'000, WORK_CPU_UNBOUND};
  for (const int cpu : cpus) EXPECT_EQ(queue_work_on(cpu, queue, &b.work), cpu == 0) << "pending after the first";
  EXPECT_TRUE(cancel_work(&b.work));
  EXPECT_TRUE(queue_work_node(NUMA_NO_NODE, queue, &b.work));
  EXPECT_FALSE(mod_delayed_work_on(3, queue, &b.later, kHour));
  EXPECT_FALSE(queue_delayed_work_on(3, queue, &b.later, 0)) << "it keeps its time";
  EXPECT_TRUE(mod_delayed_work_on(3, queue, &b.later, 0));
  go_on.set();
  flush_workqueue(queue);
  EXPECT_EQ(log, "abb");
  EXPECT_TRUE(queue_delayed_work_on(5, queue, &b.later, kHour));
  EXPECT_TRUE(cancel_delayed_work(&b.later));
  EXPECT_TRUE(schedule_work_on(7, &b.work));
  (void)flush_work(&b.work);
  EXPECT_TRUE(schedule_delayed_work_on(7, &b.later, kHour));
  flush_workqueue(system_wq);
  EXPECT_EQ(log, "abbb") << "its time is not now";
  EXPECT_TRUE(flush_delayed_work(&b.later));
  EXPECT_EQ(log, "abbbb");
}

TEST_F(KernelWork, ItemsOnTheStackAndDeferrableOnes) {
  job c;
  c.log = &log;
  c.name = "c";
  INIT_WORK_ONSTACK(&c.work, run_job);
  INIT_DELAYED_WORK_ONSTACK(&c.later, run_later_job);
  EXPECT_TRUE(queue_work(queue, &c.work));
  EXPECT_TRUE(queue_delayed_work(queue, &c.later, 0));
  flush_workqueue(queue);
  EXPECT_EQ(log, "cc");
  destroy_work_on_stack(&c.work);
  destroy_delayed_work_on_stack(&c.later);
  INIT_DEFERRABLE_WORK(&a.later, run_later_job);
  EXPECT_TRUE(queue_delayed_work(queue, &a.later, kHour));
  EXPECT_TRUE(flush_delayed_work(&a.later));
  EXPECT_EQ(log, "cca");
}

Atomic<int> declared_runs{0};
void count_run(struct work_struct*) {
  declared_runs.fetch_add(1);
}
static DECLARE_WORK(declared_work, count_run);
static DECLARE_DELAYED_WORK(declared_later, count_run);
static DECLARE_DEFERRABLE_WORK(declared_deferrable, count_run);

TEST_F(KernelWork, DeclaredItemsAndTheSystemsQueues) {
  declared_runs = 0;
  EXPECT_TRUE(queue_work(system_wq, &declared_work));
  EXPECT_TRUE(queue_delayed_work(system_unbound_wq, &declared_later, 0));
  EXPECT_TRUE(queue_delayed_work(system_power_efficient_wq, &declared_deferrable, 0));
  flush_workqueue(system_wq);
  EXPECT_EQ(declared_runs.load(), 3);
  struct workqueue_struct* own = create_freezable_workqueue("own");
  EXPECT_TRUE(queue_work(own, &declared_work));
  destroy_workqueue(own);
  EXPECT_EQ(declared_runs.load(), 4);
}

}  // namespace
}  // namespace usernic::kernel_work_test
