// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: USB: the drivers and the models that there are, and the port at a place in a config.
//
// Who adds a driver or a model adds a row to the tables in usb_ports.cc.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/usb/location.h"
#include "bus/usb/port.h"
#include "drivers/simnic/wire.h"
#include "usernic/net.h"

namespace usernic::daemon {

struct UsbDriver {
  std::string_view name;
  bool (*takes)(uint16_t vendor, uint16_t product);
  uint32_t mtu_max;
  Result<NetdevPtr> (*probe)(Net& net, NetdevConfig config, std::shared_ptr<usb::Port> port, const usb::Wait& wait);
};
// Null: there is none of that name / none takes it.
const UsbDriver* usb_driver(std::string_view name);
const UsbDriver* usb_driver_for(uint16_t vendor, uint16_t product);

const std::vector<std::string_view>& usb_models();

// The port there, with a model of its own where the place is an emulated one. Requires: a model that there is.
std::shared_ptr<usb::Port> usb_port(const usb::Location& location, simnic::Wires& wires);

}  // namespace usernic::daemon
