// SPDX-License-Identifier: Apache-2.0 OR MIT
// The states of an item: queued, moved, hurried, taken back.
#include <algorithm>
#include <utility>

#include "core/work/worker_pool.h"

namespace usernic {

void WorkerPool::fire_timers() {
  if (timers_.empty()) return;
  const Time now = Clock::now();
  while (!timers_.empty() && timers_.begin()->due_ <= now) {
    Work& work = *timers_.begin();
    timers_.erase(timers_.begin());
    Workqueue& queue = *work.queue_;
    make_pending(queue, work, queue.next_sequence_++);
  }
}

void WorkerPool::update_ready(Workqueue& queue) noexcept {
  const bool can_start =
      queue.parks_ == 0 && !queue.pending_.empty() && queue.running_.size() < static_cast<size_t>(queue.max_active_);
  if (can_start == queue.ready_hook_.is_linked()) return;
  if (!can_start) {
    ready_.erase(ready_.iterator_to(queue));
    return;
  }
  ready_.push_back(queue);
  if (idle_ > 0) wanted_.wake_one();
}

void WorkerPool::make_pending(Workqueue& queue, Work& work, uint64_t sequence) noexcept {
  work.state_ = Work::State::kPending;
  work.sequence_ = sequence;
  queue.pending_.push_back(work);
  update_ready(queue);
}

void WorkerPool::hold_owner(Work& work) noexcept {
  if (work.owner_ != nullptr) work.ref_.hold(*work.owner_, "work item");
}

// An idle item goes to `queue`, whose pool is set before `disabled_` is looked at: see Work::disable_sync.
bool WorkerPool::may_queue(Workqueue& queue, Work& work) noexcept {
  if (work.state_ == Work::State::kIdle) {
    work.last_class_.store(queue.lock_class_);
    work.last_ordered_.store(queue.ordered());
    work.pool_.store(this);
    work.queue_ = &queue;
  }
  return work.disabled_ == 0;
}

bool WorkerPool::queue(Workqueue& queue, Work& work) noexcept {
  SpinGuard guard(lock_);
  return queue_locked(queue, work);
}

bool WorkerPool::queue_locked(Workqueue& queue, Work& work) noexcept {
  if (!may_queue(queue, work)) return false;
  switch (work.state_) {
    case Work::State::kPending:
    case Work::State::kRunningAgain:
      return false;
    case Work::State::kRunning:  // stays on the queue that runs it
    case Work::State::kRunningLater:
      work.state_ = Work::State::kRunningAgain;
      work.again_sequence_ = work.queue_->next_sequence_++;
      return true;
    case Work::State::kWaiting:
      timers_.erase(timers_.iterator_to(work));
      break;
    case Work::State::kIdle:
      hold_owner(work);
      break;
  }
  Workqueue& target = *work.queue_;
  make_pending(target, work, target.next_sequence_++);
  return true;
}

bool WorkerPool::queue_at(Workqueue& queue, Work& work, Time due) noexcept {
  SpinGuard guard(lock_);
  return queue_at_locked(queue, work, due);
}

bool WorkerPool::queue_unless_pending(Workqueue& queue, Work& work, Time due) noexcept {
  SpinGuard guard(lock_);
  if (work.state_ != Work::State::kIdle && work.state_ != Work::State::kRunning) return false;
  return queue_at_locked(queue, work, due);
}

bool WorkerPool::queue_at_locked(Workqueue& queue, Work& work, Time due) noexcept {
  if (due == kAtOnce) return queue_locked(queue, work);
  if (!may_queue(queue, work)) return false;
  switch (work.state_) {
    case Work::State::kPending:
    case Work::State::kRunningAgain:
      return false;
    case Work::State::kRunningLater:
      work.due_ = std::min(work.due_, due);
      return false;
    case Work::State::kRunning:
      work.due_ = due;
      work.state_ = Work::State::kRunningLater;
      return true;
    case Work::State::kWaiting:
      if (work.due_ <= due) return false;
      timers_.erase(timers_.iterator_to(work));
      break;
    case Work::State::kIdle:
      hold_owner(work);
      break;
  }
  start_timer(work, due);
  return true;
}

void WorkerPool::start_timer(Work& work, Time due) noexcept {
  work.state_ = Work::State::kWaiting;
  work.due_ = due;
  const bool earliest = timers_.empty() || due < timers_.begin()->due_;
  timers_.insert(work);
  if (earliest) awaken_.wake();
}

bool WorkerPool::move_to(Workqueue& queue, Work& work, Time due) noexcept {
  DeviceRef ref;  // of the run that is taken back; put after the lock is gone
  SpinGuard guard(lock_);
  if (work.disabled_ != 0) return false;
  const bool was_pending = withdraw(work, ref);
  (void)queue_at_locked(queue, work, due);
  return was_pending;
}

bool WorkerPool::hurry(Work& work) noexcept {
  SpinGuard guard(lock_);
  if (work.state_ == Work::State::kRunningLater) {
    work.state_ = Work::State::kRunningAgain;
    work.again_sequence_ = work.queue_->next_sequence_++;
    return true;
  }
  if (work.state_ != Work::State::kWaiting) return false;
  timers_.erase(timers_.iterator_to(work));
  Workqueue& queue = *work.queue_;
  make_pending(queue, work, queue.next_sequence_++);
  return true;
}

bool WorkerPool::cancel(Work& work) noexcept {
  DeviceRef ref;  // put after the lock is gone
  SpinGuard guard(lock_);
  return withdraw(work, ref);
}

// Takes a waiting, pending or owed run back. Returns true when there was one; `ref` is then for the caller to put.
bool WorkerPool::withdraw(Work& work, DeviceRef& ref) noexcept {
  Workqueue* const queue = work.queue_;
  switch (work.state_) {
    case Work::State::kIdle:
    case Work::State::kRunning:
      return false;
    case Work::State::kRunningAgain:
    case Work::State::kRunningLater:
      work.state_ = Work::State::kRunning;
      ++work.withdrawn_;
      return true;
    case Work::State::kWaiting:
      timers_.erase(timers_.iterator_to(work));
      break;
    case Work::State::kPending:
      queue->pending_.erase(queue->pending_.iterator_to(work));
      update_ready(*queue);
      break;
  }
  work.state_ = Work::State::kIdle;
  ++work.withdrawn_;
  ref = std::move(work.ref_);
  queue->done_.wake();
  return true;
}

}  // namespace usernic
