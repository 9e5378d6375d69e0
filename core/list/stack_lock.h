// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what a StackGuard holds: one a Net, as stacks end at a Net's edge.
#pragma once

#include <cstdint>

#include "usernic/lock.h"

namespace usernic {

struct StackLock {
  static constexpr LockClass kClass{"stack"};
  SpinLock lock{kClass};
  uint64_t looks USERNIC_GUARDED_BY(lock) = 0;
};

}  // namespace usernic
