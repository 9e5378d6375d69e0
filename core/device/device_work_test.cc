// SPDX-License-Identifier: Apache-2.0 OR MIT
// What anybody may ask for from anywhere, and the lane does: the driver's work, and a detach.
#include <gtest/gtest.h>

#include "core/device/net_device_fixture.h"
#include "usernic/work.h"

namespace usernic {
namespace {

class WorkingDriver : public PlainDriver {
 public:
  explicit WorkingDriver(NetDevice& dev) : PlainDriver(dev) {}
  void work(uint32_t events) {
    got |= events;
    calls.set();
  }
  Event calls;
  uint32_t got = 0;
};

struct DeviceWorkTest : testing::Test {
  Net net;
  NetdevPtr dev = *net.alloc_netdev<WorkingDriver>({.name = "w0"});
  WorkingDriver& driver = *static_cast<WorkingDriver*>(dev->driver());
  Reports reports;

  void SetUp() override { ASSERT_TRUE(dev->register_netdev()); }
};

TEST_F(DeviceWorkTest, EventsAreGatheredUntilTheDriverIsCalled) {
  {
    const LaneGuard parked(dev->lane());
    const BhScope from_anywhere;
    dev->queue_work(1);
    dev->queue_work(4);
  }
  EXPECT_TRUE(driver.calls.wait());
  dev->lane().flush();
  EXPECT_EQ(driver.got, 5u);
  EXPECT_EQ(driver.calls.count(), 1u);
  dev->queue_work(8);
  EXPECT_TRUE(driver.calls.wait(2));
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(DeviceWorkTest, EventsOfADeviceThatIsAwayWaitForIt) {
  ASSERT_TRUE(dev->detach());
  dev->queue_work(2);
  dev->lane().flush();
  EXPECT_EQ(driver.calls.count(), 0u);
  ASSERT_TRUE(dev->attach());
  EXPECT_TRUE(driver.calls.wait());
  EXPECT_EQ(driver.got, 2u);
}

TEST_F(DeviceWorkTest, ItIsAwayAtOnceAndTheRestFollows) {
  ASSERT_TRUE(dev->open());
  dev->tx_queue(0).start();
  {
    const LaneGuard parked(dev->lane());
    const BhScope from_anywhere;
    dev->detach_soon();
    EXPECT_FALSE(dev->present());
    EXPECT_TRUE(dev->tx_queue(0).stopped());
  }
  dev->lane().flush();
  EXPECT_FALSE(dev->present());
  EXPECT_EQ(outcome(dev->change_mtu(1000)), "ENODEV");
  ASSERT_TRUE(dev->attach());
  EXPECT_TRUE(dev->present());
  EXPECT_FALSE(dev->tx_queue(0).stopped());
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(DeviceWorkTest, AnAttachIsNotUndoneByWhatTheLaneHasStillToDo) {
  {
    const LaneGuard parked(dev->lane());
    dev->detach_soon();
    ASSERT_TRUE(dev->attach());
  }
  dev->lane().flush();
  EXPECT_TRUE(dev->present());
}

TEST_F(DeviceWorkTest, UnregisteredItIsNotCalledAnyMore) {
  {
    const LaneGuard parked(dev->lane());
    dev->queue_work(1);
    dev->detach_soon();
    dev->unregister_netdev();
  }
  EXPECT_EQ(driver.calls.count(), 0u);
}

}  // namespace
}  // namespace usernic
