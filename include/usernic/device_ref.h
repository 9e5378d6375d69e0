// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: references on a net_device.
//
// A DeviceRef keeps the device registered: unregister sleeps until the last one is gone, and says every ten seconds who
// still holds one [kernel: dev_hold with a netdevice_tracker]. Take it for bounded work. A DeviceHandle
// (device_handle.h) keeps only the object.
#pragma once

#include <boost/intrusive/list.hpp>

#include "usernic/annotations.h"
#include "usernic/context.h"

namespace usernic {

struct NetDevice;

class DeviceRef {
 public:
  DeviceRef() noexcept = default;
  // `holder` is what the tracker says of it; static storage. Context: any.
  DeviceRef(NetDevice& dev, const char* holder, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  ~DeviceRef() USERNIC_NONBLOCKING { put(); }
  DeviceRef(const DeviceRef&) = delete;
  DeviceRef& operator=(const DeviceRef&) = delete;
  DeviceRef(DeviceRef&& other) noexcept USERNIC_NONBLOCKING;
  DeviceRef& operator=(DeviceRef&& other) noexcept USERNIC_NONBLOCKING;

  // Takes the reference. Requires: none is held.
  void hold(NetDevice& dev, const char* holder, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  // Gives the reference back; nothing without one.
  void put() noexcept USERNIC_NONBLOCKING;

  explicit operator bool() const noexcept { return dev_ != nullptr; }
  NetDevice* get() const noexcept { return dev_; }
  NetDevice* operator->() const noexcept { return dev_; }

 private:
  friend class RefTracker;
  NetDevice* dev_ = nullptr;
  const char* holder_ = "";
  Place where_;
  boost::intrusive::list_member_hook<> tracker_hook_;
};

// A reference without a name, for code that cannot carry a DeviceRef. Unregister waits for it, too, and can only say
// how many there are. A put too many is a report. [kernel: dev_hold, dev_put]
void hold_untracked(NetDevice& dev) noexcept USERNIC_NONBLOCKING;
void put_untracked(NetDevice& dev, Place where = Place::current()) noexcept;

}  // namespace usernic
// Explained best by: core/device/device_ref_test.cc
