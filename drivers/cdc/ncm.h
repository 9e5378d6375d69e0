// SPDX-License-Identifier: Apache-2.0 OR MIT
// cdc: NCM: a transfer is a block of datagrams (bus/usbnet/ntb.h).
#pragma once

#include "bus/usbnet/ntb.h"
#include "drivers/cdc/ecm.h"

namespace usernic::cdc {

class Ncm final : public Ecm {
 public:
  using Ecm::Ecm;
  Result<Station> set_up(Control& control) override;
  Result<> set_address(Control& control, const MacAddress& address) override;
  bool pack(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING override;
  bool seal(usb::TxBlock& block) noexcept USERNIC_NONBLOCKING override;
  bool unpack(std::span<const uint8_t> octets, usb::RxFrames& frames) noexcept USERNIC_NONBLOCKING override;

 private:
  usb::NtbLayout layout_;
  uint16_t sequence_ = 0;  // start_xmit's
};

}  // namespace usernic::cdc
// Explained best by: drivers/cdc/cdc_test.cc
