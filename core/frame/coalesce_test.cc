// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/frame/coalesce.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <functional>

#include "core/frame/segment.h"
#include "testing/inet_frames.h"

namespace usernic {
namespace {

constexpr Features kAll = kSegmentation;

struct CoalesceTest : testing::Test {
  SkbPool pool{512, 3000};
  SkbPool large{4, 70'000, &pool};

  // Frames as they came, merged.
  void merge(const std::vector<Octets>& frames, SkbBatch& batch, Features kinds = kAll) {
    for (const Octets& each : frames) batch.push_back(skb_of(pool, each));
    Coalescer(kinds).merge(batch);
  }
  uint32_t merged(const std::vector<Octets>& frames, Features kinds = kAll) {
    SkbBatch batch;
    merge(frames, batch, kinds);
    if (batch.size() == frames.size()) {
      EXPECT_EQ(octets_of(batch), frames) << "what is left alone is as it came";
    }
    return batch.size();
  }
  // Two segments of one superframe, of which the second is changed before its sums are made.
  static std::vector<Octets> pair(Packet packet, const std::function<void(Packet&)>& change) {
    packet.payload_bytes = 1000;
    const Octets first = packet.octets();
    ++packet.id;
    packet.sequence += 1000;
    packet.first_payload += 1000;
    change(packet);
    return {first, packet.octets()};
  }
  static void nothing(Packet&) {}
};

TEST_F(CoalesceTest, SegmentsOfOneFlowBecomeOneFrame) {
  for (const Packet& packet :
       {Packet{.flags = inet::kAck | inet::kPsh, .payload_bytes = 4567}, Packet{.v6 = true, .payload_bytes = 4567},
        Packet{.udp = true, .payload_bytes = 4567}, Packet{.v6 = true, .udp = true, .payload_bytes = 4000}}) {
    SkbBatch batch;
    merge(segments_by_hand(packet, 1000), batch);
    ASSERT_EQ(batch.size(), 1u);
    Octets octets = octets_of(*batch.front()), expected = packet.octets();
    const Offload offload = batch.front()->offload();
    EXPECT_EQ(offload.gso, gso_of(packet));
    EXPECT_EQ(offload.gso_size, 1000);
    EXPECT_EQ(offload.header_bytes, packet.header_bytes());
    EXPECT_EQ(offload.sum, FrameSum::kNeeded);
    // But for the sum, which is that of the pseudo header, it is the packet.
    const uint32_t field = uint32_t{offload.sum_start} + offload.sum_offset;
    octets[field] = expected[field], octets[field + 1] = expected[field + 1];
    EXPECT_EQ(octets, expected);
  }
  EXPECT_EQ(pool.available(), 512u) << "a chain is freed with its frame";
}

TEST_F(CoalesceTest, AFieldThatDiffersKeepsFramesApart) {
  struct Case {
    const char* what;
    std::function<void(Packet&)> change;
  };
  const auto each = [&](const Packet& packet, std::initializer_list<Case> cases) {
    EXPECT_EQ(merged(pair(packet, nothing)), 1u) << "nothing differs";
    for (const Case& one : cases) EXPECT_EQ(merged(pair(packet, one.change)), 2u) << one.what;
  };
  const Case common[] = {{"ports", [](Packet& p) { ++p.from_port; }},
                         {"ports", [](Packet& p) { ++p.to_port; }},
                         {"sender", [](Packet& p) { p.from_host = 9; }},
                         {"receiver", [](Packet& p) { p.to_host = 9; }},
                         {"TOS", [](Packet& p) { p.tos = 4; }},
                         {"ECN", [](Packet& p) { p.tos = 1; }},
                         {"TTL", [](Packet& p) { p.ttl = 63; }},
                         {"tag",
                          [](Packet& p) {
                            p.tags = {0x81, 0, 0, 5};
                          }},
                         {"no payload", [](Packet& p) { p.payload_bytes = 0; }},
                         {"longer", [](Packet& p) { p.payload_bytes = 1001; }}};
  const Case v4[] = {{"id stands", [](Packet& p) { --p.id; }},
                     {"id jumps", [](Packet& p) { ++p.id; }},
                     {"DF", [](Packet& p) { p.fragment = 0; }},
                     {"more fragments", [](Packet& p) { p.fragment = 0x2000; }},
                     {"fragment offset", [](Packet& p) { p.fragment = 185; }},
                     {"options", [](Packet& p) { p.ip_options = Octets(4, 1); }}};
  const Case v6[] = {{"flow label", [](Packet& p) { p.flow_label = 1; }}, {"extension header", [](Packet& p) {
                                                                             p.extensions = {inet::kTcp, 0, 1, 4,
                                                                                             0,          0, 0, 0};
                                                                             p.first_extension = 60;
                                                                           }}};
  const Case tcp[] = {{"sequence jumps", [](Packet& p) { ++p.sequence; }},
                      {"sequence again", [](Packet& p) { p.sequence -= 1000; }},
                      {"acknowledgement", [](Packet& p) { ++p.acknowledged; }},
                      {"window", [](Packet& p) { ++p.window; }},
                      {"urgent pointer", [](Packet& p) { p.urgent = 1; }},
                      {"SYN", [](Packet& p) { p.flags |= inet::kSyn; }},
                      {"RST", [](Packet& p) { p.flags |= inet::kRst; }},
                      {"URG", [](Packet& p) { p.flags |= inet::kUrg; }},
                      {"ECE", [](Packet& p) { p.flags |= inet::kEce; }},
                      {"CWR", [](Packet& p) { p.flags |= inet::kCwr; }},
                      {"no ACK", [](Packet& p) { p.flags = 0; }},
                      {"options", [](Packet& p) { p.tcp_options = Octets(12, 1); }}};
  for (const bool udp : {false, true}) {
    for (const bool is_v6 : {false, true}) {
      const Packet packet{.v6 = is_v6, .udp = udp};
      for (const Case& one : common) each(packet, {one});
      if (!is_v6) {
        for (const Case& one : v4) each(packet, {one});
      }
      if (!udp) {
        for (const Case& one : tcp) each(packet, {one});
      }
    }
  }
  for (const Case& one : v6) each({.v6 = true}, {one});
  each({.tcp_options = Octets(12, 1)}, {{"an option's octet", [](Packet& p) { p.tcp_options[7] = 9; }}});
  each({.ip_options = Octets(4, 1)}, {{"an IP option's octet", [](Packet& p) { p.ip_options[2] = 0; }}});
  each({.tags = {0x81, 0, 0, 5}},
       {{"another VLAN", [](Packet& p) { p.tags[3] = 6; }}, {"another priority", [](Packet& p) { p.tags[2] = 0x20; }}});
}

TEST_F(CoalesceTest, OfTwoMacAddressesNeitherMayDiffer) {
  for (const size_t at : {5u, 11u}) {
    auto frames = pair({}, nothing);
    frames[1][at] ^= 1;
    EXPECT_EQ(merged(frames), 2u);
  }
}

TEST_F(CoalesceTest, WhatNothingMayFollowIsNotFollowed) {
  for (const uint8_t flag : {inet::kPsh, inet::kFin, inet::kSyn, inet::kRst, inet::kUrg}) {
    auto frames = pair({.flags = static_cast<uint8_t>(inet::kAck | flag)},
                       [flag](Packet& p) { p.flags = static_cast<uint8_t>(p.flags & ~flag); });
    EXPECT_EQ(merged(frames), 2u) << "flag " << int{flag};
  }
  const Packet packet{.payload_bytes = 2500};  // the third is short
  auto frames = segments_by_hand(packet, 1000);
  frames.push_back(Packet{.id = 1003, .sequence = packet.sequence + 2500, .payload_bytes = 1000}.octets());
  EXPECT_EQ(merged(frames), 2u);
}

TEST_F(CoalesceTest, AWrongSumKeepsAFrameApart) {
  for (const Packet& packet : {Packet{}, Packet{.udp = true}, Packet{.v6 = true}}) {
    for (const size_t which : {0u, 1u}) {
      auto frames = pair(packet, nothing);
      frames[which].back() ^= 1;
      EXPECT_EQ(merged(frames), 2u);
      if (packet.v6) continue;
      frames = pair(packet, nothing);
      frames[which][24] ^= 1;  // of the IP header
      EXPECT_EQ(merged(frames), 2u);
    }
  }
  EXPECT_EQ(merged(pair({.udp = true, .sum = false}, nothing)), 2u) << "without a sum nobody knows";
}

TEST_F(CoalesceTest, ASumThatTheCardVerifiedIsNotLookedAtAgain) {
  SkbBatch batch;
  for (Octets& each : pair({}, nothing)) {
    each.back() ^= 1;
    Skb& skb = skb_of(pool, each);
    skb.set_offload({.sum = FrameSum::kVerified});
    batch.push_back(skb);
  }
  Coalescer(kAll).merge(batch);
  EXPECT_EQ(batch.size(), 1u);
}

TEST_F(CoalesceTest, OnlyTheKindsThatAreTakenAreMade) {
  const std::vector<Octets> tcp4 = pair({}, nothing), tcp6 = pair({.v6 = true}, nothing),
                            udp = pair({.udp = true}, nothing),
                            cwr = pair({.flags = inet::kAck | inet::kCwr}, [](Packet&p) { p.flags = inet::kAck; });
  EXPECT_EQ(merged(tcp4, {Feature::kTso6, Feature::kUso}), 2u);
  EXPECT_EQ(merged(tcp6, {Feature::kTso4, Feature::kUso}), 2u);
  EXPECT_EQ(merged(udp, {Feature::kTso4, Feature::kTso6}), 2u);
  EXPECT_EQ(merged(cwr, {Feature::kTso4}), 2u);
  EXPECT_EQ(merged(cwr), 1u);
}

TEST_F(CoalesceTest, FlowsThatAreMixedStayInTheirOrder) {
  Packet a{.payload_bytes = 3000}, b{.to_port = 5001, .payload_bytes = 3000};
  const auto of_a = segments_by_hand(a, 1000), of_b = segments_by_hand(b, 1000);
  const Octets arp(60, 1), acknowledgement = Packet{.sequence = 1, .acknowledged = 4}.octets();
  SkbBatch batch;
  merge({of_a[0], of_b[0], arp, of_a[1], acknowledgement, of_b[1], of_a[2], of_b[2]}, batch);
  const auto all = octets_of(batch);
  ASSERT_EQ(all.size(), 5u) << "a, b, arp, the acknowledgement in between, the rest of a";
  EXPECT_EQ(all[1].size(), 54u + 3000);
  EXPECT_EQ(all[2], arp);
  EXPECT_EQ(all[3], acknowledgement);
  EXPECT_EQ(all[4], of_a[2]);
}

// A datagram without a sum is not merged; those of its flow are not merged around it.
TEST_F(CoalesceTest, NothingOvertakesAFrameOfItsFlowThatIsNotTaken) {
  const Packet first{.udp = true, .payload_bytes = 1000};
  Packet without_sum = first, next = first;
  without_sum.sum = false;
  ++next.id;
  EXPECT_EQ(merged({first.octets(), next.octets()}), 1u);
  EXPECT_EQ(merged({first.octets(), without_sum.octets(), next.octets()}), 3u);
}

TEST_F(CoalesceTest, AFrameIsNoLongerThanAnIpPacketCanBe) {
  Packet packet{.payload_bytes = 90'000};
  for (const bool v6 : {false, true}) {
    packet.v6 = v6;
    SkbBatch batch;
    merge(segments_by_hand(packet, 2900), batch);
    ASSERT_EQ(batch.size(), 2u);
    EXPECT_EQ(batch.front()->total_size(), 14 + (v6 ? 40u : 20u) + 20 + 22 * 2900);
  }
}

TEST_F(CoalesceTest, PaddingIsNoPayload) {
  auto frames = pair({}, [](Packet& p) { p.payload_bytes = 2; });
  frames[1].resize(60);
  SkbBatch batch;
  merge(frames, batch);
  ASSERT_EQ(batch.size(), 1u);
  EXPECT_EQ(batch.front()->total_size(), 54u + 1002);
}

// Whatever a superframe is like: cut and merged it is the same again.
TEST_F(CoalesceTest, SegmentThenCoalesceIsIdentity) {
  ASSERT_TRUE(rc::check("identity", [&] {
    Packet packet{.v6 = *rc::gen::arbitrary<bool>(),
                  .udp = *rc::gen::arbitrary<bool>(),
                  .tos = *rc::gen::arbitrary<uint8_t>(),
                  .ttl = *rc::gen::arbitrary<uint8_t>(),
                  .id = *rc::gen::arbitrary<uint16_t>(),
                  .fragment = *rc::gen::element<uint16_t>(0, 0x4000),
                  .window = *rc::gen::arbitrary<uint16_t>(),
                  .from_port = *rc::gen::arbitrary<uint16_t>(),
                  .sequence = *rc::gen::arbitrary<uint32_t>(),
                  .acknowledged = *rc::gen::arbitrary<uint32_t>()};
    if (*rc::gen::arbitrary<bool>()) packet.tags = {0x81, 0, *rc::gen::arbitrary<uint8_t>(), 5};
    packet.tcp_options.resize(*rc::gen::inRange(0, 11) * 4u, 1);
    if (!packet.v6) packet.ip_options.resize(*rc::gen::inRange(0, 11) * 4u, 1);
    packet.flags |= *rc::gen::element<uint8_t>(0, inet::kPsh, inet::kFin, inet::kCwr, inet::kCwr | inet::kEce);
    const uint32_t size = *rc::gen::inRange(1u, 2800u);
    packet.payload_bytes = size + *rc::gen::inRange(1u, std::min(63 * size, 64'000u));

    Skb& super = superframe(large, packet, size);
    auto segmenter = Segmenter::of(super);
    RC_ASSERT(segmenter.has_value());
    const Octets before = octets_of(super);
    const Offload offload = super.offload();
    SkbBatch buffers, frames;
    pool.alloc(buffers, segmenter->segments());
    RC_ASSERT(segmenter->cut(buffers, frames, SegmentSums::kBySegment));
    SkbPool::free(super);
    const auto segments = octets_of(frames);
    RC_ASSERT(segments == segments_by_hand(packet, size));
    Coalescer(kAll).merge(frames);
    RC_ASSERT(frames.size() == 1u);
    RC_ASSERT(octets_of(*frames.front()) == before);
    RC_ASSERT(frames.front()->offload() == offload);
  }));
}

}  // namespace
}  // namespace usernic
