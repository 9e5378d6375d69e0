// SPDX-License-Identifier: Apache-2.0
#include "core/held_locks.h"

#include <fmt/format.h>

#include <cstdlib>

namespace usernic {

using internal::LockKind;

// A report prints and may allocate; the process is on its way down or under test.
USERNIC_BLOCKING_BY_DESIGN_BEGIN

void HeldLocks::push(const Entry& entry) noexcept {
  const size_t limit = muted_ != 0 ? kDepthMax : kDepthMax - kDepthOfReports;
  if (depth_ == limit) {
    report_contract("too-deep", fmt::format("a thread holds {} locks and contexts", limit), entry.where);
    std::abort();
  }
  entries_[depth_++] = entry;
}

void HeldLocks::acquire(const void* lock, const LockClass& lock_class, LockKind kind, int level, Place where) noexcept {
  if (muted_ == 0) {
    if (kind != LockKind::kSpin) check_may_sleep(where);
    for (size_t i = depth_; i-- > 0;) {
      const Entry& held = entries_[i];
      if (held.lock == lock) {
        report_contract("lock-twice", fmt::format("'{}' is taken twice by one thread", lock_class.name), where,
                        held.where);
        break;
      }
      if (held.lock_class == &lock_class && held.level == level) {
        report_contract("lock-nested",
                        fmt::format("two locks of class '{}' are nested at level {}", lock_class.name, level), where,
                        held.where);
        break;
      }
    }
  }
  push({lock, &lock_class, where, kind, Context::kProcess, level});
}

USERNIC_BLOCKING_BY_DESIGN_END

void HeldLocks::enter(Context context, Place where) noexcept {
  push({nullptr, nullptr, where, LockKind::kMutex, context, 0});
}

void HeldLocks::erase(size_t index) noexcept {
  for (size_t i = index + 1; i < depth_; ++i) entries_[i - 1] = entries_[i];
  --depth_;
}

void HeldLocks::leave() noexcept {
  for (size_t i = depth_; i-- > 0;) {
    if (entries_[i].lock == nullptr) return erase(i);
  }
}

void HeldLocks::release(const void* lock) noexcept {
  for (size_t i = depth_; i-- > 0;) {
    if (entries_[i].lock == lock) return erase(i);
  }
}

bool HeldLocks::holds(const void* lock) const noexcept {
  for (size_t i = depth_; i-- > 0;) {
    if (entries_[i].lock == lock) return true;
  }
  return false;
}

Context HeldLocks::context() const noexcept {
  for (size_t i = depth_; i-- > 0;) {
    if (entries_[i].lock == nullptr) return entries_[i].context;
  }
  return Context::kProcess;
}

const HeldLocks::Entry* HeldLocks::find_atomic() const noexcept {
  for (size_t i = depth_; i-- > 0;) {
    const Entry& entry = entries_[i];
    if (entry.lock == nullptr && entry.context != Context::kProcess) return &entry;
    if (entry.lock != nullptr && entry.kind == LockKind::kSpin) return &entry;
  }
  return nullptr;
}

void HeldLocks::check_may_sleep(Place where) const noexcept {
  if (muted_ != 0) return;
  const Entry* atomic = find_atomic();
  if (atomic == nullptr) return;
  const std::string why = atomic->lock == nullptr
                              ? fmt::format("in {} context", context_name(atomic->context))
                              : fmt::format("while the spinlock '{}' is held", atomic->lock_class->name);
  report_contract("sleep-in-atomic", "may sleep " + why, where, atomic->where);
}

void HeldLocks::check_not_held(const LockClass& lock_class, std::string_view what, Place where) const noexcept {
  if (muted_ != 0) return;
  for (size_t i = depth_; i-- > 0;) {
    if (entries_[i].lock_class != &lock_class) continue;
    return report_contract("wait-under-lock", fmt::format("{} under '{}'", what, lock_class.name), where,
                           entries_[i].where);
  }
}

}  // namespace usernic
