// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/usb_ports.h"

#include <algorithm>

#include "bus/usb/emulated.h"
#include "bus/usb/usbip_port.h"
#include "drivers/rtl8150/model.h"
#include "drivers/rtl8150/rtl8150.h"

namespace usernic::daemon {
namespace {

constexpr UsbDriver kDrivers[] = {{"rtl8150", &Rtl8150::takes, Rtl8150::kMtuMax, &Rtl8150::probe}};

MacAddress random_address() {
  MacAddress address = MacAddress::from_u64(random_u64());
  address.octets[0] = static_cast<uint8_t>((address.octets[0] & 0xfc) | 0x02);  // unicast, locally administered
  return address;
}

// An rtl8150 whose cable ends in a wire.
class WiredRtl8150 final : rtl8150::Cable, simnic::WirePort {
 public:
  WiredRtl8150(std::shared_ptr<simnic::Wire> wire, const std::string& name)
      : wire_(std::move(wire)), model_(random_address()), plug_(model_, name) {
    model_.connect_cable(this);
    wire_->plug(*this);
  }
  ~WiredRtl8150() {
    wire_->unplug(*this);
    model_.connect_cable(nullptr);
  }
  usb::EmulatedPort& plug() { return plug_; }

 private:
  void hear(std::span<const uint8_t> frame) noexcept override { wire_->send(*this, std::span(&frame, 1)); }
  void hear(std::span<const simnic::Frame> frames) noexcept USERNIC_NONBLOCKING override {
    for (const simnic::Frame& frame : frames) model_.receive(frame);
  }

  const std::shared_ptr<simnic::Wire> wire_;
  rtl8150::Model model_;
  usb::EmulatedPort plug_;
};

}  // namespace

const UsbDriver* usb_driver(std::string_view name) {
  const auto found = std::ranges::find(kDrivers, name, &UsbDriver::name);
  return found == std::end(kDrivers) ? nullptr : found;
}

const UsbDriver* usb_driver_for(uint16_t vendor, uint16_t product) {
  const auto found = std::ranges::find_if(kDrivers, [&](const UsbDriver& d) { return d.takes(vendor, product); });
  return found == std::end(kDrivers) ? nullptr : found;
}

const std::vector<std::string_view>& usb_models() {
  static const std::vector<std::string_view> kModels = {"rtl8150"};
  return kModels;
}

std::shared_ptr<usb::Port> usb_port(const usb::Location& location, simnic::Wires& wires) {
  if (location.bus == usb::Location::Bus::kUsbip) {
    return std::make_shared<usb::UsbipPort>(location.host, location.tcp_port, location.bus_id);
  }
  const std::string name = "emulated:" + location.model + "/" + location.wire;
  const auto adapter = std::make_shared<WiredRtl8150>(wires.wire(location.wire), name);
  return {adapter, &adapter->plug()};
}

}  // namespace usernic::daemon
