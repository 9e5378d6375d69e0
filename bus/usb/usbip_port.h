// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: a device that a USB/IP server exports: the client, without a kernel module.
//
// One connection a device, one thread that polls it. What is submitted is written as soon as the socket takes it; a
// cancelled transfer ends at once, and what the server still says of it is passed over. A server that breaks the
// protocol, hangs up or falls silent is an unplugged device.
#pragma once

#include <string>
#include <vector>

#include "bus/usb/identity.h"
#include "bus/usb/port.h"
#include "bus/usb/socket.h"
#include "bus/usb/usbip.h"

namespace usernic::usb {

class UsbipPort final : public Port {
 public:
  UsbipPort(std::string host, uint16_t tcp_port, std::string bus_id,
            Duration look_again = std::chrono::milliseconds(500));

  Result<std::unique_ptr<Device>> open(const Wait& wait) override;
  std::string name() const override;
  Duration look_again() const override { return look_again_; }

 private:
  const std::string host_;
  const uint16_t tcp_port_;
  const std::string bus_id_;
  const Duration look_again_;
};

struct UsbipListed {
  usbip::Record record;
  std::vector<ClassCode> interfaces;  // of the configuration that it is in

  Identity identity() const {
    return {record.vendor, record.product, {record.device_class, record.subclass, record.protocol}, interfaces};
  }
};
// What the server exports now. Errors: of the connection; bad_message. Context: process.
Result<std::vector<UsbipListed>> usbip_list(const std::string& host, uint16_t tcp_port, const Wait& wait);

// The device on a connection that is past its import. Context: process.
Result<std::unique_ptr<Device>> usbip_device(Socket socket, const usbip::Record& record, const Wait& wait);

}  // namespace usernic::usb
// Explained best by: bus/usb/usbip_test.cc
