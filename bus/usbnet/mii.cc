// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usbnet/mii.h"

namespace usernic::usb {

using namespace mii;

namespace {

struct Mode {
  uint16_t bit;
  uint32_t speed_mbps;
  Duplex duplex;
};
// The best first [28B.3].
constexpr Mode kGigabitModes[] = {{k1000Full, 1000, Duplex::kFull}, {k1000Half, 1000, Duplex::kHalf}};
constexpr Mode kModes[] = {{k100Full, 100, Duplex::kFull},
                           {k100Half, 100, Duplex::kHalf},
                           {k10Full, 10, Duplex::kFull},
                           {k10Half, 10, Duplex::kHalf}};

template <size_t kCount>
bool choose(const Mode (&modes)[kCount], uint16_t common, LinkSettings& settings) {
  for (const Mode& mode : modes) {
    if ((common & mode.bit) == 0) continue;
    settings.speed_mbps = mode.speed_mbps;
    settings.duplex = mode.duplex;
    return true;
  }
  return false;
}

// Is what the register holds what it should hold? Otherwise it is written, and something changed.
Result<> make(MiiBus& phy, uint8_t mii_register, uint16_t mask, uint16_t wanted, bool& changed) {
  const Result<uint16_t> now = phy.read(mii_register);
  if (!now) return fail(now.error());
  if ((*now & mask) == wanted) return {};
  changed = true;
  return phy.write(mii_register, static_cast<uint16_t>((*now & ~mask) | wanted));
}

// The common half of two registers.
Result<uint16_t> common(MiiBus& phy, uint8_t mine, uint8_t partners, uint16_t shift) {
  const Result<uint16_t> offered = phy.read(mine);
  if (!offered) return offered;
  const Result<uint16_t> taken = phy.read(partners);
  if (!taken) return taken;
  return static_cast<uint16_t>(*offered & *taken >> shift);
}

}  // namespace

Result<MiiLink> read_link(MiiBus& phy) {
  if (const Result<uint16_t> before = phy.read(kStatus); !before) return fail(before.error());
  const Result<uint16_t> status = phy.read(kStatus);
  if (!status) return fail(status.error());
  const Result<uint16_t> control = phy.read(kControl);
  if (!control) return fail(control.error());
  MiiLink link;
  link.up = (*status & kLinkUp) != 0;
  link.settings.port = "twisted pair";
  link.settings.autoneg = (*control & kNegotiate) != 0;
  if (!link.up) return link;
  if (!link.settings.autoneg) {
    link.settings.speed_mbps = (*control & kSpeed1000) != 0 ? 1000 : (*control & kSpeed100) != 0 ? 100 : 10;
    link.settings.duplex = (*control & kFullDuplex) != 0 ? Duplex::kFull : Duplex::kHalf;
    return link;
  }
  if ((*status & kHasExtendedStatus) != 0) {
    const Result<uint16_t> gigabit = common(phy, kGigabitAdvertised, kGigabitPartner, kPartnerShift);
    if (!gigabit) return fail(gigabit.error());
    if (choose(kGigabitModes, *gigabit, link.settings)) return link;
  }
  const Result<uint16_t> both = common(phy, kAdvertised, kPartner, 0);
  if (!both) return fail(both.error());
  choose(kModes, *both, link.settings);
  return link;
}

Result<> negotiate(MiiBus& phy) {
  const Result<uint16_t> status = phy.read(kStatus);
  if (!status) return fail(status.error());
  bool changed = false;
  if (const Result<> done = make(phy, kAdvertised, k10And100, k10And100, changed); !done) return done;
  if ((*status & kHasExtendedStatus) != 0) {
    const Result<> done = make(phy, kGigabitAdvertised, k1000Half | k1000Full, k1000Full, changed);
    if (!done) return done;
  }
  const Result<uint16_t> control = phy.read(kControl);
  if (!control) return fail(control.error());
  if (!changed && (*control & (kNegotiate | kPowerDown)) == kNegotiate) return {};
  return phy.write(kControl, static_cast<uint16_t>((*control & ~kPowerDown) | kNegotiate | kRestart));
}

}  // namespace usernic::usb
