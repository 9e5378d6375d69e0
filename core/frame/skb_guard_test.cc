// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a driver does wrong with a frame, and what is said of it.
#include <gtest/gtest.h>

#include <cstring>

#include "core/device/net_device_fixture.h"
#include "testing/traffic.h"

#if defined(__SANITIZE_ADDRESS__)
#define USERNIC_TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define USERNIC_TEST_ASAN 1
#endif
#endif

namespace usernic::skb_guard_test {
namespace {

constexpr uint32_t kFrameMax = 100;

struct SkbGuardTest : testing::Test {
  SkbPool pool{3, kFrameMax};
  Reports reports;

  // The pool has every frame, each once.
  void expect_whole() {
    EXPECT_EQ(pool.available(), 3u);
    SkbBatch all;
    pool.alloc(all, 9);
    EXPECT_EQ(all.size(), 3u);
  }
  // One report, of this rule, and both places are of this file.
  void expect_report(const char* rule) {
    ASSERT_EQ(reports.rules(), rule);
    EXPECT_TRUE(std::string(reports.all[0].here.file_name()).ends_with("skb_guard_test.cc")) << at(reports.all[0].here);
    EXPECT_TRUE(std::string(reports.all[0].there.file_name()).ends_with("skb_guard_test.cc"))
        << at(reports.all[0].there);
  }
};

TEST_F(SkbGuardTest, AFrameFreedTwiceIsReportedWithBothPlacesAndIsThePoolsOnce) {
  Skb& skb = *pool.alloc();
  const std::string first = next_line();
  SkbPool::free(skb);
  const std::string second = next_line();
  SkbPool::free(skb);
  expect_report("skb-freed-twice");
  EXPECT_EQ(at(reports.all[0].here), second);
  EXPECT_EQ(at(reports.all[0].there), first);
  expect_whole();
}

TEST_F(SkbGuardTest, AFreedFrameIsTakenByNoBatch) {
  Skb& skb = *pool.alloc();
  SkbPool::free(skb);
  {
    SkbBatch batch;
    batch.push_back(skb);
    EXPECT_TRUE(batch.empty());
    expect_report("skb-used-after-free");
    batch.push_front(skb);
    EXPECT_TRUE(batch.empty());
  }
  expect_whole();
}

TEST_F(SkbGuardTest, AFrameIsInOneBatch) {
  SkbBatch one, other;
  one.push_back(*pool.alloc());
  other.push_back(*one.front());
  expect_report("skb-in-two-batches");
  EXPECT_TRUE(other.empty());
  one.push_back(*one.front());
  EXPECT_EQ(one.size(), 1u);
  SkbPool::free(one);
  expect_whole();
}

TEST_F(SkbGuardTest, AFrameThatABatchOwnsIsFreedByIt) {
  SkbBatch batch;
  batch.push_back(*pool.alloc());
  SkbPool::free(*batch.front());
  expect_report("skb-freed-in-batch");
  EXPECT_EQ(batch.size(), 1u);
  SkbPool::free(batch);
  expect_whole();
}

TEST_F(SkbGuardTest, TwoWhoFreeOneFrameAtOnceAreReported) {
  for (int i = 0; i < 200; ++i) {
    reports.all.clear();
    Skb& skb = *pool.alloc();
    Atomic<int> ready{0};
    const auto free_it = [&] {
      ready.fetch_add(1);
      while (ready.load() != 2) spin_pause();
      SkbPool::free(skb);
    };
    Thread other("other", free_it);
    free_it();
    other.join();
    ASSERT_EQ(reports.rules(), "skb-freed-twice");
    ASSERT_EQ(pool.available(), 3u);
  }
}

TEST_F(SkbGuardTest, BeyondTheBufferThereIsNothing) {
  Skb& skb = *pool.alloc();
  skb.put(60);
  const uint8_t* const data = skb.data();
  const uint32_t tailroom = skb.tailroom();
  EXPECT_EQ(skb.put(tailroom + 1), nullptr);
  EXPECT_EQ(skb.put(0xffff'ffff), nullptr);
  EXPECT_EQ(skb.push(kSkbHeadroom + 1), nullptr);
  EXPECT_EQ(skb.push(0xffff'fff0), nullptr);
  EXPECT_EQ(skb.pull(61), nullptr);
  skb.reset(100'000);
  EXPECT_EQ(skb.data(), data);
  EXPECT_EQ(skb.size(), 60u);
  EXPECT_EQ(skb.tailroom(), tailroom);
  EXPECT_EQ(reports.rules(), "skb-beyond skb-beyond skb-beyond skb-beyond skb-beyond skb-beyond");
  EXPECT_TRUE(
      reports.all[0].text.starts_with(fmt::format("put({}) of a frame whose tailroom is {}", tailroom + 1, tailroom)))
      << reports.all[0].text;
  EXPECT_NE(skb.put(tailroom), nullptr) << "all of it is no mistake";
  EXPECT_NE(skb.push(kSkbHeadroom), nullptr);
  EXPECT_NE(skb.pull(skb.size()), nullptr);
  SkbPool::free(skb);
}

// The driver that frees twice, in a device: the report is its.
struct FreesTwice : PlainDriver {
  using PlainDriver::PlainDriver;
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
};

TEST_F(SkbGuardTest, ADriverThatFreesTwiceIsNamed) {
  Net net;
  const NetdevPtr dev = *net.alloc_netdev<FreesTwice>({.name = "bad0"});
  ASSERT_TRUE(dev->register_netdev() && dev->open());
  dev->tx_queue(0).start();
  send(*dev, pool, {Frame(60), Frame(60)});
  EXPECT_EQ(reports.rules(), "skb-freed-twice skb-freed-twice");
  EXPECT_EQ(reports.all[0].device, "bad0 (driver FreesTwice)");
  expect_whole();
}

#ifndef USERNIC_TEST_ASAN

TEST_F(SkbGuardTest, AWriteAfterFreeIsFoundWhenTheBufferIsUsedAgain) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  Skb& skb = *pool.alloc();
  uint8_t* const octets = skb.put(60);
  SkbPool::free(skb);
  octets[7] = 1;
  SkbBatch all;
  pool.alloc(all, 3);
  expect_report("skb-written-after-free");
  EXPECT_TRUE(reports.all[0].text.starts_with(fmt::format("octet {} ", kSkbHeadroom + 7))) << reports.all[0].text;
  SkbPool::free(all);
  expect_whole();
  EXPECT_EQ(reports.all.size(), 1u) << "once";
}

TEST_F(SkbGuardTest, AFreedFrameIsUsedAgainLate) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  Skb& skb = *pool.alloc();
  SkbPool::free(skb);
  SkbBatch others;
  pool.alloc(others, 2);
  for (Skb* other = others.front(); other != nullptr; other = SkbBatch::next(*other)) EXPECT_NE(other, &skb);
}

TEST_F(SkbGuardTest, AWriteOutsideOfABufferIsFoundWhenItIsFreed) {
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  Skb& skb = *pool.alloc();
  for (const auto octet : {-static_cast<ptrdiff_t>(kSkbHeadroom) - 1, static_cast<ptrdiff_t>(skb.tailroom())}) {
    reports.all.clear();
    Skb& bad = *pool.alloc();
    bad.data()[octet] = 1;
    SkbPool::free(bad);
    expect_report("skb-red-zone");
  }
  SkbPool::free(skb);
}

#else

// Traps, or another build's report, at the line that does it.
TEST(SkbGuardDeathTest, AddressSanitizerTrapsWhereAFreedFrameIsUsed) {
  SkbPool pool(2, kFrameMax);
  Skb& skb = *pool.alloc();
  uint8_t* const octets = skb.put(60);
  const uint32_t tailroom = skb.tailroom();
  EXPECT_DEATH(octets[60 + tailroom] = 1, "use-after-poison");
  EXPECT_DEATH(*(octets - kSkbHeadroom - 1) = 1, "use-after-poison");
  octets[59 + tailroom] = 1;
  SkbPool::free(skb);
  EXPECT_DEATH(octets[7] = 1, "use-after-poison");
  EXPECT_DEATH(octets[8] = octets[7], "use-after-poison");
}

#endif

}  // namespace
}  // namespace usernic::skb_guard_test
