// SPDX-License-Identifier: Apache-2.0 OR MIT
// lan78xx: frames in transfers: each behind its command words, the next at a multiple of four. Regs.h has the words.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "bus/usbnet/usbnet.h"
#include "usernic/offload.h"

namespace usernic::lan78xx {

// False: no room. Context: any.
bool put_frame(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING;

struct RxFrame {
  std::span<const uint8_t> octets;  // without FCS
  FrameSum sum = FrameSum::kNone;
};

// Reads a transfer that came, whatever is in it. Context: any.
class RxReader {
 public:
  explicit RxReader(std::span<const uint8_t> transfer) noexcept : rest_(transfer) {}
  // The next good frame; nullopt at the end.
  std::optional<RxFrame> next() noexcept USERNIC_NONBLOCKING;
  // Frames that the chip found bad, and what was no frame.
  uint32_t bad() const noexcept USERNIC_NONBLOCKING { return bad_; }

 private:
  std::span<const uint8_t> rest_;
  uint32_t bad_ = 0;
};

}  // namespace usernic::lan78xx
// Explained best by: drivers/lan78xx/framing_test.cc
