// SPDX-License-Identifier: Apache-2.0 OR MIT
// cdc: NCM: a transfer is a block of datagrams, found by tables of pointers in it.
//
//   | header | table: signature, length, next table, (index, length) ..., 0, 0 | datagram | datagram ...
//
// In NTB-16 indices and lengths have 16 bits, in NTB-32 32. Ours have one table, behind the header; a device's may have
// several, anywhere.
#pragma once

#include <optional>

#include "drivers/cdc/ecm.h"

namespace usernic::cdc {

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
  uint32_t block_max = kNtbBytesMin;
  uint32_t table_alignment = kNtbAlignment;
  uint32_t divisor = kNtbAlignment, remainder = 0;  // of the payload behind the Ethernet header
  uint32_t datagrams_max = 1;

  bool add(usb::TxBlock& block, std::span<const uint8_t> frame) const noexcept USERNIC_NONBLOCKING;
  void seal(usb::TxBlock& block, uint16_t sequence) const noexcept USERNIC_NONBLOCKING;
  uint32_t table() const noexcept;
  uint32_t entry(uint32_t n) const noexcept;
};

struct NtbParameters {
  NtbLayout out;
  uint32_t in_max = 0;
};
// Of GET_NTB_PARAMETERS; what cannot be is as Linux' cdc_ncm.c takes it. Nothing: too short, or blocks below the least.
std::optional<NtbParameters> parse_ntb_parameters(std::span<const uint8_t> octets) noexcept;

// The FCS of a frame [IEEE 802.3, 3.2.9].
uint32_t crc_of(std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING;

class Ncm final : public Ecm {
 public:
  using Ecm::Ecm;
  Result<Station> set_up(Control& control) override;
  Result<> set_address(Control& control, const MacAddress& address) override;
  bool pack(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING override;
  bool seal(usb::TxBlock& block) noexcept USERNIC_NONBLOCKING override;
  bool unpack(std::span<const uint8_t> octets, usb::RxFrames& frames) noexcept USERNIC_NONBLOCKING override;

 private:
  NtbLayout layout_;
  uint16_t sequence_ = 0;  // start_xmit's
};

}  // namespace usernic::cdc
// Explained best by: drivers/cdc/ncm_test.cc
