// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: addr_list_lock as the compiler knows it.
//
// Every device has one (Wanted::lock). What it guards lives in classes that know no device, so they name the one
// capability that stands for all of them: "the addr_list_lock of the device whose this is". Whoever takes one by a
// ListGuard has it; a second one, further down a stack, is taken by a SpinGuard or a LevelGuard. Clang refuses a
// call without it (the clang preset); whose lock it is, the run-time checks know.
#pragma once

#include "core/lock/level_guard.h"
#include "usernic/lock.h"

namespace usernic {

class USERNIC_CAPABILITY("addr_list_lock") AnyAddrListLock {
 public:
  // For who is called back under the lock, through code that cannot say so.
  void assert_held() const noexcept USERNIC_NONBLOCKING USERNIC_ASSERT_HELD(this) {}
};
inline constexpr AnyAddrListLock addr_list_lock{};

// SpinGuardBh of an addr_list_lock: at a level that was read before, or at the one that it has once it is held.
class USERNIC_SCOPED_CAPABILITY ListGuard {
 public:
  ListGuard(SpinLock& lock, int level, Place where = Place::current()) noexcept
      USERNIC_NONBLOCKING USERNIC_ACQUIRE(addr_list_lock) USERNIC_NO_THREAD_SAFETY_ANALYSIS : out_(where),
                                                                                              lock_(lock) {
    lock_.lock(level, where);
  }
  ListGuard(SpinLock& lock, const Atomic<int>& level, Place where = Place::current()) noexcept
      USERNIC_NONBLOCKING USERNIC_ACQUIRE(addr_list_lock) USERNIC_NO_THREAD_SAFETY_ANALYSIS : out_(where),
                                                                                              lock_(lock) {
    lock_at(lock, level, where);
  }
  ~ListGuard() USERNIC_NONBLOCKING USERNIC_RELEASE() USERNIC_NO_THREAD_SAFETY_ANALYSIS { lock_.unlock(); }
  ListGuard(const ListGuard&) = delete;
  ListGuard& operator=(const ListGuard&) = delete;

 private:
  ContextScope<Context::kBhDisabled, ScopeOf::kLock> out_;
  SpinLock& lock_;
};

}  // namespace usernic
