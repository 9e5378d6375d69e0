// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what the current thread holds and which contexts it is in, while checks are on.
//
// One fixed array a thread, innermost last; a context scope and a held lock are entries of the same array, so that
// "what forbids sleeping here" is a walk from the inside out. What a thread does with its locks teaches the LockGraph.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "core/lock/lock_graph.h"
#include "usernic/context.h"
#include "usernic/env.h"
#include "usernic/lock.h"

namespace usernic {

class HeldLocks {
 public:
  static HeldLocks& mine() noexcept USERNIC_NONBLOCKING { return Local<HeldLocks, HeldLocks>::get(); }

  void enter(Context context, ScopeOf whose, Place where) noexcept USERNIC_NONBLOCKING;
  void enter_callback(const char* op, Context context, Place where) noexcept USERNIC_NONBLOCKING;
  void leave() noexcept USERNIC_NONBLOCKING;
  // The driver's op that this thread is in, or null. Returns the one outside of it.
  const char* set_op(const char* op) noexcept USERNIC_NONBLOCKING { return std::exchange(op_, op); }
  const char* op() const noexcept USERNIC_NONBLOCKING { return op_; }
  void allow_blocking(int change) noexcept USERNIC_NONBLOCKING { blocking_allowed_ += change; }
  Context context() const noexcept USERNIC_NONBLOCKING;

  using LockKind = internal::LockKind;
  // `acquire` before waiting for a lock, `acquired` of one that was free when it was tried.
  void acquire(const void* lock, const LockClass& lock_class, LockKind kind, int level, Place where) noexcept
      USERNIC_NONBLOCKING;
  void acquired(const void* lock, const LockClass& lock_class, LockKind kind, Place where) noexcept USERNIC_NONBLOCKING;
  void release(const void* lock) noexcept USERNIC_NONBLOCKING;
  bool holds(const void* lock) const noexcept USERNIC_NONBLOCKING;
  size_t depth() const noexcept USERNIC_NONBLOCKING { return depth_; }  // of locks and contexts

  // Reports when a context or a SpinLock forbids sleeping; returns true when nothing does.
  bool check_may_sleep(Place where) const noexcept USERNIC_NONBLOCKING;
  // Reports a call from outside that blocks, `what`, in a driver's atomic callback; one that does nothing but sleep, in
  // any atomic context. `caller` is an address in the code.
  void check_blocking_call(const char* what, bool sleeps, const void* caller) const noexcept;
  // Reports when a lock of `lock_class` is held: `what` must not be done under it. Returns true
  // when none is.
  bool check_not_held(const LockClass& lock_class, std::string_view what, Place where) const noexcept;
  // Waiting for whoever holds `lock_class` is taking it and letting go at once.
  void wait_for(const LockClass& lock_class, Place where) noexcept;

  // The locks that are held, outermost first, for the simulator: "rtnl > instance_lock".
  std::string names() const;

  // While one lives, nothing of this thread is reported.
  class Muted {
   public:
    Muted() noexcept : nested_(mine().muted_++ != 0) {}
    ~Muted() { --mine().muted_; }
    bool nested() const noexcept { return nested_; }

   private:
    bool nested_;
  };

 private:
  struct Entry {
    const void* lock = nullptr;  // null: a context scope
    const LockClass* lock_class = nullptr;
    const char* callback = nullptr;  // of a context scope: the driver's op
    Place where;
    LockKind kind = LockKind::kMutex;
    Context context = Context::kProcess;
    ScopeOf whose = ScopeOf::kCode;
    bool tried = false;
    LockGraph::Node node = LockGraph::kNone;
    int level = 0;
    std::string why_atomic() const;  // "in BH disabled context"
  };
  static constexpr size_t kDepthMax = 64;
  static constexpr size_t kDepthOfReports = 8;  // kept free: reporting takes locks itself

  void push(const Entry& entry) noexcept USERNIC_NONBLOCKING;
  void erase(size_t index) noexcept USERNIC_NONBLOCKING;
  const Entry* find_atomic() const noexcept USERNIC_NONBLOCKING;
  bool check_nested(const Entry& wanted) const noexcept USERNIC_NONBLOCKING;
  void check_order(const Entry& wanted) const noexcept USERNIC_NONBLOCKING;
  void check_use(const Entry& wanted) const noexcept USERNIC_NONBLOCKING;
  uint32_t uses_here() const noexcept USERNIC_NONBLOCKING;
  void learn_order(const Entry& held, const Entry& wanted) const;

  std::array<Entry, kDepthMax> entries_{};
  size_t depth_ = 0;
  int muted_ = 0;
  int blocking_allowed_ = 0;
  const char* op_ = nullptr;
};

}  // namespace usernic
