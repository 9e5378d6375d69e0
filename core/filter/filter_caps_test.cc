// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a driver says of its card's filter is looked at when its device is registered.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "testing/card.h"
#include "testing/plain_driver.h"
#include "testing/watch.h"
#include "usernic/address_list.h"
#include "usernic/net_device.h"
#include "usernic/porting.h"
#include "usernic/rx_mode.h"

namespace usernic {
namespace {

// A driver whose hash is what the test says.
struct HashCard {
  RxFilterCaps caps;
  std::string log;
  std::function<uint32_t(AddressClass, const MacAddress&)> hash = [](AddressClass, const MacAddress&) { return 0u; };
};
struct HashDriver : PlainDriver {
  HashDriver(NetDevice& dev, HashCard& card) : PlainDriver(dev), card_(card) {}
  Result<> init() {
    card_.log += "init ";
    return {};
  }
  void uninit() { card_.log += "uninit "; }
  RxFilterCaps rx_filter_caps() const { return card_.caps; }
  uint32_t rx_hash(AddressClass c, const MacAddress& address) const { return card_.hash(c, address); }
  void set_rx_mode_async(RxPlan& plan) {
    while (RxCommand* command = plan.next()) plan.answer(*command, {});
  }
  HashCard& card_;
};
struct PlainFilter : PlainDriver {
  PlainFilter(NetDevice& dev, const RxFilterCaps& caps) : PlainDriver(dev), caps_(caps) {}
  RxFilterCaps rx_filter_caps() const { return caps_; }
  void set_rx_mode_async(RxPlan&) {}
  RxFilterCaps caps_;
};

struct FilterCapsTest : testing::Test {
  Net net;
  HashCard card;

  // What registering says: the code, and what stands on stderr.
  template <class Driver, class... Args>
  std::string registering(Args&&... args) {
    const NetdevPtr dev = *net.alloc_netdev<Driver>({.name = "f0"}, std::forward<Args>(args)...);
    testing::internal::CaptureStderr();
    const Result<> result = dev->register_netdev();
    const std::string said = testing::internal::GetCapturedStderr();
    return outcome(result) + (said.empty() ? "" : " " + said.substr(0, said.size() - 1));
  }
  std::string registering(const RxFilterCaps& caps) {
    card.caps = caps;
    return registering<HashDriver>(card);
  }
  static std::string refused(const std::string& why, const char* driver = "HashDriver") {
    return fmt::format("EINVAL usernic: f0 (driver {}) is not registered: its RxFilterCaps cannot be: {}", driver, why);
  }
};

TEST_F(FilterCapsTest, WhatNoCardHasIsRefusedWithFieldValueAndLimit) {
  EXPECT_EQ(registering({.unicast_slots = UINT32_MAX}),
            refused("unicast_slots is 4294967295, at most 1048576 is possible"));
  EXPECT_EQ(registering({.multicast_slots = kRxSlotsMax + 1}),
            refused("multicast_slots is 1048577, at most 1048576 is possible"));
  EXPECT_EQ(registering({.vlan_slots = 4097}), refused("vlan_slots is 4097, at most 4096 is possible"));
  EXPECT_EQ(registering({.unicast_hash_buckets = 63}), refused("unicast_hash_buckets is 63, not a power of two"));
  EXPECT_EQ(registering({.multicast_hash_buckets = UINT32_MAX}),
            refused("multicast_hash_buckets is 4294967295, not a power of two"));
  EXPECT_EQ(registering({.multicast_hash_buckets = 1u << 31}),
            refused("multicast_hash_buckets is 2147483648, at most 65536 is possible"));
  EXPECT_EQ(registering({.own_address_uses_slot = true}),
            refused("own_address_uses_slot is set, but unicast_slots is 0"));
  EXPECT_EQ(registering<PlainFilter>(RxFilterCaps{.multicast_hash_buckets = 64}),
            refused("multicast_hash_buckets is 64, but the driver has no rx_hash", "PlainFilter"));
}

TEST_F(FilterCapsTest, WhatInitDidIsUndone) {
  card.caps = {.unicast_slots = UINT32_MAX};
  NetdevPtr dev = *net.alloc_netdev<HashDriver>({.name = "f0"}, card);
  Porting::set_priv_destructor(
      *dev, [](NetDevice* of) { static_cast<HashDriver*>(of->driver())->card_.log += "destructor "; });
  testing::internal::CaptureStderr();
  EXPECT_EQ(outcome(dev->register_netdev()), "EINVAL");
  (void)testing::internal::GetCapturedStderr();
  EXPECT_EQ(card.log, "init uninit destructor ");
  EXPECT_EQ(dev->reg_state(), RegState::kUnregistered);
  EXPECT_FALSE(net.find("f0"));
}

TEST_F(FilterCapsTest, WhatCardsHaveIsTaken) {
  for (const uint32_t buckets : {0u, 2u, 64u, 128u, 4096u, kRxHashBucketsMax}) {
    EXPECT_EQ(registering({.unicast_hash_buckets = buckets, .multicast_hash_buckets = buckets}), "ok");
  }
  EXPECT_EQ(registering({.unicast_slots = kRxSlotsMax, .multicast_slots = kRxSlotsMax, .vlan_slots = 4096}), "ok");
  EXPECT_EQ(registering({}), "ok");
}

TEST_F(FilterCapsTest, AHashThatLeavesItsRangeIsFoundAtRegister) {
  const auto sixty_four = [this](AddressClass which, uint32_t value) {
    card.hash = [=](AddressClass c, const MacAddress& address) { return c == which && !address.is_zero() ? value : 0; };
    return registering({.unicast_hash_buckets = 64, .multicast_hash_buckets = 64});
  };
  EXPECT_EQ(sixty_four(AddressClass::kUnicast, 63), "ok");
  EXPECT_EQ(sixty_four(AddressClass::kUnicast, 64),
            refused("rx_hash gives 64 for fe:ff:ff:ff:ff:ff, and the unicast hash has 64 buckets"));
  EXPECT_EQ(sixty_four(AddressClass::kMulticast, 64),
            refused("rx_hash gives 64 for 01:00:00:00:00:00, and the multicast hash has 64 buckets"));
}

TEST_F(FilterCapsTest, AHashThatLeavesItsRangeLaterIsReportedAndHarmsNothing) {
  const MacAddress group = MacAddress::from_u64(0x0300'0000'0005), other = MacAddress::from_u64(0x0300'0000'0006);
  card.caps = {.multicast_hash_buckets = 64};
  card.hash = [&](AddressClass, const MacAddress& address) { return address == group ? 64u : 5u; };
  const NetdevPtr dev = *net.alloc_netdev<HashDriver>({.name = "f0"}, card);
  ASSERT_EQ(outcome(dev->register_netdev()), "ok");
  ASSERT_EQ(outcome(dev->open()), "ok");
  Reports reports;
  Event reported;
  reports.on_report = [&] { reported.set(); };
  ASSERT_EQ(outcome(dev->mc().add(other)), "ok");
  ASSERT_EQ(outcome(dev->rx_mode().settle(soon())), "ok");
  EXPECT_EQ(reported.count(), 0u);
  ASSERT_EQ(outcome(dev->mc().add(group)), "ok");
  ASSERT_TRUE(reported.wait());
  ASSERT_EQ(outcome(dev->rx_mode().settle(soon())), "ok");
  EXPECT_EQ(reports.all.at(0).rule, "rx-hash-range");
  EXPECT_EQ(reports.all.at(0).text, "rx_hash gives 64 for 03:00:00:00:00:05, and the multicast hash has 64 buckets");
}

// Register and open a device, and take the most that its driver may say it has: what that costs, in KiB.
TEST_F(FilterCapsTest, MemoryFollowsWhatIsUsedNotWhatIsDeclared) {
  const auto peak_kb = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const long before = peak_kb();
  card.caps = {.unicast_slots = kRxSlotsMax,
               .multicast_slots = kRxSlotsMax,
               .unicast_hash_buckets = kRxHashBucketsMax,
               .multicast_hash_buckets = kRxHashBucketsMax,
               .vlan_slots = kRxVlanSlotsMax};
  const NetdevPtr dev = *net.alloc_netdev<HashDriver>({.name = "f0"}, card);
  ASSERT_EQ(outcome(dev->register_netdev()), "ok");
  ASSERT_EQ(outcome(dev->open()), "ok");
  ASSERT_EQ(outcome(dev->mc().add(MacAddress::from_u64(0x0300'0000'0005))), "ok");
  ASSERT_EQ(outcome(dev->rx_mode().settle(soon())), "ok");
  EXPECT_LT(peak_kb() - before, 8 << 10);
}

}  // namespace
}  // namespace usernic
