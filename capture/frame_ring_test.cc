// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "capture/frame_ring.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "testing/chance.h"
#include "testing/frames.h"
#include "testing/watch.h"
#include "usernic/thread.h"

namespace usernic {
namespace {

struct FrameRingTest : testing::Test {
  Kick kick = *Kick::make();
  SkbPool pool{16, 2000};

  Skb& made(const Frame& octets) {
    Skb* const skb = pool.alloc();
    std::ranges::copy(octets, skb->put(static_cast<uint32_t>(octets.size())));
    return *skb;
  }
  // True: there was room.
  static bool add(FrameRing& ring, const Skb& skb, FrameFate fate = FrameFate::kWentOn, DropReason why = {}) {
    const uint64_t seen = ring.see(skb, FrameWay::kOut);
    ring.settle(seen, fate, why);
    return seen != ~uint64_t{0};
  }
  bool add(FrameRing& ring, const Frame& octets, FrameFate fate = FrameFate::kWentOn, DropReason why = {}) {
    Skb& skb = made(octets);
    const bool fits = add(ring, skb, fate, why);
    SkbPool::free(skb);
    return fits;
  }
  static Frame octets_of(const FrameRing::Frame& frame) { return {frame.octets.begin(), frame.octets.end()}; }
  bool kicked() {
    pollfd look{kick.fd(), POLLIN, 0};
    return ::poll(&look, 1, 0) == 1;
  }
};

// Whatever their sizes: what fits comes out again in order, what does not is lost, and the frame after it says so.
TEST_F(FrameRingTest, InOrderRoundAndRoundWithEveryLossCounted) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Chance chance(seed);
    FrameRing ring(8192, 900, kick);
    std::deque<Frame> expected;
    std::deque<uint64_t> losses;  // before each of them
    uint64_t lost = 0;
    for (int i = 0; i < 2000; ++i) {
      if (!chance.one_in(3)) {
        Frame octets(chance.between(14, 1500));
        for (uint8_t& octet : octets) octet = static_cast<uint8_t>(chance.next());
        const bool taken = !chance.one_in(10);
        const bool fits = add(ring, octets, taken ? FrameFate::kWentOn : FrameFate::kNotTaken);
        if (!fits) {
          ++lost;
        } else if (taken) {
          octets.resize(std::min<size_t>(octets.size(), 900));
          expected.push_back(octets);
          losses.push_back(std::exchange(lost, 0));
        }
      }
      FrameRing::Frame frame;
      if (!chance.one_in(2) || !ring.front(frame)) continue;
      ASSERT_FALSE(expected.empty());
      ASSERT_EQ(octets_of(frame), expected.front());
      ASSERT_EQ(frame.lost_before, losses.front());
      expected.pop_front();
      losses.pop_front();
      ring.pop();
    }
    FrameRing::Frame frame;
    for (; ring.front(frame); ring.pop()) expected.pop_front();
    EXPECT_TRUE(expected.empty());
    EXPECT_EQ(ring.lost_since(), lost);
  }
}

TEST_F(FrameRingTest, AFullRingLosesAndCounts) {
  FrameRing ring(4096, 2000, kick);
  const Frame octets(100, 1);
  uint64_t fit = 0;
  while (add(ring, octets)) ++fit;
  EXPECT_GT(fit, 16u);
  EXPECT_FALSE(add(ring, octets));
  EXPECT_EQ(ring.lost_since(), 2u);
  FrameRing::Frame frame;
  for (uint64_t i = 0; i < fit; ++i) {
    ASSERT_TRUE(ring.front(frame));
    EXPECT_EQ(frame.lost_before, 0u);
    ring.pop();
  }
  EXPECT_FALSE(ring.front(frame));
  EXPECT_TRUE(add(ring, octets));
  ASSERT_TRUE(ring.front(frame));
  EXPECT_EQ(frame.lost_before, 2u);
  ring.pop();
  EXPECT_EQ(ring.lost_since(), 0u);
}

TEST_F(FrameRingTest, AnEmptyRingHasRoomForAnyFrame) {
  for (const uint32_t snap : {1u, 63u, 64u, 65u, 1000u, 1984u, 1985u, 2000u}) {
    FrameRing ring(1, snap, kick);
    ring.touch();
    EXPECT_GE(FrameRing::rounded(1, snap), 2 * snap);
    for (uint32_t i = 0; i < 200; ++i) {
      ASSERT_TRUE(add(ring, Frame(i % 3 == 0 ? 14 : 2000, 1))) << snap << ", frame " << i;
      FrameRing::Frame frame;
      ASSERT_TRUE(ring.front(frame));
      ring.pop();
    }
  }
  EXPECT_EQ(FrameRing::rounded(5000, 100), 8192u);
}

TEST_F(FrameRingTest, OfSeveralChangesOfTheRxModeTheLastIsNow) {
  FrameRing ring(1, 100, kick);
  ring.rx_mode_changed();
  const Time first = ring.rx_mode_changed_at();
  EXPECT_EQ(ring.take_rx_mode(), first);
  EXPECT_EQ(ring.rx_mode_changed_at(), kForever);
  ring.rx_mode_changed();
  ring.rx_mode_changed();
  const Time before = Clock::now();
  EXPECT_GE(ring.take_rx_mode(), before);
}

TEST_F(FrameRingTest, AFrameIsWhatItWasWhenItWasSeen) {
  FrameRing ring(8192, 40, kick);
  Skb& first = made(Frame(30, 1));
  first.chain(made(Frame(30, 2)), nullptr);
  const Time before = Clock::now();
  add(ring, first, FrameFate::kDropped, "no reason");
  std::fill_n(first.data(), 30, uint8_t{9});
  SkbPool::free(first);
  FrameRing::Frame frame;
  ASSERT_TRUE(ring.front(frame));
  Frame expected(30, 1);
  expected.resize(40, 2);
  EXPECT_EQ(octets_of(frame), expected);
  EXPECT_EQ(frame.wire_bytes, 60u);
  EXPECT_STREQ(frame.dropped.text(), "no reason");
  EXPECT_EQ(frame.way, FrameWay::kOut);
  EXPECT_TRUE(before <= frame.at && frame.at <= Clock::now());
}

// A frame that is not settled yet holds back those after it, so that they stay in order.
TEST_F(FrameRingTest, TheOldestUnsettledFrameIsWaitedFor) {
  FrameRing ring(8192, 100, kick);
  Skb& skb = made(Frame(20, 1));
  const uint64_t first = ring.see(skb, FrameWay::kOut);
  add(ring, Frame(20, 2));
  FrameRing::Frame frame;
  EXPECT_FALSE(ring.front(frame));
  ring.settle(first, FrameFate::kWentOn, {});
  SkbPool::free(skb);
  ASSERT_TRUE(ring.front(frame));
  EXPECT_EQ(octets_of(frame), Frame(20, 1));
}

TEST_F(FrameRingTest, ASleeperIsKickedOnceAndNobodyElse) {
  FrameRing ring(8192, 100, kick);
  add(ring, Frame(20, 1));
  EXPECT_FALSE(kicked());
  EXPECT_FALSE(ring.may_sleep()) << "there is a frame";
  ring.pop();
  EXPECT_TRUE(ring.may_sleep());
  add(ring, Frame(20, 1));
  EXPECT_TRUE(kicked());
  kick.clear();
  add(ring, Frame(20, 1));
  EXPECT_FALSE(kicked());
  ring.pop(), ring.pop();
  ASSERT_TRUE(ring.may_sleep());
  ring.rx_mode_changed();
  EXPECT_TRUE(kicked());
  EXPECT_FALSE(ring.may_sleep());
  ring.take_rx_mode();
  EXPECT_TRUE(ring.may_sleep());
  kick.clear();
  ring.gone();
  EXPECT_TRUE(kicked() && ring.device_is_gone());
}

// Writers of several threads, each frame with octets of one kind; a reader that is sometimes too slow.
TEST_F(FrameRingTest, WritersDoNotDisturbEachOtherNorTheReader) {
  constexpr uint32_t kEach = 20'000;
  FrameRing ring(16 << 10, 1500, kick);
  Atomic<uint32_t> done{0};
  const auto write = [&](uint8_t mine) {
    Chance chance(mine);
    for (uint32_t i = 0; i < kEach; ++i) {
      Frame octets(chance.between(5, 600), mine);
      for (int n = 0; n < 4; ++n) octets[static_cast<size_t>(n)] = static_cast<uint8_t>(i >> 8 * n);
      add(ring, octets);
    }
    done.fetch_add(1);
  };
  uint32_t taken = 0, lost = 0;
  uint32_t next[4] = {};
  Thread writers[] = {Thread("w-1", [&] { write(1); }), Thread("w-2", [&] { write(2); }),
                      Thread("w-3", [&] { write(3); })};
  while (true) {
    const bool last = done.load() == 3;
    FrameRing::Frame frame;
    for (; ring.front(frame); ring.pop()) {
      const uint8_t whose = frame.octets[4];
      ASSERT_TRUE(std::ranges::all_of(frame.octets.subspan(4), [&](uint8_t octet) { return octet == whose; }));
      uint32_t number = 0;
      for (uint32_t n = 0; n < 4; ++n) number |= uint32_t{frame.octets[n]} << 8 * n;
      EXPECT_GE(number, next[whose]) << "in order";
      next[whose] = number + 1;
      ++taken;
      lost += static_cast<uint32_t>(frame.lost_before);
    }
    if (last) break;
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  EXPECT_EQ(taken + lost + ring.lost_since(), 3 * kEach);
}

}  // namespace
}  // namespace usernic
