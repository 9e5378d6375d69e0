// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: a driver's callback that must not sleep.
#pragma once

#include "core/held_locks.h"

namespace usernic {

// One on the stack while it runs: BH context, whatever lock brought it there, and known by its name.
class AtomicCallback {
 public:
  AtomicCallback(const NetDevice& dev, const char* op, Place where = Place::current()) noexcept USERNIC_NONBLOCKING
      : reports_(dev) {
    if (kChecksOn) [[unlikely]]
      HeldLocks::mine().enter_callback(op, where);
  }
  ~AtomicCallback() USERNIC_NONBLOCKING {
    if (kChecksOn) [[unlikely]]
      HeldLocks::mine().leave();
  }
  AtomicCallback(const AtomicCallback&) = delete;
  AtomicCallback& operator=(const AtomicCallback&) = delete;

 private:
  const ReportsOn reports_;
};

}  // namespace usernic
