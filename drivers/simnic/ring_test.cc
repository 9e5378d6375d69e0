// SPDX-License-Identifier: Apache-2.0 OR MIT
#include <gtest/gtest.h>

#include "drivers/simnic/rx_ring.h"
#include "drivers/simnic/tx_ring.h"

namespace usernic::simnic {
namespace {

// The card's part: the n-th descriptor is done, an RX one with so many octets.
void finish(uint64_t ring, uint32_t slot, uint32_t length = 0) {
  auto* descriptors = reinterpret_cast<Descriptor*>(static_cast<uintptr_t>(ring));
  if (length != 0) descriptors[slot].length = length;
  descriptors[slot].status.store(kDescriptorDone);
}

TEST(RxRing, RefillFillsTheRingAndNoMore) {
  SkbPool pool(16, 2048);
  RxRing ring(8);
  EXPECT_TRUE(ring.starved());
  EXPECT_TRUE(ring.refill(pool));
  EXPECT_FALSE(ring.refill(pool)) << "full";
  EXPECT_EQ(ring.tail(), 8u);
  EXPECT_EQ(pool.available(), 8u);
}

TEST(RxRing, FramesComeInOrderInTheirOwnBuffersAcrossTheWrap) {
  SkbPool pool(8, 2048);
  RxRing ring(4);
  for (uint32_t round = 0; round < 5; ++round) {
    ring.refill(pool);
    for (uint32_t i = 0; i < 3; ++i) finish(ring.address(), (3 * round + i) % 4, 100 + i);
    SkbBatch frames;
    EXPECT_EQ(ring.receive(frames, 64), 3);
    for (uint32_t i = 0; i < 3; ++i) {
      Skb* const skb = frames.pop_front();
      EXPECT_EQ(skb->size(), 100 + i);
      SkbPool::free(*skb);
    }
    EXPECT_EQ(ring.next(), 3 * (round + 1));
  }
}

TEST(RxRing, BudgetIsKept) {
  SkbPool pool(8, 2048);
  RxRing ring(8);
  ring.refill(pool);
  for (uint32_t i = 0; i < 8; ++i) finish(ring.address(), i, 60);
  SkbBatch frames;
  EXPECT_EQ(ring.receive(frames, 5), 5);
  EXPECT_EQ(ring.receive(frames, 5), 3);
  EXPECT_EQ(ring.receive(frames, 5), 0);
}

// The card's word on a length is only its word.
TEST(RxRing, WhatIsLongerThanItsBufferIsNoFrame) {
  SkbPool pool(4, 2048);
  RxRing ring(4);
  ring.refill(pool);
  const uint32_t room = reinterpret_cast<Descriptor*>(static_cast<uintptr_t>(ring.address()))->length;
  uint32_t slot = 0;
  for (uint32_t length : {room, room + 1, UINT32_MAX, 60u}) finish(ring.address(), slot++, length);
  SkbBatch frames;
  EXPECT_EQ(ring.receive(frames, 64), 4);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames.front()->size(), room);
  EXPECT_EQ(SkbBatch::next(*frames.front())->size(), 60u);
  EXPECT_EQ(pool.available(), 2u);
}

TEST(RxRing, AnEmptyPoolStarvesItAndLaterBuffersFeedIt) {
  SkbPool pool(2, 2048);
  RxRing ring(4);
  ring.refill(pool);
  EXPECT_EQ(ring.tail(), 2u);
  for (uint32_t i = 0; i < 2; ++i) finish(ring.address(), i, 60);
  SkbBatch frames;
  ring.receive(frames, 64);
  EXPECT_FALSE(ring.refill(pool));
  EXPECT_TRUE(ring.starved());
  SkbPool::free(frames);
  EXPECT_TRUE(ring.refill(pool));
  EXPECT_FALSE(ring.starved());
}

TEST(RxRing, DroppedBuffersGoBackAndTheRingStartsAnew) {
  SkbPool pool(8, 2048);
  {
    RxRing ring(8);
    ring.refill(pool);
    finish(ring.address(), 0, 60);
    ring.drop_buffers();
    EXPECT_EQ(pool.available(), 8u);
    EXPECT_EQ(ring.tail(), 0u);
    ring.refill(pool);
    SkbBatch frames;
    EXPECT_EQ(ring.receive(frames, 64), 0) << "what was done before counts no more";
  }
  EXPECT_EQ(pool.available(), 8u) << "so does the destructor";
}

TEST(RxRing, ASuperframeCountsAsItsSegments) {
  SkbPool pool(8, 2048);
  RxRing ring(8);
  ring.refill(pool);
  auto* descriptors = reinterpret_cast<Descriptor*>(static_cast<uintptr_t>(ring.address()));
  descriptors[1].offload = {.gso = Gso::kTcp4, .gso_size = 500, .header_bytes = 54};
  for (uint32_t slot = 0; slot < 5; ++slot) finish(ring.address(), slot, 1000);
  for (uint32_t slot : {1, 2}) descriptors[slot].status.store(kDescriptorDone | kDescriptorMore);
  SkbBatch frames;
  EXPECT_EQ(ring.receive(frames, 64), 3);
  uint32_t count = 0;
  for (Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*skb)) {
    count += segments_of(skb->offload(), skb->total_size());
  }
  EXPECT_EQ(count, 1 + 6 + 1u) << "3,000 octets are 54 and six parts of 500";
}

TEST(TxRing, RoomShrinksWithPutAndGrowsWithReclaim) {
  SkbPool pool(8, 2048);
  TxRing ring(4);
  for (uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(ring.room(), 4 - i);
    ring.put(*pool.alloc());
  }
  EXPECT_EQ(ring.room(), 0u);
  finish(ring.address(), 0);
  finish(ring.address(), 1);
  ring.reclaim();
  EXPECT_EQ(ring.room(), 2u);
  EXPECT_EQ(ring.clean(), 2u);
  EXPECT_EQ(pool.available(), 6u);
}

TEST(TxRing, ReclaimStopsAtTheFirstThatIsNotDone) {
  SkbPool pool(8, 2048);
  TxRing ring(4);
  for (int i = 0; i < 3; ++i) ring.put(*pool.alloc());
  finish(ring.address(), 1);
  ring.reclaim();
  EXPECT_EQ(ring.clean(), 0u);
}

TEST(TxRing, WrapsManyTimes) {
  SkbPool pool(4, 2048);
  TxRing ring(4);
  for (uint32_t i = 0; i < 40; ++i) {
    ring.put(*pool.alloc());
    ring.reclaim();
    EXPECT_EQ(ring.clean(), i) << "a status of the last round does not count";
    finish(ring.address(), i % 4);
    ring.reclaim();
    EXPECT_EQ(ring.clean(), i + 1);
  }
}

TEST(TxRing, DestructionGivesBackWhatWasNeverSent) {
  SkbPool pool(4, 2048);
  {
    TxRing ring(4);
    for (int i = 0; i < 3; ++i) ring.put(*pool.alloc());
  }
  EXPECT_EQ(pool.available(), 4u);
}

}  // namespace
}  // namespace usernic::simnic
