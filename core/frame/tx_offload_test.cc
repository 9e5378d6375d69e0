// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a driver gets to send, by what it says that it can, and what a port gets to receive.
#include <gtest/gtest.h>

#include "core/device/net_device_fixture.h"
#include "testing/inet_frames.h"
#include "testing/listener.h"
#include "testing/port.h"
#include "testing/traffic.h"
#include "testing/unseen_by_clang.h"
#include "usernic/rx_handler.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic {
namespace {

constexpr Features kCore{Feature::kGso, Feature::kGro};

struct Taken {
  Octets octets;
  Offload offload;
};

// A card with a ring of so many frames.
class OffloadNic {
 public:
  OffloadNic(NetDevice& dev, Features can) : dev_(dev), can_(can) {}
  Result<> open() { return dev_.tx_queue(0).start(), Result<>(); }
  void stop() {}
  Features hw_features() const { return can_; }
  Features fix_features(Features wanted) const { return wanted.without(never); }
  Result<> set_features(Features features) {
    told = features;
    return refuses ? fail(std::errc::io_error) : Result<>();
  }
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    taken.push_back({octets_of(skb), skb.offload()});
    if (taken.size() % ring == 0) queue.stop();
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  Features told, never;
  bool refuses = false;
  size_t ring = 1000;
  std::vector<Taken> taken;

 private:
  NetDevice& dev_;
  const Features can_;
};

struct TxOffloadTest : testing::Test {
  Net net;
  SkbPool small{64, 1600};
  SkbPool large{4, 70'000, &small};
  NetdevPtr dev;
  OffloadNic* driver = nullptr;
  Reports reports;

  void make(Features can) {
    dev = *net.alloc_netdev<OffloadNic>({.name = "o%d"}, can);
    driver = static_cast<OffloadNic*>(dev->driver());
    ASSERT_TRUE(dev->register_netdev() && dev->open());
  }
  void TearDown() override { EXPECT_EQ(small.available() + large.available(), 68u) << "every frame is back"; }
  std::vector<Octets> taken() const {
    std::vector<Octets> all;
    for (const Taken& each : driver->taken) all.push_back(each.octets);
    return all;
  }
  void send(Skb& skb) {
    SkbBatch frames;
    frames.push_back(skb);
    dev->xmit(dev->tx_queue(0), frames);
    SkbPool::free(frames);
  }
};

TEST_F(TxOffloadTest, ADeviceWithoutTheFeatureNeverSeesASuperframe) {
  const Packet packet{.flags = inet::kAck | inet::kPsh, .payload_bytes = 20'000};
  for (const Features can :
       {Features{}, Features{Feature::kTxSum, Feature::kTso6}, Features{Feature::kTxSum, Feature::kUso}}) {
    make(can);
    send(superframe(large, packet, 1460));
    ASSERT_EQ(driver->taken.size(), 14u);
    for (const Taken& each : driver->taken) {
      EXPECT_FALSE(each.offload.superframe());
      EXPECT_EQ(each.offload.sum == FrameSum::kNeeded, can.has(Feature::kTxSum));
    }
    if (can.none()) {
      EXPECT_EQ(taken(), segments_by_hand(packet, 1460));
    }
    const LinkStats stats = dev->stats();
    EXPECT_EQ(stats.tx_packets, 14u);
    EXPECT_EQ(stats.tx_bytes, 20'000u + 14 * 54);
    EXPECT_EQ(stats.tx_dropped, 0u);
  }
}

TEST_F(TxOffloadTest, ADeviceWithTheFeatureGetsItWhole) {
  make({Feature::kTxSum, Feature::kTso4, Feature::kTso6, Feature::kUso});
  const Packet cwr{.flags = inet::kAck | inet::kCwr, .payload_bytes = 3000};
  send(superframe(large, {.payload_bytes = 20'000}, 1460));
  send(superframe(large, {.v6 = true, .payload_bytes = 20'000}, 1440));
  send(superframe(large, {.udp = true, .payload_bytes = 20'000}, 1472));
  ASSERT_EQ(driver->taken.size(), 3u);
  for (const Taken& each : driver->taken) {
    EXPECT_TRUE(each.offload.superframe());
    EXPECT_EQ(each.offload.sum, FrameSum::kNeeded);
    EXPECT_NE(each.offload.header_bytes, 0);
  }
  EXPECT_EQ(dev->stats().tx_packets, 14u * 3);
  send(superframe(large, cwr, 1460));
  EXPECT_EQ(driver->taken.size(), 3u + 3) << "but without kTsoEcn one that says CWR is cut";
}

TEST_F(TxOffloadTest, TheMtuIsOfWhatLeavesTheCard) {
  for (const Features can : {Features{}, Features{Feature::kTxSum, Feature::kTso4}}) {
    make(can);
    send(superframe(large, {.payload_bytes = 20'000}, 1465));
    EXPECT_TRUE(driver->taken.empty());
    EXPECT_EQ(reports.rules(), "frame-too-long");
    EXPECT_EQ(dev->stats().tx_too_long, 14u) << "segments";
    reports.all.clear();
  }
}

TEST_F(TxOffloadTest, ASuperframeThatWasOnItsWayWhenTheMtuShrankIsDroppedWithoutAReport) {
  make({Feature::kTxSum, Feature::kTso4});
  ASSERT_TRUE(dev->change_mtu(3000));
  ASSERT_TRUE(dev->change_mtu(1500));
  send(superframe(large, {.payload_bytes = 20'000}, 2900));
  EXPECT_EQ(reports.rules(), "");
  send(superframe(large, {.payload_bytes = 20'000}, 3000));
  EXPECT_EQ(reports.rules(), "frame-too-long");
  EXPECT_EQ(dev->stats().tx_too_long, 7u + 7);
}

TEST_F(TxOffloadTest, WhatADeviceThatIsDownDropsCountsByItsSegments) {
  make({});
  dev->close();
  const auto five = [this]() -> Skb& {
    Skb& super = superframe(large, {.payload_bytes = 5000}, 1000);
    super.set_offload({.gso = Gso::kTcp4, .gso_size = 1000, .header_bytes = 54});
    return super;
  };
  send(five());
  receive(*dev, small, {Octets(60)});
  SkbBatch frames;
  frames.push_back(five());
  dev->receive(frames);
  EXPECT_EQ(dev->stats().tx_dropped, 5u);
  EXPECT_EQ(dev->stats().rx_dropped, 1u + 5);
}

TEST_F(TxOffloadTest, ASumThatIsNeededIsTheCoresWhereTheCardHasNone) {
  const Packet packet{.udp = true, .payload_bytes = 100};
  for (const Features can : {Features{}, Features{Feature::kTxSum}}) {
    make(can);
    Skb& skb = superframe(large, packet, 100);
    skb.data()[40] = skb.data()[41] = 0;
    skb.set_offload({.sum = FrameSum::kNeeded, .sum_offset = 6, .sum_start = 34});
    send(skb);
    ASSERT_EQ(driver->taken.size(), 1u);
    EXPECT_EQ(driver->taken[0].offload.sum == FrameSum::kNeeded, can.has(Feature::kTxSum));
  }
}

TEST_F(TxOffloadTest, WhatIsNotWhatItSaysIsDroppedAndCounted) {
  make({});
  Skb& skb = skb_of(large, Octets(2000, 0x45));
  skb.set_offload({.sum = FrameSum::kNeeded, .gso = Gso::kTcp4, .gso_size = 1000});
  send(skb);
  Skb& behind = skb_of(small, Octets(60));
  behind.set_offload({.sum = FrameSum::kNeeded, .sum_offset = 16, .sum_start = 59});
  send(behind);
  SkbPool alone(1, 4000);
  send(superframe(alone, {.payload_bytes = 3000}, 1000));
  EXPECT_TRUE(driver->taken.empty());
  EXPECT_EQ(dev->stats().tx_dropped, 2u + 1 + 3) << "a superframe counts as what it would have been";
}

TEST_F(TxOffloadTest, AFrameOfSeveralBuffersIsReportedAndDropped) {
  make({Feature::kTxSum, Feature::kTso4});
  Skb& skb = superframe(large, {.payload_bytes = 3000}, 1000);
  skb.chain(skb_of(small, Octets(100)), nullptr);
  send(skb);
  EXPECT_TRUE(driver->taken.empty());
  EXPECT_EQ(reports.rules(), kChecksOn ? "xmit-chained" : "");
  EXPECT_EQ(dev->stats().tx_dropped, 4u);
}

TEST_F(TxOffloadTest, SegmentsThatAQueueDoesNotTakeStayWithTheSender) {
  make({});
  driver->ring = 5;
  const Packet packet{.payload_bytes = 20'000};
  SkbBatch frames;
  frames.push_back(superframe(large, packet, 1460));
  frames.push_back(skb_of(small, Octets(60)));
  while (!frames.empty()) {
    EXPECT_LE(dev->xmit(dev->tx_queue(0), frames), 5u);
    dev->tx_queue(0).start();
  }
  auto expected = segments_by_hand(packet, 1460);
  expected.push_back(Octets(60));
  EXPECT_EQ(taken(), expected);
}

TEST_F(TxOffloadTest, WithoutBuffersForSegmentsItWaitsWithTheSender) {
  make({});
  SkbBatch held, frames;
  small.alloc(held, 64);
  const Packet packet{.payload_bytes = 20'000};
  frames.push_back(superframe(large, packet, 1460));
  EXPECT_EQ(dev->xmit(dev->tx_queue(0), frames), 0u);
  ASSERT_EQ(frames.size(), 1u);
  for (uint32_t buffers : {3u, 1u, 61u}) {
    SkbBatch back;
    while (buffers-- > 0 && !held.empty()) back.push_back(*held.pop_front());
    SkbPool::free(back);
    dev->xmit(dev->tx_queue(0), frames);
    if (!frames.empty()) small.alloc(held, 64);
  }
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(taken(), segments_by_hand(packet, 1460));
}

TEST_F(TxOffloadTest, FeaturesThatDoNotGoTogetherAreNotRegistered) {
  for (const Features wrong :
       {Features{Feature::kTso4}, Features{Feature::kUso}, Features{Feature::kTxSum, Feature::kTsoEcn},
        Features{Feature::kGro}, Features::from_bits(1u << 20)}) {
    const NetdevPtr refused = *net.alloc_netdev<OffloadNic>({.name = "r%d"}, wrong);
    EXPECT_EQ(outcome(refused->register_netdev()), "EINVAL");
  }
}

TEST_F(TxOffloadTest, FeaturesAreSwitchedAndTheCardIsTold) {
  make({Feature::kTxSum, Feature::kTso4, Feature::kTsoEcn});
  const Features all = dev->hw_features();
  EXPECT_EQ(all, (Features{Feature::kTxSum, Feature::kTso4, Feature::kTsoEcn} | kCore));
  EXPECT_EQ(dev->features(), all);
  Listener listener(net);
  listener.heard.clear();
  EXPECT_EQ(outcome(dev->change_features(all)), "ok");
  EXPECT_EQ(listener.heard, "") << "nothing has changed";
  EXPECT_EQ(outcome(dev->change_features(all.without({Feature::kTso4}))), "ok");
  EXPECT_EQ(listener.heard, "features");
  EXPECT_EQ(dev->features(), (Features{Feature::kTxSum} | kCore)) << "kTsoEcn is of it";
  EXPECT_EQ(driver->told, dev->features());
  send(superframe(large, {.payload_bytes = 3000}, 1000));
  EXPECT_EQ(driver->taken.size(), 3u);
  EXPECT_EQ(outcome(dev->change_features(all.without({Feature::kTxSum}))), "ok");
  EXPECT_EQ(dev->features(), kCore);
  EXPECT_EQ(outcome(dev->change_features(all | Features{Feature::kUso})), "EOPNOTSUPP");
  driver->never = {Feature::kTso4};
  EXPECT_EQ(outcome(dev->change_features(all)), "ok");
  EXPECT_EQ(dev->features(), (Features{Feature::kTxSum} | kCore)) << "the driver's word counts";
  driver->never = {};
  driver->refuses = true;
  EXPECT_EQ(outcome(dev->change_features(all)), "EIO");
  EXPECT_EQ(dev->features(), (Features{Feature::kTxSum} | kCore));
}

// Takes superframes.
struct SuperPort final : DevicePort {
  std::vector<Taken> received;
  void receive(SkbBatch& frames) noexcept override {
    const BlockingByDesign a_test_may;
    for (const Skb* skb = frames.front(); skb != nullptr; skb = Skb::chain_next(*skb)) {
      received.push_back({octets_of(*skb), skb->offload()});
    }
  }
  void tx_wake(TxQueue&) noexcept override {}
  void carrier_changed(bool) noexcept override {}
  Features superframes() const noexcept override { return kSegmentation; }
};

TEST_F(TxOffloadTest, APortThatTakesSuperframesGetsThemUnlessGroIsOff) {
  make({});
  SuperPort port;
  ASSERT_TRUE(dev->attach_port(port));
  const auto segments = segments_by_hand({.payload_bytes = 5000}, 1000);
  receive(*dev, small, segments);
  ASSERT_EQ(port.received.size(), 1u);
  EXPECT_EQ(port.received[0].offload.gso_size, 1000);
  EXPECT_EQ(dev->stats().rx_packets, 5u) << "what came on the wire counts";
  ASSERT_TRUE(dev->change_features({}));
  receive(*dev, small, segments);
  EXPECT_EQ(port.received.size(), 6u);
  dev->detach_port();
  TestPort plain;
  ASSERT_TRUE(dev->attach_port(plain) && dev->change_features({Feature::kGro}));
  receive(*dev, small, segments);
  EXPECT_EQ(plain.received.now(), segments) << "a port that takes none";
  dev->detach_port();
}

struct SeeingHandler final : RxHandler {
  std::vector<Octets> seen;
  bool something_to_do = false;
  void receive(SkbBatch& frames) noexcept override {
    const BlockingByDesign a_test_may;
    for (const Skb* skb = frames.front(); skb != nullptr; skb = Skb::chain_next(*skb)) {
      seen.push_back(octets_of(*skb));
      something_to_do |= skb->offload().any();
    }
  }
};

// As a card gives it that receives superframes: over several buffers.
TEST_F(TxOffloadTest, WhatACardReceivedWholeIsCutForAHandlerAndAPortThatTakesNone) {
  make({});
  TestPort port;
  SeeingHandler handler;
  ASSERT_TRUE(dev->attach_port(port));
  {
    MutexGuard rtnl(net.rtnl());
    ASSERT_TRUE(register_rx_handler(*dev, RxStage::kUpper, handler));
  }
  const Packet packet{.flags = inet::kAck | inet::kPsh, .payload_bytes = 5000};
  const Octets octets = packet.octets();
  const auto piece = [&octets](size_t at) {
    return Octets(octets.begin() + static_cast<long>(at),
                  octets.begin() + static_cast<long>(std::min<size_t>(at + 1500, octets.size())));
  };
  Skb& first = skb_of(large, piece(0));
  Skb* last = nullptr;
  for (size_t at = 1500; at < octets.size(); at += 1500) {
    Skb& part = skb_of(small, piece(at));
    first.chain(part, last);
    last = &part;
  }
  first.set_offload({.gso = Gso::kTcp4, .gso_size = 1000, .header_bytes = 54});
  SkbBatch frames;
  frames.push_back(first);
  dev->receive(frames);
  const auto segments = segments_by_hand(packet, 1000);
  EXPECT_EQ(handler.seen, segments);
  EXPECT_FALSE(handler.something_to_do);
  EXPECT_EQ(port.received.now(), segments);
  EXPECT_EQ(dev->stats().rx_packets, 5u);
  EXPECT_EQ(dev->stats().rx_dropped, 0u);
  {
    SkbBatch all;
    small.alloc(all, 64);
    Skb& super = superframe(large, packet, 1000);
    super.set_offload({.gso = Gso::kTcp4, .gso_size = 1000, .header_bytes = 54});
    SkbBatch again;
    again.push_back(super);
    dev->receive(again);
  }
  EXPECT_EQ(handler.seen.size(), 5u) << "no buffers for segments";
  EXPECT_EQ(dev->stats().rx_dropped, 5u);
  {
    MutexGuard rtnl(net.rtnl());
    unregister_rx_handler(*dev, RxStage::kUpper, handler);
  }
  dev->detach_port();
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
