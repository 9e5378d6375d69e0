// SPDX-License-Identifier: Apache-2.0 OR MIT
// Superframes and sums on a wire: whole between ends that take them, cut and summed for all others.
#include <gtest/gtest.h>

#include <optional>

#include "core/frame/inet_sum.h"
#include "drivers/simnic/card_fixture.h"
#include "drivers/simnic/simnic.h"
#include "testing/inet_frames.h"
#include "testing/octet_port.h"
#include "testing/watch.h"

namespace usernic::simnic {
namespace {

const SimnicConfig kTso{.tso = true};

struct End {
  End(Net& net, const std::shared_ptr<Wire>& wire, const MacAddress& address, const SimnicConfig& config,
      Features takes = kSegmentation)
      : card(std::make_shared<Card>(config, address, wire)), port(takes) {
    dev = std::move(*Simnic::probe(net, {.name = "nic%d"}, card));
    EXPECT_TRUE(dev->register_netdev() && dev->attach_port(port) && dev->open());
  }
  ~End() { dev->detach_port(); }
  std::shared_ptr<Card> card;
  OctetPort port;
  NetdevPtr dev;
};

struct TsoTest : testing::Test {
  Net net;
  std::shared_ptr<Wire> wire = std::make_shared<Wire>("w", net.system_workqueue());
  SkbPool small{512, 1600};
  SkbPool large{8, 70'000, &small};

  void send(End& from, SkbBatch& frames) {
    from.dev->xmit(from.dev->tx_queue(0), frames);
    eventually([&] {
      if (!frames.empty()) from.dev->xmit(from.dev->tx_queue(0), frames);
      return frames.empty();
    });
  }
  void send(End& from, const Packet& packet, uint32_t size) {
    SkbBatch frames;
    frames.push_back(superframe(large, packet, size));
    send(from, frames);
  }
  static std::vector<Octets> heard_by(End& end, size_t count) {
    eventually([&] { return end.port.now().size() >= count; });
    return end.port.now();
  }
  // What is merged out of these is as it was, once it is cut again.
  static Octets payload_of(const std::vector<Octets>& frames, uint32_t header_bytes) {
    Octets all;
    for (const Octets& each : frames) all.insert(all.end(), each.begin() + header_bytes, each.end());
    return all;
  }
};

const Packet kPacket{.flags = inet::kAck | inet::kPsh, .payload_bytes = 60'000};

TEST_F(TsoTest, BetweenTwoThatTakeThemASuperframeIsWhole) {
  End a(net, wire, kOwnA, kTso), b(net, wire, kOwnB, kTso);
  send(a, kPacket, 1460);
  ASSERT_EQ(heard_by(b, 1).size(), 1u);
  const Offload offload = b.port.offloads[0];
  EXPECT_EQ(offload.gso, Gso::kTcp4);
  EXPECT_EQ(offload.gso_size, 1460);
  EXPECT_EQ(offload.sum, FrameSum::kNeeded);
  EXPECT_EQ(payload_of(b.port.received, kPacket.header_bytes()),
            payload_of({kPacket.octets()}, kPacket.header_bytes()));
  EXPECT_EQ(b.card->counters().rx_superframes, 1u);
  EXPECT_EQ(a.card->counters().tx_superframes, 1u);
  EXPECT_EQ(b.dev->stats().rx_packets, segments_by_hand(kPacket, 1460).size());
  EXPECT_EQ(b.dev->stats().rx_bytes, a.dev->stats().tx_bytes);
}

TEST_F(TsoTest, WhoTakesNoneIsGivenSegmentsAndSoIsATap) {
  End a(net, wire, kOwnA, kTso), b(net, wire, kOwnB, {}, {});
  WireTap tap(wire, 64);
  for (const Packet& packet :
       {kPacket, Packet{.v6 = true, .payload_bytes = 5000},
        Packet{.udp = true, .tags = {0x81, 0x00, 0, 0}, .payload_bytes = 5000}, Packet{.payload_bytes = 1401}}) {
    const auto expected = segments_by_hand(packet, 1400);
    const size_t before = b.port.now().size();
    send(a, packet, 1400);
    auto heard = heard_by(b, before + expected.size());
    heard.erase(heard.begin(), heard.begin() + static_cast<long>(before));
    for (Octets& each : heard) each.resize(std::max<size_t>(each.size(), kFrameMin));
    auto padded = expected;
    for (Octets& each : padded) each.resize(std::max<size_t>(each.size(), kFrameMin));
    EXPECT_EQ(heard, padded);
    EXPECT_EQ(tap.heard(), before + expected.size());
  }
  EXPECT_EQ(a.card->counters().tx_superframes, 0u);
  EXPECT_EQ(a.card->counters().tx_frames, tap.heard());
}

TEST_F(TsoTest, WithTheFeatureOffTheyAreCut) {
  End a(net, wire, kOwnA, kTso), b(net, wire, kOwnB, kTso, {});
  const auto expected = segments_by_hand(kPacket, 1460);
  ASSERT_TRUE(b.dev->change_features(b.dev->features().without({Feature::kGroHw})));
  send(a, kPacket, 1460);
  EXPECT_EQ(heard_by(b, expected.size()), expected) << "by the sender's card";
  ASSERT_TRUE(b.dev->change_features(b.dev->hw_features()));
  ASSERT_TRUE(a.dev->change_features(a.dev->features().without(kSegmentation)));
  send(a, kPacket, 1460);
  EXPECT_EQ(heard_by(b, 2 * expected.size()).size(), 2 * expected.size()) << "by the core";
  EXPECT_EQ(b.card->counters().rx_superframes, 0u);
  ASSERT_TRUE(a.dev->change_features(a.dev->hw_features()));
  send(a, kPacket, 1460);
  EXPECT_EQ(heard_by(b, 3 * expected.size()).size(), 3 * expected.size()) << "for a port that takes none";
  EXPECT_EQ(b.card->counters().rx_superframes, 1u);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(b.port.received[2 * expected.size() + i], expected[i]) << i;
}

TEST_F(TsoTest, SumsAreWrittenForWhoDoesNotTakeThemLeftOut) {
  End a(net, wire, kOwnA, {.checksum = true}), b(net, wire, kOwnB, {}, {});
  const Packet packet{.udp = true, .payload_bytes = 100};
  Octets unsummed = packet.octets();
  const auto headers = *inet::find_headers(unsummed, inet::Length::kSaid);
  const uint16_t pseudo = inet::fold(inet::pseudo_sum(unsummed.data(), headers, headers.transport_bytes()));
  inet::store_sum(&unsummed[headers.transport + 6u], pseudo);
  SkbBatch frames;
  Skb& skb = skb_of(small, unsummed);
  skb.set_offload({.sum = FrameSum::kNeeded, .sum_offset = 6, .sum_start = headers.transport});
  frames.push_back(skb);
  send(a, frames);
  EXPECT_EQ(heard_by(b, 1), (std::vector<Octets>{packet.octets()}));
}

// Rings, pools and pauses: a receiver whose ring takes three superframes gets all of a hundred, in order.
TEST_F(TsoTest, NothingIsLostForWantOfDescriptors) {
  End a(net, wire, kOwnA, kTso), b(net, wire, kOwnB, {.rx_descriptors = 128, .tso = true});
  std::optional<End> plain(std::in_place, net, wire, unicast(1), SimnicConfig{.rx_descriptors = 4});
  constexpr uint32_t kCount = 100;
  Packet packet = kPacket;
  Octets sent;
  for (uint32_t i = 0; i < kCount; ++i) {
    packet.first_payload = packet.sequence = i * packet.payload_bytes;
    if (i == kCount / 2) plain.reset();  // from here on whole
    SkbBatch frames;
    eventually([&] { return large.available() != 0; });
    frames.push_back(superframe(large, packet, 1460));
    send(a, frames);
    const auto payload = payload_of({packet.octets()}, packet.header_bytes());
    sent.insert(sent.end(), payload.begin(), payload.end());
  }
  eventually([&] { return b.dev->stats().rx_packets == a.dev->stats().tx_packets; });
  EXPECT_EQ(b.card->counters().rx_no_descriptor, 0u);
  EXPECT_GE(b.card->counters().rx_superframes, kCount / 2 - 1);
  eventually([&] { return payload_of(b.port.now(), packet.header_bytes()).size() >= sent.size(); });
  EXPECT_EQ(payload_of(b.port.now(), packet.header_bytes()), sent);
}

// While its first poll is under way, its ring fills with superframes of small segments: the next poll has many to cut.
TEST_F(TsoTest, ARingFullOfThemIsCutForWhoTakesNone) {
  End a(net, wire, kOwnA, kTso), b(net, wire, kOwnB, {.rx_descriptors = 1024, .tso = true}, {});
  Event all_sent;
  b.port.waits_for = &all_sent;
  constexpr uint32_t kCount = 30, kSegment = 536;
  SkbPool enough(kCount, 70'000, &small);  // the one poll thread waits, and reclaims nothing
  for (uint32_t i = 0; i < kCount; ++i) {
    SkbBatch frames;
    frames.push_back(superframe(enough, kPacket, kSegment));
    send(a, frames);
  }
  all_sent.set();
  const size_t segments = kCount * segments_by_hand(kPacket, kSegment).size();
  EXPECT_EQ(heard_by(b, segments).size(), segments);
  EXPECT_EQ(b.card->counters().rx_superframes, kCount);
  EXPECT_EQ(b.dev->stats().rx_dropped, 0u);
  EXPECT_TRUE(eventually([&] { return enough.available() == kCount; }));
}

// Held up by a station that never takes it: it is the sender's when that one is closed.
TEST_F(TsoTest, OneThatIsClosedBeforeItWasSentCountsAsItsSegments) {
  End a(net, wire, kOwnA, kTso);
  Card dead(kTso, kOwnB, wire);
  dead.set_pause_max(std::chrono::hours(1));
  dead.write(Reg::kControl, kControlRx);  // without a descriptor
  SkbBatch frames;
  frames.push_back(superframe(large, kPacket, 1460));
  a.dev->xmit(a.dev->tx_queue(0), frames);
  ASSERT_TRUE(a.dev->close());
  EXPECT_EQ(a.dev->stats().tx_packets, segments_by_hand(kPacket, 1460).size());
  EXPECT_EQ(a.dev->stats().tx_errors, segments_by_hand(kPacket, 1460).size());
}

struct TsoCardTest : CardTest {
  TsoCardTest() : CardTest(kTso) {}
  uint32_t send(const Octets& octets, const Offload& offload) {
    queue(octets);
    tx[(tx_tail - 1) % kDescriptors].offload = offload;
    doorbell();
    return status(tx, tx_tail - 1);
  }
};

TEST_F(TsoCardTest, WhatIsNotWhatItsDescriptorSaysIsNotSent) {
  const Octets octets = kPacket.octets();
  EXPECT_EQ(send(octets, {.gso = Gso::kTcp6, .gso_size = 1460}), kDescriptorDone | kDescriptorError);
  EXPECT_EQ(send(octets, {.gso = Gso::kTcp4}), kDescriptorDone | kDescriptorError);
  EXPECT_EQ(send(Octets(1000), {.sum = FrameSum::kNeeded, .sum_offset = 6, .sum_start = 995}),
            kDescriptorDone | kDescriptorError);
  EXPECT_EQ(send(octets, {.gso = Gso::kTcp4, .gso_size = 1470}), kDescriptorDone | kDescriptorError) << "too long";
  EXPECT_EQ(tap.heard(), 0u);
  EXPECT_EQ(send(octets, {.gso = Gso::kTcp4, .gso_size = 1460}), kDescriptorDone);
  EXPECT_EQ(tap.heard(), segments_by_hand(kPacket, 1460).size());
}

TEST_F(TsoCardTest, ARingThatIsTooShortForThemTakesNone) {
  card.write(Reg::kSuperBuffer, kBuffer);
  EXPECT_EQ(card.superframe_max(), 0u);
  card.write(Reg::kRxSize, 1024);
  EXPECT_EQ(card.superframe_max(), kSuperframeMax);
  card.write(Reg::kSuperBuffer, uint64_t{1} << 32);
  EXPECT_EQ(card.read(Reg::kSuperBuffer), UINT32_MAX) << "longer than a buffer can be";
  card.write(Reg::kSuperBuffer, 0);
  EXPECT_EQ(card.superframe_max(), 0u);
}

}  // namespace
}  // namespace usernic::simnic
