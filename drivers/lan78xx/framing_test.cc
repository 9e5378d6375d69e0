// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/lan78xx/framing.h"

#include <gtest/gtest.h>

#include <vector>

#include "drivers/lan78xx/regs.h"

namespace usernic::lan78xx {
namespace {

using Octets = std::vector<uint8_t>;

// A received frame with `fill` as its octets.
void append(Octets& transfer, uint32_t size, uint8_t fill, uint32_t flags = 0) {
  transfer.resize(round_up(static_cast<uint32_t>(transfer.size()), kRxAlignment));
  const size_t at = transfer.size();
  transfer.resize(at + kRxHeaderBytes);
  put_le32(transfer, at, flags | (size + kFcsBytes));
  transfer.insert(transfer.end(), size, fill);
  transfer.insert(transfer.end(), kFcsBytes, 0xfc);
}

TEST(Lan78xxFramingTest, FramesFollowEachOtherAtMultiplesOfFour) {
  Octets transfer;
  for (uint8_t n = 0; n < 8; ++n) append(transfer, 60u + n, n);
  for (const size_t padding : {0, 1, 2, 3}) {
    Octets padded = transfer;
    padded.resize(padded.size() + padding);
    RxReader reader(padded);
    for (uint8_t n = 0; n < 8; ++n) {
      const auto frame = reader.next();
      ASSERT_TRUE(frame);
      EXPECT_EQ(Octets(frame->octets.begin(), frame->octets.end()), Octets(60u + n, n));
    }
    EXPECT_FALSE(reader.next());
    // What is more than padding is not a frame.
    EXPECT_EQ(reader.bad(), round_up(static_cast<uint32_t>(transfer.size()), 4) < padded.size() ? 1u : 0u);
  }
}

TEST(Lan78xxFramingTest, ABadFrameIsPassedOverAndWhatIsNoFrameEndsIt) {
  Octets transfer;
  append(transfer, 60, 1, kRxBad);
  append(transfer, 60, 2);
  RxReader reader(transfer);
  EXPECT_EQ(reader.next()->octets[0], 2);
  EXPECT_EQ(reader.bad(), 1u);
  transfer.pop_back();
  RxReader shorter(transfer);
  EXPECT_FALSE(shorter.next());
  EXPECT_EQ(shorter.bad(), 2u);
  EXPECT_FALSE(shorter.next());
  EXPECT_EQ(shorter.bad(), 2u);
}

TEST(Lan78xxFramingTest, ASumIsVerifiedWhenTheChipLookedAtIt) {
  constexpr struct {
    uint32_t flags;
    FrameSum sum;
  } kRows[] = {{kRxTcp, FrameSum::kVerified},
               {kRxUdp | kRxIpv6, FrameSum::kVerified},
               {kRxIp, FrameSum::kNone},
               {0, FrameSum::kNone},
               {kRxTcp | kRxNoSum, FrameSum::kNone},
               {kRxTcp | kRxSumBad, FrameSum::kNone},
               {kRxTcp | kRxIpSumBad, FrameSum::kNone},
               {kRxTcp | kRxTagged, FrameSum::kNone}};
  for (const auto& row : kRows) {
    Octets transfer;
    append(transfer, 60, 0, row.flags);
    EXPECT_EQ(RxReader(transfer).next()->sum, row.sum) << row.flags;
  }
}

TEST(Lan78xxFramingTest, ABlockTakesFramesUntilTheNextHasNoRoom) {
  Octets room(3 * 72 + 4);
  usb::TxBlock block{.room = room};
  const Octets frame(61, 7);
  for (int n = 0; n < 3; ++n) EXPECT_TRUE(put_frame(block, frame));
  EXPECT_FALSE(put_frame(block, frame));
  EXPECT_EQ(block.frames, 3u);
  EXPECT_EQ(block.size, 2 * 72 + 69u);
  EXPECT_EQ(le32(room, 72), 61 | kTxFcs);
  EXPECT_EQ(room[72 + 8], 7);
  usb::TxBlock empty{.room = room};
  EXPECT_FALSE(put_frame(empty, Octets(kFrameMax + 1)));
}

}  // namespace
}  // namespace usernic::lan78xx
