// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: a place where a device may be: a socket of a hub, a bus id at a USB/IP server, a model's plug.
//
// Devices come and go; a driver keeps the port, and opens what is there again after an unplug.
#pragma once

#include <memory>
#include <string>

#include "bus/usb/device.h"

namespace usernic::usb {

class Port {
 public:
  virtual ~Port() = default;
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  // Opens the device that is there, with its descriptors read. no_such_device: there is none; device_or_resource_busy:
  // somebody has it; connection_refused and the like: nobody answers. Context: process.
  virtual Result<std::unique_ptr<Device>> open(const Wait& wait) = 0;
  // As in a config: "usbip:127.0.0.1:3240/1-1".
  virtual std::string name() const = 0;
  // How long to wait before another look for a device, where none is.
  virtual Duration look_again() const = 0;

 protected:
  Port() = default;
};

}  // namespace usernic::usb
