// SPDX-License-Identifier: Apache-2.0 OR MIT
// Superframes between a kernel's sockets and a device that knows none.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/udp.h>

#include <algorithm>

#include "bus/netif/packet_reader.h"
#include "host/host_port_fixture.h"
#include "host/tap.h"
#include "usernic/long_wait.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

namespace usernic {
namespace {

constexpr uint16_t kPort = 5000;

void put16(Frame& frame, size_t at, uint32_t value) {
  frame[at] = static_cast<uint8_t>(value >> 8), frame[at + 1] = static_cast<uint8_t>(value);
}
uint32_t sum(const Frame& frame, size_t from, size_t to, uint32_t sum) {
  for (size_t i = from; i < to; ++i) sum += i % 2 == from % 2 ? uint32_t{frame[i]} << 8 : frame[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}
// Of pseudo header and packet; right is 0xffff.
uint32_t udp_sum(const Frame& frame) {
  return sum(frame, 34, frame.size(), sum(frame, 26, 34, IPPROTO_UDP + static_cast<uint32_t>(frame.size() - 34)));
}

// A datagram from 10.9.0.2, the n-th of its flow.
Frame datagram(uint16_t number, size_t payload) {
  Frame frame{2, 0, 0, 0,    0, 1,  2,           0, 0, 0,  0, 9, 8, 0,  0x45, 0, 0,
              0, 0, 0, 0x40, 0, 64, IPPROTO_UDP, 0, 0, 10, 9, 0, 2, 10, 9,    0, 1};
  frame.resize(42);
  frame.resize(42 + payload, static_cast<uint8_t>(number));
  put16(frame, 16, static_cast<uint32_t>(28 + payload));
  put16(frame, 18, 100u + number);
  put16(frame, 34, 4000), put16(frame, 36, kPort), put16(frame, 38, static_cast<uint32_t>(8 + payload));
  put16(frame, 24, ~sum(frame, 14, 34, 0) & 0xffff);
  put16(frame, 40, ~udp_sum(frame) & 0xffff);
  return frame;
}

class HostPortOffload : public HostPortTest {
 protected:
  void SetUp() override {
    HostPortTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    show({"10.9.0.1/24"});
    shell("ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:09 dev nic0");
    socket_ = socket_there(AF_INET, SOCK_DGRAM, 0);
    const sockaddr_in own = address(10 << 24 | 9 << 16 | 1);
    ASSERT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own), 0);
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  static sockaddr_in address(uint32_t host) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(kPort);
    address.sin_addr.s_addr = htonl(host);
    return address;
  }
  // False: this kernel cannot.
  bool segments_of(int octets) {
    return ::setsockopt(socket_.get(), IPPROTO_UDP, UDP_SEGMENT, &octets, sizeof octets) == 0;
  }
  // False: this kernel cuts them before a TAP (Linux before 6.2).
  bool tap_takes_udp_superframes() {
    auto tap = Tap::create(*netns_, "uso0");
    return tap && tap->take_superframes(kSegmentation).has(Feature::kUso);
  }
  void send(const std::vector<uint8_t>& payload) {
    const sockaddr_in to = address(10 << 24 | 9 << 16 | 2);
    EXPECT_EQ(
        ::sendto(socket_.get(), payload.data(), payload.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to),
        static_cast<ssize_t>(payload.size()));
  }
  uint64_t packets_received() {
    const std::string statistics = shell("ip -s -j link show nic0"), key = "\"packets\":";
    return std::stoull(statistics.substr(statistics.find(key) + key.size()));
  }
  All datagrams_sent() {
    All all;
    std::ranges::copy_if(nic().sent.look(), std::back_inserter(all), [](const Frame& each) {
      return each.size() > 42 && each[12] == 8 && each[23] == IPPROTO_UDP && each[37] == (kPort & 0xff);
    });
    return all;
  }
  UniqueFd socket_;
};

TEST_F(HostPortOffload, ADeviceIsGivenTheSegmentsOfWhatASocketSendsInOne) {
  if (!segments_of(1000)) GTEST_SKIP() << "no USO";
  std::vector<uint8_t> payload(20'500);
  for (size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<uint8_t>(i * 7 >> 3);
  send(payload);
  ASSERT_TRUE(eventually([&] { return datagrams_sent().size() == 21; }));
  std::vector<uint8_t> seen;
  for (const Frame& each : datagrams_sent()) {
    EXPECT_EQ(udp_sum(each), 0xffffu);
    EXPECT_EQ(sum(each, 14, 34, 0), 0xffffu);
    seen.insert(seen.end(), each.begin() + 42, each.end());
  }
  EXPECT_EQ(seen, payload);
}

// Nobody wakes who waits for them: the device's queue takes what it gets.
TEST_F(HostPortOffload, SegmentsWaitForBuffersThatTheDriverHas) {
  if (!segments_of(1000) || !tap_takes_udp_superframes()) GTEST_SKIP() << "no USO";
  // The reader has some for what it reads.
  const uint32_t buffers = 512, at_hand = by_veth() ? PacketReader::kTurn : 64;
  nic().keeps_frames.store(true);
  for (uint32_t kept = 0; (kept = static_cast<uint32_t>(nic().kept_count())) < buffers - at_hand;) {
    send(std::vector<uint8_t>(10));
    ASSERT_TRUE(eventually([&] { return nic().kept_count() > kept; }));
  }
  Event waits;
  const Patience patience = set_patience({std::chrono::milliseconds(1), std::chrono::hours(1)});
  LongWaitHandler before = set_long_wait_handler([&](const LongWaitNote& note) {
    if (!note.over && note.what.contains("buffers")) waits.set();
  });
  const auto whole = [this] {
    return std::ranges::count_if(datagrams_sent(), [](const Frame& each) { return each.size() == 42 + 1000; });
  };
  send(std::vector<uint8_t>(20'000));
  EXPECT_TRUE(waits.wait());
  EXPECT_EQ(whole(), 0);
  nic().give_back();
  EXPECT_TRUE(eventually([&] { return whole() == 20; }));
  (void)set_long_wait_handler(std::move(before));
  (void)set_patience(patience);
}

TEST_F(HostPortOffload, AReceiverGetsTheSameMergedOrNot) {
  All came;
  for (uint16_t i = 0; i < 30; ++i) came.push_back(datagram(i, i == 29 ? 10 : 900));
  came[17].back() ^= 1;  // a wrong sum: nobody's
  for (const bool merged : {true, false}) {
    ASSERT_TRUE(dev_->change_features(merged ? Features{Feature::kGro} : Features{}));
    nic().inject_all(came);
    for (uint16_t i = 0; i < 30; ++i) {
      if (i == 17) continue;
      uint8_t buffer[2000];
      const ssize_t size = ::recv(socket_.get(), buffer, sizeof buffer, 0);
      ASSERT_EQ(size, i == 29 ? 10 : 900) << "datagram " << i << (merged ? ", merged" : "");
      EXPECT_TRUE(std::equal(buffer, buffer + size, came[i].begin() + 42)) << i;
    }
  }
  EXPECT_EQ(port_->status().receive_dropped, 0u);
  // 30 came twice; merged they were three frames, of which one was wrong by itself.
  EXPECT_LT(packets_received(), 60u) << "superframes reached the kernel";
}

}  // namespace
}  // namespace usernic
