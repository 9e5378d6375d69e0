// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/mc_lists.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "host/tap_fixture.h"

namespace usernic {
namespace {

using Addresses = std::vector<MacAddress>;
MacAddress mac(const char* text) {
  return *MacAddress::parse(text);
}

TEST(McList, IsTheLinesOfItsInterface) {
  const std::string text =
      "2    tap0            1     0     01005e000001\n"
      "22   tap1            1     0     01005e000002\n"
      "2    tap0            3     1     00e02b000000\n";
  EXPECT_EQ(parse_mc_list(text, 2), (Addresses{mac("01:00:5e:00:00:01"), mac("00:e0:2b:00:00:00")}));
  EXPECT_EQ(parse_mc_list(text, 22), Addresses{mac("01:00:5e:00:00:02")});
  EXPECT_EQ(parse_mc_list(text, 3), Addresses{});
}

TEST(McList, WhatIsNoSuchLineIsSkipped) {
  EXPECT_EQ(parse_mc_list("2\n2 tap0 1 0\n2 tap0 1 0 01005e\n2 tap0 1 0 01005e00000x\nx tap0 1 0 01005e000001\n\n", 2),
            Addresses{});
  EXPECT_EQ(parse_mc_list("2 tap0 1 0 01005e000001", 2), Addresses{mac("01:00:5e:00:00:01")}) << "without an end";
}

TEST(McList, TellsWhereTheUcListOfADumpEnds) {
  const MacAddress u = mac("02:00:00:00:00:01"), m = mac("01:00:5e:00:00:01");
  EXPECT_EQ(uc_list_was_empty({}, {}), true);
  EXPECT_EQ(uc_list_was_empty({u}, {}), false);
  EXPECT_EQ(uc_list_was_empty({m}, {}), false) << "a multicast address in the uc list";
  EXPECT_EQ(uc_list_was_empty({m, u}, {m, u}), true) << "a unicast address in the mc list";
  EXPECT_EQ(uc_list_was_empty({u, m}, {m, u}), std::nullopt) << "they do not fit";
  EXPECT_EQ(uc_list_was_empty({u, u}, {u}), false) << "the same in both";
  EXPECT_EQ(uc_list_was_empty({m}, {m, u}), std::nullopt);
}

class McListsTest : public TapFixture {};

TEST_F(McListsTest, ShowsTheMcListOnlyAndAsItIsNow) {
  McLists lists = McLists::open(*netns_);
  shell("sysctl -qw net.ipv6.conf.tap0.disable_ipv6=1; ip link set tap0 multicast off up");
  const auto shown = [&] { return lists.read(ifindex_); };
  const Addresses before = shown().value_or(Addresses{MacAddress{}});
  Addresses more = before;
  more.push_back(mac("00:e0:2b:00:00:00"));
  shell("ip maddr add 00:e0:2b:00:00:00 dev tap0; bridge fdb add 02:00:00:00:aa:01 dev tap0 self");
  EXPECT_EQ(shown(), more);
  shell("ip maddr del 00:e0:2b:00:00:00 dev tap0");
  EXPECT_EQ(shown(), before);
  EXPECT_EQ(lists.read(ifindex_ + 1), Addresses{});
}

// The file comes in pieces; an interface's lines do not.
TEST_F(McListsTest, ThousandsAreAllThere) {
  constexpr uint32_t kCount = 5'000;
  ASSERT_TRUE(netns_->run([&] {
    const UniqueFd door(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq change{};
    std::strcpy(change.ifr_name, "tap0");
    change.ifr_hwaddr.sa_family = AF_UNSPEC;
    for (uint32_t i = 0; i < kCount; ++i) {
      const MacAddress address = MacAddress::from_u64(0x01'00'5e'40'00'00 + i);
      std::memcpy(change.ifr_hwaddr.sa_data, address.octets.data(), 6);
      EXPECT_EQ(::ioctl(door.get(), SIOCADDMULTI, &change), 0) << std::strerror(errno);
    }
  }));
  const auto list = McLists::open(*netns_).read(ifindex_);
  ASSERT_TRUE(list);
  EXPECT_GE(list->size(), kCount);
}

}  // namespace
}  // namespace usernic
