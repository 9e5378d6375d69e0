// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: a device on a bus, opened; the same whatever carries it: a model in process, libusb, USB/IP.
//
// Asynchronous: `submit` and `cancel`, in any context; a transfer's end is its `complete`. Everything else is made of
// it and sleeps: it takes a stop token and a deadline, may fail, and is not USERNIC_NONBLOCKING, so an atomic callback
// of a driver that calls it does not compile under clang, and is a report while checks are on.
//
// Unplugged, every transfer in flight ends with no_such_device, then the watcher is called, then every call fails
// with no_such_device: a device that is gone stays gone. Who wants it back opens it again at its Port (port.h).
//
// Locks: one of its own, a leaf. Threads: one of the transport, which completes.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "bus/usb/descriptors.h"
#include "bus/usb/transfer.h"
#include "usernic/lock.h"

namespace usernic::usb {

class Device {
 public:
  // Requires: no transfer in flight.
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // no_such_device: unplugged; operation_canceled: somebody is in `kill` of it. Requires: the transfer is idle, or its
  // `complete` has begun. Context: any.
  Result<> submit(Transfer& transfer) noexcept USERNIC_NONBLOCKING;
  // The transfer completes soon, with operation_canceled or as it did; the device may have seen it all the same.
  // Nothing if it is idle. Context: any. [kernel: usb_unlink_urb]
  void cancel(Transfer& transfer) noexcept USERNIC_NONBLOCKING;
  // Cancels, and sleeps until the transfer is idle; submits meanwhile are refused. Context: process, not from a
  // `complete`. [kernel: usb_kill_urb]
  void kill(Transfer& transfer, Place where = Place::current());

  // Transfers that sleep, and how many octets went. A stop is operation_canceled, the deadline timed_out; the device
  // may have seen what was asked. Context: process.
  Result<uint32_t> control(const Setup& setup, std::span<uint8_t> data, const Wait& wait,
                           Place where = Place::current());
  // Bulk or interrupt, by the endpoint's address.
  Result<uint32_t> transfer(uint8_t endpoint, std::span<uint8_t> data, const Wait& wait,
                            Place where = Place::current());
  // Standard requests that host controllers must know of.
  virtual Result<> set_configuration(uint8_t value, const Wait& wait);
  virtual Result<> set_interface(uint8_t interface, uint8_t alternate, const Wait& wait);
  virtual Result<> clear_halt(uint8_t endpoint, const Wait& wait);

  // As read when it was opened. Constant.
  const Descriptors& descriptors() const noexcept { return descriptors_; }
  Speed speed() const noexcept { return speed_; }

  bool gone() const noexcept USERNIC_NONBLOCKING { return gone_.load(); }
  // Called once when the device is unplugged, BHs disabled; at once if it is gone already. Set once, by who opened it.
  using Unplugged = void (*)(void* owner) noexcept USERNIC_NONBLOCKING;
  void watch(Unplugged unplugged, void* owner);

 protected:
  Device() = default;

  // --- For a transport, whose thread is the only one that takes and completes ---
  // Something was submitted or cancelled. Context: any; the device's lock is held.
  virtual void kick() noexcept USERNIC_NONBLOCKING = 0;
  // Moves what was submitted to the end of `to`, and from `to` into `cancelled` what is to be cancelled.
  void take(Transfers& to, Transfers& cancelled) noexcept;
  // A number for the transport's own use; 0 when it is taken.
  static uint32_t& tag(Transfer& transfer) noexcept { return transfer.tag_; }
  // Ends a transfer that is in no list any more.
  void complete(Transfer& transfer, Result<uint32_t> result) noexcept;
  // The device is unplugged: ends those in `taken`, and all that were submitted.
  void end_all(Transfers& taken) noexcept;
  // Reads what descriptors() answers from now on.
  Result<> read_descriptors(const Wait& wait);
  void set_speed(Speed speed) noexcept { speed_ = speed; }

 private:
  Result<uint32_t> run(Transfer& transfer, const Wait& wait, Place where);
  void wait_idle(Transfer& transfer, const Wait& wait, Place where) USERNIC_REQUIRES(lock_);

  static constexpr LockClass kClass{"usb_device", LockUse::kAnyContext};
  Descriptors descriptors_;
  Speed speed_ = Speed::kUnknown;
  SpinLock lock_{kClass};
  Transfers queued_ USERNIC_GUARDED_BY(lock_);
  bool cancels_ USERNIC_GUARDED_BY(lock_) = false;
  Unplugged unplugged_ USERNIC_GUARDED_BY(lock_) = nullptr;
  void* unplugged_owner_ USERNIC_GUARDED_BY(lock_) = nullptr;
  Atomic<bool> gone_{false};
  WaitQueue idle_;
};

}  // namespace usernic::usb
// Explained best by: bus/usb/emulated_test.cc
