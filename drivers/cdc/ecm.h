// SPDX-License-Identifier: Apache-2.0 OR MIT
// cdc: ECM: a transfer is a frame; a short packet ends it.
#pragma once

#include "drivers/cdc/protocol.h"

namespace usernic::cdc {

class Ecm : public Protocol {
 public:
  explicit Ecm(const Function& function) : function_(function) {}

  Result<Station> set_up(Control& control) override;
  Result<> accept(Control& control, const Accepted* accepted) override;
  Result<> list(Control& control, std::span<const MacAddress> multicasts) override;
  bool pack(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING override;
  bool seal(usb::TxBlock& block) noexcept USERNIC_NONBLOCKING override;
  bool unpack(std::span<const uint8_t> octets, usb::RxFrames& frames) noexcept USERNIC_NONBLOCKING override;

 protected:
  const Function function_;
};

}  // namespace usernic::cdc
// Explained best by: drivers/cdc/cdc_test.cc
