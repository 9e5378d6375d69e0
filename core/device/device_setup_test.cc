// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a probe function sets after it has the device, and when that is over.
#include <gtest/gtest.h>

#include "core/device/net_device_fixture.h"

namespace usernic {
namespace {

struct DeviceSetupTest : testing::Test {
  Net net;
  Script script;
  NetdevPtr dev = *net.alloc_netdev<ScriptDriver>({.name = "t0"}, script);

  std::string all_refused() {
    return outcome(dev->set_name("other")) + " " + outcome(dev->set_mtu(1500, 68, 9000)) + " " +
           outcome(dev->set_tx_queues(2));
  }
};

TEST_F(DeviceSetupTest, UntilItIsRegisteredItIsWhatTheProbeSays) {
  EXPECT_EQ(outcome(dev->set_name("eth%d")), "ok");
  EXPECT_EQ(outcome(dev->set_mtu(2000, 1000, 3000)), "ok");
  EXPECT_EQ(outcome(dev->set_tx_queues(4)), "ok");
  EXPECT_EQ(outcome(dev->set_tx_queues(3)), "ok");
  ASSERT_TRUE(dev->register_netdev() && dev->open());
  EXPECT_EQ(dev->name(), "eth0");
  EXPECT_EQ(dev->mtu(), 2000u);
  EXPECT_EQ(dev->frame_bytes_max(), 2000u + kFrameOverhead);
  EXPECT_EQ(dev->tx_queue_count(), 3u);
  EXPECT_EQ(dev->tx_queue(2).index(), 2u);
  EXPECT_EQ(outcome(dev->change_mtu(999)), "EINVAL");
  EXPECT_EQ(outcome(dev->change_mtu(3000)), "ok");
}

TEST_F(DeviceSetupTest, InInitAllButTheNameWhichIsTakenByThen) {
  std::string in_init;
  script.init = [&] {
    in_init = all_refused();
    return Result<>();
  };
  ASSERT_TRUE(dev->register_netdev());
  EXPECT_EQ(in_init, "EBUSY ok ok");
  EXPECT_EQ(dev->name(), "t0");
  EXPECT_EQ(dev->tx_queue_count(), 2u);
}

TEST_F(DeviceSetupTest, FromThenOnItIsTooLate) {
  ASSERT_TRUE(dev->register_netdev());
  EXPECT_EQ(all_refused(), "EBUSY EBUSY EBUSY");
  dev->unregister_netdev();
  EXPECT_EQ(all_refused(), "EBUSY EBUSY EBUSY");
}

TEST_F(DeviceSetupTest, WhatCannotBeIsRefusedAndChangesNothing) {
  EXPECT_EQ(outcome(dev->set_name("a/b")), "EINVAL");
  EXPECT_EQ(outcome(dev->set_name("")), "EINVAL");
  EXPECT_EQ(outcome(dev->set_mtu(1500, 1600, 9000)), "EINVAL");
  EXPECT_EQ(outcome(dev->set_mtu(1500, 68, 1400)), "EINVAL");
  EXPECT_EQ(outcome(dev->set_tx_queues(0)), "EINVAL");
  ASSERT_TRUE(dev->register_netdev());
  EXPECT_EQ(dev->name(), "t0");
  EXPECT_EQ(dev->mtu(), 1500u);
  EXPECT_EQ(dev->tx_queue_count(), 1u);
}

}  // namespace
}  // namespace usernic
