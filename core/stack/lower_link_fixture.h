// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests of links: NICs with a card that is a filter, upper devices, and stacks of them.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

#include "testing/addresses.h"
#include "testing/card.h"
#include "testing/upper.h"

namespace usernic {

struct LowerLinkTest : testing::Test {
  Net net;
  std::deque<TestCard> cards;

  NetdevPtr nic(MacAddress address = uc(0x1000)) {
    cards.emplace_back();
    NetdevPtr dev = *net.alloc_netdev<TestDriver>({.name = "nic%d", .address = address}, cards.back());
    EXPECT_EQ(outcome(dev->register_netdev()), "ok");
    EXPECT_EQ(outcome(dev->open()), "ok");
    return dev;
  }
  // An upper with the address of the NICs, so that lists hold only what the test puts there.
  NetdevPtr upper(MacAddress address = uc(0x1000), VlanIds vlan_ids = VlanIds::kPassed) {
    NetdevPtr dev = *net.alloc_netdev<TestUpper>({.name = "up%d", .address = address}, vlan_ids);
    EXPECT_EQ(outcome(dev->register_netdev()), "ok");
    EXPECT_EQ(outcome(dev->open()), "ok");
    return dev;
  }
  static TestUpper& of(const NetdevPtr& dev) { return *static_cast<TestUpper*>(dev->driver()); }
  static std::string link(const NetdevPtr& above, const NetdevPtr& below) { return outcome(of(above).add(*below)); }
  // `count` uppers, each above the one before.
  std::vector<NetdevPtr> stack(size_t count) {
    std::vector<NetdevPtr> all;
    for (size_t i = 0; i < count; ++i) {
      all.push_back(upper());
      if (i == 0) continue;
      EXPECT_EQ(link(all[i], all[i - 1]), "ok");
    }
    return all;
  }
};

}  // namespace usernic
