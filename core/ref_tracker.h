// SPDX-License-Identifier: Apache-2.0
// core: who holds references on a device.
#pragma once

#include <boost/intrusive/list.hpp>
#include <string>
#include <vector>

#include "usernic/device_ref.h"
#include "usernic/lock.h"

namespace usernic {

class RefTracker {
 public:
  // `gone` is woken when nobody holds one any more.
  explicit RefTracker(WaitQueue& gone) noexcept : gone_(gone) {}

  void add(DeviceRef& ref) noexcept USERNIC_NONBLOCKING;
  void remove(DeviceRef& ref) noexcept USERNIC_NONBLOCKING;
  // `to` takes over the reference of `from`.
  void move(DeviceRef& from, DeviceRef& to) noexcept USERNIC_NONBLOCKING;
  // References without a holder's name. `put` without one is a report.
  void hold() noexcept USERNIC_NONBLOCKING;
  void put(Place where) noexcept;
  bool none() const noexcept;
  std::vector<std::string> holders() const;  // "holder (file:line)"

 private:
  using Refs =
      boost::intrusive::list<DeviceRef, boost::intrusive::member_hook<DeviceRef, boost::intrusive::list_member_hook<>,
                                                                      &DeviceRef::tracker_hook_>>;
  static constexpr LockClass kClass{"device_refs", LockUse::kAnyContext};
  mutable SpinLock lock_{kClass};
  WaitQueue& gone_;
  Refs refs_ USERNIC_GUARDED_BY(lock_);
  uint32_t untracked_ USERNIC_GUARDED_BY(lock_) = 0;
};

}  // namespace usernic
