// SPDX-License-Identifier: Apache-2.0 OR MIT
// What is news to who watches; what is told of it is shown by tests/e2e.
#include "daemon/monitor.h"

#include <gtest/gtest.h>

namespace usernic::daemon {
namespace {

const ctl::Event kBefore{.what = "link", .link = ctl::LinkRow{.name = "nic0"}};

bool is_news(void (*change)(ctl::LinkRow& row)) {
  ctl::Event now = kBefore;
  change(*now.link);
  return link_changed(kBefore, now);
}

TEST(MonitorTest, FramesThatComeAndGoAreNoNews) {
  EXPECT_FALSE(is_news([](ctl::LinkRow& row) { ++row.rx_packets; }));
  EXPECT_FALSE(is_news([](ctl::LinkRow& row) { ++row.tx_packets; }));
  EXPECT_FALSE(is_news([](ctl::LinkRow& row) { ++row.rx_dropped; }));
  EXPECT_FALSE(is_news([](ctl::LinkRow& row) { ++row.tx_dropped; }));
  EXPECT_FALSE(is_news([](ctl::LinkRow& row) { ++row.rx_filtered; }));
  EXPECT_FALSE(is_news([](ctl::LinkRow& row) { ++row.drops.ring_full; }));
}

TEST(MonitorTest, WhatIsTrueOfALinkIs) {
  EXPECT_TRUE(is_news([](ctl::LinkRow& row) { row.name = "eth0"; }));
  EXPECT_TRUE(is_news([](ctl::LinkRow& row) { row.address = MacAddress::from_u64(0x0200'0000'0001); }));
  EXPECT_TRUE(is_news([](ctl::LinkRow& row) { ++row.mtu; }));
  EXPECT_TRUE(is_news([](ctl::LinkRow& row) { row.up = !row.up; }));
  EXPECT_TRUE(is_news([](ctl::LinkRow& row) { row.carrier = !row.carrier; }));
  EXPECT_TRUE(is_news([](ctl::LinkRow& row) { row.where = "gone"; }));
  EXPECT_TRUE(is_news([](ctl::LinkRow& row) { row.refused = ctl::RefusedWish{.wish = "up"}; }));
}

TEST(MonitorTest, AnEndIsNewsOnce) {
  ctl::Event gone = kBefore;
  gone.what = "link-gone";
  EXPECT_TRUE(link_changed(kBefore, gone));
  ctl::Event later = gone;
  ++later.link->mtu;
  EXPECT_FALSE(link_changed(gone, later));
  EXPECT_TRUE(link_changed(gone, kBefore)) << "it was made again";
}

}  // namespace
}  // namespace usernic::daemon
