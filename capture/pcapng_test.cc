// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "capture/pcapng.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "testing/chance.h"

namespace usernic::pcapng {
namespace {

std::vector<uint8_t> octets(size_t size) {
  std::vector<uint8_t> all(size);
  for (size_t i = 0; i < size; ++i) all[i] = static_cast<uint8_t>(i * 7 + 1);
  return all;
}

std::string hex(std::string_view text) {
  std::string all;
  for (const char each : text) {
    constexpr const char* kDigits = "0123456789abcdef";
    const auto octet = static_cast<uint8_t>(each);
    (all += kDigits[octet >> 4]) += kDigits[octet & 15];
  }
  return all;
}

// Written out by hand from the format's description, on a machine that is little-endian as ours are.
TEST(PcapngTest, ABlockIsWhatTheFormatSays) {
  std::string to;
  add_section(to, "me");
  EXPECT_EQ(hex(to),
            "0a0d0d0a"
            "28000000"
            "4d3c2b1a"
            "01000000"
            "ffffffffffffffff"
            "04000200"
            "6d650000"
            "00000000"
            "28000000");
  to.clear();
  add_interface(to, {.name = "nic0", .snap_bytes = 96});
  EXPECT_EQ(hex(to),
            "01000000"
            "28000000"
            "01000000"
            "60000000"
            "02000400"
            "6e696330"
            "09000100"
            "09000000"
            "00000000"
            "28000000");
  to.clear();
  const std::vector<uint8_t> frame{1, 2, 3, 4, 5};
  const std::string comments[] = {"why"};
  add_packet(to, {.time_ns = 0x0000'0001'0000'0002,
                  .direction = Direction::kOut,
                  .octets = frame,
                  .wire_bytes = 60,
                  .lost_before = 3,
                  .comments = comments});
  EXPECT_EQ(hex(to),
            "06000000"
            "48000000"
            "00000000"
            "01000000"
            "02000000"
            "05000000"
            "3c000000"
            "0102030405000000"
            "02000400"
            "02000000"
            "04000800"
            "0300000000000000"
            "01000300"
            "77687900"
            "00000000"
            "48000000");
  to.clear();
  add_journal(to, 1'500'000'123'000, "two\nlines");
  const std::string fields =
      "__REALTIME_TIMESTAMP=1500000123\nPRIORITY=6\nSYSLOG_IDENTIFIER=usernic\nMESSAGE=two lines\n";
  EXPECT_EQ(to.size() % 4, 0u);
  EXPECT_EQ(to.substr(8, fields.size()), fields);
}

TEST(PcapngTest, AStreamInPiecesIsTheSameBlocks) {
  std::string stream;
  add_section(stream, "usernic");
  add_interface(stream, {.name = "nic0", .description = "simnic"});
  const std::string long_text(3 * kTextMax, 'x');
  const std::string comments[] = {"one", long_text};
  uint64_t lost = 0;
  for (size_t size : {0u, 1u, 2u, 3u, 4u, 60u, 1514u, 65'000u}) {
    const auto frame = octets(size);
    add_packet(stream, {.octets = frame, .wire_bytes = 70'000, .lost_before = lost++, .comments = comments});
  }
  add_journal(stream, 1, long_text);
  add_statistics(stream, {.from_ns = 1'700'000'000'000'000'000,
                          .to_ns = 1'700'000'001'000'000'000,
                          .delivered = 8,
                          .lost = 28,
                          .comment = "the end"});
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    Chance chance(seed);
    BlockReader reader;
    std::string again;
    std::vector<uint64_t> losses;
    Statistics last;
    for (size_t at = 0; at < stream.size();) {
      const size_t piece = std::min<size_t>(chance.between(1, 3000), stream.size() - at);
      reader.feed(std::string_view(stream).substr(at, piece));
      at += piece;
      while (true) {
        const auto block = reader.next();
        ASSERT_TRUE(block.has_value()) << block.error();
        if (!*block) break;
        again += (*block)->octets;
        if ((*block)->type == BlockType::kPacket) losses.push_back((*block)->lost_before());
        if (const auto statistics = (*block)->statistics()) {
          EXPECT_EQ(statistics->comment, "the end");
          last = *statistics;
        }
      }
    }
    EXPECT_FALSE(reader.has_part_of_a_block());
    EXPECT_TRUE(again == stream);
    EXPECT_EQ(losses, (std::vector<uint64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
    EXPECT_EQ(last.from_ns, 1'700'000'000'000'000'000u);
    EXPECT_EQ(last.to_ns, 1'700'000'001'000'000'000u);
    EXPECT_EQ(last.delivered, 8u);
    EXPECT_EQ(last.lost, 28u);
  }
}

TEST(PcapngTest, WhatIsNoPcapngIsRefusedAndNeverReadBeyond) {
  std::string good;
  add_section(good, "usernic");
  const auto frame = octets(33);
  const std::string comments[] = {"a comment"};
  add_packet(good, {.octets = frame, .wire_bytes = 33, .lost_before = 1, .comments = comments});
  add_statistics(good, {.delivered = 1, .comment = "end"});
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(seed);
    Chance chance(seed);
    std::string bad = good;
    for (uint64_t n = chance.between(1, 4); n != 0; --n) {
      bad[chance.below(bad.size())] = static_cast<char>(chance.one_in(3) ? 0xff : chance.next());
    }
    // In memory of just that size, which AddressSanitizer knows.
    BlockReader reader;
    reader.feed(std::string_view(bad).substr(0, chance.between(0, bad.size())));
    for (int i = 0; i < 10; ++i) {
      const auto block = reader.next();
      if (!block || !*block) break;
      (void)(*block)->lost_before();
      (void)(*block)->statistics();
    }
  }
  BlockReader reader;
  reader.feed(std::string("this is a text, and not a block of anything"));
  EXPECT_FALSE(reader.next().has_value());
}

}  // namespace
}  // namespace usernic::pcapng
