// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/rtnetlink.h"

#include <gtest/gtest.h>

#include "host/tap_fixture.h"

namespace usernic {
namespace {

using RtnetlinkTest = TapFixture;

TEST_F(RtnetlinkTest, ALinkIsReadAsTheKernelShowsIt) {
  ASSERT_TRUE(tap_->set_carrier(true));
  shell("ip link set tap0 address 02:00:00:00:00:05 mtu 1400; ip link set tap0 up promisc on allmulticast on");
  const auto link = rtnetlink_->link(ifindex_);
  ASSERT_TRUE(link) << link.error().sentence;
  EXPECT_EQ(*link, (HostLink{.up = true,
                             .promiscuity = 1,
                             .allmulti = 1,
                             .mtu = 1400,
                             .address = *MacAddress::parse("02:00:00:00:00:05"),
                             .carrier = true}));
}

TEST_F(RtnetlinkTest, ALinkIsChanged) {
  const MacAddress address = *MacAddress::parse("02:00:00:00:00:06");
  ASSERT_TRUE(rtnetlink_->set_mtu(ifindex_, 1300));
  ASSERT_TRUE(rtnetlink_->set_up(ifindex_, true));
  ASSERT_TRUE(rtnetlink_->set_address(ifindex_, address)) << "also while it is up";
  auto link = rtnetlink_->link(ifindex_);
  ASSERT_TRUE(link);
  EXPECT_EQ(*link, (HostLink{.up = true, .mtu = 1300, .address = address, .carrier = false}));
  ASSERT_TRUE(rtnetlink_->set_up(ifindex_, false));
  EXPECT_FALSE(rtnetlink_->link(ifindex_)->up);
}

TEST_F(RtnetlinkTest, TheCarrierIsReadOnlyWhileTheInterfaceIsUp) {
  shell("ip link set tap0 carrier off");
  EXPECT_EQ(rtnetlink_->link(ifindex_)->carrier, std::nullopt);
  shell("ip link set tap0 up");
  EXPECT_EQ(rtnetlink_->link(ifindex_)->carrier, false);
  shell("ip link set tap0 carrier on");
  EXPECT_EQ(rtnetlink_->link(ifindex_)->carrier, true);
  shell("ip link set tap0 down");
  EXPECT_EQ(rtnetlink_->link(ifindex_)->carrier, std::nullopt);
}

TEST_F(RtnetlinkTest, WhatTheKernelRefusesIsSaidInASentence) {
  const auto refused = rtnetlink_->set_mtu(ifindex_, 1'000'000);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().error, std::errc::invalid_argument);
  EXPECT_EQ(refused.error().sentence, "cannot set its MTU to 1000000: mtu greater than device maximum");
  EXPECT_EQ(rtnetlink_->link(9999).error().error, std::errc::no_such_device);
  EXPECT_EQ(rtnetlink_->ifindex("nobody").error().error, std::errc::no_such_device);
}

TEST_F(RtnetlinkTest, IpAddressesAreAdded) {
  ASSERT_TRUE(rtnetlink_->add_ip_address(ifindex_, "10.9.0.1/24"));
  ASSERT_TRUE(rtnetlink_->add_ip_address(ifindex_, "fd00::1/64"));
  ASSERT_TRUE(rtnetlink_->add_ip_address(ifindex_, "10.9.1.1"));
  const std::string shown = shell("ip -o address show tap0");
  EXPECT_NE(shown.find("inet 10.9.0.1/24"), std::string::npos) << shown;
  EXPECT_NE(shown.find("inet 10.9.1.1/32"), std::string::npos) << shown;
  EXPECT_NE(shown.find("inet6 fd00::1/64"), std::string::npos) << shown;
  EXPECT_EQ(rtnetlink_->add_ip_address(ifindex_, "10.9.0.1/24").error().error, std::errc::file_exists);
}

TEST_F(RtnetlinkTest, WhatIsNoIpAddressIsRefused) {
  for (const char* text : {"", "/", "10.9.0.1/33", "10.9.0.1/", "10.9.0.1/-1", "10.9.0.1/2x", "10.9.0", "fd00::/129",
                           "nic0", "10.9.0.1/256"}) {
    const auto refused = rtnetlink_->add_ip_address(ifindex_, text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().error, std::errc::invalid_argument) << text;
  }
}

}  // namespace
}  // namespace usernic
