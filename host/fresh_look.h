// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: how anybody waits until what the kernel wanted at some moment is in the device's lists.
//
// The kernel keeps silent about some changes, so only a look at its lists that began after that moment will do. Those
// who wait name the moment and kick the port's loop; it looks, carries out what is new, and says as of when all is
// known. One look serves all whose moments came before it.
//
// Locks: one of its own, held for moments. Destruction ends every wait and sleeps until all have left.
#pragma once

#include "usernic/env.h"
#include "usernic/error.h"
#include "usernic/kick.h"
#include "usernic/lock.h"

namespace usernic {

class FreshLook {
 public:
  // `loop` is kicked when a younger look is wanted. Requires: it outlives this.
  explicit FreshLook(Kick& loop) : loop_(loop) {}
  ~FreshLook();
  FreshLook(const FreshLook&) = delete;
  FreshLook& operator=(const FreshLook&) = delete;

  // Sleeps until all that the kernel wanted at `as_of` is known. ETIMEDOUT; ENODEV: ended. Context: process.
  Result<> wait(Time as_of, Time deadline);

  // For the loop's thread. The youngest moment that anybody has asked for.
  Time wanted() const;
  void known(Time as_of);
  // Nobody looks any more: every wait, also a later one, is answered.
  void end();

 private:
  Kick& loop_;
  static constexpr LockClass kClass{"host_port_look"};
  mutable Mutex lock_{kClass};
  WaitQueue changed_;
  Time wanted_ USERNIC_GUARDED_BY(lock_) = Time::min();
  Time known_ USERNIC_GUARDED_BY(lock_) = Time::min();
  int waiting_ USERNIC_GUARDED_BY(lock_) = 0;
  bool ended_ USERNIC_GUARDED_BY(lock_) = false;
};

}  // namespace usernic
// Explained best by: host/host_port_look_test.cc
