// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/device/tx_watchdog.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/lock/report.h"
#include "usernic/contract_report.h"

namespace usernic {

TxWatchdog::TxWatchdog(Workqueue& system) : system_(system), work_([this] { look(); }) {}

TxWatchdog::~TxWatchdog() {
  work_.disable_sync();
}

void TxWatchdog::watch(TxWatched& watched) {
  if (watched.patience == Duration::max()) return;
  {
    MutexGuard guard(lock_);
    watched_.push_back(watched);
    const Duration::rep period = (watched.patience / 4).count();
    if (period < period_.load(std::memory_order_relaxed)) period_.store(period, std::memory_order_relaxed);
  }
  if (std::ranges::any_of(watched.queues(), &TxQueue::xmit_stopped)) arm();
}

void TxWatchdog::forget(TxWatched& watched) {
  MutexGuard guard(lock_);
  if (watched.hook.is_linked()) watched_.erase(watched_.iterator_to(watched));
}

void TxWatchdog::start() noexcept {
  if (armed_.exchange(true)) return;
  (void)system_.queue_at(work_, Clock::now() + Duration(period_.load(std::memory_order_relaxed)));
}

// Disarmed first: who leaves a queue stopped after it was looked at arms it again.
void TxWatchdog::look() {
  armed_.store(false);
  const Time now = Clock::now();
  bool again = false;
  {
    MutexGuard guard(lock_);
    for (TxWatched& each : watched_) again |= look_at(each, now);
  }
  if (again) start();
}

// True: a queue is worth another look.
bool TxWatchdog::look_at(TxWatched& watched, Time now) {
  bool again = false;
  for (TxQueue& queue : watched.queues()) {
    if (queue.stopped_.load() == 0) continue;  // one that waits for a lower's is that one's to be missed
    const uint32_t stop = queue.stops_.load(std::memory_order_relaxed);
    if (queue.seen_since_ == kForever || queue.seen_stop_ != stop || !watched.sends()) {
      queue.seen_stop_ = stop;
      queue.seen_since_ = now;
      queue.told_ = false;
    }
    const bool concerns = watched.recovers() || !queue.told_;
    if (concerns && now - queue.seen_since_ >= watched.patience) time_out(watched, queue, now);
    again |= watched.recovers() || !queue.told_;
  }
  return again;
}

void TxWatchdog::time_out(TxWatched& watched, TxQueue& queue, Time now) {
  queue.told_ = true;
  queue.seen_since_ = now;
  const Place where = queue.stopped_at_.load(std::memory_order_relaxed);
  const auto seconds = std::chrono::duration<double>(watched.patience).count();
  watched.time_out(queue, where.line() != 0 ? fmt::format("is stopped for {:g} s, at {}", seconds, place_text(where))
                                            : fmt::format("was not started by open, {:g} s ago", seconds));
}

}  // namespace usernic
