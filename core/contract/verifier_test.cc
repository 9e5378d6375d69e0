// SPDX-License-Identifier: Apache-2.0 OR MIT
// Drivers that take for granted what the contract does not promise, in verifier mode, which a program is in from its
// start.
#include "core/contract/verifier.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "core/device/net_device_fixture.h"
#include "testing/traffic.h"
#include "usernic/ethtool.h"
#include "usernic/ioctl.h"

// Before what the environment decides is decided.
__attribute__((constructor(101))) static void verifier_mode() {
  ::setenv("USERNIC_CHECKS", "verifier", 1);
}

namespace usernic {
namespace {

// Keeps pointers, and answers as it likes.
struct BadDriver : PlainDriver {
  using PlainDriver::PlainDriver;
  Result<> set_mac_address(const MacAddress& address) {
    address_kept = const_cast<MacAddress*>(&address);
    return {};
  }
  Result<> mii_ioctl(MiiRequest& request) {
    request.value = 7;
    return {};
  }
  Result<> private_ioctl(uint32_t, std::span<std::byte> data) {
    data_kept = data;
    data[0] = std::byte{9};
    return {};
  }
  Result<> get_ringparam(RingParam& rings) {
    if (fills) rings = {.rx = 1, .tx = 2, .rx_max = 3, .tx_max = 4};
    rings.rx = 7, rings.tx = 0;
    return {};
  }
  Result<> get_coalesce(Coalesce&) { return fail(std::errc::io_error); }
  RxFilterCaps rx_filter_caps() const { return {.multicast_slots = 1, .multicast_hash_buckets = 64}; }
  void set_rx_mode_async(RxPlan& plan) {
    while (RxCommand* command = plan.next()) plan.answer(*command, {});
  }
  uint32_t rx_hash(AddressClass, const MacAddress&) const {
    return varies && current_context() == Context::kBhDisabled ? 1 : 0;
  }
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    for (const std::byte each : skb.cb()) zeros = zeros && each == std::byte{};
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  static inline bool varies = false;
  bool zeros = true, fills = false;
  MacAddress* address_kept = nullptr;
  std::span<std::byte> data_kept;
};

struct VerifierTest : testing::Test {
  Net net;
  NetdevPtr dev;
  Reports reports;
  void SetUp() override {
    ASSERT_TRUE(kVerifierOn && kChecksOn);
    BadDriver::varies = false;
    dev = *net.alloc_netdev<BadDriver>({.name = "t0"});
  }
  BadDriver& driver() { return *static_cast<BadDriver*>(dev->driver()); }
};

TEST_F(VerifierTest, ANumberThatIsNotFilledInIsReported) {
  ASSERT_TRUE(dev->register_netdev());
  const Result<RingParam> some = ring_param(*dev);
  EXPECT_EQ(reports.rules(), "verifier-not-filled");
  EXPECT_TRUE(reports.all[0].text.contains("get_ringparam of 't0' succeeds and leaves number 2 of its 4 as it was"))
      << reports.all[0].text;
  ASSERT_TRUE(some);
  EXPECT_EQ(some->rx, 7u);
  EXPECT_EQ(some->rx_max, 0u);
  driver().fills = true;
  EXPECT_EQ(ring_param(*dev)->rx_max, 3u);
  EXPECT_EQ(outcome(coalesce(*dev)), "EIO");
  EXPECT_EQ(reports.all.size(), 1u);
}

TEST_F(VerifierTest, WhatIsReadThroughAKeptPointerIsBad) {
  ASSERT_TRUE(dev->register_netdev());
  ASSERT_TRUE(dev->set_mac_address(kOtherMac));
  EXPECT_EQ(dev->address(), kOtherMac);
  EXPECT_EQ(*driver().address_kept, MacAddress::from_u64(0xa5a5'a5a5'a5a5));
  EXPECT_EQ(reports.rules(), "");
}

TEST_F(VerifierTest, AWriteThroughAKeptPointerIsReportedWhenTheDeviceCloses) {
  ASSERT_TRUE(dev->register_netdev() && dev->open());
  std::array<std::byte, 4> data{};
  ASSERT_TRUE(private_ioctl(*dev, 1, data));
  EXPECT_EQ(data[0], std::byte{9}) << "what it wrote in time is the caller's";
  driver().data_kept[2] = std::byte{1};
  EXPECT_EQ(data[2], std::byte{0});
  ASSERT_TRUE(dev->close());
  ASSERT_EQ(reports.rules(), "verifier-kept-pointer");
  EXPECT_TRUE(
      reports.all[0].text.starts_with("private_ioctl of 't0' kept a pointer to what it was handed, and wrote "
                                      "to octet 2 of it"))
      << reports.all[0].text;
}

TEST_F(VerifierTest, AHashThatDependsOnItsContextIsReported) {
  BadDriver::varies = true;
  ASSERT_TRUE(dev->register_netdev());
  ASSERT_FALSE(reports.all.empty());
  EXPECT_EQ(reports.all[0].rule, "verifier-answer-varies");
}

TEST_F(VerifierTest, FramesAreSentWithIrqsOffAndOnAndTheUserAreaIsZeros) {
  ASSERT_TRUE(dev->register_netdev() && dev->open());
  dev->tx_queue(0).start();
  SkbPool pool(4, 128);
  for (int i = 0; i < 4; ++i) {
    SkbBatch batch;
    put(batch, pool, Frame(60));
    std::ranges::fill(batch.front()->cb(), std::byte{0x77});
    EXPECT_EQ(dev->xmit(batch), 1u);
  }
  EXPECT_TRUE(driver().zeros);
  EXPECT_EQ(reports.rules(), "");
}

}  // namespace
}  // namespace usernic
