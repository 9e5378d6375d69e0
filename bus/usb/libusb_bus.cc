// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/libusb_bus.h"

namespace usernic::usb {
namespace {

constexpr int kPortsMax = 7;  // of hubs between a device and its bus [USB 3.2, 10.1]

}  // namespace

std::errc error_of(int code) {
  switch (code) {
    case LIBUSB_ERROR_ACCESS:
      return std::errc::permission_denied;
    case LIBUSB_ERROR_NO_DEVICE:
      return std::errc::no_such_device;
    case LIBUSB_ERROR_BUSY:
      return std::errc::device_or_resource_busy;
    case LIBUSB_ERROR_NOT_FOUND:
    case LIBUSB_ERROR_PIPE:
      return std::errc::broken_pipe;  // it has no such thing
    case LIBUSB_ERROR_NO_MEM:
      return std::errc::not_enough_memory;
    case LIBUSB_ERROR_NOT_SUPPORTED:
      return std::errc::not_supported;
    default:
      return std::errc::io_error;
  }
}

Speed speed_of(libusb_device* device) {
  switch (::libusb_get_device_speed(device)) {
    case LIBUSB_SPEED_LOW:
      return Speed::kLow;
    case LIBUSB_SPEED_FULL:
      return Speed::kFull;
    case LIBUSB_SPEED_HIGH:
      return Speed::kHigh;
    case LIBUSB_SPEED_SUPER:
    case LIBUSB_SPEED_SUPER_PLUS:
      return Speed::kSuper;
    default:
      return Speed::kUnknown;
  }
}

std::string place_of(libusb_device* device) {
  uint8_t ports[kPortsMax];
  const int count = ::libusb_get_port_numbers(device, ports, kPortsMax);
  std::string place = std::to_string(::libusb_get_bus_number(device));
  for (int n = 0; n < count; ++n) place += (n == 0 ? "-" : ".") + std::to_string(ports[n]);
  return place;
}

bool is_at(libusb_device* device, const Location& location) {
  if (!location.place.empty()) return place_of(device) == location.place;
  libusb_device_descriptor descriptor;
  return ::libusb_get_device_descriptor(device, &descriptor) == 0 && descriptor.idVendor == location.vendor &&
         descriptor.idProduct == location.product;
}

}  // namespace usernic::usb
