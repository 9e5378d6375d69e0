// SPDX-License-Identifier: Apache-2.0 OR MIT
// rtl8150: a frame in a transfer: alone, and the chip puts a trailer behind it. Pure functions: whatever octets a chip
// sends, nothing is read beyond them.
#pragma once

#include <algorithm>
#include <optional>
#include <span>

#include "bus/usbnet/usbnet.h"
#include "drivers/rtl8150/regs.h"

namespace usernic::rtl8150 {

// False: no room. A short one is padded, the chip does not.
inline bool put_frame(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept {
  const size_t size = std::max<size_t>(frame.size(), kFrameMin);
  if (block.frames > 0 || frame.size() > kFrameMax || size > block.room.size()) return false;
  const auto rest = std::ranges::copy(frame, block.room.begin()).out;
  std::fill(rest, block.room.begin() + static_cast<ptrdiff_t>(size), uint8_t{0});
  block.size = static_cast<uint32_t>(size);
  block.frames = 1;
  return true;
}

// Nothing: there is none, or not a good one.
inline std::optional<std::span<const uint8_t>> frame_in(std::span<const uint8_t> octets) noexcept {
  if (octets.size() < kHeaderBytes + kTrailerBytes) return std::nullopt;
  const std::span<const uint8_t> frame = octets.first(octets.size() - kTrailerBytes);
  if ((le16(octets, frame.size()) & kTrailerValid) == 0) return std::nullopt;
  return frame;
}

}  // namespace usernic::rtl8150
// Explained best by: drivers/rtl8150/rtl8150_test.cc
