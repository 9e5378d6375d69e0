// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: where a function of the program's is kept that is to hear of something: a std::function, or none.
#pragma once

#include <utility>

#include "usernic/lock.h"

namespace usernic {

template <typename Handler>
class HandlerSlot {
 public:
  constexpr explicit HandlerSlot(const LockClass& lock_class) noexcept : lock_(lock_class) {}
  // Returns the one before.
  Handler set(Handler handler) {
    MutexGuard guard(lock_);
    if (handler_ == nullptr) handler_ = new Handler;
    return std::exchange(*handler_, std::move(handler));
  }
  // A copy: a call of it may set another.
  Handler get() {
    MutexGuard guard(lock_);
    return handler_ != nullptr ? *handler_ : Handler();
  }

 private:
  Mutex lock_;
  Handler* handler_ USERNIC_GUARDED_BY(lock_) = nullptr;  // outlives every thread
};

}  // namespace usernic
