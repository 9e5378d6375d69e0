// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/location.h"

#include <charconv>

#include "bus/usb/usbip.h"

namespace usernic::usb {
namespace {

constexpr std::string_view kRight =
    "must be \"usbip:HOST:PORT/BUSID\", like \"usbip:127.0.0.1:3240/1-1\", or \"emulated:MODEL/WIRE\", like "
    "\"emulated:rtl8150/w0\"";
constexpr std::string_view kUsbip = "usbip:", kEmulated = "emulated:";
constexpr std::string_view kWireDefault = "w0";

}  // namespace

bool parse_server(std::string_view text, std::string& host, uint16_t& tcp_port) {
  tcp_port = usbip::kTcpPort;
  size_t end = text.rfind(':');
  if (text.starts_with('[')) {
    const size_t closed = text.find(']');
    if (closed == std::string_view::npos) return false;
    host = text.substr(1, closed - 1);
    end = closed + 1;
    if (end == text.size()) return !host.empty();
    if (text[end] != ':') return false;
  } else {
    host = text.substr(0, end);
    if (host.contains(':')) return false;
  }
  if (host.empty()) return false;
  if (end == std::string_view::npos) return true;
  const std::string_view digits = text.substr(end + 1);
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), tcp_port);
  return error == std::errc{} && stop == digits.data() + digits.size() && tcp_port != 0;
}

std::expected<Location, std::string> Location::parse(std::string_view text) {
  Location location;
  const size_t slash = text.rfind('/');
  if (text.starts_with(kUsbip)) {
    if (slash == std::string_view::npos) return std::unexpected(std::string(kRight));
    location.bus_id = text.substr(slash + 1);
    const std::string_view server = text.substr(kUsbip.size(), slash - kUsbip.size());
    if (location.bus_id.empty() || location.bus_id.size() >= usbip::kBusIdBytes ||
        !parse_server(server, location.host, location.tcp_port)) {
      return std::unexpected(std::string(kRight));
    }
    return location;
  }
  if (!text.starts_with(kEmulated)) return std::unexpected(std::string(kRight));
  location.bus = Bus::kEmulated;
  const std::string_view rest = text.substr(kEmulated.size());
  location.model = rest.substr(0, rest.find('/'));
  location.wire = slash == std::string_view::npos ? kWireDefault : text.substr(slash + 1);
  if (location.model.empty() || location.wire.empty()) return std::unexpected(std::string(kRight));
  return location;
}

}  // namespace usernic::usb
