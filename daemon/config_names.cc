// SPDX-License-Identifier: Apache-2.0
#include "daemon/config_names.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

namespace usernic::daemon {
namespace {

constexpr size_t kInterfaceNameMax = 15;  // IFNAMSIZ - 1
constexpr size_t kHostNameMax = 63;
constexpr size_t kNetnsNameMax = 255;
constexpr size_t kTypoDistanceMax = 2;
constexpr size_t kEchoedMax = 64;

struct Kind {
  int family;
  size_t bytes;
};
constexpr Kind kIp4{AF_INET, 4}, kIp6{AF_INET6, 16};

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

// How many characters must be put in, taken out or replaced.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

// One station's: not unspecified, multicast or broadcast.
bool is_station(std::string_view octets) {
  const auto all = [&](char value) { return std::ranges::count(octets, value) == std::ssize(octets); };
  const auto first = static_cast<uint8_t>(octets[0]);
  const bool multicast = octets.size() == kIp6.bytes ? first == 0xff : (first & 0xf0) == 0xe0;
  return !multicast && !all('\0') && !all('\xff');
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
                       !name.contains('/') && printable(name) == name;
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

std::string printable(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const auto octet = static_cast<uint8_t>(c);
    const bool second = !shown.empty() && shown.back() == '\xc2' && octet >= 0x80 && octet < 0xa0;  // U+0080 to U+009F
    if (second) shown.pop_back();
    shown += second || octet < 0x20 || octet == 0x7f ? '?' : c;
  }
  return shown;
}

std::string shortened(std::string_view text) {
  size_t end = std::min(text.size(), kEchoedMax);
  while (end < text.size() && end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;  // in a character
  return printable(text.substr(0, end)) + (end < text.size() ? "..." : "");
}

std::string suggestion(std::string_view word, std::span<const std::string_view> known) {
  if (known.empty() || word.size() > kEchoedMax) return "";
  const auto nearest = std::ranges::min_element(known, {}, [&](std::string_view k) { return distance(word, k); });
  const size_t far = std::min(kTypoDistanceMax, nearest->size() / 2);  // of a short name everything is near
  if (distance(word, *nearest) <= far) return fmt::format("; did you mean '{}'?", *nearest);
  return fmt::format("; there {} {}", known.size() == 1 ? "is" : "are", fmt::join(known, ", "));
}

}  // namespace usernic::daemon
