// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the inside of a Net.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/device/notifier_chain.h"
#include "core/device/poll_threads.h"
#include "core/device/tx_watchdog.h"
#include "core/list/stack_lock.h"
#include "core/lock/lock_classes.h"
#include "core/work/worker_pool.h"
#include "usernic/net.h"
#include "usernic/skb.h"

namespace usernic {

struct Device;

inline constexpr size_t kNameMax = 15;                // of a device [kernel: IFNAMSIZ - 1]
bool is_device_name(std::string_view name) noexcept;  // with a "%d" or without

struct Net::Impl {
  explicit Impl(const NetConfig& config) : poll_threads(config.poll_threads, config.poll_cpus) {}

  Mutex rtnl{kRtnlClass};
  StackLock stacks;
  WorkerPool workers;
  PollThreads poll_threads;
  Workqueue system{workers, "events", 64, &kEventsClass};
  TxWatchdog tx_watchdog{system};
  NotifierChain notifiers;  // under rtnl
  WaitQueue refs_gone;      // of one of the devices

  // Names are changed under rtnl and this lock, and read under either: nobody who looks a device up waits for rtnl. One
  // that is UNINITIALIZED has its name, while its init runs, and is not found by it.
  static constexpr LockClass kNamesClass{"device_names"};
  Mutex names_lock{kNamesClass};
  using Names = std::map<std::string, Device*, std::less<>>;
  Names names USERNIC_GUARDED_BY(names_lock);

  // By the size of frames. Made once, and gone with the Net, when all frames are back.
  static constexpr LockClass kPoolsClass{"shared_pools"};
  static constexpr uint32_t kSharedFrames = 4096;
  Mutex pools_lock{kPoolsClass};
  std::map<uint32_t, SkbPool> pools USERNIC_GUARDED_BY(pools_lock);

  Atomic<uint32_t> allocated{0};  // devices that are not freed yet, or of which a handle is left
};

}  // namespace usernic
