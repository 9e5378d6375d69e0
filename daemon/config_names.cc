// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/config_names.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "ctl/did_you_mean.h"

namespace usernic::daemon {
namespace {

constexpr size_t kInterfaceNameMax = 15;  // IFNAMSIZ - 1
constexpr size_t kHostNameMax = 63;
constexpr size_t kNetnsNameMax = 255;

struct Kind {
  int family;
  size_t bytes;
};
constexpr Kind kIp4{AF_INET, 4}, kIp6{AF_INET6, 16};

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

// One station's: not unspecified, multicast or broadcast, nor ::1, which the kernel puts on a loopback only (to IPv4's
// it does not object).
bool is_station(std::string_view octets) {
  const auto all = [](std::string_view some, char value) {
    return std::ranges::count(some, value) == std::ssize(some);
  };
  const bool is_ip6 = octets.size() == kIp6.bytes;
  const auto first = static_cast<uint8_t>(octets[0]);
  const bool multicast = is_ip6 ? first == 0xff : (first & 0xf0) == 0xe0;
  const bool loopback = is_ip6 && octets.back() == 1 && all(octets.substr(0, octets.size() - 1), '\0');
  return !multicast && !loopback && !all(octets, '\0') && !all(octets, '\xff');
}

}  // namespace

std::string interface_name_error(std::string_view name) {
  const bool allowed = !name.empty() && name.size() <= kInterfaceNameMax && name != "." && name != ".." &&
                       std::ranges::all_of(name, is_plain);
  if (!allowed) return "must be 1 to 15 letters, digits, '-', '_' or '.', like \"nic0\"";
  // The kernel has these already, or means something else by them.
  if (name == "lo" || name == "all" || name == "default") return "is a name that the kernel keeps for itself";
  return "";
}

std::string host_name_error(std::string_view name) {
  const bool allowed =
      !name.empty() && name.size() <= kHostNameMax && name[0] != '-' && std::ranges::all_of(name, is_plain);
  return allowed ? "" : "must be 1 to 63 letters, digits, '-', '_' or '.', not '-' first, like \"a\"";
}

std::string netns_name_error(std::string_view name) {
  const bool allowed = !name.empty() && name.size() <= kNetnsNameMax && name != "." && name != ".." &&
                       !name.contains('/') && ctl::printable(name) == name;
  return allowed ? "" : "must be a name that 'ip netns list' shows";
}

std::string station_octets(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return "";
  const std::string address(text.substr(0, slash));
  const std::string_view bits = text.substr(slash + 1);
  const Kind kind = address.contains(':') ? kIp6 : kIp4;
  std::string octets(kind.bytes, '\0');
  // A NUL inside would end the text early for inet_pton.
  if (address.contains('\0') || ::inet_pton(kind.family, address.c_str(), octets.data()) != 1) return "";
  uint8_t prefix_bits = 0;
  const auto [end, error] = std::from_chars(bits.data(), bits.data() + bits.size(), prefix_bits);
  if (error != std::errc{} || end != bits.data() + bits.size() || prefix_bits > 8 * kind.bytes) return "";
  return is_station(octets) ? octets : "";
}

}  // namespace usernic::daemon
