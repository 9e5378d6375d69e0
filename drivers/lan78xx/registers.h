// SPDX-License-Identifier: Apache-2.0 OR MIT
// lan78xx: the chip's registers, and what is behind some of them: a RAM and a PHY.
//
// Each access is control transfers that sleep: one a register, four a word of the RAM, three or more a register of the
// PHY. Errors: the bus'; timed_out: the chip is busy for ever. One call of it at a time: an access to RAM or PHY is
// several registers. Context: process.
#pragma once

#include <cstdint>
#include <span>

#include "bus/usb/device.h"
#include "bus/usbnet/mii.h"

namespace usernic::lan78xx {

class Registers {
 public:
  // Both outlive it.
  Registers(usb::Device& device, const StopToken& stop) noexcept : device_(device), stop_(stop) {}

  Result<uint32_t> read(uint16_t address);
  Result<> write(uint16_t address, uint32_t value);
  Result<> set(uint16_t address, uint32_t bits);
  // Looks until those bits have that value.
  Result<> until(uint16_t address, uint32_t bits, uint32_t value);
  // A word of the RAM that kDpSel chose.
  Result<> write_ram(uint32_t word, uint32_t value);
  // The counters as they come (counters.h).
  Result<> read_counters(std::span<uint8_t> octets);

 private:
  Result<> ask(uint8_t request, uint16_t index, std::span<uint8_t> octets);

  usb::Device& device_;
  const StopToken& stop_;
};

// The PHY at an address.
class Phy final : public usb::MiiBus {
 public:
  Phy(Registers& registers, uint8_t address) noexcept : registers_(registers), address_(address) {}
  Result<uint16_t> read(uint8_t mii_register) override;
  Result<> write(uint8_t mii_register, uint16_t value) override;

 private:
  Result<> access(uint8_t mii_register, uint32_t way);

  Registers& registers_;
  const uint8_t address_;
};

}  // namespace usernic::lan78xx
// Explained best by: drivers/lan78xx/lan78xx_test.cc
