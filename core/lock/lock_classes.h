// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the lock classes that rules between files speak of, outermost first.
#pragma once

#include "usernic/lock.h"

namespace usernic {

inline constexpr LockClass kEventsClass{"events"};  // the system workqueue
inline constexpr LockClass kLaneClass{"lane"};
inline constexpr LockClass kRtnlClass{"rtnl"};
inline constexpr LockClass kInstanceClass{"instance_lock"};
inline constexpr LockClass kAddrListClass{"addr_list_lock"};
inline constexpr LockClass kXmitClass{"xmit_lock"};

}  // namespace usernic
