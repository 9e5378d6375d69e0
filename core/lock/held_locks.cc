// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/lock/held_locks.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <new>

#include "core/lock/lock_report.h"
#include "usernic/contract_report.h"

namespace usernic {
namespace {

LockGraph& graph() noexcept USERNIC_NONBLOCKING {
  return LockGraph::instance();
}

// How to find the source line of an address in the code.
std::string code_text(const void* address) {
  Dl_info module;
  if (::dladdr(address, &module) == 0) return fmt::format("  called from {}\n", fmt::ptr(address));
  const auto offset = static_cast<const char*>(address) - static_cast<const char*>(module.dli_fbase) - 1;
  return fmt::format("  called from what this says: addr2line -Cfe {} {:#x}\n", module.dli_fname, offset);
}

}  // namespace

// A report prints and may allocate; the process is on its way down or under test.
USERNIC_BLOCKING_BY_DESIGN_BEGIN

void HeldLocks::push(const Entry& entry) noexcept {
  const size_t limit = muted_ != 0 ? kDepthMax : kDepthMax - kDepthOfReports;
  if (depth_ == limit) {
    const BlockingByDesign allowed;
    report_contract("too-deep", fmt::format("a thread holds {} locks and contexts", limit), entry.where);
    std::abort();
  }
  entries_[depth_++] = entry;
}

std::string HeldLocks::Entry::why_atomic() const {
  if (lock != nullptr) return fmt::format("while the spinlock '{}' is held", lock_class->name);
  if (callback != nullptr) return fmt::format("in the driver's {}", callback);
  return fmt::format("in {} context", context_name(context));
}

bool HeldLocks::check_may_sleep(Place where) const noexcept {
  if (muted_ != 0) return true;
  const Entry* atomic = find_atomic();
  if (atomic == nullptr) return true;
  const BlockingByDesign allowed;
  report_contract("sleep-in-atomic", "may sleep " + atomic->why_atomic(), where, atomic->where);
  return false;
}

bool HeldLocks::check_nested(const Entry& wanted) const noexcept {
  for (size_t i = depth_; i-- > 0;) {
    const Entry& held = entries_[i];
    if (held.lock == wanted.lock && held.lock != nullptr) {
      const BlockingByDesign allowed;
      report_contract("lock-twice", fmt::format("'{}' is taken twice by one thread", wanted.lock_class->name),
                      wanted.where, held.where);
      return false;
    }
    if (held.lock_class == wanted.lock_class && held.level == wanted.level) {
      const BlockingByDesign allowed;
      report_contract(
          "lock-nested",
          fmt::format("two locks of class '{}' are nested at level {}", wanted.lock_class->name, wanted.level),
          wanted.where, held.where);
      return false;
    }
  }
  return true;
}

void HeldLocks::learn_order(const Entry& held, const Entry& wanted) const {
  const BlockingByDesign allowed;
  LockGraph::Stack stack;
  for (size_t i = 0; i < depth_; ++i) {
    const Entry& entry = entries_[i];
    const char* name = entry.callback != nullptr ? entry.callback : context_name(entry.context).data();
    if (entry.lock_class != nullptr) name = entry.lock_class->name;
    stack.add({name, entry.level, entry.where});
  }
  stack.add({wanted.lock_class->name, wanted.level, wanted.where});
  try {
    const std::vector<LockGraph::Edge> known = graph().add(held.node, wanted.node, stack);
    if (!known.empty()) report_lock_order(known, stack, held.where);
  } catch (const std::bad_alloc&) {  // this pair stays unchecked
  }
}

// The innermost held lock comes before the wanted one; what is further out came before that one, unless it was tried.
void HeldLocks::check_order(const Entry& wanted) const noexcept {
  if (wanted.node == LockGraph::kNone) return;
  for (size_t i = depth_; i-- > 0;) {
    const Entry& held = entries_[i];
    if (held.node == LockGraph::kNone || held.node == wanted.node) continue;
    if (!graph().knows(held.node, wanted.node)) learn_order(held, wanted);
    if (!held.tried) return;
  }
}

void HeldLocks::check_use(const Entry& wanted) const noexcept {
  if (wanted.node == LockGraph::kNone || wanted.lock_class->use == LockUse::kAnyContext) return;
  LockGraph::Clash clash;
  if (graph().note_use(wanted.node, uses_here(), wanted.where, clash)) {
    const BlockingByDesign allowed;
    report_lock_context(*wanted.lock_class, clash, wanted.where);
  }
}

USERNIC_BLOCKING_BY_DESIGN_END

void HeldLocks::acquire(const void* lock, const LockClass& lock_class, LockKind kind, int level, Place where) noexcept {
  Entry wanted{.lock = lock, .lock_class = &lock_class, .where = where, .kind = kind, .level = level};
  if (muted_ == 0) {
    wanted.node = graph().node(lock_class, level);
    const bool may_wait = kind == LockKind::kSpin || check_may_sleep(where);
    if (check_nested(wanted) && may_wait) check_order(wanted);
    if (kind == LockKind::kSpin) check_use(wanted);
  }
  push(wanted);
}

void HeldLocks::acquired(const void* lock, const LockClass& lock_class, LockKind kind, Place where) noexcept {
  Entry held{.lock = lock, .lock_class = &lock_class, .where = where, .kind = kind, .tried = true};
  if (muted_ == 0) held.node = graph().node(lock_class, 0);
  push(held);
}

void HeldLocks::wait_for(const LockClass& lock_class, Place where) noexcept {
  if (muted_ != 0) return;
  const Entry wanted{
      .lock_class = &lock_class, .where = where, .kind = LockKind::kLane, .node = graph().node(lock_class, 0)};
  if (check_nested(wanted)) check_order(wanted);
}

// What taking a lock here says about its class. The innermost scope of code decides whose code this is.
uint32_t HeldLocks::uses_here() const noexcept {
  uint32_t uses = LockGraph::kBhsOn | LockGraph::kIrqsOn;
  Context code = Context::kProcess;
  for (size_t i = 0; i < depth_; ++i) {
    const Entry& entry = entries_[i];
    if (entry.lock != nullptr || entry.context == Context::kProcess) continue;
    uses &= ~uint32_t{LockGraph::kBhsOn};
    if (entry.context == Context::kHardIrq) uses &= ~uint32_t{LockGraph::kIrqsOn};
    if (entry.whose == ScopeOf::kCode) code = entry.context;
  }
  if (code == Context::kBhDisabled) uses |= LockGraph::kInBh;
  if (code == Context::kHardIrq) uses |= LockGraph::kInHardIrq;
  return uses;
}

void HeldLocks::enter(Context context, ScopeOf whose, Place where) noexcept {
  push({.where = where, .context = context, .whose = whose});
}

void HeldLocks::erase(size_t index) noexcept {
  for (size_t i = index + 1; i < depth_; ++i) entries_[i - 1] = entries_[i];
  --depth_;
}

// In a driver's interrupt-disabled op nothing interrupts: locks taken there are taken as with irqs off.
void HeldLocks::enter_callback(const char* op, Context context, Place where) noexcept {
  push({.callback = op,
        .where = where,
        .context = context,
        .whose = context == Context::kHardIrq ? ScopeOf::kLock : ScopeOf::kCode});
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

void HeldLocks::check_blocking_call(const char* what, bool sleeps, const void* caller) const noexcept {
  if (muted_ != 0 || blocking_allowed_ != 0) return;
  const Entry* where = sleeps ? find_atomic() : nullptr;
  for (size_t i = depth_; i-- > 0;) {
    if (entries_[i].callback != nullptr) {
      where = &entries_[i];
      break;
    }
  }
  if (where == nullptr) return;
  const BlockingByDesign allowed;
  report_contract("sleep-in-atomic", fmt::format("{} may sleep {}", what, where->why_atomic()), where->where, {},
                  code_text(caller));
}

std::string HeldLocks::names() const {
  std::string names;
  for (size_t i = 0; i < depth_; ++i) {
    if (entries_[i].lock == nullptr) continue;
    if (!names.empty()) names += " > ";
    names += entries_[i].lock_class->name;
  }
  return names;
}

bool HeldLocks::check_not_held(const LockClass& lock_class, std::string_view what, Place where) const noexcept {
  if (muted_ != 0) return true;
  for (size_t i = depth_; i-- > 0;) {
    if (entries_[i].lock_class != &lock_class) continue;
    report_contract("wait-under-lock", fmt::format("{} under '{}'", what, lock_class.name), where, entries_[i].where);
    return false;
  }
  return true;
}

}  // namespace usernic
