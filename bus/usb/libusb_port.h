// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: a device on this machine's own USB, by libusb.
//
// An open device has all its interfaces claimed; the kernel's drivers are detached for that time, their
// network interfaces taken down before, and get it back with the configuration that it had. (Killed outright, nobody
// gives it back: a replug does.) One thread a device. Changing
// the configuration or a setting, and clearing a halt, are the kernel's calls: they cannot be stopped, and it gives
// them up after five seconds.
#pragma once

#include <string>
#include <vector>

#include "bus/usb/descriptors.h"
#include "bus/usb/location.h"
#include "bus/usb/port.h"

namespace usernic::usb {

class LibusbPort final : public Port {
 public:
  // Where the device is plugged in, or the first of its kind that nobody else has. Requires: a place of Bus::kUsb.
  explicit LibusbPort(Location location, Duration look_again = std::chrono::milliseconds(500));

  // permission_denied, operation_not_permitted: not ours to open, or to take an interface down; function_not_supported:
  // there is no USB here.
  Result<std::unique_ptr<Device>> open(const Wait& wait) override;
  std::string name() const override { return location_.text(); }
  Duration look_again() const override { return look_again_; }

 private:
  Result<std::unique_ptr<Device>> open_nth(size_t n, const Wait& wait) const;

  const Location location_;
  const Duration look_again_;
};

struct LibusbEntry {
  std::string place;  // "1-2.3": bus, and the ports on the way
  uint16_t vendor = 0, product = 0;
  Speed speed = Speed::kUnknown;
  // Of the device and of the interfaces of its active configuration.
  uint8_t device_class = 0;
  std::vector<Interface> interfaces;
};

// What is there now, without hubs; nothing is opened. function_not_supported: there is no USB here. Context: process.
Result<std::vector<LibusbEntry>> libusb_list();

}  // namespace usernic::usb
// Explained best by: tests/guest
