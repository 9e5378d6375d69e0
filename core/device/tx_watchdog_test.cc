// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/device/tx_watchdog.h"

#include <gtest/gtest.h>

#include "core/device/device.h"
#include "core/device/net_device_fixture.h"
#include "testing/port.h"

namespace usernic {
namespace {

// Its queues are the test's to stop.
class StuckDriver {
 public:
  explicit StuckDriver(NetDevice& dev) : dev_(dev) {}
  Result<> open() {
    if (starts) dev_.tx_queue(0).start();
    return {};
  }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool) noexcept USERNIC_NONBLOCKING {
    if (full.load()) queue.stop();
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  void tx_timeout(TxQueue& queue) noexcept {
    const BlockingByDesign a_test_may;
    index.store(queue.index());
    SkbBatch frames;
    Skb& skb = *pool.alloc();
    (void)skb.put(60);
    frames.push_back(skb);
    if (dev_.xmit(queue, frames) != 0 || frames.size() != 1) frozen.store(false);
    if (recovers.load()) full.store(false), queue.wake();
    SkbPool::free(frames);
    timed_out.set();
  }

  SkbPool pool{4, 128};
  Atomic<bool> full{true}, recovers{false};
  bool starts = true;
  Atomic<uint32_t> index{99};
  Atomic<bool> frozen{true};  // nothing could be sent meanwhile
  Event timed_out;

 private:
  NetDevice& dev_;
};

constexpr Duration kPatience = std::chrono::milliseconds(20);

struct TxWatchdogTest : testing::Test {
  Net net;
  SkbPool pool{8, 128};
  TestPort port;
  SkbBatch frames;
  NetdevPtr dev = *net.alloc_netdev<StuckDriver>({.name = "stuck0", .watchdog = kPatience});
  StuckDriver& driver = *static_cast<StuckDriver*>(dev->driver());

  void SetUp() override { ASSERT_TRUE(dev->register_netdev() && dev->attach_port(port)); }
  void TearDown() override {
    SkbPool::free(frames);
    dev->detach_port();
  }
  void send_one() {
    Skb& skb = *pool.alloc();
    (void)skb.put(60);
    frames.push_back(skb);
    (void)dev->xmit(dev->tx_queue(0), frames);
  }
};

TEST_F(TxWatchdogTest, AQueueThatStaysStoppedTimesOutUntilItIsWoken) {
  testing::internal::CaptureStderr();
  ASSERT_TRUE(dev->open());
  send_one();
  driver.timed_out.wait();
  driver.timed_out.wait(2);  // again, after as long
  EXPECT_EQ(driver.index.load(), 0u);
  EXPECT_TRUE(driver.frozen.load());
  driver.recovers.store(true);
  driver.timed_out.wait(3);
  send_one();
  EXPECT_TRUE(eventually([&] {
    (void)dev->xmit(dev->tx_queue(0), frames);
    return frames.empty();
  })) << "it goes on, when all are out of tx_timeout";
  EXPECT_GE(dev->stats().tx_timeouts, 3u);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(said.contains("stuck0 (driver StuckDriver): TX queue 0 is stopped for 0.02 s, at ")) << said;
  EXPECT_TRUE(said.contains("tx_watchdog_test.cc")) << said;
}

TEST_F(TxWatchdogTest, AQueueThatOpenDidNotStartTimesOut) {
  testing::internal::CaptureStderr();
  driver.starts = false;
  ASSERT_TRUE(dev->open());
  driver.timed_out.wait();
  ASSERT_TRUE(dev->close());
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(said.contains("TX queue 0 was not started by open, 0.02 s ago, and nobody wakes it")) << said;
}

TEST_F(TxWatchdogTest, ClosedItIsLeftAlone) {
  testing::internal::CaptureStderr();
  ASSERT_TRUE(dev->open());
  send_one();
  ASSERT_TRUE(dev->close());
  const uint32_t before = driver.timed_out.count();
  // Another one's times out: it was looked for.
  const NetdevPtr other = *net.alloc_netdev<StuckDriver>({.name = "stuck1", .watchdog = kPatience});
  StuckDriver& others = *static_cast<StuckDriver*>(other->driver());
  others.starts = false;
  ASSERT_TRUE(other->register_netdev() && other->open());
  EXPECT_TRUE(others.timed_out.wait(2));
  EXPECT_EQ(driver.timed_out.count(), before);
  ASSERT_TRUE(other->close());
  (void)testing::internal::GetCapturedStderr();
}

TEST_F(TxWatchdogTest, WithoutCarrierNothingIsToBeSent) {
  testing::internal::CaptureStderr();
  ASSERT_TRUE(dev->open());
  dev->carrier_off();
  dev->tx_queue(0).stop();
  const NetdevPtr other = *net.alloc_netdev<StuckDriver>({.name = "stuck1", .watchdog = kPatience});
  StuckDriver& others = *static_cast<StuckDriver*>(other->driver());
  others.starts = false;
  ASSERT_TRUE(other->register_netdev() && other->open());
  EXPECT_TRUE(others.timed_out.wait(2));
  EXPECT_EQ(driver.timed_out.count(), 0u);
  dev->carrier_on();
  EXPECT_TRUE(driver.timed_out.wait()) << "from now on it is";
  (void)testing::internal::GetCapturedStderr();
}

}  // namespace
}  // namespace usernic
