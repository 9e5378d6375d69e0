// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: devices that are to go once rtnl is free; see rtnl.h.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "usernic/device_handle.h"
#include "usernic/device_ref.h"
#include "usernic/lock.h"
#include "usernic/net_device.h"

namespace usernic::kernel {

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

  uint64_t new_number();  // for a run, or a batch
  // False: it is there already.
  bool add(const entry& going);
  // It is freed as well. False: it is not here.
  bool free_later(const NetDevice* dev);
  // The next one that is the run's to carry out and not started, with its batch. Empty: there is none.
  std::vector<entry> start_next(const Net* net, uint64_t run);
  // What is left of a run: all of one Net.
  std::vector<NetDevice*> started(uint64_t run);
  // Requires: it is here. True: it is to be freed, and stays until `remove`, so that who frees it as well hears of it.
  // False: it is here no more.
  bool start_free(const NetDevice* dev, bool frees_itself);
  void remove(const NetDevice* dev);
  // Of those that were freed the last few are kept, empty, so that who frees one once more hears of it.
  void keep(DeviceHandle freed);

 private:
  std::vector<entry>::iterator find(const NetDevice* dev) USERNIC_REQUIRES(lock_);

  static constexpr LockClass kClass{"kernel_todo"};
  SpinLock lock_{kClass};
  std::vector<entry> entries_ USERNIC_GUARDED_BY(lock_);
  uint64_t last_number_ USERNIC_GUARDED_BY(lock_) = 0;
  std::array<DeviceHandle, 8> freed_ USERNIC_GUARDED_BY(lock_);
  size_t last_freed_ USERNIC_GUARDED_BY(lock_) = 0;
};

}  // namespace usernic::kernel
