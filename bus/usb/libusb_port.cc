// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/libusb_port.h"

#include <algorithm>
#include <span>

#include "bus/usb/libusb_device.h"
#include "usernic/context.h"

namespace usernic::usb {

LibusbPort::LibusbPort(Location location, Duration look_again)
    : location_(std::move(location)), look_again_(look_again) {}

Result<std::unique_ptr<Device>> LibusbPort::open(const Wait& wait) {
  might_sleep();
  std::errc error = std::errc::no_such_device;
  for (size_t n = 0;; ++n) {
    Result<std::unique_ptr<Device>> opened = open_nth(n, wait);
    if (opened || opened.error() == std::errc::no_such_device) return opened ? std::move(opened) : fail(error);
    error = opened.error();
    if (error != std::errc::device_or_resource_busy) return opened;
  }
}

// The n-th of those that are meant.
Result<std::unique_ptr<Device>> LibusbPort::open_nth(size_t n, const Wait& wait) const {
  Result<LibusbBus> bus = LibusbBus::open();
  if (!bus) return fail(bus.error());
  Result<Kick> kick = Kick::make();
  if (!kick) return fail(kick.error());
  libusb_device* found = nullptr;
  bus->each([&](libusb_device* device) {
    if (is_at(device, location_) && n-- == 0) found = ::libusb_ref_device(device);
    return found == nullptr;
  });
  if (found == nullptr) return fail(std::errc::no_such_device);
  libusb_device_handle* handle = nullptr;
  const int code = ::libusb_open(found, &handle);
  ::libusb_unref_device(found);
  if (code != 0) return fail(error_of(code));
  auto device = std::make_unique<LibusbDevice>(*std::move(bus), handle, *std::move(kick));
  if (const Result<> begun = device->begin(wait); !begun) return fail(begun.error());
  return device;
}

Result<std::vector<LibusbEntry>> libusb_list() {
  might_sleep();
  const Result<LibusbBus> bus = LibusbBus::open();
  if (!bus) return fail(bus.error());
  std::vector<LibusbEntry> entries;
  bus->each([&](libusb_device* device) {
    libusb_device_descriptor descriptor;
    if (::libusb_get_device_descriptor(device, &descriptor) != 0) return true;
    if (descriptor.bDeviceClass == LIBUSB_CLASS_HUB) return true;
    LibusbEntry& entry = entries.emplace_back(LibusbEntry{.place = place_of(device),
                                                          .vendor = descriptor.idVendor,
                                                          .product = descriptor.idProduct,
                                                          .speed = speed_of(device),
                                                          .device_class = descriptor.bDeviceClass});
    libusb_config_descriptor* active = nullptr;
    if (::libusb_get_active_config_descriptor(device, &active) != 0) return true;
    for (const libusb_interface& interface : std::span(active->interface, active->bNumInterfaces)) {
      for (const auto& setting :
           std::span(interface.altsetting, static_cast<size_t>(std::max(0, interface.num_altsetting)))) {
        entry.interfaces.push_back({.number = setting.bInterfaceNumber,
                                    .alternate = setting.bAlternateSetting,
                                    .interface_class = setting.bInterfaceClass,
                                    .subclass = setting.bInterfaceSubClass,
                                    .protocol = setting.bInterfaceProtocol});
      }
    }
    ::libusb_free_config_descriptor(active);
    return true;
  });
  return entries;
}

}  // namespace usernic::usb
