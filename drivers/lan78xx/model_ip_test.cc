// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/lan78xx/model_ip.h"

#include <gtest/gtest.h>

namespace usernic::lan78xx {
namespace {

using Octets = std::vector<uint8_t>;

// TCP from 10.0.0.1 to 10.0.0.2, or from fd00::1 to fd00::2, with `size` octets and no sums.
Octets tcp(bool v6, size_t size) {
  Octets frame{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
  const size_t length = 20 + size;
  if (v6) {
    const uint8_t header[] = {0x86, 0xdd, 0x60, 0, 0, 0, uint8_t(length >> 8), uint8_t(length), kTcp, 64};
    frame.insert(frame.end(), std::begin(header), std::end(header));
    for (const uint8_t last : {1, 2}) {
      frame.insert(frame.end(), {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last});
    }
  } else {
    const size_t all = 20 + length;
    const uint8_t header[] = {
        8, 0, 0x45, 0, uint8_t(all >> 8), uint8_t(all), 0, 7, 0x40, 0, 64, kTcp, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
    frame.insert(frame.end(), std::begin(header), std::end(header));
  }
  const uint8_t header[] = {0, 80, 0, 81, 0xff, 0xff, 0xff, 0x00, 0, 0, 0, 0, 0x50, 0x99, 1, 0, 0, 0, 0, 0};
  frame.insert(frame.end(), std::begin(header), std::end(header));
  for (size_t n = 0; n < size; ++n) frame.push_back(static_cast<uint8_t>(n * 7));
  return frame;
}

TEST(Lan78xxIpTest, SumsAreAddedWithCarry) {
  // The example of RFC 1071, section 3.
  EXPECT_EQ(raw_sum(Octets{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}), 0xddf2);
  EXPECT_EQ(raw_sum(Octets{0x12}), 0x1200);
  EXPECT_EQ(raw_sum({}), 0);
}

TEST(Lan78xxIpTest, WhatIsWrittenIsRightAndWhatIsChangedIsNot) {
  for (const bool v6 : {false, true}) {
    for (const size_t size : {0, 1, 2, 999}) {
      Octets frame = tcp(v6, size);
      const auto ip = find_ip(frame, 14);
      ASSERT_TRUE(ip);
      EXPECT_EQ(ip->protocol, kTcp);
      EXPECT_EQ(ip->end, frame.size());
      EXPECT_FALSE(transport_sum_right(frame, *ip));
      EXPECT_EQ(header_sum_right(frame, *ip), v6);
      write_header_sum(frame, *ip);
      write_transport_sum(frame, *ip);
      EXPECT_TRUE(transport_sum_right(frame, *ip) && header_sum_right(frame, *ip));
      frame.back() ^= 1;
      EXPECT_FALSE(transport_sum_right(frame, *ip));
    }
  }
}

TEST(Lan78xxIpTest, ThePartsOfAPacketAreThePacket) {
  for (const bool v6 : {false, true}) {
    const Octets frame = tcp(v6, 2500);
    const size_t data = frame.size() - 2500;
    const auto parts = cut(frame, 14, 1000);
    ASSERT_EQ(parts.size(), 3u);
    Octets payload;
    for (size_t n = 0; n < parts.size(); ++n) {
      const Octets& part = parts[n];
      const auto ip = find_ip(part, 14);
      ASSERT_TRUE(ip);
      EXPECT_EQ(ip->end, part.size());
      const size_t sequence = size_t{part[ip->transport + 4]} << 24 | part[ip->transport + 5] << 16 |
                              part[ip->transport + 6] << 8 | part[ip->transport + 7];
      EXPECT_EQ(sequence, (0xffff'ff00 + 1000 * n) % (size_t{1} << 32));
      EXPECT_EQ(part[ip->transport + 13], n == 0 ? 0x90 : n == 1 ? 0x10 : 0x19);  // CWR, PSH and FIN
      if (!v6) {
        EXPECT_EQ(part[14 + 5], 7 + n);  // the id
      }
      payload.insert(payload.end(), part.begin() + static_cast<ptrdiff_t>(data), part.end());
    }
    EXPECT_EQ(payload, Octets(frame.begin() + static_cast<ptrdiff_t>(data), frame.end()));
  }
  EXPECT_TRUE(cut(Octets(60), 14, 1000).empty());
  EXPECT_TRUE(cut(tcp(false, 10), 14, 0).empty());
}

TEST(Lan78xxIpTest, LengthsThatDoNotLieInTheFrameAreNoIp) {
  const Octets whole = tcp(false, 10);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(find_ip(Octets(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)), 14)) << size;
  }
  Octets fragment = whole;
  fragment[14 + 6] = 0x20;
  EXPECT_EQ(find_ip(fragment, 14)->protocol, 0);
}

}  // namespace
}  // namespace usernic::lan78xx
