// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/usb_list.h"

#include <fmt/format.h>

#include <algorithm>

#include "bus/usb/emulated.h"
#include "bus/usb/libusb_port.h"
#include "bus/usb/location.h"
#include "bus/usb/usbip_port.h"
#include "ctl/did_you_mean.h"
#include "daemon/drivers.h"
#include "daemon/usb_models.h"

namespace usernic::daemon {
namespace {

constexpr std::string_view kThisMachine = "127.0.0.1";
constexpr Duration kAnswerMost = std::chrono::seconds(30);

std::string_view name_of(usb::Speed speed) {
  switch (speed) {
    case usb::Speed::kLow:
      return "low";
    case usb::Speed::kFull:
      return "full";
    case usb::Speed::kHigh:
      return "high";
    case usb::Speed::kSuper:
      return "super";
    case usb::Speed::kUnknown:
      break;
  }
  return "unknown";
}

UsbFound found(std::string bus, const usb::Identity& identity, usb::Speed speed) {
  UsbFound found{.bus = std::move(bus),
                 .id = fmt::format("{:04x}:{:04x}", identity.vendor, identity.product),
                 .speed = std::string(name_of(speed))};
  for (const usb::ClassCode& code : identity.interfaces) {
    const std::string text = fmt::format("{:02x}/{:02x}/{:02x}", code.interface_class, code.subclass, code.protocol);
    if (std::ranges::find(found.classes, text) == found.classes.end()) found.classes.push_back(text);
  }
  if (const Driver* const driver = usb_driver_for(identity)) found.driver = driver->name;
  return found;
}

void list_here(UsbList& list) {
  const auto entries = usb::libusb_list();
  if (!entries) {
    if (entries.error() == std::errc::function_not_supported) return;  // there is no USB here
    list.unreached.push_back(
        fmt::format("cannot list the USB devices of this machine: {}", errno_name(entries.error())));
    return;
  }
  for (const usb::LibusbEntry& entry : *entries) {
    usb::Identity identity{entry.vendor, entry.product, {entry.device_class, 0, 0}, {}};
    for (const usb::Interface& interface : entry.interfaces) identity.interfaces.push_back(class_of(interface));
    list.devices.push_back(found("usb:" + entry.place, identity, entry.speed));
  }
}

// What is wrong; "": it answered.
std::string ask(std::string_view server, std::vector<UsbFound>& devices) {
  std::string host;
  uint16_t tcp_port = 0;
  if (!usb::parse_server(server, host, tcp_port)) {
    return fmt::format("a USB/IP server is HOST or HOST:PORT, like 127.0.0.1:3240, not '{}'", ctl::shortened(server));
  }
  const auto listed = usb::usbip_list(host, tcp_port, {.deadline = Clock::now() + kAnswerMost});
  if (!listed) {
    const std::string_view why =
        listed.error() == std::errc::connection_refused ? "no USB/IP server listens there" : errno_name(listed.error());
    return fmt::format("cannot list the USB devices at '{}': {}", ctl::shortened(server), why);
  }
  for (const usb::UsbipListed& one : *listed) {
    usb::UsbipPort port(host, tcp_port, one.record.bus_id);
    usb::Identity identity = one.identity();
    // A server that did not configure its device (usbipd --device) knows no interfaces of it: the device does.
    if (identity.interfaces.empty()) {
      const auto device = port.open({.deadline = Clock::now() + kAnswerMost});
      if (device) identity = identity_of((*device)->descriptors());
    }
    devices.push_back(found(port.name(), identity, static_cast<usb::Speed>(one.record.speed)));
  }
  return "";
}

}  // namespace

UsbList list_usb(const std::vector<std::string>& servers) {
  UsbList list;
  list_here(list);
  for (const std::string& server : servers) {
    if (std::string wrong = ask(server, list.devices); !wrong.empty()) list.unreached.push_back(std::move(wrong));
  }
  if (servers.empty()) (void)ask(kThisMachine, list.devices);
  for (const UsbModel& model : usb_models()) {
    const auto made = model.make(MacAddress::generate());
    usb::EmulatedPort port(*made, fmt::format("emulated:{}", model.name));
    const auto device = port.open({.deadline = Clock::now() + kAnswerMost});
    if (device) list.devices.push_back(found(port.name(), identity_of((*device)->descriptors()), (*device)->speed()));
  }
  return list;
}

}  // namespace usernic::daemon
