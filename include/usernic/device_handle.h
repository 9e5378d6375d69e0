// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: a handle of a net_device.
//
// It keeps only the object: it may outlive the driver, but not the Net, and every operation on a device that is gone
// answers ENODEV. What keeps the device registered is a DeviceRef (device_ref.h).
#pragma once

#include <utility>

#include "usernic/annotations.h"

namespace usernic {

struct NetDevice;

class DeviceHandle {
 public:
  DeviceHandle() noexcept = default;
  explicit DeviceHandle(NetDevice& dev) noexcept;
  ~DeviceHandle() {
    if (dev_ != nullptr) drop();
  }
  DeviceHandle(const DeviceHandle& other) noexcept;
  DeviceHandle(DeviceHandle&& other) noexcept : dev_(std::exchange(other.dev_, nullptr)) {}
  DeviceHandle& operator=(DeviceHandle other) noexcept {
    std::swap(dev_, other.dev_);
    return *this;
  }

  explicit operator bool() const noexcept { return dev_ != nullptr; }
  NetDevice* get() const noexcept { return dev_; }
  NetDevice* operator->() const noexcept { return dev_; }
  NetDevice& operator*() const noexcept { return *dev_; }

 private:
  void drop() noexcept;
  NetDevice* dev_ = nullptr;
};

}  // namespace usernic
// Explained best by: core/device/device_ref_test.cc
