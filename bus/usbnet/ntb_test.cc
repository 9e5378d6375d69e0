// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usbnet/ntb.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "bus/usb/octets.h"
#include "bus/usbnet/ether_crc.h"

namespace usernic::usb {
namespace {

using namespace ntb;

constexpr uint32_t kBlockMax = 16 * 1024, kEthernetHeaderBytes = 14;

using Octets = std::vector<uint8_t>;

// An NTB-16 of one table with these entries; `at` is the table's place.
struct Ntb {
  Octets octets = Octets(256);
  Ntb(uint32_t table, std::vector<std::pair<uint16_t, uint16_t>> entries, uint32_t signature = kNdp16) {
    put_le32(octets, 0, kNth16);
    put_le16(octets, 4, 12);
    put_le16(octets, 8, static_cast<uint32_t>(octets.size()));
    put_le16(octets, 10, table);
    put_table(table, entries, signature);
  }
  void put_table(uint32_t at, const std::vector<std::pair<uint16_t, uint16_t>>& entries, uint32_t signature = kNdp16,
                 uint32_t next = 0) {
    put_le32(octets, at, signature);
    put_le16(octets, at + 4, static_cast<uint32_t>(8 + 4 * entries.size()));
    put_le16(octets, at + 6, next);
    for (size_t n = 0; n < entries.size(); ++n) {
      put_le16(octets, at + 8 + 4 * n, entries[n].first);
      put_le16(octets, at + 10 + 4 * n, entries[n].second);
    }
  }
  // Offsets and lengths of what is found.
  std::vector<std::pair<size_t, size_t>> read(bool& broken) const {
    NtbReader reader(octets);
    std::vector<std::pair<size_t, size_t>> found;
    while (const auto datagram = reader.next()) found.emplace_back(datagram->data() - octets.data(), datagram->size());
    broken = reader.broken();
    return found;
  }
};
using Found = std::vector<std::pair<size_t, size_t>>;

TEST(NtbReaderTest, FollowsTablesAndEndsAtAPairOfZeros) {
  bool broken = true;
  EXPECT_EQ(Ntb(12, {{64, 20}, {100, 14}, {0, 0}, {120, 14}}).read(broken), (Found{{64, 20}, {100, 14}}));
  EXPECT_FALSE(broken);
  Ntb chain(12, {});
  chain.put_table(12, {{64, 20}, {0, 0}}, kNdp16, 40);
  chain.put_table(40, {{100, 14}, {0, 0}}, 0x12345678, 200);  // of another kind
  chain.put_table(200, {{128, 30}});
  EXPECT_EQ(chain.read(broken), (Found{{64, 20}, {128, 30}}));
  EXPECT_FALSE(broken);
}

TEST(NtbReaderTest, ABlockWithoutALengthEndsWithTheTransfer) {
  Ntb block(12, {{64, 20}, {0, 0}});
  put_le16(block.octets, 8, 0);
  bool broken = true;
  EXPECT_EQ(block.read(broken), (Found{{64, 20}}));
  EXPECT_FALSE(broken);
}

TEST(NtbReaderTest, WhatReachesOutOfTheBlockIsBroken) {
  bool broken = false;
  const auto is_broken = [&](const Ntb& block, const Found& found = {}) {
    EXPECT_EQ(block.read(broken), found);
    return broken;
  };
  EXPECT_TRUE(is_broken(Ntb(12, {{240, 20}, {0, 0}})));
  EXPECT_TRUE(is_broken(Ntb(12, {{0xffff, 1}, {0, 0}})));
  EXPECT_TRUE(is_broken(Ntb(12, {{64, 0xffff}, {0, 0}})));
  EXPECT_TRUE(is_broken(Ntb(252, {{64, 20}})));
  EXPECT_TRUE(is_broken(Ntb(13, {{64, 20}}))) << "a table is aligned";
  Ntb length(12, {{64, 20}});
  put_le16(length.octets, 8, 257);
  EXPECT_TRUE(is_broken(length));
  put_le16(length.octets, 8, 11);
  EXPECT_TRUE(is_broken(length));
  Ntb header(12, {{64, 20}});
  put_le16(header.octets, 4, 16);
  EXPECT_TRUE(is_broken(header));
  Ntb table(12, {{64, 20}});
  put_le16(table.octets, 16, 7);
  EXPECT_TRUE(is_broken(table));
  put_le16(table.octets, 16, 245);
  EXPECT_TRUE(is_broken(table));
}

TEST(NtbReaderTest, WhatIsUsedAgainAndAgainIsBroken) {
  bool broken = false;
  Ntb circle(12, {{64, 20}, {0, 0}});
  put_le16(circle.octets, 18, 12);  // its own next
  EXPECT_LE(circle.read(broken).size(), 256u / 20);
  EXPECT_TRUE(broken);
  EXPECT_EQ(Ntb(12, {{64, 120}, {64, 120}, {0, 0}}).read(broken), (Found{{64, 120}}));
  EXPECT_TRUE(broken);
}

TEST(NtbReaderTest, ACrcIsCheckedAndTakenOff) {
  Ntb block(12, {{64, 24}, {100, 24}, {140, 3}, {0, 0}}, kNdp16Crc);
  for (size_t n = 0; n < 20; ++n) block.octets[64 + n] = block.octets[100 + n] = static_cast<uint8_t>(n);
  put_le32(block.octets, 84, fcs_of(std::span(block.octets).subspan(64, 20)));
  put_le32(block.octets, 120, 1 + fcs_of(std::span(block.octets).subspan(100, 20)));
  bool broken = false;
  EXPECT_EQ(block.read(broken), (Found{{64, 20}}));
  EXPECT_TRUE(broken);
  const uint8_t digits[] = {'1', '2', '3', '4', '5', '6', '7', '8', '9'};
  EXPECT_EQ(fcs_of(digits), 0xcbf43926u);
}

TEST(NtbReaderTest, AnyOctetsAreReadAndNotBeyond) {
  std::mt19937 dice(20261130);
  for (int n = 0; n < 100'000; ++n) {
    Ntb block(12, {{64, 20}, {100, 14}, {0, 0}});
    for (uint32_t changes = dice() % 8; changes-- > 0;) block.octets[dice() % 32] = static_cast<uint8_t>(dice());
    if (dice() % 4 == 0) block.octets.resize(dice() % block.octets.size());
    block.octets.shrink_to_fit();
    NtbReader reader(block.octets);
    size_t octets = 0;
    while (const auto datagram = reader.next()) octets += datagram->size();
    ASSERT_LE(octets, block.octets.size());
  }
}

// --- Out ---

TEST(NtbLayoutTest, EachDatagramIsWhereTheDeviceWantsItsPayload) {
  std::mt19937 dice(1);
  for (const bool wide : {false, true}) {
    for (const uint32_t divisor : {4u, 8u, 64u, 1024u}) {
      for (const uint32_t remainder : {0u, 2u, divisor - 1}) {
        const NtbLayout layout{.wide = wide,
                               .block_max = 8192,
                               .table_alignment = 16,
                               .divisor = divisor,
                               .remainder = remainder,
                               .datagrams_max = 5};
        Octets room(8192, 0xee);
        TxBlock block{.room = room};
        std::vector<Octets> frames;
        for (;;) {
          Octets frame(14 + dice() % 1500);
          for (uint8_t& octet : frame) octet = static_cast<uint8_t>(dice());
          if (!layout.add(block, frame)) break;
          frames.push_back(frame);
        }
        ASSERT_GE(frames.size(), 3u);
        ASSERT_LE(frames.size(), 5u);
        layout.seal(block, 7);
        EXPECT_EQ(le16(room, 6), 7);
        EXPECT_EQ(le(room, wide ? 12 : 10, wide ? 4 : 2) % 16, 0u);
        NtbReader reader(std::span<const uint8_t>(room).first(block.size));
        for (const Octets& frame : frames) {
          const auto datagram = reader.next();
          ASSERT_TRUE(datagram);
          EXPECT_EQ(Octets(datagram->begin(), datagram->end()), frame);
          EXPECT_EQ((datagram->data() - room.data() + kEthernetHeaderBytes) % divisor, remainder);
        }
        EXPECT_FALSE(reader.next());
        EXPECT_FALSE(reader.broken());
      }
    }
  }
}

TEST(NtbLayoutTest, NothingIsWrittenOutsideTheRoom) {
  const NtbLayout layout{.block_max = 2048, .datagrams_max = 32};
  for (size_t size = 0; size < 400; ++size) {
    Octets room(size);
    TxBlock block{.room = room};
    if (layout.add(block, Octets(100))) layout.seal(block, 0);
    EXPECT_LE(block.size, size);
  }
}

TEST(NtbParametersTest, WhatCannotBeIsTakenAsUsual) {
  Octets octets(kNtbParameterBytes);
  put_le32(octets, kNtbInMax, 2048);
  put_le32(octets, kNtbOutMax, 0xffffffff);
  put_le16(octets, kNdpOutDivisor, 3);
  put_le16(octets, kNdpOutRemainder, 9);
  put_le16(octets, kNdpOutAlignment, 0x8000);
  const auto parameters = parse_ntb_parameters(octets, kBlockMax);
  ASSERT_TRUE(parameters);
  EXPECT_EQ(parameters->out.block_max, kBlockMax);
  EXPECT_EQ(parameters->out.divisor, 4u);
  EXPECT_EQ(parameters->out.remainder, 0u);
  EXPECT_EQ(parameters->out.table_alignment, 4u);
  EXPECT_EQ(parameters->out.datagrams_max, 32u);
  EXPECT_FALSE(parse_ntb_parameters(std::span(octets).first(27), kBlockMax));
  put_le32(octets, kNtbOutMax, 2047);
  EXPECT_FALSE(parse_ntb_parameters(octets, kBlockMax));
}

}  // namespace
}  // namespace usernic::usb
