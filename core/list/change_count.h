// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: how often what is wanted of a device has changed, and since when its card does not know.
#pragma once

#include <cstdint>

#include "core/lock/addr_list_lock.h"
#include "usernic/env.h"

namespace usernic {

struct ChangeCount {
  uint64_t generation USERNIC_GUARDED_BY(addr_list_lock) = 0;  // so many changes
  bool dirty USERNIC_GUARDED_BY(addr_list_lock) = false;       // changed since the last run sampled
  Time dirty_since USERNIC_GUARDED_BY(addr_list_lock){};

  uint64_t next_generation() noexcept USERNIC_REQUIRES(addr_list_lock) {
    if (!dirty) {
      dirty = true;
      dirty_since = Clock::now();
    }
    return ++generation;
  }
};

}  // namespace usernic
