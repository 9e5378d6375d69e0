// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/port.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/device/net_device_fixture.h"
#include "testing/unseen_by_clang.h"
#include "usernic/address_list.h"
#include "usernic/napi.h"
#include "usernic/rx_mode.h"
#include "usernic/thread.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic {
namespace {

using std::chrono::milliseconds;

using PortTest = NetDeviceTest;

struct RecordingPort final : DevicePort {
  Event received, woken;
  std::vector<bool> carrier;  // by the one thread that changes it
  Atomic<bool> attached{false};
  Atomic<bool> called_while_detached{false};
  Event* in_receive = nullptr;
  Event* leave_receive = nullptr;

  void check() noexcept {
    if (!attached.load()) called_while_detached.store(true);
  }
  void receive(SkbBatch&) noexcept override {
    const BlockingByDesign a_test_may;
    check();
    if (in_receive != nullptr) {
      in_receive->set();
      leave_receive->wait();
      check();
    }
    received.set();
  }
  void tx_wake(TxQueue&) noexcept override {
    check();
    woken.set();
  }
  void carrier_changed(bool on) noexcept override {
    const BlockingByDesign a_test_may;
    check();
    carrier.push_back(on);
  }
};

TEST_F(PortTest, ThePortHearsOfCarrierChangesAndOnlyOfChanges) {
  const NetdevPtr dev = registered();
  RecordingPort port;
  port.attached.store(true);
  EXPECT_TRUE(dev->carrier_ok()) << "a driver that knows no link has one";
  dev->carrier_off();
  ASSERT_TRUE(dev->attach_port(port));
  EXPECT_FALSE(dev->carrier_ok());
  dev->carrier_off();
  dev->carrier_on();
  dev->carrier_on();
  dev->carrier_off();
  EXPECT_EQ(port.carrier, (std::vector<bool>{true, false}));
  dev->detach_port();
  dev->carrier_on();
  EXPECT_EQ(port.carrier.size(), 2u);
}

TEST_F(PortTest, CarrierMayChangeInAnyContext) {
  const NetdevPtr dev = registered();
  RecordingPort port;
  port.attached.store(true);
  ASSERT_TRUE(dev->attach_port(port));
  {
    const HardIrqScope irq;
    dev->carrier_off();
  }
  EXPECT_FALSE(dev->carrier_ok());
  dev->detach_port();
}

TEST_F(PortTest, ADeviceHasOnePort) {
  const NetdevPtr dev = registered();
  RecordingPort port, second;
  ASSERT_TRUE(dev->attach_port(port));
  EXPECT_EQ(outcome(dev->attach_port(second)), "EBUSY");
  dev->detach_port();
  dev->detach_port();
  EXPECT_EQ(outcome(dev->attach_port(second)), "ok");
  dev->detach_port();
}

TEST_F(PortTest, DetachPortWaitsForWhoeverIsInThePort) {
  const NetdevPtr dev = registered();
  Event in_receive, leave_receive, detached;
  RecordingPort port;
  port.attached.store(true);
  port.in_receive = &in_receive;
  port.leave_receive = &leave_receive;
  ASSERT_TRUE(dev->attach_port(port));
  ASSERT_TRUE(dev->open());
  Thread receiver("receiver", [&] {
    SkbBatch none;
    dev->receive(none);
  });
  ASSERT_TRUE(in_receive.wait());
  Thread detacher("detacher", [&] {
    dev->detach_port();
    port.attached.store(false);
    detached.set();
  });
  EXPECT_TRUE(detached.stays_away());
  leave_receive.set();
  receiver.join();
  EXPECT_TRUE(detached.wait());
  detacher.join();
  EXPECT_FALSE(port.called_while_detached.load());
}

TEST_F(PortTest, PortsComeAndGoWhileFramesFlow) {
  constexpr int kRounds = 400;
  const NetdevPtr dev = registered();
  ASSERT_TRUE(dev->open());
  SkbPool pool(32, 64);
  RecordingPort port;
  Atomic<bool> ended{false};
  const auto flow = [&] {
    while (!ended.load()) {
      SkbBatch frames;
      pool.alloc(frames, 4);
      dev->receive(frames);
      dev->tx_queue(0).wake();
    }
  };
  Thread flows[] = {Thread("flow-1", flow), Thread("flow-2", flow)};
  for (int i = 0; i < kRounds; ++i) {
    port.attached.store(true);
    const uint32_t received = port.received.count();
    ASSERT_TRUE(dev->attach_port(port));
    EXPECT_TRUE(port.received.wait(received + 1));
    dev->detach_port();
    port.attached.store(false);
  }
  ended.store(true);
  for (Thread& each : flows) each.join();
  EXPECT_FALSE(port.called_while_detached.load());
  EXPECT_EQ(pool.available(), 32u);
}

TEST_F(PortTest, ADetachedDeviceKeepsItsStateAndCallsNoDriver) {
  const NetdevPtr dev = registered();
  ASSERT_TRUE(dev->open());
  EXPECT_TRUE(dev->present());
  ASSERT_TRUE(dev->detach());
  ASSERT_TRUE(dev->detach());
  script.log.clear();
  EXPECT_FALSE(dev->present());
  EXPECT_TRUE(dev->running());
  EXPECT_EQ(outcome(dev->open()), "ENODEV");
  EXPECT_EQ(outcome(dev->change_mtu(1400)), "ENODEV");
  EXPECT_EQ(outcome(dev->set_mac_address(kOtherMac)), "ENODEV");
  EXPECT_EQ(outcome(dev->uc().add(kNeighbour)), "ok") << "what is wanted may change meanwhile";
  EXPECT_EQ(outcome(dev->rx_mode().settle(Clock::now() + milliseconds(5))), "ETIMEDOUT");
  EXPECT_EQ(script.log, "");
  ASSERT_TRUE(dev->attach());
  EXPECT_TRUE(dev->present());
  EXPECT_EQ(outcome(dev->rx_mode().settle(soon())), "ok") << "attach has the filter programmed";
  EXPECT_TRUE(dev->rx_mode().covered(kNeighbour));
}

TEST_F(PortTest, ACardThatIsAwayCoversNothing) {
  const NetdevPtr dev = registered();
  ASSERT_TRUE(dev->open());
  ASSERT_TRUE(dev->uc().add(kNeighbour));
  ASSERT_TRUE(dev->rx_mode().settle(soon()));
  ASSERT_TRUE(dev->detach());
  EXPECT_FALSE(dev->rx_mode().covered(kNeighbour));
  ASSERT_TRUE(dev->attach());
  EXPECT_EQ(outcome(dev->rx_mode().settle(soon())), "ok");
  EXPECT_TRUE(dev->rx_mode().covered(kNeighbour));
}

TEST_F(PortTest, ADetachedDeviceCanBeClosedAndUnregistered) {
  for (const bool close_first : {true, false}) {
    script.log.clear();
    const NetdevPtr dev = registered();
    ASSERT_TRUE(dev->open());
    ASSERT_TRUE(dev->detach());
    if (close_first) {
      EXPECT_EQ(outcome(dev->close()), "ok");
    }
    dev->unregister_netdev();
    EXPECT_EQ(script.log, "init open stop uninit");
  }
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
