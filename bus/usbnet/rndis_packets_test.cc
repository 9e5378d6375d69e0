// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usbnet/rndis_packets.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "bus/usb/octets.h"

namespace usernic::usb {
namespace {

using namespace rndis;

constexpr uint32_t kTransferMax = 16 * 1024;

using Octets = std::vector<uint8_t>;

Octets packet(uint32_t length, uint32_t offset, uint32_t data) {
  Octets octets(length);
  put_le32(octets, 0, kRndisPacket);
  put_le32(octets, kRndisLength, length);
  put_le32(octets, kRndisDataOffset, offset);
  put_le32(octets, kRndisDataLength, data);
  return octets;
}

std::vector<size_t> sizes_in(std::span<const uint8_t> octets, bool& broken) {
  RndisReader reader(octets);
  std::vector<size_t> sizes;
  while (const auto frame = reader.next()) sizes.push_back(frame->size());
  broken = reader.broken();
  return sizes;
}

TEST(RndisReaderTest, FindsEachFrameAndPassesOverOtherMessages) {
  Octets octets = packet(108, 36, 64);
  Octets other(16);
  put_le32(other, 0, kRndisKeepalive);
  put_le32(other, kRndisLength, 16);
  octets.insert(octets.end(), other.begin(), other.end());
  const Octets second = packet(120, 40, 60);
  octets.insert(octets.end(), second.begin(), second.end());
  octets.push_back(0);  // so that the last packet is short
  bool broken = true;
  EXPECT_EQ(sizes_in(octets, broken), (std::vector<size_t>{64, 60}));
  EXPECT_FALSE(broken);
}

TEST(RndisReaderTest, WhatReachesOutOfItsMessageIsBroken) {
  bool broken = false;
  for (const Octets& octets : {packet(108, 36, 65), packet(108, 101, 0), packet(108, 0xffffffff, 64),
                               packet(108, 36, 0xffffffff), packet(43, 0, 0)}) {
    EXPECT_TRUE(sizes_in(octets, broken).empty());
    EXPECT_TRUE(broken);
  }
  Octets length = packet(108, 36, 64);
  for (const uint32_t wrong : {0u, 7u, 109u, 0xffffffffu}) {
    put_le32(length, kRndisLength, wrong);
    EXPECT_TRUE(sizes_in(length, broken).empty());
    EXPECT_TRUE(broken) << wrong;
  }
}

TEST(RndisReaderTest, AnyOctetsAreReadAndNotBeyond) {
  std::mt19937 dice(20261130);
  for (int n = 0; n < 100'000; ++n) {
    Octets octets = packet(108, 36, 64);
    const Octets second = packet(120, 40, 60);
    octets.insert(octets.end(), second.begin(), second.end());
    for (uint32_t changes = dice() % 8; changes-- > 0;) octets[dice() % octets.size()] = static_cast<uint8_t>(dice());
    if (dice() % 4 == 0) octets.resize(dice() % octets.size());
    octets.shrink_to_fit();
    bool broken = false;
    size_t all = 0;
    for (const size_t size : sizes_in(octets, broken)) all += size;
    ASSERT_LE(all, octets.size());
  }
}

TEST(RndisLayoutTest, MessagesAreAlignedAndNoMoreThanTheFunctionTakes) {
  const RndisLayout layout{.transfer_max = 1000, .packets_max = 3, .alignment = 16};
  Octets room(2000, 0xee);
  TxBlock block{.room = room};
  for (const size_t size : {60, 61, 100}) EXPECT_TRUE(layout.add(block, Octets(size, static_cast<uint8_t>(size))));
  EXPECT_FALSE(layout.add(block, Octets(60)));
  EXPECT_EQ(block.size % 16, 0u);
  bool broken = true;
  EXPECT_EQ(sizes_in(std::span(room).first(block.size), broken), (std::vector<size_t>{60, 61, 100}));
  EXPECT_FALSE(broken);
  TxBlock large{.room = room};
  EXPECT_FALSE(layout.add(large, Octets(960)));
  EXPECT_TRUE(layout.add(large, Octets(940)));
}

TEST(RndisLayoutTest, AnAlignmentThatCannotBeIsTheLargestThatCan) {
  Octets answer(kRndisInitializeDoneBytes);
  put_le32(answer, kRndisMaxPackets, 0);
  put_le32(answer, kRndisMaxTransfer, 0xffffffff);
  put_le32(answer, kRndisAlignment, 0xffffffff);
  const RndisLayout layout = parse_rndis_layout(answer, kTransferMax);
  EXPECT_EQ(layout.packets_max, 1u);
  EXPECT_EQ(layout.transfer_max, kTransferMax);
  EXPECT_EQ(layout.alignment, 128u);
}

}  // namespace
}  // namespace usernic::usb
