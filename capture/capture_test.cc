// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "capture/capture.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "testing/addresses.h"
#include "testing/nic.h"
#include "testing/port.h"
#include "testing/traffic.h"
#include "testing/watch.h"
#include "usernic/address_list.h"
#include "usernic/rx_mode.h"
#include "usernic/thread.h"
#include "usernic/wall_clock.h"

namespace usernic {
namespace {

using pcapng::BlockType;
using std::chrono::seconds;

constexpr MacAddress kOwn = MacAddress::from_u64(0x0200'0000'0001);

// What a reader got, until the end.
struct Read {
  struct Packet {
    Frame octets;
    uint32_t direction = 0;
    uint64_t time_ns = 0;
    std::vector<std::string> comments;
  };
  std::vector<BlockType> types;
  std::vector<Packet> packets;
  std::vector<std::string> journal;
  uint64_t delivered = 0, lost = 0;
  std::string end;  // the statistics' comment
  bool whole = true;
};

uint32_t number(std::string_view from, size_t at) {
  uint32_t found;
  std::memcpy(&found, from.data() + at, sizeof found);
  return found;
}

Read::Packet packet_of(std::string_view block) {
  Read::Packet packet{.time_ns = uint64_t{number(block, 12)} << 32 | number(block, 16)};
  const size_t size = number(block, 20);
  const auto* const octets = reinterpret_cast<const uint8_t*>(block.data() + 28);
  packet.octets.assign(octets, octets + size);
  for (size_t at = 28 + (size + 3) / 4 * 4; at + 8 <= block.size() - 4;) {
    const uint32_t code = number(block, at) & 0xffff, length = number(block, at) >> 16;
    if (code == 1) packet.comments.emplace_back(block.substr(at + 4, length));
    if (code == 2) packet.direction = number(block, at + 4);
    at += 4 + (length + 3) / 4 * 4;
  }
  return packet;
}

Read read_stream(std::string_view stream) {
  Read read;
  pcapng::BlockReader reader;
  reader.feed(stream);
  while (true) {
    const auto block = reader.next();
    EXPECT_TRUE(block.has_value());
    if (!block || !*block) break;
    read.types.push_back((*block)->type);
    const std::string_view octets = (*block)->octets;
    if ((*block)->type == BlockType::kPacket) read.packets.push_back(packet_of(octets));
    if ((*block)->type == BlockType::kJournal) read.journal.emplace_back(octets.substr(octets.find("MESSAGE=") + 8));
    if (const auto statistics = (*block)->statistics()) {
      read.delivered = statistics->delivered, read.lost = statistics->lost, read.end = statistics->comment;
    }
  }
  read.whole = !reader.has_part_of_a_block();
  return read;
}

Read read_all(int fd) {
  std::string stream;
  std::array<char, 4096> buffer;
  for (ssize_t got; (got = ::read(fd, buffer.data(), buffer.size())) > 0;) {
    stream.append(buffer.data(), static_cast<size_t>(got));
  }
  return read_stream(stream);
}

struct CaptureTest : testing::Test {
  Net net;
  SkbPool pool{64, 2000};
  TestPort port;
  NetdevPtr dev = *net.alloc_netdev<TestNic>({.name = "nic0", .address = kOwn});
  Event ended;

  void SetUp() override {
    ASSERT_TRUE(dev->register_netdev() && dev->open() && dev->attach_port(port));
    ASSERT_TRUE(dev->mc().add(mc(1)));
    ASSERT_TRUE(dev->rx_mode().settle(Clock::now() + seconds(60)));
  }
  void TearDown() override {
    if (dev != nullptr) dev->detach_port();
  }
  static Frame numbered(uint8_t number) { return frame(kOwn, kOwn, number); }

  struct Running {
    UniqueFd reader;
    std::unique_ptr<Capture> capture;
  };
  Running start(CaptureOptions options = {}) {
    int both[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both), 0);
    options.name = "nic0", options.application = "test";
    auto started = Capture::start(*dev, UniqueFd(both[0]), options, [this] { ended.set(); });
    EXPECT_TRUE(started.has_value());
    return {UniqueFd(both[1]), *std::move(started)};
  }
};

TEST_F(CaptureTest, FramesAreThereInOrderWithTimeDirectionAndReason) {
  const uint64_t before = wall_clock_ns(Clock::now());
  Running running = start();
  send(*dev, pool, {numbered(1)});
  receive(*dev, pool, {numbered(2)});
  dev->carrier_off();
  send(*dev, pool, {numbered(3)});
  running.capture->stop("it is enough");
  const Read read = read_all(running.reader.get());
  EXPECT_TRUE(read.whole);
  ASSERT_EQ(read.packets.size(), 3u);
  ASSERT_GE(read.types.size(), 3u);
  EXPECT_EQ(read.types[0], BlockType::kSection);
  EXPECT_EQ(read.types[1], BlockType::kInterface);
  EXPECT_EQ(read.types.back(), BlockType::kStatistics);
  const uint32_t directions[] = {2, 1, 2};
  uint64_t last = before;
  for (uint8_t i = 0; i < 3; ++i) {
    EXPECT_EQ(read.packets[i].octets, numbered(static_cast<uint8_t>(i + 1)));
    EXPECT_EQ(read.packets[i].direction, directions[i]);
    EXPECT_GE(read.packets[i].time_ns + 1'000'000'000, last) << "near the time of day";
    last = read.packets[i].time_ns;
  }
  EXPECT_EQ(read.packets[1].comments, std::vector<std::string>{});
  EXPECT_EQ(read.packets[2].comments, std::vector<std::string>{"dropped: the device has no carrier"});
  EXPECT_EQ(read.delivered, 3u);
  EXPECT_EQ(read.lost, 0u);
  EXPECT_EQ(read.end, "it is enough");
  EXPECT_TRUE(ended.wait());
}

TEST_F(CaptureTest, AChangeOfTheRxModeIsAnEntryAndTheNextFramesComment) {
  Running running = start();
  // Told by the capture's thread, in its own time.
  const auto told = [&](const MacAddress& address) {
    char peeked[64 << 10];
    const ssize_t got = ::recv(running.reader.get(), peeked, sizeof peeked, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 && std::string_view(peeked, static_cast<size_t>(got)).contains(address.to_string());
  };
  ASSERT_TRUE(eventually([&] { return told(mc(1)); }));
  ASSERT_TRUE(dev->mc().add(mc(7)));
  ASSERT_TRUE(eventually([&] { return told(mc(7)); }));
  ASSERT_TRUE(dev->mc().add(mc(8)));
  ASSERT_TRUE(eventually([&] { return told(mc(8)); }));
  send(*dev, pool, {numbered(1), numbered(2)});
  running.capture->stop("");
  const Read read = read_all(running.reader.get());
  const auto tells = [](const std::string& text) {
    return text.contains("1 more multicast on the card: " + mc(7).to_string());
  };
  ASSERT_EQ(read.packets.size(), 2u);
  ASSERT_EQ(read.packets[0].comments.size(), 1u);
  EXPECT_TRUE(read.packets[0].comments[0].contains("1 more multicast on the card: " + mc(8).to_string()))
      << "both: " << read.packets[0].comments[0];
  EXPECT_TRUE(std::ranges::any_of(read.journal, tells));
  const auto commented = std::ranges::count_if(
      read.packets, [&](const Read::Packet& packet) { return std::ranges::any_of(packet.comments, tells); });
  EXPECT_EQ(commented, 1);
  EXPECT_TRUE(read.journal.front().starts_with("nic0: rx mode: unicast exact"))
      << "as it was at the beginning: " << read.journal.front();
}

TEST_F(CaptureTest, AReaderWhoDoesNotReadLosesFramesAndHoldsUpNobody) {
  Running running = start({.buffer_bytes = 64 << 10});
  constexpr uint32_t kRounds = 10'000;
  for (uint32_t i = 0; i < kRounds; ++i) send(*dev, pool, {numbered(1), numbered(2)});
  EXPECT_EQ(dev->stats().tx_packets, 2 * kRounds);
  running.capture->stop("");
  const Read read = read_all(running.reader.get());
  EXPECT_TRUE(read.whole);
  EXPECT_GT(read.lost, 0u);
  EXPECT_EQ(read.delivered, read.packets.size());
  EXPECT_EQ(read.delivered + read.lost, 2 * kRounds);
}

TEST_F(CaptureTest, AReaderWhoNeverReadsDoesNotKeepItFromEnding) {
  Running running = start({.buffer_bytes = 1 << 20});
  for (uint32_t i = 0; i < 5'000; ++i) send(*dev, pool, {numbered(1), numbered(2)});
  running.capture.reset();
  EXPECT_TRUE(ended.wait());
}

TEST_F(CaptureTest, AReaderWhoClosesEndsIt) {
  Running running = start();
  running.reader.reset();
  EXPECT_TRUE(ended.wait());
  send(*dev, pool, {numbered(1)});
}

TEST_F(CaptureTest, AReaderWhoHasEnoughGetsTheStatistics) {
  Running running = start();
  send(*dev, pool, {numbered(1)});
  ASSERT_EQ(::shutdown(running.reader.get(), SHUT_WR), 0);
  const Read read = read_all(running.reader.get());
  EXPECT_EQ(read.delivered, 1u);
  EXPECT_EQ(read.end, "");
  EXPECT_TRUE(ended.wait());
}

// However long he takes: nothing else waits for him.
TEST_F(CaptureTest, AReaderWhoHasEnoughIsWaitedFor) {
  Running running = start({.buffer_bytes = 1 << 20});
  constexpr uint32_t kRounds = 4'000;
  for (uint32_t i = 0; i < kRounds; ++i) send(*dev, pool, {numbered(1), numbered(2)});
  ASSERT_EQ(::shutdown(running.reader.get(), SHUT_WR), 0);
  EXPECT_FALSE(ended.wait(1, std::chrono::milliseconds(2500)));
  const Read read = read_all(running.reader.get());
  EXPECT_TRUE(read.whole);
  EXPECT_EQ(read.types.back(), BlockType::kStatistics);
  EXPECT_EQ(read.delivered, read.packets.size());
  EXPECT_EQ(read.delivered + read.lost, 2 * kRounds);
}

// He reads, and would for long: the end is told all the same, and what he did not get is counted.
TEST_F(CaptureTest, ASlowReaderKeepsItFromEndingForAWhileOnly) {
  Running running = start({.buffer_bytes = 8 << 20});
  const Frame large(1400, 1);
  constexpr uint32_t kRounds = 5'000;
  for (uint32_t i = 0; i < kRounds; ++i) send(*dev, pool, {large});
  std::string stream;
  Thread reads("reads", [&] {
    std::array<char, 4096> buffer;
    for (ssize_t got; (got = ::read(running.reader.get(), buffer.data(), buffer.size())) > 0;) {
      stream.append(buffer.data(), static_cast<size_t>(got));
      (void)ended.wait(1, std::chrono::milliseconds(8));  // at 500 KB/s, and when it ended no more so
    }
  });
  const Time before = Clock::now();
  running.capture.reset();
  EXPECT_LT(Clock::now() - before, seconds(10));
  reads.join();
  const Read read = read_stream(stream);
  EXPECT_TRUE(read.whole);
  ASSERT_FALSE(read.types.empty());
  EXPECT_EQ(read.types.back(), BlockType::kStatistics);
  EXPECT_GT(read.lost, 0u);
  EXPECT_EQ(read.delivered, read.packets.size());
  EXPECT_EQ(read.delivered + read.lost, kRounds);
}

// Which always reads as if it were at its end, and may not be open for that at all.
TEST_F(CaptureTest, IntoAFile) {
  for (const int flags : {O_RDWR, O_WRONLY}) {
    char name[] = "/tmp/usernic-capture-XXXXXX";
    const UniqueFd file(::mkostemp(name, O_CLOEXEC));
    ASSERT_TRUE(file);
    auto started = Capture::start(*dev, UniqueFd(::open(name, flags | O_CLOEXEC)), {.name = "nic0"});
    ASSERT_TRUE(started);
    const auto written = [&] { return ::lseek(file.get(), 0, SEEK_END); };
    ASSERT_TRUE(eventually([&] { return written() > 0; }));
    const auto head = written();
    send(*dev, pool, {numbered(1)});
    ASSERT_TRUE(eventually([&] { return written() > head; }));
    send(*dev, pool, {numbered(2)});
    (*started)->stop("");
    started->reset();
    ::lseek(file.get(), 0, SEEK_SET);
    const Read read = read_all(file.get());
    EXPECT_EQ(read.packets.size(), 2u);
    EXPECT_EQ(read.delivered, 2u);
    ::unlink(name);
  }
}

TEST_F(CaptureTest, ABufferThatIsTooSmallForAFrameIsMadeLarger) {
  Running running = start({.buffer_bytes = 1});
  send(*dev, pool, {Frame(1500, 3)});
  running.capture->stop("");
  EXPECT_EQ(read_all(running.reader.get()).packets.size(), 1u);
}

TEST_F(CaptureTest, ADeviceThatGoesEndsItWithASentence) {
  const DeviceHandle handle(*dev);
  Running running = start();
  send(*dev, pool, {numbered(1)});
  dev->detach_port();
  dev.reset();
  const Read read = read_all(running.reader.get());
  EXPECT_EQ(read.delivered, 1u);
  EXPECT_EQ(read.end, "the device was unregistered");
  EXPECT_TRUE(ended.wait());
  const auto late = Capture::start(*handle, UniqueFd(::dup(running.reader.get())), {});
  EXPECT_EQ(outcome(late ? Result<>() : fail(late.error())), "ENODEV");
}

TEST_F(CaptureTest, SeveralAtOnceSeeTheSame) {
  std::vector<Running> all;
  for (int i = 0; i < 10; ++i) all.push_back(start({.snap_bytes = 20, .buffer_bytes = 256 << 10}));
  for (uint8_t i = 1; i <= 200; ++i) send(*dev, pool, {numbered(i)});
  for (const Running& each : all) each.capture->stop("");
  for (const Running& each : all) {
    const Read read = read_all(each.reader.get());
    ASSERT_EQ(read.packets.size(), 200u);
    EXPECT_EQ(read.packets[199].octets.size(), 20u);
    EXPECT_EQ(read.packets[199].octets[14], 200);
  }
}

// For ThreadSanitizer: captures begin and end while frames move both ways and the filter changes.
TEST_F(CaptureTest, BegunAndEndedUnderTraffic) {
  const Traffic traffic(pool, *dev, {numbered(1)}, *dev, {numbered(2)});
  for (uint32_t i = 0; i < 30; ++i) {
    Running running = start({.buffer_bytes = 64 << 10});
    (void)dev->mc().add(mc(i));
    ASSERT_TRUE(traffic.flows());
    running.capture->stop("");
    const Read read = read_all(running.reader.get());
    EXPECT_TRUE(read.whole);
    EXPECT_EQ(read.delivered, read.packets.size());
    EXPECT_GT(read.delivered + read.lost, 0u);
  }
}

}  // namespace
}  // namespace usernic
