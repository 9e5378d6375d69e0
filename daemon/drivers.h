// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: the drivers that a config may name: one row each, one file each (driver_NAME.cc). Who adds a driver writes
// its row in that file and names it in drivers.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bus/usb/identity.h"
#include "bus/usb/port.h"
#include "drivers/simnic/wire.h"
#include "usernic/net.h"

namespace usernic::daemon {

struct NicConfig;
class Section;

// Where a device is made. For a driver of a bus: `port` is where its card is, `card` what was opened there, for it to
// take. `lowers`: the devices that it is over, in the order of the config.
struct ProbeSite {
  Net& net;
  simnic::Wires& wires;
  const NicConfig& nic;
  std::shared_ptr<usb::Port> port;
  std::unique_ptr<usb::Device>& card;
  std::span<NetDevice* const> lowers;
};

inline constexpr uint16_t kLowersMax = 63;  // under one device [lower_link.h]

// What a nic that is over another takes of the frames that the other receives: those of a VLAN, some, all of them.
struct Share {
  enum class Of : uint8_t { kVlan, kSome, kAll };
  Of of;
  uint16_t vlan_id = 0;

  // Two on one lower nic, of which each takes what it should.
  bool goes_with(const Share& other) const {
    if (of == Of::kVlan || other.of == Of::kVlan) return of != other.of || vlan_id != other.vlan_id;
    return of == Of::kSome && other.of == Of::kSome;
  }
};

struct Driver {
  std::string_view name;  // in a config
  std::string_view help;  // a few words
  uint32_t mtu_max;
  // Of its section, [nic.NAME]; none: it has no section. `read` fills in NicConfig::section; a section that is not
  // there is read as an empty one.
  std::span<const std::string_view> keys = {};
  void (*read)(Section& section, NicConfig& nic) = nullptr;
  bool (*filters_vlans)(const NicConfig& nic) = nullptr;  // null: it never does
  // Of a driver of USB devices; null: it is none.
  bool (*takes)(const usb::Identity& device) = nullptr;
  bool on_interface = false;  // its card is an interface of the machine's, and its bus the name of one
  // Of a driver of devices on top of others, as many of them as `lowers_max`.
  uint16_t lowers_max = 0;
  Share (*share)(const NicConfig& nic) = nullptr;
  // Puts a lower device under the registered one. Null: `probe` and registration did.
  Result<> (*add_lower)(const NicConfig& nic, NetDevice& dev, NetDevice& lower) = nullptr;
  Result<NetdevPtr> (*probe)(const ProbeSite& site, const NetdevConfig& config) = nullptr;
  // What that errno of `probe` means, as a clause. Null: what it means of any.
  std::string (*why_not)(const NicConfig& nic, std::errc error) = nullptr;
};

std::span<const Driver* const> drivers();
std::vector<std::string_view> driver_names();
// Null: there is none of that name / none takes it.
const Driver* find_driver(std::string_view name);
const Driver* usb_driver_for(const usb::Identity& device);

}  // namespace usernic::daemon
// Explained best by: daemon/nic_test.cc
