// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/skb_copy.h"

#include <gtest/gtest.h>

#include "testing/traffic.h"

namespace usernic {
namespace {

Frame octets_in(const Skb& skb) {
  return {skb.bytes().begin(), skb.bytes().end()};
}

// Octets that are different at each place.
Skb& rising(SkbPool& pool, uint32_t size, uint8_t from) {
  Skb& skb = *pool.alloc();
  uint8_t* const octets = skb.put(size);
  for (uint32_t at = 0; at < size; ++at) octets[at] = static_cast<uint8_t>(from + at);
  return skb;
}

TEST(SkbCopyTest, ItIsTheSameFrameInABufferOfItsOwn) {
  SkbPool pool(1, 256), copies(1, 256);
  Skb& skb = rising(pool, 100, 1);
  skb.set_offload({.sum = FrameSum::kVerified});
  const Frame before = octets_in(skb);
  Skb* const same = copy_into(copies, skb);
  ASSERT_NE(same, nullptr);
  EXPECT_EQ(octets_in(*same), before);
  EXPECT_EQ(same->offload(), skb.offload());
  EXPECT_EQ(same->headroom(), kSkbHeadroom) << "for a header that somebody adds";
  skb.data()[0] = 77;
  EXPECT_EQ(octets_in(*same), before);
  SkbPool::free(skb);
  SkbPool::free(*same);
}

TEST(SkbCopyTest, WhatGoesOnInOtherBuffersIsOneFrame) {
  SkbPool pool(3, 256), copies(1, 256);
  Skb &first = rising(pool, 60, 0), &second = rising(pool, 40, 60), &third = rising(pool, 20, 100);
  first.chain(second, nullptr);
  first.chain(third, &second);
  Skb* const same = copy_into(copies, first);
  ASSERT_NE(same, nullptr);
  EXPECT_EQ(same->chain(), nullptr);
  SkbPool expected(1, 256);
  Skb& whole = rising(expected, 120, 0);
  EXPECT_EQ(octets_in(*same), octets_in(whole));
  SkbPool::free(first), SkbPool::free(*same), SkbPool::free(whole);
}

TEST(SkbCopyTest, WithoutABufferOrWithShorterOnesThereIsNoneAndNoBufferIsLost) {
  SkbPool pool(2, 1000), copies(1, 256);
  Skb &longest = rising(pool, copies.capacity() - kSkbHeadroom, 0), &longer = rising(pool, longest.size() + 1, 0);
  EXPECT_EQ(copy_into(copies, longer), nullptr);
  EXPECT_EQ(copies.available(), 1u);
  Skb* const same = copy_into(copies, longest);
  ASSERT_NE(same, nullptr);
  EXPECT_EQ(copy_into(copies, longest), nullptr) << "the pool is empty";
  SkbPool::free(longest), SkbPool::free(longer), SkbPool::free(*same);
}

}  // namespace
}  // namespace usernic
