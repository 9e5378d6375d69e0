// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/device/ref_tracker.h"

#include <fmt/format.h>

#include "core/device/device.h"
#include "usernic/contract_report.h"

namespace usernic {

void RefTracker::add(DeviceRef& ref) noexcept {
  SpinGuard guard(lock_);
  refs_.push_back(ref);
}

void RefTracker::remove(DeviceRef& ref) noexcept {
  SpinGuard guard(lock_);
  refs_.erase(refs_.iterator_to(ref));
  if (awaited_ && refs_.empty()) gone_.wake();
}

void RefTracker::hold() noexcept {
  SpinGuard guard(lock_);
  ++untracked_;
}

void RefTracker::put(Place where) noexcept {
  {
    SpinGuard guard(lock_);
    if (untracked_ != 0) {
      if (--untracked_ == 0 && awaited_) gone_.wake();
      return;
    }
  }
  report_contract("ref-underflow", "a device's reference is put that nobody holds", where);
}

void RefTracker::move(DeviceRef& from, DeviceRef& to) noexcept {
  SpinGuard guard(lock_);
  refs_.insert(refs_.iterator_to(from), to);
  refs_.erase(refs_.iterator_to(from));
}

bool RefTracker::await_none() noexcept {
  SpinGuard guard(lock_);
  awaited_ = true;
  return refs_.empty() && untracked_ == 0;
}

std::vector<std::string> RefTracker::holders() const {
  struct Holder {
    const char* name;
    Place where;
  };
  std::vector<Holder> found;
  uint32_t untracked = 0;
  {
    SpinGuard guard(lock_);
    untracked = untracked_;
    found.reserve(refs_.size());
    for (const DeviceRef& ref : refs_) found.push_back({ref.holder_, ref.where_});
  }
  std::vector<std::string> texts;
  for (const Holder& each : found) {
    texts.push_back(fmt::format("{} ({}:{})", each.name, each.where.file_name(), each.where.line()));
  }
  if (untracked != 0) texts.push_back(fmt::format("{} without a name", untracked));
  return texts;
}

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
