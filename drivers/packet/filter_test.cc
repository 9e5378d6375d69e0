// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/packet/filter.h"

#include <gtest/gtest.h>

namespace usernic::packet {
namespace {

constexpr MacAddress kOwn = MacAddress::from_u64(0x0200'0000'0001);
constexpr MacAddress kOther = MacAddress::from_u64(0x0200'0000'0002);
constexpr MacAddress kGroup = MacAddress::from_u64(0x0100'5e01'0203);

bool passes(const Filter& filter, const MacAddress& to) {
  return filter.passes(to.octets);
}

TEST(PacketFilter, PassesTheOwnAddressAndBroadcastWhateverElse) {
  Filter filter;
  filter.own = kOwn;
  EXPECT_TRUE(passes(filter, kOwn));
  EXPECT_TRUE(passes(filter, kBroadcast));
  EXPECT_FALSE(passes(filter, kOther));
  EXPECT_FALSE(passes(filter, kGroup));
}

TEST(PacketFilter, PassesWhatIsListedUntilItIsNot) {
  Filter filter;
  filter.own = kOwn;
  for (const MacAddress& each : {kGroup, kOther, MacAddress::from_u64(0x0200'0000'0009)}) filter.add(each);
  EXPECT_TRUE(passes(filter, kGroup));
  EXPECT_TRUE(passes(filter, kOther));
  EXPECT_TRUE(std::ranges::is_sorted(filter.listed()));
  filter.del(kOther);
  EXPECT_FALSE(filter.has(kOther));
  EXPECT_FALSE(passes(filter, kOther));
  EXPECT_TRUE(passes(filter, kGroup));
}

TEST(PacketFilter, AFlagIsWiderThanTheList) {
  Filter filter;
  filter.own = kOwn;
  filter.allmulti = true;
  EXPECT_TRUE(passes(filter, kGroup));
  EXPECT_FALSE(passes(filter, kOther));
  filter.allmulti = false;
  filter.promisc = true;
  EXPECT_TRUE(passes(filter, kGroup));
  EXPECT_TRUE(passes(filter, kOther));
}

TEST(PacketFilter, AFrameWithoutAnAddressDoesNotPass) {
  Filter filter;
  filter.promisc = true;
  EXPECT_FALSE(filter.passes(std::span(kOwn.octets).first(5)));
}

}  // namespace
}  // namespace usernic::packet
