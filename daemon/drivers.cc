// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/drivers.h"

#include <algorithm>

namespace usernic::daemon {

extern const Driver kBondDriver, kBridgeDriver, kCdcDriver, kDummyDriver, kImpairDriver, kLan78xxDriver, kMacvlanDriver,
    kPacketDriver, kRtl8150Driver, kSimnicDriver, kVlanDriver;

namespace {

// Who knows a device by its maker comes before who knows it by its class.
constexpr const Driver* kDrivers[] = {&kDummyDriver, &kSimnicDriver, &kRtl8150Driver, &kLan78xxDriver,
                                      &kCdcDriver,   &kPacketDriver, &kVlanDriver,    &kMacvlanDriver,
                                      &kBondDriver,  &kBridgeDriver, &kImpairDriver};

template <class Is>
const Driver* first(Is is) {
  const auto found = std::ranges::find_if(kDrivers, [&](const Driver* driver) { return is(*driver); });
  return found == std::end(kDrivers) ? nullptr : *found;
}

}  // namespace

std::span<const Driver* const> drivers() {
  return kDrivers;
}

std::vector<std::string_view> driver_names() {
  std::vector<std::string_view> names;
  for (const Driver* driver : kDrivers) names.push_back(driver->name);
  return names;
}

const Driver* find_driver(std::string_view name) {
  return first([&](const Driver& driver) { return driver.name == name; });
}

const Driver* usb_driver_for(const usb::Identity& device) {
  return first([&](const Driver& driver) { return driver.takes != nullptr && driver.takes(device); });
}

}  // namespace usernic::daemon
