// SPDX-License-Identifier: Apache-2.0 OR MIT
// References on a device and handles of it, as the device counts them.
#include <utility>

#include "core/device/device.h"
#include "usernic/device_handle.h"
#include "usernic/device_ref.h"

namespace usernic {

DeviceRef::DeviceRef(NetDevice& dev, const char* holder, Place where) noexcept {
  hold(dev, holder, where);
}

DeviceRef::DeviceRef(DeviceRef&& other) noexcept {
  *this = std::move(other);
}

DeviceRef& DeviceRef::operator=(DeviceRef&& other) noexcept {
  if (this == &other) return *this;
  put();
  if (other.dev_ == nullptr) return *this;
  dev_ = other.dev_;
  holder_ = other.holder_;
  where_ = other.where_;
  Device::of(*dev_).refs.move(other, *this);
  other.dev_ = nullptr;
  return *this;
}

void DeviceRef::hold(NetDevice& dev, const char* holder, Place where) noexcept {
  dev_ = &dev;
  holder_ = holder;
  where_ = where;
  Device::of(dev).refs.add(*this);
}

void DeviceRef::put() noexcept {
  if (dev_ != nullptr) Device::of(*dev_).refs.remove(*this);
  dev_ = nullptr;
}

void hold_untracked(NetDevice& dev) noexcept {
  Device::of(dev).refs.hold();
}
void put_untracked(NetDevice& dev, Place where) noexcept {
  const ReportsOn concerned(dev);
  Device::of(dev).refs.put(where);
}

DeviceHandle::DeviceHandle(NetDevice& dev) noexcept : dev_(&dev) {
  Device::of(dev).handles.fetch_add(1);
}
DeviceHandle::DeviceHandle(const DeviceHandle& other) noexcept : dev_(other.dev_) {
  if (dev_ != nullptr) Device::of(*dev_).handles.fetch_add(1);
}
void DeviceHandle::drop() noexcept {
  Device::of(*dev_).drop_handle();
}

}  // namespace usernic
