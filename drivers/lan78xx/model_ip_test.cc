// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/lan78xx/model_ip.h"

#include <gtest/gtest.h>

#include "testing/inet_frames.h"

namespace usernic::lan78xx {
namespace {

constexpr size_t kNetwork = 14;

TEST(Lan78xxIpTest, SumsAreAddedWithCarry) {
  // The example of RFC 1071, section 3.
  EXPECT_EQ(raw_sum(Octets{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}), 0xddf2);
  EXPECT_EQ(raw_sum(Octets{0x12}), 0x1200);
  EXPECT_EQ(raw_sum({}), 0);
}

TEST(Lan78xxIpTest, SumsAreWrittenAndWhatIsChangedIsWrong) {
  for (const bool v6 : {false, true}) {
    for (const bool udp : {false, true}) {
      for (const uint32_t size : {0, 1, 2, 999}) {
        const Packet packet{.v6 = v6, .udp = udp, .payload_bytes = size};
        const Octets whole = packet.octets();
        const auto ip = find_ip(whole, kNetwork);
        ASSERT_TRUE(ip);
        EXPECT_EQ(ip->protocol, udp ? kUdp : kTcp);
        EXPECT_EQ(ip->end, whole.size());
        EXPECT_TRUE(transport_sum_right(whole, *ip) && header_sum_right(whole, *ip));
        Octets frame = whole;
        frame[ip->transport + inet::sum_field(ip->protocol)] ^= 1;
        if (!v6) frame[kNetwork + 10] ^= 1;
        EXPECT_FALSE(transport_sum_right(frame, *ip));
        EXPECT_EQ(header_sum_right(frame, *ip), v6);
        write_header_sum(frame, *ip);
        write_transport_sum(frame, *ip);
        EXPECT_EQ(frame, whole);
        frame.back() ^= 1;
        EXPECT_FALSE(transport_sum_right(frame, *ip));
      }
    }
  }
}

TEST(Lan78xxIpTest, APacketIsCutAsByHand) {
  for (const bool v6 : {false, true}) {
    const Packet packet{.v6 = v6,
                        .flags = inet::kAck | inet::kCwr | inet::kPsh | inet::kFin,
                        .sequence = 0xffff'ff00,
                        .payload_bytes = 2500};
    auto parts = cut(packet.octets(), kNetwork, 1000);
    for (Octets& part : parts) {
      const auto ip = find_ip(part, kNetwork);
      ASSERT_TRUE(ip);
      write_header_sum(part, *ip);
      write_transport_sum(part, *ip);
    }
    EXPECT_EQ(parts, segments_by_hand(packet, 1000));
  }
  EXPECT_TRUE(cut(Octets(60), kNetwork, 1000).empty());
  EXPECT_TRUE(cut(Packet{.payload_bytes = 10}.octets(), kNetwork, 0).empty());
}

TEST(Lan78xxIpTest, LengthsThatDoNotLieInTheFrameAreNoIp) {
  const Octets whole = Packet{.payload_bytes = 10}.octets();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(find_ip(Octets(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)), kNetwork)) << size;
  }
  EXPECT_EQ(find_ip(Packet{.fragment = 0x2000, .payload_bytes = 10}.octets(), kNetwork)->protocol, 0);
}

}  // namespace
}  // namespace usernic::lan78xx
