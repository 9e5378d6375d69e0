// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: the drivers that a config may name: one row each, one file each (driver_NAME.cc). Who adds a driver writes
// its row in that file and names it in drivers.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "bus/usb/port.h"
#include "drivers/simnic/wire.h"
#include "usernic/net.h"

namespace usernic::daemon {

struct NicConfig;
class Section;

// Where a device is made. `port` is where its card is, for a driver of a bus.
struct ProbeSite {
  Net& net;
  simnic::Wires& wires;
  const NicConfig& nic;
  std::shared_ptr<usb::Port> port;
};

struct Driver {
  std::string_view name;  // in a config
  std::string_view help;  // a few words
  uint32_t mtu_max;
  // Of its section, [nic.NAME]; none: it has no section. `read` fills in NicConfig::section; a section that is not
  // there is an empty one.
  std::span<const std::string_view> keys = {};
  void (*read)(Section& section, NicConfig& nic) = nullptr;
  bool (*filters_vlans)(const NicConfig& nic) = nullptr;  // null: it never does
  // Null: it has no bus.
  bool (*takes)(uint16_t vendor, uint16_t product) = nullptr;
  Result<NetdevPtr> (*probe)(const ProbeSite& site, const NetdevConfig& config) = nullptr;
};

std::span<const Driver* const> drivers();
std::vector<std::string_view> driver_names();
// Null: there is none of that name / none takes it.
const Driver* find_driver(std::string_view name);
const Driver* usb_driver_for(uint16_t vendor, uint16_t product);

}  // namespace usernic::daemon
// Explained best by: daemon/nic_test.cc
