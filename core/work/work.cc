// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/work.h"

#include <fmt/format.h>

#include "core/lock/held_locks.h"
#include "core/lock/lock_classes.h"
#include "core/lock/site_class.h"
#include "core/work/current_work.h"
#include "core/work/worker_pool.h"
#include "usernic/contract_report.h"

namespace usernic {
namespace {

using MyWork = Local<CurrentWork*, struct MyWorkTag>;
using MyGuards = Local<LaneGuard*, struct MyGuardsTag>;

}  // namespace

namespace {

// A lane's items take rtnl and IL: said in those words rather than as an order.
bool lane_rules(const LockClass* lock_class, const char* what, Place where) {
  if (!kChecksOn || lock_class != &kLaneClass) return true;
  const HeldLocks& held = HeldLocks::mine();
  return held.check_not_held(kRtnlClass, what, where) && held.check_not_held(kInstanceClass, what, where);
}

// A wait that may be made here at all.
bool may_wait(const LockClass* lock_class, const char* what, Place where) {
  if (kChecksOn && !HeldLocks::mine().check_may_sleep(where)) return false;
  return lane_rules(lock_class, what, where);
}

void wait_for(const LockClass* lock_class, Place where) noexcept {
  if (kChecksOn && lock_class != nullptr) HeldLocks::mine().wait_for(*lock_class, where);
}

void hold(const void* what, const LockClass* lock_class, Place where) noexcept {
  if (kChecksOn && lock_class != nullptr) {
    internal::before_lock(what, *lock_class, internal::LockKind::kLane, 0, where);
  }
}

void let_go(const void* what) noexcept {
  if (kChecksOn) internal::after_unlock(what);
}

}  // namespace

void check_wait(const Workqueue& queue, const char* what, Place where) {
  if (may_wait(queue.lock_class(), what, where)) wait_for(queue.lock_class(), where);
}

CurrentWork::CurrentWork(Work& the_work, Workqueue& the_queue, StopToken token, Place where) noexcept
    : work(&the_work),
      queue(the_queue),
      stop(token),
      held_(&the_work),
      concerned_(queue.device() != nullptr ? queue.device() : work->owner_) {
  hold(&queue, queue.lock_class(), where);
  hold(held_, work->lock_class_, where);
  MyWork::get() = this;
}
CurrentWork::~CurrentWork() {
  MyWork::get() = nullptr;
  let_go(held_);
  let_go(&queue);
}
CurrentWork* CurrentWork::mine() noexcept {
  return MyWork::get();
}

bool CurrentWork::goes_on_without_it() {
  stand_in = work->pool_.load()->stand_in_for(*work);
  if (stand_in == nullptr) return false;
  work = stand_in.get();
  stop = work->stop_.token();
  return true;
}

Work* current_work() noexcept {
  const CurrentWork* current = CurrentWork::mine();
  return current != nullptr ? current->work : nullptr;
}
StopToken current_stop_token() noexcept {
  const CurrentWork* current = CurrentWork::mine();
  return current != nullptr ? current->stop : StopToken();
}

Work::Work(std::move_only_function<void()> body, NetDevice* owner, const void* kind, Place where)
    : body_(std::move(body)), owner_(owner), lock_class_(class_of_site("work", kind, where)) {}

Work::Work() : owner_(nullptr), lock_class_(nullptr) {}

Work::~Work() {
  if (state_ == State::kIdle) return;
  CurrentWork* const current = CurrentWork::mine();
  if (current != nullptr && current->work == this && current->goes_on_without_it()) return;
  const ReportsOn concerned(ref_ ? owner_ : nullptr);
  report_contract("work-freed", "a work item is destroyed while pending or running", Place::current());
}

bool Work::pending() const {
  WorkerPool* const pool = pool_.load();
  return pool != nullptr && pool->pending(*this);
}
bool Work::running() const {
  WorkerPool* const pool = pool_.load();
  return pool != nullptr && pool->running(*this);
}

// An item that waits for itself, or for another one that cannot start before it ends.
bool Work::waits_for_itself(Place where) const {
  if (current_work() != this && !pool_.load()->blocked_by_me(*this)) return false;
  report_contract("flush-self", "a work item waits for itself or for its own queue", where);
  return true;
}

// What is wrong to wait for while it is queued is wrong while it happens to be idle too: its last queue's class
// remains.
bool Work::flush(Place where) {
  WorkerPool* const pool = pool_.load();
  if (pool == nullptr || waits_for_itself(where)) return false;
  if (may_wait(last_class_.load(), "waiting for a work item", where)) {
    if (last_ordered_.load()) wait_for(last_class_.load(), where);  // for what is ahead of it, too
    wait_for(lock_class_, where);
  }
  return pool->flush(*this, where);
}

bool Work::cancel() noexcept {
  WorkerPool* const pool = pool_.load();
  return pool != nullptr && pool->cancel(*this);
}

bool Work::cancel_sync(Place where) {
  disabled_.fetch_add(1);  // an item that queues itself is refused meanwhile
  const bool was_pending = cancel_disabled(where);
  disabled_.fetch_sub(1);
  return was_pending;
}

// Who queues it sets `pool_` before it looks at `disabled_`; here it is the other way round. So either it is refused,
// or it is seen here.
bool Work::disable_sync(Place where) {
  disabled_.fetch_add(1);
  return cancel_disabled(where);
}
bool Work::disable() noexcept {
  disabled_.fetch_add(1);
  return cancel();
}

bool Work::cancel_disabled(Place where) {
  WorkerPool* const pool = pool_.load();
  if (pool == nullptr) return false;
  if (current_work() == this) {
    report_contract("flush-self", "a work item waits for itself", where);
    return false;
  }
  if (may_wait(last_class_.load(), "waiting for a work item", where)) wait_for(lock_class_, where);
  return pool->cancel_sync(*this, where);
}

bool Work::enable(Place where) noexcept {
  int count = disabled_.load();
  while (count > 0 && !disabled_.compare_exchange_weak(count, count - 1)) {
  }
  if (count <= 0) report_contract("work-enabled-twice", "a work item is enabled that is not disabled", where);
  return count == 1;
}

Workqueue::Workqueue(WorkerPool& pool, std::string name, int max_active, const LockClass* lock_class,
                     const NetDevice* dev)
    : pool_(pool), name_(std::move(name)), max_active_(max_active), lock_class_(lock_class), dev_(dev) {}

Workqueue::~Workqueue() {
  if (pool_.leave(*this)) return;
  const ReportsOn concerned(dev_);
  report_contract("workqueue-freed", fmt::format("workqueue '{}' is destroyed with items in it", name_),
                  Place::current());
}

bool Workqueue::queue(Work& work) noexcept {
  return pool_.queue(*this, work);
}
bool Workqueue::queue_at(Work& work, Time due) noexcept {
  return pool_.queue_at(*this, work, due);
}
bool Workqueue::move_to(Work& work, Time due) noexcept {
  return pool_.move_to(*this, work, due);
}

void Workqueue::flush(Place where) {
  const ReportsOn concerned(dev_);
  if (is_current()) return report_contract("flush-self", "a work item flushes its own queue", where);
  check_wait(*this, "flushing a workqueue", where);
  pool_.flush(*this, where);
}

void Workqueue::drain(Place where) {
  const ReportsOn concerned(dev_);
  if (is_current()) return report_contract("flush-self", "a work item drains its own queue", where);
  check_wait(*this, "draining a workqueue", where);
  pool_.drain(*this, where);
}

void Workqueue::park(Place where) {
  const ReportsOn concerned(dev_);
  if (is_current()) return report_contract("park-self", "a work item parks its own queue", where);
  check_wait(*this, "parking a lane", where);
  pool_.park(*this, where);
}
void Workqueue::unpark(Place where) {
  if (pool_.unpark(*this)) return;
  const ReportsOn concerned(dev_);
  report_contract("unpark-unparked", fmt::format("workqueue '{}' is unparked that is not parked", name_), where);
}
int Workqueue::parks() const {
  return pool_.parks(*this);
}

bool Workqueue::is_current() const noexcept {
  const CurrentWork* current = CurrentWork::mine();
  if (current != nullptr && &current->queue == this) return true;
  for (const LaneGuard* guard = MyGuards::get(); guard != nullptr; guard = guard->outer_) {
    if (guard->parked_ == this) return true;
  }
  return false;
}

LaneGuard::LaneGuard(Workqueue& lane, Place where) : concerned_(lane.device()) {
  if (lane.is_current()) return;
  (void)lane_rules(lane.lock_class(), "parking a lane", where);
  hold(&lane, lane.lock_class(), where);
  lane.pool_.park(lane, where);
  parked_ = &lane;
  outer_ = std::exchange(MyGuards::get(), this);
}

LaneGuard::~LaneGuard() {
  if (parked_ == nullptr) return;
  let_go(parked_);
  MyGuards::get() = outer_;
  parked_->unpark();
}

}  // namespace usernic
