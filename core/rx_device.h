// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what the rx mode needs of its device.
#pragma once

#include "core/stack_lock.h"
#include "usernic/driver.h"
#include "usernic/lock.h"
#include "usernic/net_device.h"
#include "usernic/work.h"

namespace usernic {

struct RxDevice {
  NetDevice& dev;
  const NetDeviceOps& ops;
  void* const& driver;
  StackLock& stacks;
  Mutex& rtnl;
  Mutex& instance_lock;
  Workqueue& lane;
  const Atomic<RegState>& reg_state;
  const Atomic<bool>& running;
  const Atomic<bool>& present;

  // No driver call on a device that is down, absent or going (invariant 5).
  bool may_call() const noexcept {
    return reg_state.load() == RegState::kRegistered && running.load() && present.load();
  }
};

}  // namespace usernic
