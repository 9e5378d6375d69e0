// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/netif/vnet_header.h"

#include <gtest/gtest.h>

#include <vector>

namespace usernic {
namespace {

// TCP over IPv4 with 12 octets of options: the header ends at 66.
std::vector<uint8_t> tcp_start() {
  std::vector<uint8_t> octets(100);
  octets[34 + 12] = 8 << 4;
  return octets;
}
const VnetHeader kTcp{.flags = vnet::kNeedsSum,
                      .gso_type = vnet::kTcp4,
                      .hdr_len = 100,
                      .gso_size = 1448,
                      .csum_start = 34,
                      .csum_offset = 16};

TEST(VnetHeader, WhatAFrameHasLeftToDoIsTheSameBothWays) {
  SkbPool pool(1, 2000);
  Skb& skb = *pool.alloc();
  const Offload offloads[] = {{},
                              {.sum = FrameSum::kVerified},
                              {.sum = FrameSum::kNeeded, .sum_offset = 6, .sum_start = 34},
                              {.sum = FrameSum::kNeeded,
                               .gso = Gso::kTcp4,
                               .sum_offset = 16,
                               .sum_start = 34,
                               .gso_size = 9,
                               .header_bytes = 66},
                              {.sum = FrameSum::kNeeded,
                               .gso = Gso::kTcp6,
                               .ecn = true,
                               .sum_offset = 16,
                               .sum_start = 34,
                               .gso_size = 9,
                               .header_bytes = 66},
                              {.sum = FrameSum::kNeeded,
                               .gso = Gso::kUdp,
                               .sum_offset = 6,
                               .sum_start = 34,
                               .gso_size = 9,
                               .header_bytes = 42}};
  for (const Offload& each : offloads) {
    skb.set_offload(each);
    EXPECT_EQ(offload_of(vnet_header(skb), tcp_start()), each);
  }
  SkbPool::free(skb);
}

TEST(VnetHeader, ThePayloadBeginsWhereThePacketSays) {
  const auto offload = offload_of(kTcp, tcp_start());
  ASSERT_TRUE(offload);
  EXPECT_EQ(offload->header_bytes, 66) << "not 100, which the kernel has in one piece";
}

TEST(VnetHeader, WhatNobodyKnowsIsNothing) {
  const auto refused = [](auto change, size_t size = 100) {
    VnetHeader header = kTcp;
    change(header);
    auto start = tcp_start();
    start.resize(size);
    return !offload_of(header, start);
  };
  EXPECT_FALSE(refused([](VnetHeader&) {}));
  EXPECT_TRUE(refused([](VnetHeader& h) { h.gso_type = 3; })) << "UFO, which is no more";
  EXPECT_TRUE(refused([](VnetHeader& h) { h.gso_type = 9; }));
  EXPECT_TRUE(refused([](VnetHeader& h) { h.gso_size = 0; }));
  EXPECT_TRUE(refused([](VnetHeader& h) { h.flags = 0; })) << "each segment needs a sum";
  EXPECT_TRUE(refused([](VnetHeader& h) { h.csum_offset = 256; }));
  EXPECT_TRUE(refused([](VnetHeader& h) { h.csum_start = 90; })) << "behind the end";
  EXPECT_TRUE(refused([](VnetHeader& h) { h.csum_start = 65'535; }));
  EXPECT_TRUE(refused([](VnetHeader&) {}, 65)) << "options behind the end";
}

}  // namespace
}  // namespace usernic
