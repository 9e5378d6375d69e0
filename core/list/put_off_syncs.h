// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: syncs that were asked for by who holds the upper list's addr_list_lock, until it is let go.
//
// A kernel driver's ndo_set_rx_mode calls dev_uc_sync under that lock. A first sync looks at all stacks, and any may
// need memory or more than one hold; so the same thread carries it out when the lock is gone. The lower list then
// gets what the upper one has by that time.
#pragma once

#include <vector>

#include "core/list/wanted_list.h"

namespace usernic {

class PutOffSyncs {
 public:
  // Once, however often it is asked for. ENOMEM. Requires: `from`'s addr_list_lock.
  Result<> add(WantedList& to, WantedList& from, Place where) noexcept USERNIC_NONBLOCKING;
  bool empty() const noexcept USERNIC_NONBLOCKING { return all_.empty(); }
  // Reports what is refused: a loop, or too many subscribers. Requires: no addr_list_lock.
  void carry_out() noexcept USERNIC_NONBLOCKING;

 private:
  struct One {
    DeviceHandle to_dev;  // keeps it in memory
    WantedList* to;
    WantedList* from;
    Place where;
  };
  std::vector<One> all_;
};

}  // namespace usernic
