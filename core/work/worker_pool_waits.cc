// SPDX-License-Identifier: Apache-2.0 OR MIT
// Who sleeps until an item or a queue is done.
#include <algorithm>

#include "core/work/worker_pool.h"

namespace usernic {

// Requires: the item is disabled meanwhile.
bool WorkerPool::cancel_sync(Work& work, Place where) {
  DeviceRef ref;
  LongWait wait("a work item that is cancelled to end", where);
  SpinGuard guard(lock_);
  const bool was_pending = withdraw(work, ref);
  if (work.state_ == Work::State::kRunning) work.stop_.request_stop();
  const uint64_t target = work.started_;
  while (work.finished_ < target) wait_done(work, wait);
  return was_pending;
}

// The queue stays until the last one has woken up: see `leave`.
void WorkerPool::wait_done(Workqueue& queue, LongWait& wait) {
  ++queue.sleepers_;
  wait.in(queue.done_, lock_);
  if (--queue.sleepers_ == 0) queue.done_.wake();
}

void WorkerPool::wait_done(Work& work, LongWait& wait) {
  ++work.waiters_;
  wait_done(*work.queue_, wait);
  --work.waiters_;
}

// For who waits for a queue and speaks.
std::string WorkerPool::what_runs(const void* of) {
  const Workqueue& queue = *static_cast<const Workqueue*>(of);
  std::string text = "queue '" + queue.name() + "'";
  SpinGuard guard(queue.pool_.lock_);
  for (const Work& work : queue.running_) {
    text += std::string(", which runs '") + (work.lock_class_ != nullptr ? work.lock_class_->name : "an item") + "'";
  }
  return text;
}

bool WorkerPool::leave(Workqueue& queue) {
  SpinGuard guard(lock_);
  if (!queue.pending_.empty() || !queue.running_.empty()) return false;
  while (queue.sleepers_ != 0) queue.done_.wait(lock_);
  return true;
}

bool WorkerPool::blocked_by_me(const Work& work) {
  SpinGuard guard(lock_);
  return work.state_ != Work::State::kIdle && work.queue_->ordered() && work.queue_->is_current();
}

bool WorkerPool::pending(const Work& work) {
  SpinGuard guard(lock_);
  return work.state_ != Work::State::kIdle && work.state_ != Work::State::kRunning;
}

bool WorkerPool::running(const Work& work) {
  SpinGuard guard(lock_);
  return work.state_ != Work::State::kIdle && work.state_ != Work::State::kWaiting &&
         work.state_ != Work::State::kPending;
}

bool WorkerPool::flush(Work& work, Place where) {
  LongWait wait("a work item to end", where);
  SpinGuard guard(lock_);
  const bool idle = work.state_ == Work::State::kIdle || work.state_ == Work::State::kWaiting;
  const bool owed = work.state_ == Work::State::kPending || work.state_ == Work::State::kRunningAgain;
  const uint64_t taken_back = work.withdrawn_;
  const uint64_t running = work.started_;
  // A run that is owed may be taken back; another one that is queued then is not ours to wait for.
  while (work.finished_ < running + (owed && work.withdrawn_ == taken_back ? 1 : 0)) wait_done(work, wait);
  return !idle;
}

void WorkerPool::flush(Workqueue& queue, Place where) {
  LongWait wait("a workqueue to run what was queued", where, what_runs, &queue);
  SpinGuard guard(lock_);
  const uint64_t barrier = queue.next_sequence_;
  const auto older = [barrier](const Work& work) { return work.sequence_ < barrier; };
  while (std::any_of(queue.running_.begin(), queue.running_.end(), older) ||
         std::any_of(queue.pending_.begin(), queue.pending_.end(), older)) {
    wait_done(queue, wait);
  }
}

void WorkerPool::drain(Workqueue& queue, Place where) {
  LongWait wait("a workqueue to run dry", where, what_runs, &queue);
  SpinGuard guard(lock_);
  while (!queue.pending_.empty() || !queue.running_.empty()) wait_done(queue, wait);
}

void WorkerPool::park(Workqueue& queue, Place where) {
  LongWait wait("a lane to be idle, so that it is parked", where, what_runs, &queue);
  SpinGuard guard(lock_);
  ++queue.parks_;
  update_ready(queue);
  for (Work& work : queue.running_) work.stop_.request_stop();
  while (!queue.running_.empty()) wait_done(queue, wait);
}

bool WorkerPool::unpark(Workqueue& queue) {
  SpinGuard guard(lock_);
  if (queue.parks_ == 0) return false;
  --queue.parks_;
  update_ready(queue);
  return true;
}

int WorkerPool::parks(const Workqueue& queue) {
  SpinGuard guard(lock_);
  return queue.parks_;
}

}  // namespace usernic
