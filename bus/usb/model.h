// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: a device in software: what is behind the plug of an EmulatedPort.
//
// It says its descriptors, answers the requests that are its own (the port answers the standard ones), takes what the
// host sends, and has the port deliver what it sends itself.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "bus/usb/transfer.h"

namespace usernic::usb {

// Where a model puts what it sends: kept in order until the host asks for it. Each delivery is one message, which ends
// a transfer. False: there is no room, or nobody configured the device; the message is lost. Context: process or BH.
class ToHost {
 public:
  virtual bool deliver(uint8_t endpoint, std::span<const uint8_t> message) noexcept USERNIC_NONBLOCKING = 0;

 protected:
  ~ToHost() = default;
};

class Model {
 public:
  virtual ~Model() = default;

  virtual std::span<const uint8_t> device_descriptor() const = 0;
  virtual std::span<const uint8_t> configuration_descriptor() const = 0;
  // By index, from 1; "" if there is none.
  virtual std::string_view string(uint8_t index) const = 0;
  virtual Speed speed() const { return Speed::kHigh; }

  // Once, when the port is made: where to put what it sends, for as long as the port lives.
  virtual void connect(ToHost& to_host) = 0;
  // Somebody plugged it in: as after power on. Context: process.
  virtual void power_on() = 0;

  // What the host chose; the port has answered it. Context: process.
  virtual void set_configuration(uint8_t) {}
  virtual void set_interface(uint8_t /*interface*/, uint8_t /*alternate*/) {}

  // Called by the port's thread, one at a time. broken_pipe: the endpoint stalls.
  // A vendor's or a class' request; `data` is what it sends, or room for the answer.
  virtual Result<uint32_t> control(const Setup& setup, std::span<uint8_t> data) = 0;
  virtual Result<> out(uint8_t endpoint, std::span<const uint8_t> data) = 0;
};

}  // namespace usernic::usb
