// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/usb_ports.h"

#include <algorithm>

#include "bus/usb/emulated.h"
#include "bus/usb/libusb_port.h"
#include "bus/usb/usbip_port.h"
#include "daemon/usb_models.h"

namespace usernic::daemon {
namespace {

constexpr Duration kOpenMost = std::chrono::seconds(30);
constexpr Duration kBusyMost = std::chrono::seconds(5);
constexpr Duration kBusyLook = std::chrono::milliseconds(50);

// An adapter in software whose cable ends in a wire.
class WiredAdapter final : usb::Cable, simnic::WireEnd {
 public:
  WiredAdapter(const UsbModel& model, std::shared_ptr<simnic::Wire> wire, const std::string& name)
      : wire_(std::move(wire)), model_(model.make(MacAddress::generate())), plug_(*model_, name) {
    model_->connect_cable(this);
    wire_->plug(*this);
  }
  ~WiredAdapter() {
    wire_->unplug(*this);
    model_->connect_cable(nullptr);
  }
  usb::EmulatedPort& plug() { return plug_; }

 private:
  void hear(std::span<const uint8_t> frame) noexcept override {
    const simnic::Frame whole(frame);
    wire_->send(*this, std::span(&whole, 1));
  }
  void hear(std::span<const simnic::Frame> frames) noexcept USERNIC_NONBLOCKING override {
    for (const simnic::Frame& frame : frames) model_->receive(frame);
  }

  const std::shared_ptr<simnic::Wire> wire_;
  const std::unique_ptr<usb::NicModel> model_;
  usb::EmulatedPort plug_;
};

}  // namespace

std::shared_ptr<usb::Port> usb_port(const usb::Location& location, simnic::Wires& wires) {
  if (location.bus == usb::Location::Bus::kUsb) return std::make_shared<usb::LibusbPort>(location);
  if (location.bus == usb::Location::Bus::kUsbip) {
    return std::make_shared<usb::UsbipPort>(location.host, location.tcp_port, location.bus_id);
  }
  const std::string name = "emulated:" + location.model + "/" + location.wire;
  const auto adapter = std::make_shared<WiredAdapter>(*find_usb_model(location.model), wires.wire(location.wire), name);
  return {adapter, &adapter->plug()};
}

Result<std::unique_ptr<usb::Device>> open_when_free(usb::Port& port) {
  const Time patience_ends = Clock::now() + kBusyMost;
  for (;;) {
    // The last one has its time, too: it is to say what is wrong, and not that the time is over.
    const usb::Wait wait{.deadline = Clock::now() + kOpenMost};
    Result<std::unique_ptr<usb::Device>> opened = port.open(wait);
    const bool busy = !opened && opened.error() == std::errc::device_or_resource_busy;
    if (!busy || Clock::now() >= patience_ends) return opened;
    wait.stop.wait_until(Clock::now() + kBusyLook);
  }
}

}  // namespace usernic::daemon
