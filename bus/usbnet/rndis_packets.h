// SPDX-License-Identifier: Apache-2.0 OR MIT
// usbnet: frames in RNDIS messages: a transfer is one or several of them, with a frame each.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "bus/usbnet/rndis_format.h"
#include "bus/usbnet/usbnet.h"

namespace usernic::usb {

// What `offset`, counted from octet 8, and `length` say; nothing: it reaches out of the message. Requires: eight
// octets.
std::optional<std::span<const uint8_t>> rndis_part(std::span<const uint8_t> message, uint32_t offset,
                                                   uint32_t length) noexcept USERNIC_NONBLOCKING;

// The frames in a transfer, whatever its octets are.
class RndisReader {
 public:
  explicit RndisReader(std::span<const uint8_t> octets) : left_(octets) {}
  // Nothing: there are no more, or what follows is broken.
  std::optional<std::span<const uint8_t>> next() noexcept USERNIC_NONBLOCKING;
  bool broken() const noexcept { return broken_; }

 private:
  std::nullopt_t end() noexcept USERNIC_NONBLOCKING;
  std::span<const uint8_t> left_;
  bool broken_ = false;
};

struct RndisLayout {
  uint32_t transfer_max = 0;
  uint32_t packets_max = 1;
  uint32_t alignment = 1;  // of each message in a transfer

  bool add(TxBlock& block, std::span<const uint8_t> frame) const noexcept USERNIC_NONBLOCKING;
};
// Of an answer to "initialize", at least kRndisInitializeDoneBytes long, for transfers of ours of so many octets at
// most.
RndisLayout parse_rndis_layout(std::span<const uint8_t> octets, uint32_t transfer_max) noexcept;

}  // namespace usernic::usb
// Explained best by: bus/usbnet/rndis_packets_test.cc
