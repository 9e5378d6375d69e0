// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/frame/segment.h"

#include <gtest/gtest.h>

#include "core/frame/inet_sum.h"
#include "testing/inet_frames.h"

namespace usernic {
namespace {

struct SegmentTest : testing::Test {
  SkbPool small{512, 1600};
  SkbPool large{4, 70'000, &small};

  std::vector<Octets> cut(const Packet& packet, uint32_t size, SegmentSums sums = SegmentSums::kBySegment) {
    Skb& super = superframe(large, packet, size);
    auto segmenter = Segmenter::of(super);
    if (!segmenter) return SkbPool::free(super), std::vector<Octets>{};
    SkbBatch buffers, segments;
    small.alloc(buffers, segmenter->segments());
    EXPECT_TRUE(segmenter->cut(buffers, segments, sums));
    SkbPool::free(super);
    for (Skb* each = segments.front(); each != nullptr && sums == SegmentSums::kByDevice;
         each = SkbBatch::next(*each)) {
      EXPECT_EQ(each->offload().sum, FrameSum::kNeeded);
      EXPECT_TRUE(complete_sum(*each));
    }
    return octets_of(segments);
  }
  void expect_cut(const Packet& packet, uint32_t size) {
    const auto expected = segments_by_hand(packet, size);
    EXPECT_EQ(cut(packet, size), expected);
    EXPECT_EQ(cut(packet, size, SegmentSums::kByDevice), expected) << "by a device that sums";
  }
};

TEST_F(SegmentTest, SumsAreThoseOfTheSimplestWay) {
  Octets octets;
  for (uint32_t size = 0; size < 300; ++size) {
    const uint16_t sum = inet::fold(inet::sum_of(octets));
    EXPECT_EQ(static_cast<uint16_t>(~inet::wire(sum)), plain_sum(octets)) << size << " octets";
    octets.push_back(static_cast<uint8_t>(255 - size * 13));
  }
  EXPECT_EQ(inet::fold(inet::sum_of(Octets(65'536, 0xff))), 0xffff) << "no carry is lost";
}

TEST_F(SegmentTest, TcpIsCutIntoWholeFramesThatCountOn) {
  expect_cut({.flags = inet::kAck | inet::kPsh, .payload_bytes = 4000}, 1460);
  expect_cut({.payload_bytes = 2920}, 1460);
  expect_cut({.tcp_options = Octets(12, 1), .payload_bytes = 60'000}, 1448);
  expect_cut({.v6 = true, .payload_bytes = 4000}, 1440);
}

TEST_F(SegmentTest, OneSegmentIsOne) {
  expect_cut({.flags = inet::kAck | inet::kPsh | inet::kFin, .payload_bytes = 1}, 1460);
}

TEST_F(SegmentTest, NumbersGoRound) {
  expect_cut({.id = 65'535, .sequence = 0xffff'fff0, .payload_bytes = 4000}, 1000);
}

TEST_F(SegmentTest, OddSizesHaveRightSums) {
  for (uint32_t size = 1; size < 9; ++size) expect_cut({.udp = size % 2 == 0, .payload_bytes = 29}, size);
}

TEST_F(SegmentTest, CwrIsTheFirstOnesAndPshAndFinAreTheLastOnes) {
  const uint8_t all = inet::kAck | inet::kCwr | inet::kEce | inet::kPsh | inet::kFin;
  expect_cut({.tos = 3, .flags = all, .payload_bytes = 3000}, 1000);
  const auto segments = cut({.flags = all, .payload_bytes = 3000}, 1000);
  ASSERT_EQ(segments.size(), 3u);
  EXPECT_EQ(segments[0][47], inet::kAck | inet::kCwr | inet::kEce);
  EXPECT_EQ(segments[1][47], inet::kAck | inet::kEce);
  EXPECT_EQ(segments[2][47], inet::kAck | inet::kEce | inet::kPsh | inet::kFin);
}

TEST_F(SegmentTest, UdpBecomesDatagrams) {
  expect_cut({.udp = true, .payload_bytes = 4100}, 1400);
  expect_cut({.v6 = true, .udp = true, .payload_bytes = 4100}, 1400);
}

TEST_F(SegmentTest, AUdpSumOfZeroIsWrittenAsItsOther) {
  Packet packet{.udp = true, .payload_bytes = 4};
  for (uint32_t port = 0; port < 65'536; ++port) {
    packet.to_port = static_cast<uint16_t>(port);
    const Octets octets = packet.octets();
    if (octets[40] != 0xff || octets[41] != 0xff) continue;
    expect_cut(packet, 4);
    return;
  }
  FAIL() << "no port makes such a sum";
}

TEST_F(SegmentTest, TagsOptionsAndExtensionHeadersAreOfEach) {
  const Octets tag{0x81, 0x00, 0x20, 0x05}, tags{0x88, 0xa8, 0, 7, 0x81, 0, 0, 5};
  expect_cut({.tags = tag, .payload_bytes = 4000}, 1460);
  expect_cut({.v6 = true, .tags = tags, .payload_bytes = 4000}, 1400);
  expect_cut({.ip_options = Octets(8, 1), .payload_bytes = 4000}, 1400);
  const Octets hop_by_hop{60, 0, 1, 4, 0, 0, 0, 0},
      destination{inet::kTcp, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  Octets both = hop_by_hop;
  both.insert(both.end(), destination.begin(), destination.end());
  expect_cut({.v6 = true, .extensions = both, .first_extension = 0, .payload_bytes = 4000}, 1400);
}

// What a sender sums up for a routing header is the last destination, which is not in the IP header.
TEST_F(SegmentTest, ThePseudoHeaderIsTheSenders) {
  const Packet packet{.payload_bytes = 2000};
  Skb& super = superframe(large, packet, 1000);
  const auto headers = inet::find_headers(super.bytes(), inet::Length::kAll);
  uint8_t* const field = super.data() + headers->transport + 16;
  const uint64_t other = inet::pseudo_sum(super.data(), *headers, headers->transport_bytes()) + inet::plus(0x1234);
  inet::store_sum(field, inet::fold(other));
  super.set_offload({.sum = FrameSum::kNeeded, .gso = Gso::kTcp4, .gso_size = 1000});
  auto segmenter = Segmenter::of(super);
  SkbBatch buffers, segments;
  small.alloc(buffers, 2);
  ASSERT_TRUE(segmenter->cut(buffers, segments, SegmentSums::kBySegment));
  SkbPool::free(super);
  for (const Skb* each = segments.front(); each != nullptr; each = Skb::chain_next(*each)) {
    const auto found = inet::find_headers(each->bytes(), inet::Length::kSaid);
    const auto whole = each->bytes().subspan(found->transport);
    EXPECT_EQ(inet::fold(inet::pseudo_sum(each->data(), *found, found->transport_bytes()) + inet::plus(0x1234) +
                         inet::sum_of(whole)),
              0xffff);
  }
}

TEST_F(SegmentTest, WithTooFewBuffersWhatIsLeftIsAShorterSuperframe) {
  for (const Packet& packet : {Packet{.flags = inet::kAck | inet::kCwr | inet::kFin, .payload_bytes = 4567},
                               Packet{.udp = true, .payload_bytes = 4567},
                               Packet{.v6 = true, .flags = inet::kAck | inet::kPsh, .payload_bytes = 4567}}) {
    for (uint32_t buffers_a_time : {1u, 2u, 4u}) {
      Skb& super = superframe(large, packet, 1000);
      SkbBatch segments;
      for (bool whole = false; !whole;) {
        auto segmenter = Segmenter::of(super);
        ASSERT_TRUE(segmenter);
        SkbBatch buffers;
        small.alloc(buffers, buffers_a_time);
        const uint32_t before = segmenter->segments();
        whole = segmenter->cut(buffers, segments, SegmentSums::kBySegment);
        ASSERT_TRUE(whole || segments_of(super.offload(), super.size()) == before - buffers_a_time);
      }
      SkbPool::free(super);
      EXPECT_EQ(octets_of(segments), segments_by_hand(packet, 1000)) << buffers_a_time << " at a time";
    }
  }
}

TEST_F(SegmentTest, WhatIsNotWhatItSaysIsNotCut) {
  const auto refused = [&](Octets octets, const Offload& offload) {
    Skb& skb = skb_of(large, octets);
    skb.set_offload(offload);
    const bool refuses = !Segmenter::of(skb);
    SkbPool::free(skb);
    return refuses;
  };
  const Octets tcp = Packet{.payload_bytes = 100}.octets(), udp = Packet{.udp = true, .payload_bytes = 100}.octets();
  const Offload as_tcp{.gso = Gso::kTcp4, .gso_size = 10}, as_udp{.gso = Gso::kUdp, .gso_size = 10};
  EXPECT_FALSE(refused(tcp, as_tcp));
  EXPECT_TRUE(refused(udp, as_tcp));
  EXPECT_TRUE(refused(tcp, as_udp));
  EXPECT_TRUE(refused(tcp, {.gso = Gso::kTcp6, .gso_size = 10}));
  EXPECT_TRUE(refused(tcp, {.gso = Gso::kTcp4, .gso_size = 0}));
  EXPECT_TRUE(refused(Packet{}.octets(), as_tcp)) << "no payload";
  EXPECT_TRUE(refused(Packet{.fragment = 0x2000, .payload_bytes = 100}.octets(), as_tcp));
  for (size_t size = 0; size < 54; ++size) {
    EXPECT_TRUE(refused(Octets(tcp.begin(), tcp.begin() + static_cast<long>(size)), as_tcp)) << size;
  }
}

TEST_F(SegmentTest, ASumIsWrittenWhereItIsNeeded) {
  const Packet packet{.udp = true, .payload_bytes = 33};
  const Octets right = packet.octets();
  Skb& skb = skb_of(small, right);
  const auto headers = inet::find_headers(skb.bytes(), inet::Length::kSaid);
  inet::store_sum(skb.data() + 40, inet::fold(inet::pseudo_sum(skb.data(), *headers, headers->transport_bytes())));
  skb.set_offload({.sum = FrameSum::kNeeded, .sum_offset = 6, .sum_start = 34});
  skb.push(4), skb.pull(4);
  EXPECT_EQ(skb.offload().sum_start, 34) << "it follows the frame";
  ASSERT_TRUE(complete_sum(skb));
  EXPECT_EQ(octets_of(skb), right);
  EXPECT_FALSE(skb.offload().any());
  for (const uint32_t start : {70u, 76u, 65'535u}) {
    skb.set_offload({.sum = FrameSum::kNeeded, .sum_offset = 6, .sum_start = static_cast<uint16_t>(start)});
    EXPECT_FALSE(complete_sum(skb)) << "behind the end";
  }
  EXPECT_EQ(octets_of(skb), right);
  SkbPool::free(skb);
}

}  // namespace
}  // namespace usernic
