// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: what the config file says, checked.
//
// Whoever holds a Config may rely on it: names are unique and allowed, every host that a nic names is there, the
// driver exists, its section is one that a card can be built from, addresses are addresses, and the nics that a nic is
// over come before it. What is wrong is one sentence with the file and the line and what would be right; of several
// things the first in the file.
// docs/config.md lists every key, with its unit, default and limits.
#pragma once

#include <any>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bus/usb/location.h"
#include "daemon/config_netconsole.h"
#include "host/host_port.h"
#include "usernic/mac_address.h"

namespace usernic::daemon {

inline constexpr uint32_t kMtuMin = 68;
inline constexpr uint32_t kMtuMax = 9000;
inline constexpr uint16_t kVlanIdMax = 4094;
inline constexpr uint16_t kPollThreadsMax = 64;
inline constexpr int kCpuMax = 1023;
inline constexpr uint32_t kIp6MtuMin = 1280;  // RFC 8200, 5

struct HostConfig {
  std::string name;
  std::string netns;  // "": usernic makes one
  int line = 0, netns_line = 0;
};

struct Driver;

struct NicConfig {
  std::string name;
  std::string host;                // "": see daemon/README.md
  const Driver* driver = nullptr;  // null: whichever takes the device at `usb`
  MacAddress address;              // zero: a random one
  uint32_t mtu = 1500;
  std::vector<std::string> addresses;          // "10.9.0.1/24", "fd09::1/64"
  std::optional<std::vector<uint16_t>> vlans;  // given: the VLAN filter is on, for these
  std::any section;                            // what the driver's own section says, as the driver has it
  std::optional<usb::Location> usb;            // of the USB drivers
  std::string card_interface;                  // of a driver whose card is an interface
  std::vector<std::string> over;               // the nics that it is on top of
  bool interface = true;                       // it is shown to the kernel
  PortKind port = PortKind::kAny;              // as what
  bool mtu_given = false, interface_given = false;
  int line = 0, host_line = 0, address_line = 0, addresses_line = 0, mtu_line = 0, vlans_line = 0, over_line = 0;

  // What its section says; where none was read, `otherwise`.
  template <class T>
  T section_as(T otherwise = {}) const {
    const auto* said = std::any_cast<T>(&section);
    return said != nullptr ? *said : otherwise;
  }
};

// The threads that all nics share: so many poll, and so many read what the kernel sends.
struct PollConfig {
  uint16_t threads = 1;
  std::vector<int> cpus;  // empty: wherever they may
};

struct Config {
  std::string file;  // as in messages
  PollConfig poll;
  std::optional<NetconsoleConfig> netconsole;
  std::vector<HostConfig> hosts;
  std::vector<NicConfig> nics;
};

// The keys that each may have but for drivers' sections (Driver::keys). `kFile` stands for the file itself.
enum class ConfigSection : uint8_t { kFile, kHost, kNic, kPoll, kNetconsole };
std::span<const std::string_view> config_keys(ConfigSection section);

// The error is a sentence that starts with "FILE:LINE: ", or says why the file cannot be read. Throws one where the
// machine has no descriptor or memory left, which is no fault of the config.
std::expected<Config, std::string> read_config(const std::string& path);
std::expected<Config, std::string> parse_config(std::string_view text, const std::string& file);

// Two hosts, a card each, one wire: what `usernic run` shows without a file.
std::string_view default_config();

}  // namespace usernic::daemon
// Explained best by: daemon/config_test.cc
