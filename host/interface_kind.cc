// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/interface_kind.h"

#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include "usernic/unique_fd.h"

namespace usernic {

// [kernel: dev_valid_name; TUN also expands "%d"]
std::string wrong_interface_name(const std::string& name) {
  const bool fits = !name.empty() && name.size() < IFNAMSIZ && name != "." && name != "..";
  const auto is_bad = [](char c) {
    return c == '/' || c == ':' || c == '%' || c == '\0' || std::isspace(static_cast<unsigned char>(c));
  };
  if (fits && std::ranges::none_of(name, is_bad)) return "";
  return fmt::format(
      "\"{}\" is not a name of an interface: 1 to 15 characters, none of them '/', ':', '%' or white space", name);
}

std::string kind_of_interface(const std::string& name) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_drvinfo info{.cmd = ETHTOOL_GDRVINFO};
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_data = reinterpret_cast<char*>(&info);
  if (!socket || ::ioctl(socket.get(), SIOCETHTOOL, &request) != 0) return "";
  const bool of_tun = std::strcmp(info.driver, "tun") == 0;  // TUN or TAP: that is in place of a bus
  const char* const kind = of_tun ? info.bus_info : info.driver;
  return std::string(kind, ::strnlen(kind, sizeof info.driver));
}

}  // namespace usernic
