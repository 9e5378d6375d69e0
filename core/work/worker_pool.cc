// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/work/worker_pool.h"

#include <algorithm>
#include <new>
#include <utility>

#include "core/lock/lock_classes.h"
#include "core/lock/mutation.h"
#include "core/lock/say.h"
#include "core/work/current_work.h"
#include "usernic/refusal.h"

namespace usernic {
namespace {

constexpr LockClass kPoolClass{"worker_pool", LockUse::kAnyContext};
constexpr char kWorkerName[] = "usernic-worker";
constexpr int kIdleMax = 4;  // more idle workers than this retire
constexpr Duration kAskAgain = std::chrono::milliseconds(100);

void report_refusal(std::errc refused) noexcept {
  try {
    say(stderr, "usernic: the machine refuses a worker thread, and items may wait until it grants one: {}\n",
        thread_refusal(refused));
  } catch (const std::bad_alloc&) {
    std::fputs("usernic: the machine refuses a worker thread, and items may wait until it grants one\n", stderr);
  }
}

}  // namespace

// Without one worker nothing would ever run; one is enough for all, in their turns.
WorkerPool::WorkerPool() : lock_(kPoolClass), keeper_("usernic-keeper", [this] { keep(); }) {
  const std::errc refused = spawn();
  if (refused == std::errc{}) return;
  stop();
  throw ThreadRefused(kWorkerName, refused);
}

WorkerPool::~WorkerPool() {
  stop();
}

void WorkerPool::stop() {
  {
    SpinGuard guard(lock_);
    stopping_ = true;
    wanted_.wake();
    awaken_.wake();
  }
  keeper_.join();  // nobody adds workers any more; the list is ours now
  std::list<Worker> workers;
  {
    SpinGuard guard(lock_);
    workers.swap(workers_);
  }
  for (Worker& worker : workers) worker.thread.join();
}

void WorkerPool::keep() {
  Time ask_again{};  // not before then for another thread
  bool said = false;
  lock_.lock();
  while (!stopping_) {
    fire_timers();
    Time until = timers_.empty() ? kForever : timers_.begin()->due_;
    if (owed_ && ask_again <= Clock::now()) {
      owed_ = false;
      lock_.unlock();
      bury_retired();
      const std::errc refused = spawn();
      const bool made = refused == std::errc{};
      if (!made && !std::exchange(said, true)) report_refusal(refused);
      if (!made) ask_again = Clock::now() + kAskAgain;
      lock_.lock();
      if (!made) owed_ = true;
      continue;
    }
    if (owed_) until = std::min(until, ask_again);
    awaken_.wait(lock_, until);
  }
  lock_.unlock();
}

// Adds a worker that `starting_` counts already. An error: the machine has no thread, or no memory, for it.
std::errc WorkerPool::spawn() {
  try {
    std::list<Worker> fresh(1);
    Worker& worker = fresh.front();
    Result<Thread> thread = Thread::start(kWorkerName, [this, &worker] { work_loop(worker); });
    if (!thread) return thread.error();
    worker.thread = *std::move(thread);
    SpinGuard guard(lock_);
    workers_.splice(workers_.end(), fresh);
    return {};
  } catch (const std::bad_alloc&) {
    return std::errc::not_enough_memory;
  }
}

void WorkerPool::bury_retired() {
  std::list<Worker> retired;  // joined on the way out, after the lock is gone
  SpinGuard guard(lock_);
  for (auto it = workers_.begin(); it != workers_.end();) {
    const auto next = std::next(it);
    if (it->retired) retired.splice(retired.end(), workers_, it);
    it = next;
  }
}

void WorkerPool::work_loop(Worker& me) {
  lock_.lock();
  --starting_;
  while (true) {
    if (!ready_.empty()) {
      run_one(ready_.front());
      continue;
    }
    if (stopping_ || idle_ >= kIdleMax) break;
    ++idle_;
    wanted_.wait(lock_);
    --idle_;
  }
  me.retired = !stopping_;
  lock_.unlock();
}

void WorkerPool::run_one(Workqueue& queue) {
  Work& work = queue.pending_.front();
  queue.pending_.pop_front();
  queue.running_.push_back(work);
  work.state_ = Work::State::kRunning;
  ++work.started_;
  work.stop_.reset();
  ready_.erase(ready_.iterator_to(queue));
  update_ready(queue);  // to the end: queues take turns
  // Who is owed, or was made and has not come yet, counts: a machine under load would get a thread an item.
  if (idle_ + starting_ == 0 && !mutated(Mutation::kNoSpareWorker)) {
    ++starting_;
    owed_ = true;
    awaken_.wake();
  }
  lock_.unlock();
  if (mutated(Mutation::kPutEarly)) work.ref_.put();
  Work* finished = &work;
  std::unique_ptr<Work> stand_in;
  bool starved = false;
  {
    CurrentWork current(work, queue, work.stop_.token());
    try {
      work.body_();
    } catch (const std::bad_alloc&) {
      starved = true;
    }
    stand_in = std::move(current.stand_in);
  }
  if (stand_in != nullptr) {
    finished = stand_in.get();
    stand_in->body_ = nullptr;  // what it captured goes before the queue counts as idle and the owner as free
  }
  lock_.lock();
  if (starved && stand_in == nullptr) (void)queue_at_locked(queue, work, Clock::now() + kAskAgain);
  finish(queue, *finished, std::move(stand_in));
}

void WorkerPool::finish(Workqueue& queue, Work& work, std::unique_ptr<Work> stand_in) {
  queue.running_.erase(queue.running_.iterator_to(work));
  ++work.finished_;
  DeviceRef ref;
  if (work.state_ == Work::State::kRunningAgain) {
    make_pending(queue, work, work.again_sequence_);
  } else if (work.state_ == Work::State::kRunningLater) {
    start_timer(work, work.due_);
    update_ready(queue);
  } else {
    work.state_ = Work::State::kIdle;
    ref = std::move(work.ref_);
    update_ready(queue);
  }
  queue.done_.wake();  // from here on the item and its queue may be gone
  lock_.unlock();
  ref.put();
  stand_in.reset();
  lock_.lock();
}

std::unique_ptr<Work> WorkerPool::stand_in_for(Work& work) {
  std::unique_ptr<Work> stand_in(new Work);
  SpinGuard guard(lock_);
  if (work.state_ != Work::State::kRunning || work.waiters_ != 0) return nullptr;
  stand_in->body_ = std::move(work.body_);  // is being called
  stand_in->queue_ = work.queue_;
  stand_in->state_ = std::exchange(work.state_, Work::State::kIdle);
  stand_in->sequence_ = work.sequence_;
  stand_in->ref_ = std::move(work.ref_);
  if (work.stop_.token().stop_requested()) stand_in->stop_.request_stop();
  auto& running = work.queue_->running_;
  running.insert(running.iterator_to(work), *stand_in);
  running.erase(running.iterator_to(work));
  return stand_in;
}

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
