// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/lan78xx/registers.h"

#include <array>

#include "bus/usbnet/until.h"
#include "drivers/lan78xx/regs.h"

namespace usernic::lan78xx {

Result<> Registers::ask(uint8_t request, uint16_t index, std::span<uint8_t> octets) {
  const usb::Setup setup{
      .request_type = request == kRequestWrite ? kRequestTo : kRequestFrom, .request = request, .index = index};
  const Result<uint32_t> done = device_.control(setup, octets, {stop_, Clock::now() + usb::kRequestMost});
  if (!done) return fail(done.error());
  return *done == octets.size() ? Result<>() : fail(std::errc::io_error);
}

Result<uint32_t> Registers::read(uint16_t address) {
  std::array<uint8_t, 4> octets{};
  if (const Result<> done = ask(kRequestRead, address, octets); !done) return fail(done.error());
  return le32(octets, 0);
}

Result<> Registers::write(uint16_t address, uint32_t value) {
  std::array<uint8_t, 4> octets;
  put_le32(octets, 0, value);
  return ask(kRequestWrite, address, octets);
}

Result<> Registers::set(uint16_t address, uint32_t bits) {
  const Result<uint32_t> now = read(address);
  return now ? write(address, *now | bits) : fail(now.error());
}

Result<> Registers::until(uint16_t address, uint32_t bits, uint32_t value) {
  return usb::until(stop_, [&]() -> Result<bool> {
    const Result<uint32_t> now = read(address);
    if (!now) return fail(now.error());
    return (*now & bits) == value;
  });
}

Result<> Registers::write_ram(uint32_t word, uint32_t value) {
  if (const Result<> done = write(kDpAddr, word); !done) return done;
  if (const Result<> done = write(kDpData, value); !done) return done;
  if (const Result<> done = write(kDpCmd, kDpWrite); !done) return done;
  return until(kDpSel, kDpReady, kDpReady);
}

Result<> Registers::read_counters(std::span<uint8_t> octets) {
  return ask(kRequestCounters, 0, octets);
}

Result<> Phy::access(uint8_t mii_register, uint32_t way) {
  const uint32_t where = uint32_t{address_} << kMiiPhyShift | uint32_t{mii_register} << kMiiRegisterShift;
  if (const Result<> done = registers_.write(kMiiAcc, where | way | kMiiBusy); !done) return done;
  return registers_.until(kMiiAcc, kMiiBusy, 0);
}

Result<uint16_t> Phy::read(uint8_t mii_register) {
  if (const Result<> done = access(mii_register, 0); !done) return fail(done.error());
  const Result<uint32_t> value = registers_.read(kMiiData);
  return value ? Result<uint16_t>(static_cast<uint16_t>(*value)) : fail(value.error());
}

Result<> Phy::write(uint8_t mii_register, uint16_t value) {
  if (const Result<> done = registers_.write(kMiiData, value); !done) return done;
  return access(mii_register, kMiiWrite);
}

}  // namespace usernic::lan78xx
