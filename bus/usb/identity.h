// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: what a device is, as a driver recognises it: by who made it, or by the classes of its interfaces.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "bus/usb/descriptors.h"

namespace usernic::usb {

struct ClassCode {
  uint8_t interface_class = 0, subclass = 0, protocol = 0;
  bool operator==(const ClassCode&) const = default;
};

struct Identity {
  uint16_t vendor = 0, product = 0;
  ClassCode device;
  std::vector<ClassCode> interfaces;  // of its configurations, as far as known
};

// What a driver knows its devices by that are of no class.
struct ProductId {
  uint16_t vendor, product;
};
inline bool is_one_of(const Identity& device, std::span<const ProductId> ids) noexcept {
  return std::ranges::any_of(
      ids, [&](const ProductId& id) { return id.vendor == device.vendor && id.product == device.product; });
}

inline ClassCode class_of(const Interface& interface) noexcept {
  return {interface.interface_class, interface.subclass, interface.protocol};
}

inline Identity identity_of(const Descriptors& device) {
  Identity identity{device.vendor, device.product, {device.device_class, device.subclass, device.protocol}, {}};
  for (const Configuration& configuration : device.configurations) {
    for (const Interface& interface : configuration.interfaces) identity.interfaces.push_back(class_of(interface));
  }
  return identity;
}

}  // namespace usernic::usb
