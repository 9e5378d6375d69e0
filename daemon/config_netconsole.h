// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: [netconsole] of a config: where usernic's own log goes as UDP, beside stderr.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "daemon/first_error.h"
#include "usernic/mac_address.h"

namespace usernic::daemon {

struct Config;
struct ConfigTable;

struct NetconsoleConfig {
  std::string nic;
  std::string local, remote;  // 4 or 16 octets each
  uint16_t port = 0;
  MacAddress remote_address = MacAddress::from_u64(0xffff'ffff'ffff);  // of the next hop
  int line = 0, nic_line = 0, remote_line = 0;
};

std::span<const std::string_view> netconsole_keys();
NetconsoleConfig read_netconsole(const ConfigTable& table, int line, FirstError& error);
// The nic is there, is on top of no other, and has an address to send from, which is filled in.
void settle_netconsole(Config& config, FirstError& error);

}  // namespace usernic::daemon
// Explained best by: daemon/config_netconsole_test.cc
