// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usbnet/rndis_packets.h"

#include <algorithm>

#include "bus/usb/octets.h"

namespace usernic::usb {

using namespace rndis;

namespace {

constexpr uint32_t kAlignmentBitsMax = 7;  // [RNDIS 2.2.3]
constexpr uint32_t kPacketsMax = 32;       // that we send at once

}  // namespace

std::optional<std::span<const uint8_t>> rndis_part(std::span<const uint8_t> message, uint32_t offset,
                                                   uint32_t length) noexcept {
  const std::span<const uint8_t> body = message.subspan(kRndisBase);
  if (offset > body.size() || length > body.size() - offset) return std::nullopt;
  return body.subspan(offset, length);
}

std::optional<std::span<const uint8_t>> RndisReader::next() noexcept {
  while (left_.size() > 1) {  // a zero may follow, so that the last packet is short
    const uint32_t length = le32(left_, kRndisLength);
    const bool is_packet = le32(left_, 0) == kRndisPacket;
    if (length > left_.size() || length < (is_packet ? kRndisPacketBytes : kRndisBase)) return end();
    const std::span<const uint8_t> one = left_.first(length);
    left_ = left_.subspan(length);
    if (!is_packet) continue;
    const auto data = rndis_part(one, le32(one, kRndisDataOffset), le32(one, kRndisDataLength));
    if (!data) return end();
    return data;
  }
  return std::nullopt;
}

std::nullopt_t RndisReader::end() noexcept {
  broken_ = true;
  left_ = {};
  return std::nullopt;
}

bool RndisLayout::add(TxBlock& block, std::span<const uint8_t> frame) const noexcept {
  if (block.frames >= packets_max) return false;
  const size_t room = std::min<size_t>(block.room.size(), transfer_max);
  const size_t padding = (alignment - (kRndisPacketBytes + frame.size()) % alignment) % alignment;
  const size_t size = kRndisPacketBytes + frame.size() + padding;
  if (block.size > room || size > room - block.size) return false;
  const std::span<uint8_t> octets = block.room.subspan(block.size, size);
  std::ranges::fill(octets, uint8_t{0});
  put_le32(octets, 0, kRndisPacket);
  put_le32(octets, kRndisLength, static_cast<uint32_t>(size));
  put_le32(octets, kRndisDataOffset, kRndisPacketBytes - kRndisBase);
  put_le32(octets, kRndisDataLength, static_cast<uint32_t>(frame.size()));
  std::ranges::copy(frame, octets.begin() + kRndisPacketBytes);
  block.size += static_cast<uint32_t>(size);
  ++block.frames;
  return true;
}

RndisLayout parse_rndis_layout(std::span<const uint8_t> octets, uint32_t transfer_max) noexcept {
  return {.transfer_max = std::min(le32(octets, kRndisMaxTransfer), transfer_max),
          .packets_max = std::clamp(le32(octets, kRndisMaxPackets), 1u, kPacketsMax),
          .alignment = 1u << std::min(le32(octets, kRndisAlignment), kAlignmentBitsMax)};
}

}  // namespace usernic::usb
