// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: who is below whom, by LowerLink or by sync, so that no stack of devices becomes a loop.
//
// Whoever puts one device below another holds a StackGuard from the look to the deed. Links change under rtnl, but sync
// may be called in BH context, so this is a spin lock, one a Net; the addr_list_locks are taken inside.
#pragma once

#include <vector>

#include "core/list/wanted.h"

namespace usernic {

class StackGuard {
 public:
  // Of the Net in which `any` is.
  explicit StackGuard(const Wanted& any) noexcept;

  // Is `to` the device `from`, or somewhere below it? Both are of that Net. Each device is looked at once. ENOMEM.
  // Context: no addr_list_lock held.
  Result<bool> leads_to(Wanted& from, const Wanted& to) noexcept;

 private:
  bool find(Wanted& from, const Wanted& to) USERNIC_REQUIRES(stacks_.lock);
  void look_below(Wanted& at) USERNIC_REQUIRES(stacks_.lock);

  struct Found {  // kept in memory
    DeviceHandle dev;
    Wanted* wanted;
  };
  std::vector<Found> found_;  // outlives the lock: the last handle frees a device
  StackLock& stacks_;
  SpinGuardBh guard_;
};

}  // namespace usernic
