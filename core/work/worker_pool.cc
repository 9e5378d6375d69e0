// SPDX-License-Identifier: Apache-2.0 OR MIT
// The threads. What is asked of an item is in worker_pool_items.cc, who waits for it in worker_pool_waits.cc.
#include "core/work/worker_pool.h"

#include <algorithm>
#include <new>
#include <utility>

#include "core/lock/lock_classes.h"
#include "core/lock/mutation.h"
#include "core/lock/notice.h"
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
    notice("the machine refuses a worker thread, and items may wait until it grants one: {}", thread_refusal(refused));
  } catch (const std::bad_alloc&) {
    notice("the machine refuses a worker thread, and items may wait until it grants one");
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

}  // namespace usernic
