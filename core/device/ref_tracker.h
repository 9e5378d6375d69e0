// SPDX-License-Identifier: Apache-2.0 OR MIT
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
  // `gone` is shared by all devices of a Net.
  explicit RefTracker(WaitQueue& gone) noexcept : gone_(gone) {}

  void add(DeviceRef& ref) noexcept USERNIC_NONBLOCKING;
  void remove(DeviceRef& ref) noexcept USERNIC_NONBLOCKING;
  // `to` takes over the reference of `from`.
  void move(DeviceRef& from, DeviceRef& to) noexcept USERNIC_NONBLOCKING;
  // References without a holder's name. `put` without one is a report.
  void hold() noexcept USERNIC_NONBLOCKING;
  void put(Place where) noexcept;
  // True: nobody holds one. Otherwise `gone` is woken when that is so; nobody pays for it who is not waited for.
  bool await_none() noexcept;
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
  bool awaited_ USERNIC_GUARDED_BY(lock_) = false;
};

}  // namespace usernic
