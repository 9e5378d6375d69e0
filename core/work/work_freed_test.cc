// SPDX-License-Identifier: Apache-2.0 OR MIT
// Items that their own function destroys: the queue goes on as if they were still there until it has returned.
#include "core/work/work_fixture.h"
#include "usernic/thread.h"
#include "usernic/work.h"

namespace usernic {
namespace {

// Destroys itself, and goes on.
struct Container {
  Container(std::function<void()> then, NetDevice* owner = nullptr)
      : item(
            [this, then] {
              const auto not_captured = then;
              delete this;
              not_captured();
            },
            owner) {}
  Work item;
};

struct WorkFreedTest : WorkTest {
  Event freed;
  // Inside its function, the item gone.
  Container* make(NetDevice* owner = nullptr) {
    Event *const the_freed = &freed, *const the_go_on = &go_on;
    return new Container(
        [the_freed, the_go_on] {
          the_freed->set();
          the_go_on->wait();
        },
        owner);
  }
};

TEST_F(WorkFreedTest, TheQueueIsBusyUntilTheFunctionReturns) {
  ASSERT_TRUE(ordered.queue(make()->item));
  ASSERT_TRUE(freed.wait());
  Event flushed;
  Thread flusher("flusher", [&] {
    ordered.flush();
    flushed.set();
  });
  ASSERT_TRUE(ordered.queue(work));
  EXPECT_TRUE(flushed.stays_away());
  EXPECT_EQ(ran.count(), 0u) << "one at a time";
  go_on.set();
  EXPECT_TRUE(flushed.wait());
  EXPECT_TRUE(ran.wait());
}

TEST_F(WorkFreedTest, ParkAsksTheFunctionToStopAlthoughTheItemIsGone) {
  Event asked;
  Event* const the_freed = &freed;
  Event* const the_asked = &asked;
  auto* const it = new Container([the_freed, the_asked] {
    the_freed->set();
    if (current_stop_token().wait_until(soon())) the_asked->set();
  });
  ASSERT_TRUE(ordered.queue(it->item));
  ASSERT_TRUE(freed.wait());
  ordered.park();
  EXPECT_EQ(asked.count(), 1u);
  ordered.unpark();
}

TEST_F(WorkFreedTest, ItsOwnerIsHeldUntilTheFunctionReturns) {
  TestCard card;
  const NetdevPtr dev = *net.alloc_netdev<TestDriver>({.name = "t0"}, card);
  ASSERT_TRUE(dev->register_netdev());
  ASSERT_TRUE(concurrent.queue(make(dev.get())->item));
  ASSERT_TRUE(freed.wait());
  EXPECT_EQ(dev->ref_holders().size(), 1u);
  go_on.set();
  concurrent.flush();
  dev->unregister_netdev();
}

TEST_F(WorkFreedTest, WhatItCapturedGoesBeforeTheQueueIsIdle) {
  Event going, flushed;
  std::shared_ptr<int> captured(new int, [&](int* number) {
    delete number;
    going.set();
    go_on.wait();
  });
  auto* const it = new Container([captured] {});
  captured.reset();
  ASSERT_TRUE(concurrent.queue(it->item));
  ASSERT_TRUE(going.wait());
  Thread flusher("flusher", [&] {
    concurrent.flush();
    flushed.set();
  });
  EXPECT_TRUE(flushed.stays_away());
  go_on.set();
  EXPECT_TRUE(flushed.wait());
}

TEST_F(WorkFreedTest, ManyOfThemOnAConcurrentQueue) {
  Event ended;
  Event* const the_ended = &ended;
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(concurrent.queue((new Container([the_ended] { the_ended->set(); }))->item));
  concurrent.drain();
  EXPECT_EQ(ended.count(), 500u);
}

TEST(WorkFreedDeathTest, WhileItIsToRunAgainIsAReport) {
  const auto destroy = [] {
    Net net;
    Workqueue queue(net, "queue", Workqueue::kOrdered);
    std::optional<Work> item;
    item.emplace([&] {
      queue.queue(*item);
      item.reset();
    });
    queue.queue(*item);
    queue.flush();
  };
  EXPECT_DEATH(destroy(), "work-freed");
}

TEST(WorkFreedDeathTest, WhileSomebodyWaitsForItIsAReport) {
  const auto destroy = [] {
    Net net;
    Workqueue queue(net, "queue", Workqueue::kOrdered);
    Event entered;
    std::optional<Work> item;
    item.emplace([&] {
      entered.set();
      (void)Event().wait(1, kMoment);  // the flush begins, or there is no report and the test fails
      item.reset();
    });
    queue.queue(*item);
    entered.wait();
    item->flush();
  };
  EXPECT_DEATH(destroy(), "work-freed");
}

}  // namespace
}  // namespace usernic
