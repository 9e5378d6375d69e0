// SPDX-License-Identifier: Apache-2.0 OR MIT
// What items must not do, and the reports of it.
#include "core/work/work_fixture.h"
#include "usernic/work.h"

namespace usernic {
namespace {

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

TEST_F(WorkReportTest, AnItemThatFlushesDrainsOrParksItsOwnQueue) {
  EXPECT_EQ(reported_in_item(ordered,
                             [this](Work&) {
                               ordered.flush();
                               ordered.drain();
                               ordered.park();
                             }),
            "flush-self flush-self park-self");
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

TEST_F(WorkReportTest, AnUnparkTooManyIsReportedAndChangesNothing) {
  ordered.park();
  ordered.unpark();
  ordered.unpark();
  EXPECT_EQ(reports.rules(), "unpark-unparked");
  EXPECT_EQ(ordered.parks(), 0);
  ordered.park();
  EXPECT_TRUE(ordered.queue(work));
  EXPECT_TRUE(ran.stays_away()) << "one park counts";
  ordered.unpark();
  EXPECT_TRUE(ran.wait());
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
  lane.drain();
  lane.park();
  lane.unpark();
  net.rtnl().unlock();
  constexpr std::string_view kEach = "wait-under-lock wait-under-lock wait-under-lock wait-under-lock wait-under-lock ";
  ASSERT_EQ(reports.rules() + " ", std::string(kEach) + "wait-under-lock ");
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
