// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/own_addresses.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "testing/addresses.h"
#include "testing/card.h"
#include "testing/watch.h"
#include "usernic/notifier.h"
#include "usernic/rx_mode.h"

namespace usernic {
namespace {

struct OwnAddressesTest : testing::Test {
  Net net;
  TestCard card;
  NetdevPtr dev = *net.alloc_netdev<TestDriver>({.name = "t0", .address = uc(1)}, card);
  OwnAddresses& own = dev->own_addresses();
};

TEST_F(OwnAddressesTest, ThePrimaryIsTheDevicesAddressAndTheFirstEntry) {
  EXPECT_EQ(MacAddress::from_bytes(own.primary()), uc(1));
  ASSERT_TRUE(dev->register_netdev());
  ASSERT_TRUE(dev->set_mac_address(uc(2)));
  EXPECT_EQ(MacAddress::from_bytes(own.primary()), uc(2));
  EXPECT_EQ(own.list().count(), 1u);
}

TEST_F(OwnAddressesTest, ThePrimarysLastReferenceCannotBeDeleted) {
  MutexGuard rtnl(net.rtnl());
  EXPECT_EQ(outcome(own.del(uc(1), HwAddr::kLan)), "ENOENT");
  EXPECT_EQ(outcome(own.add(uc(1), HwAddr::kLan)), "ok");
  EXPECT_EQ(outcome(own.del(uc(1), HwAddr::kLan)), "ok");
  EXPECT_EQ(outcome(own.del(uc(1), HwAddr::kLan)), "ENOENT");
  EXPECT_EQ(outcome(own.add(uc(3), HwAddr::kSan)), "ok");
  EXPECT_EQ(outcome(own.del(uc(3), HwAddr::kLan)), "ENOENT") << "the other type";
  EXPECT_EQ(outcome(own.del(uc(3), HwAddr::kSan)), "ok");
}

TEST_F(OwnAddressesTest, ANotifierMayRefuseAnAdditionAndHearsOfEveryChange) {
  std::vector<NetdevEvent> heard;
  bool refuses = true;
  Notifier notifier(net, [&](NetdevEvent event, NetDevice&) -> Result<> {
    heard.push_back(event);
    if (event == NetdevEvent::kPreChangeAddr && refuses) return fail(std::errc::device_or_resource_busy);
    return {};
  });
  MutexGuard rtnl(net.rtnl());
  EXPECT_EQ(outcome(own.add(uc(3), HwAddr::kLan)), "EBUSY");
  EXPECT_EQ(own.list().count(), 1u);
  refuses = false;
  heard.clear();
  EXPECT_EQ(outcome(own.add(uc(3), HwAddr::kLan)), "ok");
  EXPECT_EQ(outcome(own.del(uc(3), HwAddr::kLan)), "ok");
  EXPECT_EQ(heard, (std::vector{NetdevEvent::kPreChangeAddr, NetdevEvent::kChangeAddr, NetdevEvent::kChangeAddr}));
}

TEST_F(OwnAddressesTest, SetWritesInPlaceAndTheDeviceAndItsFilterFollow) {
  card.caps = {.unicast_slots = 4, .own_address_uses_slot = true};
  ASSERT_TRUE(dev->register_netdev() && dev->open());
  {
    MutexGuard rtnl(net.rtnl());
    ASSERT_TRUE(own.add(uc(9), HwAddr::kLan));
    const uint8_t last = 0x77;
    own.set(5, &last, 1);
  }
  EXPECT_EQ(dev->address(), uc(0x77));
  EXPECT_EQ(own.list().first()->addr[5], 0x77);
  EXPECT_NE(own.list().find(uc(0x77).octets.data(), 6), nullptr) << "found by its new address";
  EXPECT_EQ(own.list().find(uc(1).octets.data(), 6), nullptr);
  ASSERT_TRUE(dev->rx_mode().settle(soon()));
  EXPECT_TRUE(dev->rx_mode().covered(uc(0x77)));
}

TEST_F(OwnAddressesTest, WithoutATypeThePrimaryStaysToo) {
  MutexGuard rtnl(net.rtnl());
  EXPECT_EQ(outcome(own.del(uc(1), HwAddr::kAny)), "ENOENT");
  EXPECT_EQ(MacAddress::from_bytes(own.primary()), uc(1));
}

TEST_F(OwnAddressesTest, MoreOctetsThanThereAreAndNoRtnlAreReports) {
  const uint8_t two[2] = {1, 2};
  {
    Reports reports;
    MutexGuard rtnl(net.rtnl());
    own.set(5, two, 2);
    EXPECT_EQ(reports.rules(), "dev-addr-range");
    EXPECT_EQ(dev->address(), uc(1));
  }
  if (!kChecksOn) return;
  Reports reports;
  (void)own.add(uc(2), HwAddr::kLan);
  (void)own.del(uc(2), HwAddr::kLan);
  EXPECT_EQ(reports.rules(), "not-held not-held");
}

TEST_F(OwnAddressesTest, TheSameAddressSetAgainStaysOnTheCard) {
  card.caps = {.unicast_slots = 4, .own_address_uses_slot = true};
  ASSERT_TRUE(dev->register_netdev() && dev->open());
  ASSERT_TRUE(dev->rx_mode().settle(soon()));
  {
    MutexGuard rtnl(net.rtnl());
    own.set(0, uc(1).octets.data(), 6);
  }
  ASSERT_TRUE(dev->rx_mode().settle(soon()));
  EXPECT_TRUE(dev->rx_mode().covered(uc(1)));
}

TEST_F(OwnAddressesTest, WhoWritesTheOctetsDirectlyIsReportedAndUndone) {
  ASSERT_TRUE(dev->register_netdev());
  Reports reports;
  const_cast<uint8_t*>(own.primary())[5] = 0x66;
  EXPECT_TRUE(dev->open());
  EXPECT_EQ(reports.rules(), "dev-addr-written");
  EXPECT_EQ(MacAddress::from_bytes(own.primary()), uc(1));
  EXPECT_TRUE(own.check());
}

TEST_F(OwnAddressesTest, FlushKeepsThePrimaryAndInitIsAllZeros) {
  MutexGuard rtnl(net.rtnl());
  ASSERT_TRUE(own.add(uc(9), HwAddr::kLan));
  own.flush();
  EXPECT_EQ(own.list().count(), 1u);
  EXPECT_EQ(MacAddress::from_bytes(own.primary()), uc(1));
  own.init();
  EXPECT_TRUE(dev->address().is_zero());
}

}  // namespace
}  // namespace usernic
