// SPDX-License-Identifier: Apache-2.0 OR MIT
// lan78xx: the PHY of the model: Microchip's LAN88xx, at a cable whose other end takes 10, 100 and 1000 Mb/s.
//
// Negotiation is over when it begins. The registers behind 13 and 14 read as zero. Who has it locks.
#pragma once

#include <array>
#include <cstdint>

#include "bus/usbnet/mii.h"

namespace usernic::lan78xx {

class ModelPhy {
 public:
  ModelPhy() noexcept { reset(); }

  void reset() noexcept;
  uint16_t read(uint8_t mii_register) noexcept;
  void write(uint8_t mii_register, uint16_t value) noexcept;
  void set_cable(bool connected) noexcept;

  bool link() const noexcept { return link_; }
  bool interrupts() const noexcept;

 private:
  void settle(bool again) noexcept;

  std::array<uint16_t, usb::mii::kRegisters> registers_{};
  std::array<uint16_t, usb::mii::kRegisters> other_page_{};  // of all pages but the first
  uint16_t why_ = 0;                                         // kPhyIntStatus
  bool cable_ = true, link_ = false, lost_ = false;          // lost: since the last look
};

}  // namespace usernic::lan78xx
// Explained best by: drivers/lan78xx/model_test.cc
