// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "capture/rx_mode_text.h"

#include <gtest/gtest.h>

#include "testing/addresses.h"

namespace usernic {
namespace {

TEST(RxModeTextTest, WhatIsDifferentIsSaid) {
  RxModeStatus before, now;
  EXPECT_EQ(rx_mode_text(before, now), "");
  now.unicast_mode = FilterMode::kExact;
  now.multicast_mode = FilterMode::kHash;
  now.reason = "9 multicast addresses, 8 slots";
  now.programmed_multicast = {mc(1), mc(2)};
  now.generation_programmed = 7;
  EXPECT_EQ(rx_mode_text(before, now),
            "rx mode: unicast exact, multicast hash (9 multicast addresses, 8 slots); 2 more multicast on the card: " +
                mc(1).to_string() + " " + mc(2).to_string() + "; generation 7");
  before = now;
  now.programmed_multicast = {mc(2)};
  now.programmed_vlans = {5};
  now.programmed_promisc = true;
  EXPECT_EQ(
      rx_mode_text(before, now),
      "rx mode: unicast exact, multicast hash, promisc (9 multicast addresses, 8 slots); 1 fewer multicast on the "
      "card: " +
          mc(1).to_string() + "; 1 more VLANs on the card: 5; generation 7");
}

TEST(RxModeTextTest, ManyAreNotNamed) {
  RxModeStatus before, now;
  for (uint64_t i = 1; i <= 1000; ++i) now.programmed_multicast.push_back(mc(i));
  const std::string text = rx_mode_text(before, now);
  EXPECT_NE(text.find("1000 more multicast on the card: " + mc(1).to_string()), text.npos);
  EXPECT_NE(text.find(mc(8).to_string() + " ..."), text.npos);
  EXPECT_LT(text.size(), 400u);
}

}  // namespace
}  // namespace usernic
