// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: this machine's USB as libusb sees it.
//
// Only files that begin with libusb's name include this.
#pragma once

#include <libusb.h>

#include <string>
#include <utility>

#include "bus/usb/device.h"
#include "bus/usb/location.h"

namespace usernic::usb {

// One look at what is there.
class LibusbBus {
 public:
  static Result<LibusbBus> open() {
    libusb_context* context = nullptr;
    const int code = ::libusb_init(&context);
    if (code != 0)
      return fail(code == LIBUSB_ERROR_NO_MEM ? std::errc::not_enough_memory : std::errc::function_not_supported);
    return LibusbBus(context);
  }
  LibusbBus(LibusbBus&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}
  LibusbBus& operator=(LibusbBus&&) = delete;
  ~LibusbBus() {
    if (context_ != nullptr) ::libusb_exit(context_);
  }

  // Calls `look` with each device until it returns false.
  template <class Look>
  void each(Look&& look) const {
    libusb_device** devices = nullptr;
    const ssize_t count = ::libusb_get_device_list(context_, &devices);
    for (ssize_t n = 0; n < count && look(devices[n]); ++n) continue;
    if (count >= 0) ::libusb_free_device_list(devices, 1);
  }
  libusb_context* context() const { return context_; }

 private:
  explicit LibusbBus(libusb_context* context) : context_(context) {}
  libusb_context* context_;
};

std::errc error_of(int libusb_code);
Speed speed_of(libusb_device* device);
// "1-2.3": bus, and the ports on the way; a root hub has none.
std::string place_of(libusb_device* device);
bool is_at(libusb_device* device, const Location& location);

}  // namespace usernic::usb
// Explained best by: bus/usb/libusb_port.cc
