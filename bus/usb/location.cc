// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/location.h"

#include <fmt/format.h>

#include <charconv>

#include "bus/usb/usbip.h"

namespace usernic::usb {
namespace {

constexpr std::string_view kRight =
    "must be \"usb:VENDOR:PRODUCT\", like \"usb:0bda:8150\", \"usb:BUS-PORT\", like \"usb:1-2\", "
    "\"usbip:HOST:PORT/BUSID\", like \"usbip:127.0.0.1:3240/1-1\", or \"emulated:MODEL/WIRE\", like "
    "\"emulated:rtl8150/w0\"";
constexpr std::string_view kUsb = "usb:", kUsbip = "usbip:", kEmulated = "emulated:";
constexpr std::string_view kWireDefault = "w0";

// Four hexadecimal digits.
bool parse_id(std::string_view text, uint16_t& id) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id, 16);
  return text.size() == 4 && error == std::errc{} && end == text.data() + text.size();
}

// "1-2.3", without leading zeros.
bool is_place(std::string_view text) {
  size_t numbers = 0;
  for (char ends = '-';; ends = '.', ++numbers) {
    uint8_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || text.starts_with('0')) return false;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (text.empty()) return numbers > 0;
    if (!text.starts_with(ends)) return false;
    text.remove_prefix(1);
  }
}

bool parse_usb(std::string_view text, Location& location) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    location.place = text;
    return is_place(text);
  }
  return parse_id(text.substr(0, colon), location.vendor) && parse_id(text.substr(colon + 1), location.product);
}

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
  if (text.starts_with(kUsb)) {
    location.bus = Bus::kUsb;
    if (!parse_usb(text.substr(kUsb.size()), location)) return std::unexpected(std::string(kRight));
    return location;
  }
  const size_t slash = text.rfind('/');
  if (text.starts_with(kUsbip)) {
    location.bus = Bus::kUsbip;
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

std::string Location::text() const {
  switch (bus) {
    case Bus::kUsb:
      return place.empty() ? fmt::format("usb:{:04x}:{:04x}", vendor, product) : "usb:" + place;
    case Bus::kUsbip: {
      const bool ip6 = host.contains(':');
      return fmt::format("usbip:{}{}{}:{}/{}", ip6 ? "[" : "", host, ip6 ? "]" : "", tcp_port, bus_id);
    }
    case Bus::kEmulated:
      return fmt::format("emulated:{}/{}", model, wire);
  }
  return "";
}

}  // namespace usernic::usb
