// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: where a device is, as somebody writes it: "usb:0bda:8150", "usb:1-2", "usbip:127.0.0.1:3240/1-1",
// "emulated:rtl8150/w0".
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace usernic::usb {

struct Location {
  enum class Bus : uint8_t { kUsb, kUsbip, kEmulated };
  Bus bus = Bus::kUsbip;
  std::string place;                 // kUsb: "1-2.3", bus and ports on the way; "": by its numbers
  uint16_t vendor = 0, product = 0;  // kUsb
  std::string host;                  // kUsbip; an IPv6 address is written in brackets
  uint16_t tcp_port = 0;
  std::string bus_id;
  std::string model;  // kEmulated
  std::string wire;   // the wire at the end of its cable

  // The error says what is right: "must be ...".
  static std::expected<Location, std::string> parse(std::string_view text);
  std::string text() const;
};

// "HOST", "HOST:PORT", "[ADDRESS]:PORT" into their parts; the port is 3240 where none is said. False: it is none.
bool parse_server(std::string_view text, std::string& host, uint16_t& tcp_port);

}  // namespace usernic::usb
// Explained best by: bus/usb/location_test.cc
