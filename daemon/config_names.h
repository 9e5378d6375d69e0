// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: which names and addresses are allowed.
#pragma once

#include <string>
#include <string_view>

namespace usernic::daemon {

// "" when allowed, else what a name must be: "must be 1 to 15 characters ...".
std::string interface_name_error(std::string_view name);
std::string host_name_error(std::string_view name);
std::string netns_name_error(std::string_view name);

// The 4 or 16 octets of "10.9.0.1/24" or "fd09::1/64"; the prefix length must be there. "" when it is something else,
// or not the address of one station: unspecified, multicast, broadcast or ::1.
std::string station_octets(std::string_view text);

}  // namespace usernic::daemon
// Explained best by: daemon/config_test.cc
