// SPDX-License-Identifier: Apache-2.0 OR MIT
// cdc: for tests, a function in software with its cable, and the device that drives it; and the kinds that there are.
#pragma once

#include "bus/usbnet/nic_fixture.h"
#include "drivers/cdc/cdc.h"
#include "drivers/cdc/model.h"

namespace usernic::cdc {

using usb::Ear, usb::kOther, usb::make_frame, usb::multicast, usb::number_of, usb::unicast;

inline constexpr MacAddress kPermanent = MacAddress::from_u64(0x02e0'4c0c'dc00);

struct Adapter : usb::NicFixture<Cdc, Model> {
  explicit Adapter(const Make& make, bool served = false, const MacAddress& permanent = kPermanent)
      : NicFixture(served, make, permanent) {}
  Cdc& driver() { return *static_cast<Cdc*>(dev->driver()); }
};

struct Kind {
  const char* name;
  Make make;
};
inline constexpr Kind kKinds[] = {
    {"Ecm", {.framing = Framing::kEcm}},
    {"EcmWithoutList", {.framing = Framing::kEcm, .multicasts = 0}},
    {"Ncm16", {.framing = Framing::kNcm, .wide = false}},
    {"Ncm32", {.framing = Framing::kNcm, .divisor = 32, .remainder = 14, .alignment = 64}},
    {"NcmWithoutAddress", {.framing = Framing::kNcm, .multicasts = 0, .capabilities = kCanFilter}},
    {"Rndis", {.framing = Framing::kRndis}},
    {"RndisThatStalls", {.framing = Framing::kRndis, .multicasts = 1, .stalls_when_silent = true}},
};
// Those with a list of groups that eight fit in, one of each framing and width.
inline constexpr Kind kListed[] = {kKinds[0], kKinds[2], kKinds[3], kKinds[5]};
inline void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.name;
}
inline std::string name_of(const ::testing::TestParamInfo<Kind>& info) {
  return info.param.name;
}

}  // namespace usernic::cdc
