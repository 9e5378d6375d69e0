// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/fresh_look.h"

#include <algorithm>

namespace usernic {

FreshLook::~FreshLook() {
  end();
  MutexGuard guard(lock_);
  while (waiting_ > 0) changed_.wait(lock_);
}

Result<> FreshLook::wait(Time as_of, Time deadline) {
  MutexGuard guard(lock_);
  if (as_of > wanted_) {
    wanted_ = as_of;
    loop_.kick();
  }
  ++waiting_;
  while (known_ < as_of && !ended_ && Clock::now() < deadline) changed_.wait(lock_, deadline);
  // Under the lock: the one that destroys may be waiting for us.
  --waiting_;
  changed_.wake();
  if (ended_) return fail(std::errc::no_such_device);
  if (known_ < as_of) return fail(std::errc::timed_out);
  return {};
}

Time FreshLook::wanted() const {
  MutexGuard guard(lock_);
  return wanted_;
}

void FreshLook::known(Time as_of) {
  MutexGuard guard(lock_);
  if (as_of <= known_) return;
  known_ = as_of;
  changed_.wake();
}

void FreshLook::end() {
  MutexGuard guard(lock_);
  ended_ = true;
  changed_.wake();
}

}  // namespace usernic
