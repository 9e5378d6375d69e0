// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: what a device says of itself, checked: whatever octets it sends, nothing is read beyond them.
//
// [USB 2.0, 9.5 and 9.6]. Descriptors of a class stay as octets, for the driver of that class.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bus/usb/transfer.h"

namespace usernic::usb {

enum class EndpointType : uint8_t { kControl, kIsochronous, kBulk, kInterrupt };

struct Endpoint {
  uint8_t address = 0;
  EndpointType type = EndpointType::kControl;
  uint16_t packet_max = 0;
  uint8_t interval = 0;  // as the descriptor says it

  // How often an interrupt endpoint is asked, in frames, from high speed on in microframes. At least 1, as hosts want.
  uint32_t period(Speed speed) const noexcept;
};

struct Interface {
  uint8_t number = 0, alternate = 0;
  uint8_t interface_class = 0, subclass = 0, protocol = 0;
  std::vector<Endpoint> endpoints;
  std::vector<uint8_t> class_specific;  // its other descriptors, one after the other
};

struct Configuration {
  uint8_t value = 0;
  std::vector<Interface> interfaces;  // each alternate setting is one

  // bad_message: not a configuration descriptor, or a length in it is impossible.
  static Result<Configuration> parse(std::span<const uint8_t> octets);
};

struct Descriptors {
  uint16_t vendor = 0, product = 0, release = 0;
  uint8_t device_class = 0, subclass = 0, protocol = 0;
  uint8_t packet_max = 0;  // of endpoint 0
  uint8_t serial_string = 0;
  std::vector<Configuration> configurations;

  // Asks the device. bad_message, or what a transfer failed with. Sleeps if `control` does.
  using Control = std::function<Result<uint32_t>(const Setup&, std::span<uint8_t>)>;
  static Result<Descriptors> read(const Control& control);
  // The first endpoint of that kind and direction in an interface of any configuration.
  std::optional<Endpoint> find(EndpointType type, bool in) const;
  // The first endpoint of that address.
  std::optional<Endpoint> at(uint8_t address) const;
};

}  // namespace usernic::usb
// Explained best by: bus/usb/descriptors_test.cc
