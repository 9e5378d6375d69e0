// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: kernel names: devices that are to go once rtnl is free; see rtnl.h.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "usernic/device_ref.h"
#include "usernic/lock.h"
#include "usernic/net_device.h"

namespace usernic::kernel_names {

// A device is in it until it is free. Added to under rtnl; free_netdev, which marks, is called in any context that may
// sleep.
class todo_list {
 public:
  struct entry {
    NetDevice* dev;
    uint64_t run = 0;         // who carries it out; 0: whoever comes next
    uint64_t batch = 0;       // those of one number leave together; 0: it leaves alone
    bool unregister = false;  // otherwise it is only waited for
    bool free = false;
    bool started = false;
  };

  // For a run, or a batch.
  uint64_t new_number() {
    const SpinGuard guard(lock_);
    return ++last_number_;
  }
  // False: it is there already.
  bool add(const entry& going) {
    const SpinGuard guard(lock_);
    if (find(going.dev) != entries_.end()) return false;
    entries_.push_back(going);
    return true;
  }
  // It is freed as well. False: it is not here.
  bool free_later(const NetDevice* dev) {
    const SpinGuard guard(lock_);
    const auto found = find(dev);
    if (found != entries_.end()) found->free = true;
    return found != entries_.end();
  }
  // The next one that is the run's to carry out and not started, with its batch. Empty: there is none.
  std::vector<entry> start_next(const Net* net, uint64_t run) {
    std::vector<entry> next;
    const SpinGuard guard(lock_);
    for (entry& each : entries_) {
      if (each.started || &each.dev->net() != net || (each.run != run && each.run != 0)) continue;
      if (!next.empty() && (each.batch == 0 || each.batch != next.front().batch)) continue;
      each.run = run;
      each.started = true;
      next.push_back(each);
    }
    return next;
  }
  // What is left of a run: all of one Net.
  std::vector<NetDevice*> started(uint64_t run) {
    std::vector<NetDevice*> left;
    const SpinGuard guard(lock_);
    for (const entry& each : entries_) {
      if (each.started && each.run == run) left.push_back(each.dev);
    }
    return left;
  }
  // Requires: it is here. True: it is to be freed, and stays until `remove`, so that who frees it as well hears of it.
  // False: it is here no more.
  bool start_free(const NetDevice* dev, bool frees_itself) {
    const SpinGuard guard(lock_);
    const auto found = find(dev);
    if (found->free || frees_itself) return true;
    entries_.erase(found);
    return false;
  }
  void remove(const NetDevice* dev) {
    const SpinGuard guard(lock_);
    entries_.erase(find(dev));
  }
  // Of those that were freed the last few are kept, empty, so that who frees one once more hears of it.
  void keep(DeviceHandle freed) {
    const SpinGuard guard(lock_);
    std::swap(freed_[last_freed_++ % freed_.size()], freed);
  }

 private:
  std::vector<entry>::iterator find(const NetDevice* dev) USERNIC_REQUIRES(lock_) {
    return std::find_if(entries_.begin(), entries_.end(), [&](const entry& each) { return each.dev == dev; });
  }

  static constexpr LockClass kClass{"kernel_names_todo"};
  SpinLock lock_{kClass};
  std::vector<entry> entries_ USERNIC_GUARDED_BY(lock_);
  uint64_t last_number_ USERNIC_GUARDED_BY(lock_) = 0;
  std::array<DeviceHandle, 8> freed_ USERNIC_GUARDED_BY(lock_);
  size_t last_freed_ USERNIC_GUARDED_BY(lock_) = 0;
};

}  // namespace usernic::kernel_names
