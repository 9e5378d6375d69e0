// SPDX-License-Identifier: Apache-2.0 OR MIT
// Superframes through stacks of devices: whole to the lowest one and from it, cut where somebody takes none.
#include <gtest/gtest.h>

#include <functional>

#include "drivers/bond/bond.h"
#include "drivers/macvlan/macvlan.h"
#include "drivers/simnic/card.h"
#include "drivers/simnic/simnic.h"
#include "drivers/simnic/tap.h"
#include "drivers/vlan/vlan.h"
#include "testing/octet_port.h"
#include "usernic/address_list.h"
#include "usernic/rx_mode.h"

namespace usernic {
namespace {

constexpr uint16_t kId = 5;
const Packet kPacket{.flags = inet::kAck | inet::kPsh, .payload_bytes = 60'000};
const Octets kTag{0x81, 0x00, 0, kId}, kTags{0x81, 0x00, 0, kId, 0x81, 0x00, 0, kId};

Packet tagged(Packet packet, Octets tags) {
  packet.tags = std::move(tags);
  return packet;
}
// As testing/inet_frames.h has them.
MacAddress host(uint8_t number) {
  return MacAddress::from_u64(0x0200'0000'0000 | number);
}

Time soon() {
  return Clock::now() + std::chrono::seconds(60);
}

enum class Over : uint8_t { kVlan, kVlans, kMacvlan, kBond, kAll };

// A card with devices over it; the topmost has a port.
struct Stack {
  Stack(Net& net, const std::shared_ptr<simnic::Wire>& wire, uint8_t number, Over over, const SimnicConfig& config,
        Features takes)
      : card(std::make_shared<simnic::Card>(config, host(static_cast<uint8_t>(number + 16)), wire)), port(takes) {
    push(Simnic::probe(net, {.name = "nic%d"}, card));
    if (over == Over::kBond || over == Over::kAll) {
      push(Bond::probe(net, {.name = "bond%d", .address = host(over == Over::kAll ? number + 32 : number)}));
      EXPECT_TRUE(Bond::of(top()).add_lower(*devices[devices.size() - 2]));
    }
    if (over == Over::kVlans) {
      EXPECT_TRUE(top().change_mtu(1504));  // a card's frames have room for one tag
      push(Vlan::probe(net, {.name = "lower%d", .address = host(number)}, top(), kId));
    }
    if (over == Over::kVlan || over == Over::kVlans || over == Over::kAll)
      push(
          Vlan::probe(net, {.name = "vlan%d", .address = host(over == Over::kAll ? number + 48 : number)}, top(), kId));
    if (over == Over::kMacvlan || over == Over::kAll)
      push(Macvlan::probe(net, {.name = "macvlan%d", .address = host(number)}, top(), MacvlanMode::kBridge));
    EXPECT_TRUE(top().attach_port(port));
    EXPECT_TRUE(eventually([this] { return top().carrier_ok() && top().rx_mode().settle(soon()).has_value(); }));
  }
  ~Stack() {
    top().detach_port();
    while (!devices.empty()) devices.pop_back();
  }
  void push(Result<NetdevPtr> dev) {
    EXPECT_TRUE((*dev)->register_netdev() && (*dev)->open());
    devices.push_back(std::move(*dev));
  }
  NetDevice& top() { return *devices.back(); }

  std::shared_ptr<simnic::Card> card;
  OctetPort port;
  std::vector<NetdevPtr> devices;
};

struct SuperframesTest : testing::TestWithParam<Over> {
  Net net;
  std::shared_ptr<simnic::Wire> wire = std::make_shared<simnic::Wire>("w", net.system_workqueue());
  SkbPool small{512, 1600};
  SkbPool large{8, 70'000, &small};

  // Of a frame below the VLANs.
  Octets tags() const {
    if (GetParam() == Over::kVlans) return kTags;
    return GetParam() == Over::kVlan || GetParam() == Over::kAll ? kTag : Octets{};
  }
  void send(Stack& from, const Packet& packet, uint32_t size) {
    SkbBatch frames;
    frames.push_back(superframe(large, packet, size));
    EXPECT_TRUE(eventually([&] {
      if (!frames.empty()) from.top().xmit(from.top().tx_queue(0), frames);
      return frames.empty();
    }));
  }
  static std::vector<Octets> heard_by(Stack& end, size_t count) {
    eventually([&] { return end.port.now().size() >= count; });
    return end.port.now();
  }
};

TEST_P(SuperframesTest, OneIsWholeFromTopToTopWhereTheCardsTakeIt) {
  Stack a(net, wire, 1, GetParam(), {.tso = true}, kSegmentation),
      b(net, wire, 2, GetParam(), {.tso = true}, kSegmentation);
  send(a, kPacket, 1460);
  const auto heard = heard_by(b, 1);
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_EQ(heard[0].size(), kPacket.octets().size());
  EXPECT_EQ(b.port.offloads[0].gso, Gso::kTcp4);
  EXPECT_EQ(b.port.offloads[0].header_bytes, kPacket.header_bytes());
  EXPECT_EQ(b.card->counters().rx_superframes, 1u);
  for (Stack* each : {&a, &b}) {
    for (const NetdevPtr& dev : each->devices) {
      const LinkStats stats = dev->stats();
      EXPECT_EQ(stats.tx_packets + stats.rx_packets, segments_by_hand(kPacket, 1460).size()) << dev->name();
      EXPECT_EQ(stats.tx_dropped + stats.rx_dropped, 0u) << dev->name();
    }
  }
}

// Nothing is cut above the lowest device, which gets segments with the tag of the VLAN.
TEST_P(SuperframesTest, ACardThatTakesNoneIsGivenItsSegments) {
  Stack a(net, wire, 1, GetParam(), {}, kSegmentation);
  simnic::WireTap tap(wire, 64);
  EXPECT_TRUE(a.top().features().has(Feature::kTso4));
  const Packet packet = tagged(kPacket, tags());
  const auto expected = segments_by_hand(packet, 1460);
  send(a, kPacket, 1460);
  EXPECT_TRUE(tap.wait_heard(static_cast<uint32_t>(expected.size()), soon()));
  EXPECT_EQ(tap.kept(), expected);
  EXPECT_EQ(a.top().stats().tx_packets, expected.size());
}

// Who sends has buffers for the frames of its own device, without a tag of those below.
TEST_P(SuperframesTest, TagsTakeNoRoomOfTheSegmentsBuffers) {
  constexpr uint32_t kMtu = 1005;
  Stack a(net, wire, 1, GetParam(), {}, kSegmentation);
  ASSERT_TRUE(a.top().change_mtu(kMtu));
  simnic::WireTap tap(wire, 64);
  SkbPool exact(64, kMtu + 14);
  SkbPool large_ones(1, 70'000, &exact);
  const auto expected = segments_by_hand(tagged(kPacket, tags()), kMtu - 40);
  SkbBatch frames;
  frames.push_back(superframe(large_ones, kPacket, kMtu - 40));
  EXPECT_TRUE(eventually([&] {
    if (!frames.empty()) a.top().xmit(a.top().tx_queue(0), frames);
    return frames.empty();
  }));
  EXPECT_TRUE(tap.wait_heard(static_cast<uint32_t>(expected.size()), soon()));
  EXPECT_EQ(tap.kept(), expected);
  for (const NetdevPtr& dev : a.devices) EXPECT_EQ(dev->stats().tx_dropped, 0u) << dev->name();
  EXPECT_TRUE(eventually([&] { return exact.available() == 64 && large_ones.available() == 1; }));
}

TEST_P(SuperframesTest, APortThatTakesNoneIsGivenItsSegments) {
  Stack a(net, wire, 1, GetParam(), {.tso = true}, {}), b(net, wire, 2, GetParam(), {.tso = true}, {});
  const auto expected = segments_by_hand(kPacket, 1460);
  send(a, kPacket, 1460);
  EXPECT_EQ(heard_by(b, expected.size()), expected);
  EXPECT_EQ(b.card->counters().rx_superframes, 1u) << "the card had it whole";
}

// A group's members get copies, of which no buffer is as long as a superframe.
TEST_P(SuperframesTest, OneForAGroupReachesItsMembers) {
  const Over below = GetParam() == Over::kVlans ? Over::kVlans : Over::kVlan;
  Stack a(net, wire, 1, tags().empty() ? Over::kBond : below, {.tso = true}, kSegmentation);
  Stack b(net, wire, 2, GetParam(), {.tso = true}, kSegmentation);
  const Packet datagrams{.udp = true, .payload_bytes = 14'000};
  const auto to_group = [](Octets octets) {
    const MacAddress group = MacAddress::from_u64(0x0100'5e00'0001);
    std::copy(group.octets.begin(), group.octets.end(), octets.begin());
    return octets;
  };
  ASSERT_TRUE(b.top().mc().add(MacAddress::from_u64(0x0100'5e00'0001)));
  for (const NetdevPtr& each : b.devices) ASSERT_TRUE(each->rx_mode().settle(soon()));
  SkbBatch frames;
  Skb& skb = skb_of(large, to_group(datagrams.octets()));
  skb.set_offload({.gso = Gso::kUdp, .gso_size = 1400});
  frames.push_back(skb);
  a.top().xmit(a.top().tx_queue(0), frames);
  const auto payload_of = [&] {
    size_t all = 0;
    for (const Octets& each : b.port.now()) all += each.size() - datagrams.header_bytes();
    return all;
  };
  EXPECT_TRUE(eventually([&] { return payload_of() == datagrams.payload_bytes; })) << payload_of();
  EXPECT_EQ(b.top().stats().rx_packets, 10u);
  EXPECT_EQ(b.card->counters().rx_superframes, 1u);
}

std::string name_of(const testing::TestParamInfo<Over>& info) {
  constexpr const char* kNames[] = {"Vlan", "VlanOverVlan", "Macvlan", "Bond", "MacvlanOverVlanOverBond"};
  return kNames[static_cast<size_t>(info.param)];
}
INSTANTIATE_TEST_SUITE_P(Stacks, SuperframesTest,
                         testing::Values(Over::kVlan, Over::kVlans, Over::kMacvlan, Over::kBond, Over::kAll), name_of);

}  // namespace
}  // namespace usernic
