// SPDX-License-Identifier: Apache-2.0 OR MIT
// cdc: what the three kinds of function do differently: how they are set up, how their filter is told, and how frames
// lie in transfers. Each is in a file of its own: ecm.h, ncm.h, rndis.h.
#pragma once

#include <memory>
#include <span>

#include "bus/usbnet/usbnet.h"
#include "drivers/cdc/function.h"

namespace usernic::cdc {

// A function's control pipe.
class Control {
 public:
  Control(usb::Device& device, uint8_t interface, StopToken stop)
      : device_(device), interface_(interface), stop_(std::move(stop)) {}
  Result<> set_configuration(uint8_t value) { return device_.set_configuration(value, wait()); }
  Result<> set_interface(uint8_t interface, uint8_t alternate) {
    return device_.set_interface(interface, alternate, wait());
  }
  Result<uint32_t> string(uint8_t index, std::span<uint8_t> descriptor);
  // Requests of the class, to the control interface.
  Result<uint32_t> get(uint8_t request, std::span<uint8_t> data);
  Result<> set(uint8_t request, uint16_t value, std::span<uint8_t> data = {});
  const StopToken& stop() const { return stop_; }

 private:
  usb::Wait wait() const { return {stop_, Clock::now() + usb::kRequestMost}; }
  usb::Device& device_;
  const uint8_t interface_;
  const StopToken stop_;
};

// What a function says of itself.
struct Station {
  MacAddress permanent{};
  uint32_t frame_max = kSegmentUsual;  // without a VLAN tag
  uint32_t multicasts = 0;             // exact entries; 0: none
};

struct Accepted {
  bool promisc = false, allmulti = false;
  bool listed = false;  // multicasts that are in its list
};

class Protocol {
 public:
  static constexpr uint32_t kTransferMax = 16 * 1024;  // either way

  static std::unique_ptr<Protocol> create(const Function& function);
  virtual ~Protocol() = default;
  Protocol(const Protocol&) = delete;
  Protocol& operator=(const Protocol&) = delete;

  // Of a device in the function's configuration, whose data interface is without endpoints still, if it can be.
  // Afterwards it passes nothing. Context of these: process, one at a time.
  virtual Result<Station> set_up(Control& control) = 0;
  // Own address and broadcast, and what is said; null: nothing. operation_not_supported: it passes what it likes.
  virtual Result<> accept(Control& control, const Accepted* accepted) = 0;
  virtual Result<> list(Control& control, std::span<const MacAddress> multicasts) = 0;
  // operation_not_supported: it knows its own only.
  virtual Result<> set_address(Control&, const MacAddress&) { return fail(std::errc::operation_not_supported); }
  // What the device has to say, since it said that it has.
  virtual Result<News> fetch(Control&) { return News{}; }

  // As of usb::Adapter.
  virtual bool pack(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING = 0;
  virtual bool seal(usb::TxBlock& block) noexcept USERNIC_NONBLOCKING = 0;
  virtual bool unpack(std::span<const uint8_t> octets, usb::RxFrames& frames) noexcept USERNIC_NONBLOCKING = 0;

 protected:
  Protocol() = default;
};

}  // namespace usernic::cdc
