// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: a device that libusb has opened, with the thread that carries its transfers.
//
// Locks: those of Device; what is the thread's is touched by no other.
#pragma once

#include <poll.h>

#include <list>
#include <vector>

#include "bus/usb/descriptors.h"
#include "bus/usb/libusb_bus.h"
#include "usernic/kick.h"
#include "usernic/thread.h"

namespace usernic::usb {

class LibusbDevice final : public Device {
 public:
  LibusbDevice(LibusbBus bus, libusb_device_handle* handle, Kick kick)
      : bus_(std::move(bus)), handle_(handle), kick_(std::move(kick)) {
    set_speed(speed_of(::libusb_get_device(handle)));
    (void)::libusb_get_configuration(handle, &found_configuration_);
    ::libusb_set_pollfd_notifiers(bus_.context(), nullptr, fd_removed, this);
  }
  ~LibusbDevice() override;

  Result<> begin(const Wait& wait);
  void kick() noexcept USERNIC_NONBLOCKING override { kick_.kick(); }
  Result<> set_configuration(uint8_t value, const Wait& wait) override;
  Result<> set_interface(uint8_t interface, uint8_t alternate, const Wait& wait) override;
  Result<> clear_halt(uint8_t endpoint, const Wait& wait) override;

 private:
  // A transfer that libusb has.
  struct Carried {
    LibusbDevice& device;
    Transfer& transfer;
    libusb_transfer* raw;
    std::vector<uint8_t> control{};  // setup and data, as libusb wants them
    std::list<Carried>::iterator self{};
  };

  Result<> claim();
  void release();
  void run();
  bool exchange();
  void wait_for_events();
  Result<> carry(Transfer& transfer);
  static void over(libusb_transfer* raw);
  static void fd_removed(int fd, void* self);
  void finish(Carried& carried);

  LibusbBus bus_;
  libusb_device_handle* const handle_;
  int found_configuration_ = 0;
  std::vector<uint8_t> detached_;  // interfaces whose driver gets them back
  uint8_t claimed_ = 0;            // so many interfaces, from the first
  Kick kick_;
  Atomic<bool> closing_{false};
  // The thread's.
  Transfers taken_;
  std::list<Carried> carried_;  // of those
  bool lost_ = false;           // it is unplugged, says libusb
  std::vector<pollfd> fds_;     // ours, then libusb's; empty: ask again
  Thread thread_;
};

}  // namespace usernic::usb
