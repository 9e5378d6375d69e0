// SPDX-License-Identifier: Apache-2.0 OR MIT
// usbnet: NCM transfer blocks, which MBIM has, too: a transfer is a block of datagrams, found by tables of pointers in
// it.
//
//   | header | table: signature, length, next table, (index, length) ..., 0, 0 | datagram | datagram ...
//
// In NTB-16 indices and lengths have 16 bits, in NTB-32 32. Ours have one table, behind the header; a device's may have
// several, anywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "bus/usbnet/ntb_format.h"
#include "bus/usbnet/usbnet.h"

namespace usernic::usb {

// The datagrams in a block, whatever its octets are: none reaches out of it, and together with the tables they are not
// more than it: one that points at the same octets again and again is broken.
class NtbReader {
 public:
  explicit NtbReader(std::span<const uint8_t> octets) noexcept USERNIC_NONBLOCKING;
  // Without CRC. Nothing: there are no more, or what follows is broken.
  std::optional<std::span<const uint8_t>> next() noexcept USERNIC_NONBLOCKING;
  bool broken() const noexcept { return broken_; }  // also: a CRC was wrong

 private:
  void enter(uint32_t table) noexcept USERNIC_NONBLOCKING;
  bool spend(uint32_t index, uint32_t length) noexcept USERNIC_NONBLOCKING;
  bool end(bool broken) noexcept USERNIC_NONBLOCKING;
  size_t number_bytes() const noexcept { return wide_ ? 4 : 2; }

  std::span<const uint8_t> block_;
  bool wide_ = false, crc_ = false, broken_ = false;
  uint32_t budget_ = 0;        // octets that no table or datagram has had
  uint32_t at_ = 0, end_ = 0;  // entries of this table
  uint32_t next_table_ = 0;
};

struct NtbLayout {
  bool wide = false;
  uint32_t block_max = ntb::kNtbBytesMin;
  uint32_t table_alignment = ntb::kNtbAlignment;
  uint32_t divisor = ntb::kNtbAlignment, remainder = 0;  // of the payload behind the Ethernet header
  uint32_t datagrams_max = 1;

  bool add(TxBlock& block, std::span<const uint8_t> frame) const noexcept USERNIC_NONBLOCKING;
  void seal(TxBlock& block, uint16_t sequence) const noexcept USERNIC_NONBLOCKING;
  uint32_t table() const noexcept;
  uint32_t entry(uint32_t n) const noexcept;
};

struct NtbParameters {
  NtbLayout out;
  uint32_t in_max = 0;
};
// Of GET_NTB_PARAMETERS, for blocks of ours of so many octets at most; what cannot be is as Linux' cdc_ncm.c takes it.
// Nothing: too short, or blocks below the least.
std::optional<NtbParameters> parse_ntb_parameters(std::span<const uint8_t> octets, uint32_t block_max) noexcept;

}  // namespace usernic::usb
// Explained best by: bus/usbnet/ntb_test.cc
