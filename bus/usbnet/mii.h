// SPDX-License-Identifier: Apache-2.0 OR MIT
// usbnet: a PHY behind MII: the registers that every PHY has alike, what it negotiates, and its link.
//
// A driver says how a register is reached (`MiiBus`), which may take several transfers; everything here is made of it,
// sleeps, and fails as it does. Context: process. [IEEE 802.3, clauses 22, 28 and 40]
#pragma once

#include <cstdint>

#include "usernic/error.h"
#include "usernic/ethtool.h"

namespace usernic::usb {

namespace mii {

enum Register : uint8_t {
  kControl = 0,
  kStatus = 1,
  kIdHigh = 2,
  kIdLow = 3,
  kAdvertised = 4,
  kPartner = 5,
  kGigabitAdvertised = 9,
  kGigabitPartner = 10,
  kExtendedStatus = 15,
};
inline constexpr uint8_t kRegisters = 32;

// kControl [22.2.4.1]
inline constexpr uint16_t kReset = 0x8000;  // clears itself
inline constexpr uint16_t kSpeed100 = 0x2000;
inline constexpr uint16_t kNegotiate = 0x1000;
inline constexpr uint16_t kPowerDown = 0x0800;
inline constexpr uint16_t kRestart = 0x0200;  // clears itself
inline constexpr uint16_t kFullDuplex = 0x0100;
inline constexpr uint16_t kSpeed1000 = 0x0040;
// kStatus [22.2.4.2]; kLinkUp goes off and stays off until it is read
inline constexpr uint16_t kHasExtendedStatus = 0x0100;
inline constexpr uint16_t kNegotiated = 0x0020;
inline constexpr uint16_t kCanNegotiate = 0x0008;
inline constexpr uint16_t kLinkUp = 0x0004;
// kAdvertised and kPartner [28.2.4.1]: 10 and 100 Mb/s, half and full duplex
inline constexpr uint16_t kSelector = 0x0001;
inline constexpr uint16_t k10Half = 0x0020, k10Full = 0x0040, k100Half = 0x0080, k100Full = 0x0100;
inline constexpr uint16_t k10And100 = k10Half | k10Full | k100Half | k100Full;
// kGigabitAdvertised, and two bits further up kGigabitPartner [40.5.1.1]
inline constexpr uint16_t k1000Half = 0x0100, k1000Full = 0x0200;
inline constexpr uint16_t kPartnerShift = 2;

}  // namespace mii

// Where a PHY is.
class MiiBus {
 public:
  virtual Result<uint16_t> read(uint8_t mii_register) = 0;
  virtual Result<> write(uint8_t mii_register, uint16_t value) = 0;

 protected:
  ~MiiBus() = default;
};

struct MiiLink {
  bool up = false;
  LinkSettings settings;  // speed and duplex while it is up
};

// What it does now.
Result<MiiLink> read_link(MiiBus& phy);
// Offers 10 and 100 Mb/s both ways, and 1000 full duplex where there is gigabit. A PHY that offers that already, and
// negotiates, keeps its link.
Result<> negotiate(MiiBus& phy);

}  // namespace usernic::usb
// Explained best by: bus/usbnet/mii_test.cc
