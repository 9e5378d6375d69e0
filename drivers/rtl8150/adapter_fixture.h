// SPDX-License-Identifier: Apache-2.0 OR MIT
// rtl8150: for tests, an adapter in software with its cable, and the device that drives it.
#pragma once

#include "bus/usbnet/nic_fixture.h"
#include "drivers/rtl8150/model.h"
#include "drivers/rtl8150/rtl8150.h"

namespace usernic::rtl8150 {

using usb::Ear, usb::kOther, usb::make_frame, usb::multicast, usb::number_of, usb::unicast;

inline constexpr MacAddress kPermanent = MacAddress::from_u64(0x02e0'4c81'5000);

struct Adapter : usb::NicFixture<Rtl8150, Model> {
  explicit Adapter(bool served = false) : NicFixture(served, kPermanent) {}
};

}  // namespace usernic::rtl8150
