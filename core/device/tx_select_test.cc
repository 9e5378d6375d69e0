// SPDX-License-Identifier: Apache-2.0 OR MIT
// Which TX queue a frame goes to: the driver's word, else its flow's.
#include "usernic/tx_select.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "core/device/net_device_fixture.h"
#include "testing/inet_frames.h"
#include "testing/traffic.h"
#include "testing/unseen_by_clang.h"
#include "usernic/flow_hash.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic::tx_select_test {
namespace {

constexpr uint16_t kQueues = 4;

// Notes which queue each frame came on, by the first octet of its payload.
struct ManyQueues {
  explicit ManyQueues(NetDevice& dev) : dev_(dev) {}
  Result<> open() {
    for (uint16_t i = 0; i < dev_.tx_queue_count(); ++i) dev_.tx_queue(i).start();
    return {};
  }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    sent.push_back({queue.index(), skb.data()[14]});
    if (stops_after == sent.size()) queue.stop();
    for (const std::byte each : skb.cb()) found_zeros = found_zeros && each == std::byte{};
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  std::vector<std::pair<uint16_t, uint8_t>> sent;
  size_t stops_after = 0;
  bool found_zeros = true;

 private:
  NetDevice& dev_;
};

// The number of a frame is that of its queue, or what the test says.
struct Choosy : ManyQueues {
  using ManyQueues::ManyQueues;
  uint16_t select_queue(const Skb& skb, uint16_t flow) noexcept USERNIC_NONBLOCKING {
    ++asked;
    in_bh = in_bh && (!kChecksOn || current_context() == Context::kBhDisabled);
    return takes_flow ? flow : skb.data()[14];
  }
  uint32_t asked = 0;
  bool in_bh = true, takes_flow = false;
};

struct TxSelectTest : testing::Test {
  Net net;
  SkbPool pool{128, 256};
  SkbBatch batch;

  template <class Driver>
  NetdevPtr open(uint16_t queues = kQueues) {
    NetdevPtr dev = *net.alloc_netdev<Driver>({.name = "q%d", .tx_queues = queues});
    EXPECT_TRUE(dev->register_netdev() && dev->open());
    return dev;
  }
  template <class Driver>
  static Driver& of(const NetdevPtr& dev) {
    return *static_cast<Driver*>(dev->driver());
  }
  void put_number(uint8_t number) { put(batch, pool, frame({}, {}, number)); }
  void TearDown() override { SkbPool::free(batch); }
};

using Sent = std::vector<std::pair<uint16_t, uint8_t>>;

TEST_F(TxSelectTest, EachFrameGoesWhereTheDriverSaysAndAQueuesKeepTheirOrder) {
  const NetdevPtr dev = open<Choosy>();
  for (const uint8_t number : {3, 1, 3, 0, 1, 3}) put_number(number);
  EXPECT_EQ(dev->xmit(batch), 6u);
  EXPECT_EQ(of<Choosy>(dev).sent, (Sent{{3, 3}, {3, 3}, {3, 3}, {1, 1}, {1, 1}, {0, 0}}));
  EXPECT_TRUE(of<Choosy>(dev).in_bh);
  EXPECT_EQ(pool.available(), 128u);
}

TEST_F(TxSelectTest, WhereThereIsOneQueueNobodyIsAsked) {
  const NetdevPtr dev = open<Choosy>(1);
  put_number(3);
  EXPECT_EQ(dev->xmit(batch), 1u);
  EXPECT_EQ(of<Choosy>(dev).asked, 0u);
}

TEST_F(TxSelectTest, WhereTheDeviceIsDownNobodyIsAsked) {
  const NetdevPtr dev = open<Choosy>();
  ASSERT_TRUE(dev->close());
  put_number(3);
  EXPECT_EQ(dev->xmit(batch), 0u);
  EXPECT_EQ(of<Choosy>(dev).asked, 0u);
  EXPECT_EQ(pool.available(), 128u);
}

TEST_F(TxSelectTest, AQueueThatTheDeviceDoesNotHaveIsReportedAndTheFirstIsTaken) {
  const NetdevPtr dev = open<Choosy>();
  put_number(4);
  const Reports reports;
  EXPECT_EQ(dev->xmit(batch), 1u);
  EXPECT_EQ(of<Choosy>(dev).sent, (Sent{{0, 4}}));
  if (!kChecksOn) return;
  ASSERT_EQ(reports.rules(), "select-queue-range");
  EXPECT_EQ(reports.all[0].text, "select_queue answers 4, of 4 TX queues; queue 0 is taken");
  EXPECT_EQ(reports.all[0].device, "q0 (driver Choosy)");
}

TEST_F(TxSelectTest, WhatAStoppedQueueLeavesStaysInOrderAndTheOthersGoOn) {
  const NetdevPtr dev = open<Choosy>();
  of<Choosy>(dev).stops_after = 1;
  for (const uint8_t number : {2, 1, 2, 2, 1}) put_number(number);
  EXPECT_EQ(dev->xmit(batch), 3u);
  EXPECT_EQ(of<Choosy>(dev).sent, (Sent{{2, 2}, {1, 1}, {1, 1}}));
  EXPECT_EQ(batch.size(), 2u);
  dev->tx_queue(2).wake();
  EXPECT_EQ(dev->xmit(batch), 2u);
}

TEST_F(TxSelectTest, BehindWhatIsLeftNothingOvertakes) {
  const NetdevPtr dev = open<Choosy>();
  dev->tx_queue(0).stop();
  for (int i = 0; i < 100; ++i) put_number(i % 2 == 0 ? 0 : 1);
  EXPECT_EQ(dev->xmit(batch), 32u) << "those for queue 1 among the first that are looked at";
  EXPECT_EQ(batch.size(), 68u);
  EXPECT_EQ(of<Choosy>(dev).asked, 64u);
  uint32_t first = 0;
  for (Skb* skb = batch.front(); skb != nullptr && skb->data()[14] == 0; skb = SkbBatch::next(*skb)) ++first;
  EXPECT_EQ(first, 33u) << "what is left of them, and the one that comes next";
}

TEST_F(TxSelectTest, WithoutASelectorAFlowStaysOnAQueueAndFlowsAreSpread) {
  const NetdevPtr dev = open<ManyQueues>();
  std::map<uint16_t, int> queues;
  for (uint16_t port = 4000; port < 4064; ++port) {
    ManyQueues& driver = of<ManyQueues>(dev);
    driver.sent.clear();
    for (int i = 0; i < 3; ++i) {
      batch.push_back(skb_of(pool, Packet{.udp = i == 9, .from_port = port, .payload_bytes = 10u * i}.octets()));
    }
    ASSERT_EQ(dev->xmit(batch), 3u);
    EXPECT_EQ(driver.sent[0].first, driver.sent[1].first);
    EXPECT_EQ(driver.sent[0].first, driver.sent[2].first);
    ++queues[driver.sent[0].first];
  }
  for (uint16_t i = 0; i < kQueues; ++i) EXPECT_GE(queues[i], 4) << "of 64 flows on queue " << i;
}

TEST_F(TxSelectTest, ASelectorIsToldWhereItsFlowWouldGo) {
  const NetdevPtr plain = open<ManyQueues>(), choosy = open<Choosy>();
  of<Choosy>(choosy).takes_flow = true;
  for (const NetDevice* dev : {plain.get(), choosy.get()}) {
    for (uint16_t port = 1; port < 20; ++port) batch.push_back(skb_of(pool, Packet{.from_port = port}.octets()));
    EXPECT_EQ(const_cast<NetDevice*>(dev)->xmit(batch), 19u);
  }
  EXPECT_EQ(of<ManyQueues>(plain).sent, of<Choosy>(choosy).sent);
}

TEST_F(TxSelectTest, WhatTheSenderHadInTheUserAreaTheDriverDoesNotSee) {
  const NetdevPtr dev = open<ManyQueues>();
  put_number(1);
  std::ranges::fill(batch.front()->cb(), std::byte{1});
  EXPECT_EQ(dev->xmit(batch), 1u);
  EXPECT_TRUE(of<ManyQueues>(dev).found_zeros);
}

// What tells flows apart, and what does not.
TEST(FlowHash, IsOfAddressesProtocolAndPorts) {
  const auto hash = [](const Packet& packet) { return flow_hash(packet.octets()); };
  const Packet plain{.payload_bytes = 30};
  for (const bool v6 : {false, true}) {
    Packet base = plain;
    base.v6 = v6;
    std::set<uint32_t> flows{hash(base)};
    Packet other = base;
    other.udp = true;
    flows.insert(hash(other));
    (other = base).from_port = 4001;
    flows.insert(hash(other));
    (other = base).to_port = 5001;
    flows.insert(hash(other));
    (other = base).from_host = 9;
    flows.insert(hash(other));
    EXPECT_EQ(flows.size(), 5u);
    other = base;
    other.payload_bytes = 1000, other.sequence = 1, other.tos = 4, other.ttl = 1;
    EXPECT_EQ(hash(other), hash(base));
    (other = base).tags = {0x81, 0x00, 0x00, 0x05};
    EXPECT_EQ(hash(other), hash(base)) << "a tag";
  }
}

TEST(FlowHash, FragmentsOfAPacketStayTogether) {
  Packet first{.udp = true, .payload_bytes = 100}, rest = first;
  first.fragment = 0x2000, rest.fragment = 0x0010;
  rest.from_port = 77;  // the payload's octets stand there
  EXPECT_EQ(flow_hash(first.octets()), flow_hash(rest.octets()));
}

TEST(FlowHash, AnyOctetsWillDo) {
  const Octets frame = Packet{.v6 = true, .tags = {0x88, 0xa8, 0, 1, 0x81, 0, 0, 2}, .payload_bytes = 9}.octets();
  for (size_t size = 0; size <= frame.size(); ++size) (void)flow_hash(std::span(frame).first(size));
}

// What a stopped queue does not take stays its own, in order, and keeps nobody else's.
TEST_F(TxSelectTest, WhatIsLeftByQueueHoldsBackNoOther) {
  const NetdevPtr dev = open<Choosy>();
  Choosy& nic = of<Choosy>(dev);
  std::array<SkbBatch, kQueues> left;
  dev->tx_queue(1).stop();
  for (uint8_t n = 0; n < 8; ++n) put_number(n % kQueues);
  EXPECT_EQ(dev->xmit(batch, left), 6u);
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(left[1].size(), 2u);
  EXPECT_TRUE(left[0].empty() && left[2].empty() && left[3].empty());
  put_number(1), put_number(2);
  EXPECT_EQ(dev->xmit(batch, left), 1u) << "it stays behind those that wait";
  EXPECT_EQ(left[1].size(), 3u);
  dev->tx_queue(1).start();
  nic.stops_after = nic.sent.size() + 2;
  put_number(1), put_number(3);
  EXPECT_EQ(dev->xmit(batch, left), 3u);
  EXPECT_EQ(left[1].size(), 2u);
  nic.stops_after = 0;
  dev->tx_queue(1).start();
  EXPECT_EQ(dev->xmit(batch, left), 2u);
  EXPECT_TRUE(left[1].empty());
}

// A sender who knows whose flows they are, as one of several readers does.
TEST_F(TxSelectTest, FramesOfAKnownFlowStayOnItsQueueWhateverTheirHash) {
  const NetdevPtr dev = open<ManyQueues>();
  std::array<SkbBatch, kQueues> left;
  for (uint8_t n = 0; n < 8; ++n) put_number(n);
  EXPECT_EQ(dev->xmit(batch, left, 2), 8u);
  for (uint8_t n = 0; n < 8; ++n) EXPECT_EQ(of<ManyQueues>(dev).sent[n], (std::pair<uint16_t, uint8_t>{2, n}));
  dev->tx_queue(2).stop();
  put_number(8);
  EXPECT_EQ(dev->xmit(batch, left, 2), 0u);
  EXPECT_EQ(left[2].size(), 1u);
  dev->tx_queue(2).start();
  put_number(9);
  EXPECT_EQ(dev->xmit(batch, left, 2), 2u);
  EXPECT_EQ(of<ManyQueues>(dev).sent.back(), (std::pair<uint16_t, uint8_t>{2, 9}));
  const QueueStats stats = dev->queue_stats();
  ASSERT_EQ(stats.tx.size(), kQueues);
  EXPECT_EQ(stats.tx[2].packets, 10u);
  EXPECT_EQ(stats.tx[1].packets, 0u);
  put_number(10);
  EXPECT_EQ(dev->xmit(batch, left, 2 + kQueues), 1u) << "of a sender who has more queues than the device";
  EXPECT_EQ(of<ManyQueues>(dev).sent.back(), (std::pair<uint16_t, uint8_t>{2, 10}));
  EXPECT_FALSE(selects_queue(*dev));
}

TEST_F(TxSelectTest, ASelectorIsToldTheKnownFlowAndItsWordCounts) {
  const NetdevPtr dev = open<Choosy>();
  EXPECT_TRUE(selects_queue(*dev));
  std::array<SkbBatch, kQueues> left;
  put_number(3), put_number(1);
  EXPECT_EQ(dev->xmit(batch, left, 2), 2u);
  EXPECT_EQ(of<Choosy>(dev).sent, (Sent{{3, 3}, {1, 1}}));
  of<Choosy>(dev).takes_flow = true;
  put_number(3);
  EXPECT_EQ(dev->xmit(batch, left, 2), 1u);
  EXPECT_EQ(of<Choosy>(dev).sent.back(), (std::pair<uint16_t, uint8_t>{2, 3}));
}

}  // namespace
}  // namespace usernic::tx_select_test

USERNIC_UNSEEN_BY_CLANG_END
