// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/lan78xx/model_phy.h"

#include "drivers/lan78xx/regs.h"

namespace usernic::lan78xx {

using namespace usb::mii;

namespace {

constexpr uint16_t kModelIdLow = 0xc132;
constexpr uint16_t kCan10And100 = 0x7800;  // of kStatus
constexpr uint16_t k1000OfExtended = 0x3000;
constexpr uint16_t kPartnerOffers = 0xc000 | kSelector | k10And100;  // and has seen what we offer
constexpr uint16_t kPartnerGigabit = k1000Full << kPartnerShift;
constexpr uint8_t kIndirectData = 14;
constexpr uint8_t kPagedBegin = 16, kPagedEnd = 31;

}  // namespace

void ModelPhy::reset() noexcept {
  registers_ = {};
  other_page_ = {};
  why_ = 0;
  registers_[kControl] = kNegotiate | kSpeed1000 | kFullDuplex;
  registers_[kIdHigh] = kPhyIdHigh;
  registers_[kIdLow] = kModelIdLow;
  registers_[kAdvertised] = kSelector | k10And100;
  registers_[kGigabitAdvertised] = k1000Full;
  registers_[kExtendedStatus] = k1000OfExtended;
  settle(false);
}

// Two that negotiate have a link if they have something in common; one that does not, if it has power.
void ModelPhy::settle(bool again) noexcept {
  const bool power = (registers_[kControl] & kPowerDown) == 0;
  const bool common = (registers_[kAdvertised] & kPartnerOffers & k10And100) != 0 ||
                      (registers_[kGigabitAdvertised] << kPartnerShift & kPartnerGigabit) != 0;
  const bool up = cable_ && power && ((registers_[kControl] & kNegotiate) == 0 || common);
  if (up != link_ || again) why_ |= kPhyIntLink;
  lost_ |= !up || again;
  link_ = up;
}

void ModelPhy::set_cable(bool connected) noexcept {
  cable_ = connected;
  settle(false);
}

bool ModelPhy::interrupts() const noexcept {
  const uint16_t mask = registers_[kPhyIntMask];
  return (mask & kPhyIntPin) != 0 && (mask & why_ & kPhyIntLink) != 0;
}

uint16_t ModelPhy::read(uint8_t mii_register) noexcept {
  if (registers_[kPhyPage] != 0 && mii_register >= kPagedBegin && mii_register < kPagedEnd) {
    return other_page_[mii_register];
  }
  switch (mii_register) {
    case kStatus: {
      const bool up = link_ && !lost_;
      lost_ = !link_;
      return kCan10And100 | kHasExtendedStatus | kCanNegotiate | (link_ ? kNegotiated : 0) | (up ? kLinkUp : 0);
    }
    case kPartner:
      return link_ ? kPartnerOffers : 0;
    case kGigabitPartner:
      return link_ ? kPartnerGigabit : 0;
    case kIndirectData:
      return 0;
    case kPhyIntStatus: {
      const uint16_t why = why_;
      why_ = 0;
      return why;
    }
    default:
      return registers_[mii_register];
  }
}

void ModelPhy::write(uint8_t mii_register, uint16_t value) noexcept {
  if (registers_[kPhyPage] != 0 && mii_register >= kPagedBegin && mii_register < kPagedEnd) {
    other_page_[mii_register] = value;
    return;
  }
  switch (mii_register) {
    case kStatus:
    case kIdHigh:
    case kIdLow:
    case kPartner:
    case kGigabitPartner:
    case kExtendedStatus:
    case kPhyIntStatus:
      return;  // read-only
    case kControl:
      if ((value & kReset) != 0) return reset();
      registers_[kControl] = static_cast<uint16_t>(value & ~kRestart);
      return settle((value & kRestart) != 0);
    case kAdvertised:
    case kGigabitAdvertised:
      registers_[mii_register] = value;  // counts when negotiation begins
      return;
    default:
      registers_[mii_register] = value;
  }
}

}  // namespace usernic::lan78xx
