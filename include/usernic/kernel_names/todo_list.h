// SPDX-License-Identifier: Apache-2.0
// usernic: kernel names: devices that are to go once rtnl is free; see rtnl.h.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "usernic/lock.h"
#include "usernic/net_device.h"

namespace usernic::kernel_names {

// Added to and taken from under rtnl; free_netdev, which marks, is called in any context that may sleep.
class todo_list {
 public:
  struct entry {
    NetDevice* dev;
    bool unregister = false;  // otherwise it is waited for
    bool free = false;
  };

  // False: it is there already.
  bool add(const entry& going) {
    const SpinGuard guard(lock_);
    if (find(going.dev) != nullptr) return false;
    entries_.push_back(going);
    return true;
  }
  // It is freed as well. False: it is not here.
  bool free_later(const NetDevice* dev) {
    const SpinGuard guard(lock_);
    entry* const found = find(dev);
    if (found != nullptr) found->free = true;
    return found != nullptr;
  }
  std::vector<entry> take() {
    const SpinGuard guard(lock_);
    return std::exchange(entries_, {});
  }

 private:
  entry* find(const NetDevice* dev) USERNIC_REQUIRES(lock_) {
    const auto it = std::find_if(entries_.begin(), entries_.end(), [&](const entry& each) { return each.dev == dev; });
    return it != entries_.end() ? &*it : nullptr;
  }

  static constexpr LockClass kClass{"kernel_names_todo"};
  SpinLock lock_{kClass};
  std::vector<entry> entries_ USERNIC_GUARDED_BY(lock_);
};

}  // namespace usernic::kernel_names
