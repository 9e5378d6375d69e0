// SPDX-License-Identifier: Apache-2.0 OR MIT
// Frames in order, each once, by io_uring and without it.
#include "host/tap_ring.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <optional>
#include <vector>

#include "host/namespace_fixture.h"
#include "host/tap.h"
#include "host/tap_reader.h"
#include "host/tap_writer.h"

namespace usernic {
namespace {

constexpr uint16_t kProtocol = 0x88b5;  // nobody else's
constexpr uint32_t kFrameMax = 1518;

// A TAP, and a socket on the kernel's side of it.
class TapFrames : public TapNamespaceTest {
 protected:
  void SetUp() override {
    TapNamespaceTest::SetUp();
    if (IsSkipped()) return;
    auto tap = Tap::create(*netns_, "tap0");
    ASSERT_TRUE(tap) << tap.error().sentence;
    tap_.emplace(*std::move(tap));
    ASSERT_TRUE(tap_->set_carrier(true));
    shell("sysctl -qw net.ipv6.conf.tap0.disable_ipv6=1; ip link set tap0 mtu 4000 up");
    (void)netns_->run([&] {
      socket_.reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(kProtocol)));
      const int room = 8 << 20;
      ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
      sockaddr_ll own{.sll_family = AF_PACKET, .sll_protocol = htons(kProtocol)};
      own.sll_ifindex = static_cast<int>(::if_nametoindex("tap0"));
      bound_ = ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0;
    });
    ASSERT_TRUE(bound_);
  }

  static std::vector<uint8_t> frame(uint32_t number, size_t bytes = 60) {
    std::vector<uint8_t> octets(bytes);
    const uint8_t head[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 0x88, 0xb5};
    std::ranges::copy(head, octets.begin());
    std::memcpy(octets.data() + sizeof head, &number, sizeof number);
    return octets;
  }
  static uint32_t number_of(std::span<const uint8_t> frame) {
    uint32_t number = 0;
    std::memcpy(&number, frame.data() + 14, sizeof number);
    return number;
  }
  void kernel_sends(uint32_t number, size_t bytes = 60) {
    const auto octets = frame(number, bytes);
    ASSERT_EQ(::send(socket_.get(), octets.data(), octets.size(), 0), static_cast<ssize_t>(octets.size()));
  }
  // The numbers of what it received; every frame is received by the time its write returns.
  std::vector<uint32_t> kernel_received() {
    std::vector<uint32_t> numbers;
    for (uint8_t octets[2048];;) {
      const ssize_t bytes = ::recv(socket_.get(), octets, sizeof octets, 0);
      if (bytes < 60) return numbers;
      numbers.push_back(number_of({octets, static_cast<size_t>(bytes)}));
    }
  }
  static std::vector<uint32_t> numbers_of(SkbBatch& batch) {
    std::vector<uint32_t> numbers;
    while (Skb* const skb = batch.pop_front()) {
      numbers.push_back(number_of(skb->bytes()));
      SkbPool::free(*skb);
    }
    return numbers;
  }
  static std::vector<uint32_t> from_to(uint32_t first, uint32_t end) {
    std::vector<uint32_t> numbers;
    for (; first < end; ++first) numbers.push_back(first);
    return numbers;
  }
  Skb& filled(uint32_t number, size_t bytes = 60) {
    Skb& skb = *pools_.frames.alloc();
    std::ranges::copy(frame(number, bytes), skb.put(static_cast<uint32_t>(bytes)));
    return skb;
  }

  FramePools pools_{kFrameMax + 1};
  std::optional<Tap> tap_;
  UniqueFd socket_;
  bool bound_ = false;
};

// Without a descriptor for a ring there is none.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none{.rlim_cur = 0, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(TapFrames, ARingReadsInOrderAndDoesNotWaitForMore) {
  auto ring = TapRing::create(TapRing::Submitter::kCreator);
  if (!TapRing::works_here()) GTEST_SKIP() << "this kernel has no io_uring, or forbids it";
  ASSERT_TRUE(ring);
  for (uint32_t n = 0; n < 3; ++n) kernel_sends(n);
  uint8_t buffers[5][10 + kFrameMax];
  iovec parts[5];
  for (size_t n = 0; n < 5; ++n) {
    parts[n] = {buffers[n], sizeof buffers[n]};
    (*ring)->add_read(tap_->queue(0).fd(), std::span(parts).subspan(n, 1));
  }
  const auto results = (*ring)->submit();
  ASSERT_EQ(results.size(), 5u);
  for (size_t n = 0; n < 3; ++n) {
    EXPECT_EQ(results[n], 70);
    EXPECT_EQ(number_of(std::span(buffers[n]).subspan(10)), n);
  }
  EXPECT_EQ(results[3], -EAGAIN);
  EXPECT_EQ(results[4], -EAGAIN);
  EXPECT_FALSE((*ring)->broken());
}

TEST_F(TapFrames, WhatFailsInARingStopsNothingBehindIt) {
  auto ring = TapRing::create(TapRing::Submitter::kAnybody);
  if (!TapRing::works_here()) GTEST_SKIP() << "this kernel has no io_uring, or forbids it";
  ASSERT_TRUE(ring);
  const auto octets = frame(7, 70);  // the header's place first
  std::vector<uint8_t> whole(10);
  whole.insert(whole.end(), octets.begin(), octets.end());
  (*ring)->add_write(-1, whole);
  (*ring)->add_write(tap_->queue(0).fd(), std::span(whole).first(5));
  (*ring)->add_write(tap_->queue(0).fd(), whole);
  const auto results = (*ring)->submit();
  EXPECT_EQ(results[0], -EBADF);
  EXPECT_LT(results[1], 0);
  EXPECT_EQ(results[2], static_cast<int32_t>(whole.size()));
  EXPECT_EQ(kernel_received(), from_to(7, 8));
}

TEST_F(TapFrames, AReaderTakesEachFrameOnceInOrder) {
  TapReader reader(tap_->queue(0));
  for (uint32_t sent = 0; sent < 300;) {
    const uint32_t before = sent;
    for (; sent < before + 100; ++sent) kernel_sends(sent, 60 + sent % 7 * 200);
    SkbBatch frames;
    std::vector<uint32_t> numbers;
    ASSERT_TRUE(eventually([&] {
      EXPECT_TRUE(reader.read(pools_, kFrameMax, frames));
      std::ranges::copy(numbers_of(frames), std::back_inserter(numbers));
      return numbers.size() >= 100;
    }));
    EXPECT_EQ(numbers, from_to(before, sent));
  }
  EXPECT_EQ(reader.oversized(), 0u);
  if (TapRing::works_here()) {
    EXPECT_EQ(reader.io().how(), TapIo::How::kRing);
  }
}

TEST_F(TapFrames, AFrameThatIsTooLongIsCountedAmongThoseThatAreNot) {
  TapReader reader(tap_->queue(0));
  for (uint32_t n = 0; n < 64; ++n) kernel_sends(n, n % 4 == 3 ? 2000 : 60);
  SkbBatch frames;
  ASSERT_TRUE(eventually([&] { return reader.read(pools_, kFrameMax, frames) && reader.oversized() == 16; }));
  std::vector<uint32_t> expected = from_to(0, 64);
  std::erase_if(expected, [](uint32_t n) { return n % 4 == 3; });
  EXPECT_EQ(numbers_of(frames), expected);
}

TEST_F(TapFrames, AReaderWithoutBuffersLeavesTheFramesToTheKernel) {
  TapReader reader(tap_->queue(0));
  SkbBatch away, frames;
  pools_.frames.alloc(away, FramePools::kFrames);
  kernel_sends(1);
  EXPECT_FALSE(reader.read(pools_, kFrameMax, frames));
  SkbPool::free(away);
  EXPECT_TRUE(reader.read(pools_, kFrameMax, frames));
  EXPECT_EQ(numbers_of(frames), from_to(1, 2));
}

TEST_F(TapFrames, AReaderNoticesThatTheInterfaceIsGone) {
  TapReader reader(tap_->queue(0));
  SkbBatch frames;
  EXPECT_TRUE(reader.read(pools_, kFrameMax, frames));
  EXPECT_FALSE(reader.gone());
  shell("ip link del tap0");
  EXPECT_TRUE(reader.read(pools_, kFrameMax, frames));
  EXPECT_TRUE(reader.gone());
}

TEST_F(TapFrames, AReaderNeedsNoRing) {
  TapReader reader(tap_->queue(0));
  for (uint32_t n = 0; n < 50; ++n) kernel_sends(n);
  SkbBatch frames;
  EXPECT_EQ(reader.io().how(), TapIo::How::kCalls);
  const NoDescriptors no_ring;
  ASSERT_TRUE(eventually([&] { return reader.read(pools_, kFrameMax, frames) && frames.size() == 50; }));
  EXPECT_EQ(numbers_of(frames), from_to(0, 50));
  EXPECT_EQ(reader.io().how(), TapIo::How::kRefused);
  if (TapRing::works_here()) {
    EXPECT_EQ(errno_name(reader.io().why()), "EMFILE");
  }
}

// Whole ones, and one whose end lies in other buffers, and one without room for its header: before the ring and by it.
TEST_F(TapFrames, AWriterGivesEachFrameOnceInOrder) {
  auto wants_ring = Kick::make();
  ASSERT_TRUE(wants_ring);
  TapWriter writer(tap_->queue(0), *wants_ring);
  for (const bool ring : {false, true}) {
    SkbBatch frames;
    for (uint32_t n = 0; n < 200; ++n) {
      Skb& skb = filled(n);
      if (n % 10 == 3) {
        Skb& end = filled(n, 500);
        skb.chain(end, nullptr);
      } else if (n % 10 == 7) {
        skb.reset(0);
        std::ranges::copy(frame(n), skb.put(60));
      }
      frames.push_back(skb);
    }
    EXPECT_EQ(writer.write(frames), 0u);
    EXPECT_EQ(kernel_received(), from_to(0, 200)) << "ring: " << ring;
    SkbPool::free(frames);
    EXPECT_EQ(writer.io().how() == TapIo::How::kRing, ring && TapRing::works_here().has_value());
    writer.make_ring();
  }
}

TEST_F(TapFrames, AWriterCountsWhatAnInterfaceThatIsDownDoesNotTake) {
  auto wants_ring = Kick::make();
  ASSERT_TRUE(wants_ring);
  TapWriter writer(tap_->queue(0), *wants_ring);
  shell("ip link set tap0 down");
  SkbBatch frames;
  for (uint32_t n = 0; n < 70; ++n) frames.push_back(filled(n));
  for (int turn = 0; turn < 2; ++turn) {
    EXPECT_EQ(writer.write(frames), 70u);
    writer.make_ring();
  }
  SkbPool::free(frames);
}

TEST_F(TapFrames, AWriterAsksForARingOnceAndOnlyForABatch) {
  auto wants_ring = Kick::make();
  ASSERT_TRUE(wants_ring);
  TapWriter writer(tap_->queue(0), *wants_ring);
  const auto asks = [&](uint32_t count) {
    SkbBatch frames;
    for (uint32_t n = 0; n < count; ++n) frames.push_back(filled(n));
    EXPECT_EQ(writer.write(frames), 0u);
    SkbPool::free(frames);
    pollfd kicked{wants_ring->fd(), POLLIN, 0};
    const bool asked = ::poll(&kicked, 1, 0) == 1;
    wants_ring->clear();
    return asked;
  };
  EXPECT_FALSE(asks(2));
  EXPECT_TRUE(asks(10));
  {
    const NoDescriptors no_ring;
    writer.make_ring();
  }
  EXPECT_FALSE(asks(10));
  EXPECT_EQ(kernel_received().size(), 22u);
}

}  // namespace
}  // namespace usernic
