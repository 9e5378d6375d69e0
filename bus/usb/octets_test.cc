// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/octets.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace usernic::usb {
namespace {

constexpr size_t kFarAway = std::numeric_limits<size_t>::max() - 1;  // that and a width have no sum

TEST(UsbOctetsTest, TheFirstOctetIsTheLeastSignificant) {
  constexpr std::array<uint8_t, 6> kOctets{0x01, 0x82, 0x03, 0x84, 0x05, 0x86};
  EXPECT_EQ(le16(kOctets, 0), 0x8201);
  EXPECT_EQ(le32(kOctets, 1), 0x05840382u);
  EXPECT_EQ(le(kOctets, 2, 3), 0x058403u);
}

TEST(UsbOctetsTest, BeyondTheEndThereAreZeros) {
  constexpr std::array<uint8_t, 3> kOctets{0x11, 0x22, 0x33};
  EXPECT_EQ(le32(kOctets, 1), 0x3322u);
  EXPECT_EQ(le16(kOctets, 2), 0x33);
  EXPECT_EQ(le16(kOctets, 3), 0);
  EXPECT_EQ(le32(kOctets, kFarAway), 0u);
}

TEST(UsbOctetsTest, WhatIsPutIsReadAndBeyondTheEndNothingIsPut) {
  std::array<uint8_t, 8> octets;
  octets.fill(0xee);
  put_le32(octets, 1, 0x12345678);
  put_le16(octets, 6, 0xffff'9abc);
  EXPECT_EQ(octets, (std::array<uint8_t, 8>{0xee, 0x78, 0x56, 0x34, 0x12, 0xee, 0xbc, 0x9a}));
  const std::span<uint8_t> front = std::span(octets).first(6);
  put_le32(front, 4, 0x01020304);
  put_le32(front, kFarAway, 0);
  EXPECT_EQ(octets, (std::array<uint8_t, 8>{0xee, 0x78, 0x56, 0x34, 0x04, 0x03, 0xbc, 0x9a}));
}

}  // namespace
}  // namespace usernic::usb
