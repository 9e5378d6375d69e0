// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: USB adapters in software, by name: `bus = "emulated:NAME/WIRE"` and `usernic usb-device NAME`. Who adds a
// model adds its row to the table in usb_models.cc.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "bus/usb/nic_model.h"

namespace usernic::daemon {

struct UsbModel {
  std::string_view name;
  std::unique_ptr<usb::NicModel> (*make)(const MacAddress& permanent);
};

std::span<const UsbModel> usb_models();
// Null: there is none of that name.
const UsbModel* find_usb_model(std::string_view name);
// Says so, and which there are.
std::string no_usb_model(std::string_view name);

}  // namespace usernic::daemon
