// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usbnet/ntb.h"

#include <algorithm>
#include <bit>

#include "bus/usb/octets.h"
#include "bus/usbnet/ether_crc.h"

namespace usernic::usb {

using namespace ntb;

namespace {

constexpr uint32_t kEthernetHeaderBytes = 14, kFcsBytes = 4;
constexpr uint32_t kDatagramsMax = 32;  // that we send at once
constexpr uint32_t header_bytes(bool wide) noexcept {
  return wide ? 16 : 12;
}
constexpr uint32_t table_bytes(bool wide) noexcept {  // before its entries
  return wide ? 16 : 8;
}
constexpr size_t kHeaderLength = 4, kHeaderSequence = 6, kHeaderBlock = 8, kTableLength = 4;
constexpr size_t next_table_at(bool wide) noexcept {
  return wide ? 8 : 6;
}

constexpr uint32_t align(uint32_t value, uint32_t alignment) noexcept {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace

// --- In ---

NtbReader::NtbReader(std::span<const uint8_t> octets) noexcept : wide_(le32(octets, 0) == kNth32) {
  const uint32_t header = header_bytes(wide_);
  const bool known = wide_ || le32(octets, 0) == kNth16;
  if (!known || octets.size() < header || le16(octets, kHeaderLength) != header) {
    end(true);
    return;
  }
  const uint32_t length = le(octets, kHeaderBlock, number_bytes());
  // None is said by who ends the block with the transfer [NCM 3.2.1].
  block_ = length == 0 ? octets : octets.first(std::min<size_t>(length, octets.size()));
  if (length > octets.size() || block_.size() < header) {
    end(true);
    return;
  }
  budget_ = static_cast<uint32_t>(block_.size()) - header;
  next_table_ = le(octets, kHeaderBlock + number_bytes(), number_bytes());
}

bool NtbReader::end(bool broken) noexcept {
  broken_ |= broken;
  at_ = end_ = next_table_ = 0;
  return false;
}

bool NtbReader::spend(uint32_t index, uint32_t length) noexcept {
  if (index > block_.size() || length > block_.size() - index || length > budget_) return end(true);
  budget_ -= length;
  return true;
}

void NtbReader::enter(uint32_t table) noexcept {
  const uint32_t signature = le32(block_, table), length = le16(block_, table + kTableLength);
  if (table % kNtbAlignment != 0 || length < table_bytes(wide_)) return void(end(true));
  if (!spend(table, length)) return;
  next_table_ = le(block_, table + next_table_at(wide_), number_bytes());
  crc_ = signature == (wide_ ? kNdp32Crc : kNdp16Crc);
  const bool known = crc_ || signature == (wide_ ? kNdp32 : kNdp16);
  at_ = table + table_bytes(wide_);
  end_ = known ? table + length : at_;  // another kind's pointers are passed over
}

std::optional<std::span<const uint8_t>> NtbReader::next() noexcept {
  const auto entry_bytes = static_cast<uint32_t>(2 * number_bytes());
  for (;;) {
    if (at_ + entry_bytes > end_) {
      if (next_table_ == 0) return std::nullopt;
      enter(next_table_);
      continue;
    }
    const uint32_t index = le(block_, at_, number_bytes());
    const uint32_t length = le(block_, at_ + number_bytes(), number_bytes());
    at_ += entry_bytes;
    if (index == 0 || length == 0) {
      at_ = end_;
      continue;
    }
    if (!spend(index, length)) return std::nullopt;
    const std::span<const uint8_t> datagram = block_.subspan(index, length);
    if (!crc_) return datagram;
    const bool whole = length >= kFcsBytes;
    const std::span<const uint8_t> frame = datagram.first(whole ? length - kFcsBytes : 0);
    if (whole && le32(datagram, frame.size()) == fcs_of(frame)) return frame;
    broken_ = true;  // it alone
  }
}

// --- Out ---

uint32_t NtbLayout::table() const noexcept {
  return align(header_bytes(wide), table_alignment);
}

uint32_t NtbLayout::entry(uint32_t n) const noexcept {
  return table() + table_bytes(wide) + n * (wide ? 8 : 4);
}

bool NtbLayout::add(TxBlock& block, std::span<const uint8_t> frame) const noexcept {
  if (block.frames >= datagrams_max) return false;
  const uint32_t free = block.frames == 0 ? entry(datagrams_max + 1) : block.size;
  const uint32_t index = align(free + kEthernetHeaderBytes - remainder, divisor) + remainder - kEthernetHeaderBytes;
  const size_t room = std::min<size_t>(block.room.size(), block_max);
  if (index > room || frame.size() > room - index) return false;
  std::fill(block.room.begin() + (block.frames == 0 ? 0 : free), block.room.begin() + index, uint8_t{0});
  std::ranges::copy(frame, block.room.begin() + index);
  const uint32_t at = entry(block.frames);
  const size_t width = wide ? 4 : 2;
  put_le(block.room, at, index, width);
  put_le(block.room, at + width, static_cast<uint32_t>(frame.size()), width);
  block.size = index + static_cast<uint32_t>(frame.size());
  ++block.frames;
  return true;
}

void NtbLayout::seal(TxBlock& block, uint16_t sequence) const noexcept {
  const size_t width = wide ? 4 : 2;
  put_le32(block.room, 0, wide ? kNth32 : kNth16);
  put_le16(block.room, kHeaderLength, header_bytes(wide));
  put_le16(block.room, kHeaderSequence, sequence);
  put_le(block.room, kHeaderBlock, block.size, width);
  put_le(block.room, kHeaderBlock + width, table(), width);
  put_le32(block.room, table(), wide ? kNdp32 : kNdp16);
  put_le16(block.room, table() + kTableLength, entry(block.frames + 1) - table());
}

std::optional<NtbParameters> parse_ntb_parameters(std::span<const uint8_t> octets, uint32_t block_max) noexcept {
  if (octets.size() < kNtbParameterBytes) return std::nullopt;
  NtbParameters parameters;
  NtbLayout& out = parameters.out;
  parameters.in_max = le32(octets, kNtbInMax);
  out.block_max = std::min(le32(octets, kNtbOutMax), block_max);
  if (parameters.in_max < kNtbBytesMin || out.block_max < kNtbBytesMin) return std::nullopt;
  out.wide = (le16(octets, kNtbFormats) & kNtb32Supported) != 0;
  // Power of two, four at least, smaller than a block; or else four.
  const auto proper = [&](uint32_t value) {
    return std::has_single_bit(value) && value >= kNtbAlignment && value < out.block_max ? value : kNtbAlignment;
  };
  out.table_alignment = proper(le16(octets, kNdpOutAlignment));
  out.divisor = proper(le16(octets, kNdpOutDivisor));
  out.remainder = le16(octets, kNdpOutRemainder);
  if (out.remainder >= out.divisor) out.remainder = 0;
  const uint32_t datagrams = le16(octets, kNtbOutDatagrams);
  out.datagrams_max = datagrams == 0 ? kDatagramsMax : std::min(datagrams, kDatagramsMax);
  return parameters;
}

}  // namespace usernic::usb
