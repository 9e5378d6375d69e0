// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/lan78xx/framing.h"

#include <algorithm>

#include "drivers/lan78xx/regs.h"

namespace usernic::lan78xx {
namespace {

// The chip looked at the sum of TCP or UDP, and it is right. In a frame that keeps its tag it may look at the wrong
// octets [L].
FrameSum sum_of(uint32_t a) noexcept {
  const uint32_t protocol = a & kRxProtocol;
  const bool looked = (protocol == kRxTcp || protocol == kRxUdp) && (a & (kRxNoSum | kRxTagged)) == 0;
  return looked && (a & (kRxIpSumBad | kRxSumBad)) == 0 ? FrameSum::kVerified : FrameSum::kNone;
}

}  // namespace

bool put_frame(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept {
  const uint32_t at = round_up(block.size, kTxAlignment);
  if (frame.size() > kFrameMax || at + kTxHeaderBytes + frame.size() > block.room.size()) return false;
  std::fill(block.room.begin() + block.size, block.room.begin() + at, uint8_t{0});
  put_le32(block.room, at, static_cast<uint32_t>(frame.size()) | kTxFcs);
  put_le32(block.room, at + 4, 0);
  std::ranges::copy(frame, block.room.begin() + at + kTxHeaderBytes);
  block.size = at + kTxHeaderBytes + static_cast<uint32_t>(frame.size());
  ++block.frames;
  return true;
}

std::optional<RxFrame> RxReader::next() noexcept {
  while (!rest_.empty()) {
    if (rest_.size() < kRxHeaderBytes) break;
    const uint32_t a = le32(rest_, 0), length = a & kRxLength;
    if (kRxHeaderBytes + length > rest_.size()) break;
    const std::span<const uint8_t> octets = rest_.subspan(kRxHeaderBytes, length);
    rest_ = rest_.subspan(std::min<size_t>(round_up(kRxHeaderBytes + length, kRxAlignment), rest_.size()));
    if ((a & kRxBad) == 0 && length >= kFcsBytes) {
      return RxFrame{.octets = octets.first(length - kFcsBytes), .sum = sum_of(a)};
    }
    ++bad_;
  }
  if (!rest_.empty()) ++bad_;
  rest_ = {};
  return std::nullopt;
}

}  // namespace usernic::lan78xx
