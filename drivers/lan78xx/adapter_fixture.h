// SPDX-License-Identifier: Apache-2.0 OR MIT
// lan78xx: for tests, an adapter in software with its cable, and the device that drives it.
#pragma once

#include "bus/usbnet/nic_fixture.h"
#include "drivers/lan78xx/lan78xx.h"
#include "drivers/lan78xx/model.h"

namespace usernic::lan78xx {

using usb::Ear, usb::kOther, usb::make_frame, usb::multicast, usb::number_of, usb::unicast;

inline constexpr MacAddress kPermanent = MacAddress::from_u64(0x0280'0f78'0000);

struct Adapter : usb::NicFixture<Lan78xx, Model> {
  static constexpr uint64_t kOverflow = 60;  // groups; the perfect filters hold 32 addresses
  explicit Adapter(bool served = false, uint16_t chip = 0x7800) : NicFixture(served, kPermanent, chip) {}
};

// That a hash which nobody has written lets in.
constexpr MacAddress foreign_group() {
  return usb::foreign_group<Adapter>(
      bucket_of, [](const MacAddress& group) { return (Model::kUnwritten >> bucket_of(group) % 32 & 1) != 0; });
}

}  // namespace usernic::lan78xx
