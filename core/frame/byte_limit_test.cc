// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/byte_limit.h"

#include <gtest/gtest.h>

#include <random>

#include "core/device/net_device_fixture.h"
#include "testing/port.h"

namespace usernic {
namespace {

constexpr uint32_t kFrame = 1500;

struct ByteLimitTest : testing::Test {
  ByteLimit limit;
  Time now{std::chrono::hours(1)};

  // Queues frames until it is enough.
  uint32_t fill() {
    uint32_t frames = 0;
    while (limit.room() >= 0) limit.queued(kFrame), ++frames;
    return frames;
  }
  void complete(uint64_t bytes) { ASSERT_TRUE(limit.completed(bytes, now)); }
};

TEST_F(ByteLimitTest, AtFirstOneFrameIsEnough) {
  EXPECT_EQ(fill(), 1u);
  EXPECT_EQ(limit.in_flight(), kFrame);
}

TEST_F(ByteLimitTest, ItGrowsWhileTheCardRunsDry) {
  uint32_t most = 0;
  for (int i = 0; i < 20; ++i) {
    most = fill();
    complete(limit.in_flight());
  }
  EXPECT_GT(most, 10u);
  EXPECT_GT(limit.limit(), 10 * kFrame);
}

// A card that always has something to do when it says what it has done needs no more than what it does meanwhile.
TEST_F(ByteLimitTest, ItShrinksToWhatIsNeeded) {
  for (int i = 0; i < 30; ++i) fill(), complete(limit.in_flight());
  const uint32_t grown = limit.limit();
  for (int i = 0; i < 20'000; ++i) {
    fill();
    now += std::chrono::milliseconds(1);
    complete(2 * kFrame);
  }
  EXPECT_LT(limit.limit(), grown / 4);
  EXPECT_GE(limit.limit(), 2 * kFrame) << "what it does between two completions";
}

TEST_F(ByteLimitTest, WhatWasNotQueuedIsNotCompleted) {
  limit.queued(100);
  EXPECT_FALSE(limit.completed(101, now));
  EXPECT_EQ(limit.in_flight(), 0u);
  limit.queued(10);
  EXPECT_TRUE(limit.completed(10, now));
}

TEST_F(ByteLimitTest, ForgottenNothingIsInFlightAndTheLimitStays) {
  for (int i = 0; i < 10; ++i) fill(), complete(limit.in_flight());
  fill();
  const uint32_t before = limit.limit();
  limit.forget_queued();
  EXPECT_EQ(limit.in_flight(), 0u);
  EXPECT_EQ(limit.limit(), before);
  EXPECT_GE(fill(), before / kFrame);
}

TEST_F(ByteLimitTest, WhateverComesRoomIsWhatTheLimitLeaves) {
  const auto seed = static_cast<std::mt19937::result_type>(random_u64());
  std::mt19937 generator(seed);
  const auto any = [&] { return static_cast<uint32_t>(generator()); };
  for (int i = 0; i < 100'000; ++i) {
    if (any() % 2 == 0) limit.queued(60 + any() % 1455);
    if (any() % 3 == 0 && limit.in_flight() != 0) complete(1 + any() % limit.in_flight());
    now += std::chrono::microseconds(any() % 5000);
    ASSERT_LE(limit.limit(), ByteLimit::kMost) << "seed " << seed;
  }
  complete(limit.in_flight());
  EXPECT_EQ(limit.room(), static_cast<int64_t>(limit.limit())) << "seed " << seed;
}

// What a driver with byte queue limits does with its queue.
class LimitedDriver {
 public:
  explicit LimitedDriver(NetDevice& dev) : dev_(dev) {}
  Result<> open() {
    dev_.tx_queue(0).start();
    return {};
  }
  void stop() { dev_.tx_queue(0).forget_sent(); }
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING {
    doorbells += queue.sent(skb.size(), more) ? 1 : 0;
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  uint32_t doorbells = 0;

 private:
  NetDevice& dev_;
};

struct TxLimitTest : testing::Test {
  Net net;
  SkbPool pool{8, 2048};
  TestPort port;
  NetdevPtr dev = *net.alloc_netdev<LimitedDriver>({.name = "q0", .watchdog = Duration::max()});
  LimitedDriver& driver = *static_cast<LimitedDriver*>(dev->driver());
  TxQueue& queue = dev->tx_queue(0);
  SkbBatch frames;
  Reports reports;

  void SetUp() override { ASSERT_TRUE(dev->register_netdev() && dev->attach_port(port) && dev->open()); }
  void TearDown() override {
    SkbPool::free(frames);
    dev->detach_port();
  }
  uint32_t xmit(int count) {
    for (int i = 0; i < count; ++i) {
      Skb& skb = *pool.alloc();
      std::fill_n(skb.put(1000), 1000, uint8_t{0});
      frames.push_back(skb);
    }
    return dev->xmit(queue, frames);
  }
};

TEST_F(TxLimitTest, EnoughIsLeftWithTheSenderUntilItIsCompleted) {
  EXPECT_EQ(xmit(3), 1u);
  EXPECT_EQ(frames.size(), 2u);
  EXPECT_TRUE(queue.xmit_stopped());
  EXPECT_FALSE(queue.stopped()) << "the driver has not stopped it";
  EXPECT_EQ(driver.doorbells, 1u) << "more would have come, and does not";
  queue.completed(1, 1000);
  EXPECT_EQ(port.woken.count(), 1u);
  EXPECT_EQ(xmit(0), 2u) << "the limit has grown";
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(TxLimitTest, TheDriversStopIsNotTheLimits) {
  EXPECT_EQ(xmit(1), 1u);
  queue.stop();
  queue.completed(1, 1000);
  EXPECT_EQ(port.woken.count(), 0u);
  EXPECT_EQ(xmit(1), 0u);
  queue.wake();
  EXPECT_EQ(port.woken.count(), 1u);
  EXPECT_EQ(xmit(0), 1u);
}

TEST_F(TxLimitTest, AStopThatThrowsFramesAwayBeginsAnew) {
  EXPECT_EQ(xmit(1), 1u);
  SkbPool::free(frames);
  ASSERT_TRUE(dev->close());
  ASSERT_TRUE(dev->open());
  EXPECT_EQ(queue.byte_limit().in_flight(), 0u);
  EXPECT_EQ(xmit(1), 1u);
}

TEST_F(TxLimitTest, MoreCompletedThanSentIsReported) {
  EXPECT_EQ(xmit(1), 1u);
  queue.completed(2, 2000);
  ASSERT_EQ(reports.rules(), "bql-overcompleted");
  EXPECT_TRUE(reports.all[0].device.starts_with("q0 (driver LimitedDriver)"));
  queue.completed(0, 0);
  EXPECT_EQ(reports.all.size(), 1u);
}

}  // namespace
}  // namespace usernic
