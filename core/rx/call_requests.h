// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what users and the driver itself ask of the rx-mode work besides what changed: a call, a retry, a call later.
#pragma once

#include "core/list/retry.h"
#include "usernic/atomic.h"
#include "usernic/env.h"

namespace usernic {

class CallRequests {
 public:
  // Context: any.
  void call() noexcept USERNIC_NONBLOCKING { call_.store(true); }
  void retry() noexcept USERNIC_NONBLOCKING { retry_.store(true); }
  // The driver asks for a call later; returns when.
  Time schedule(Duration first, Time now) noexcept USERNIC_NONBLOCKING {
    const Time due = now + retry_delay(first, scheduled_times_.fetch_add(1) + 1);
    scheduled_.store(true);
    scheduled_at_.store(due);
    return due;
  }
  void cancel() noexcept USERNIC_NONBLOCKING {
    scheduled_times_.store(0);
    scheduled_at_.store(kForever);
  }

  // The run's. Was a retry asked for? A scheduled call is due then, too.
  bool take_retry(Time now) noexcept {
    if (!retry_.exchange(false)) return false;
    if (scheduled_at_.load() != kForever) scheduled_at_.store(now);
    return true;
  }
  // Was a call asked for, or is a scheduled one due?
  bool take_call(Time now) noexcept {
    const bool due = scheduled_at_.load() <= now;
    if (due) scheduled_at_.store(kForever);
    return call_.exchange(false) || due;
  }
  // A driver call is over: one that did not ask ends the counting.
  void call_is_over() noexcept {
    if (!scheduled_.exchange(false)) scheduled_times_.store(0);
  }

 private:
  Atomic<bool> call_{false};
  Atomic<bool> retry_{false};
  Atomic<bool> scheduled_{false};  // since the last call began
  Atomic<uint32_t> scheduled_times_{0};
  Atomic<Time> scheduled_at_{kForever};
};

}  // namespace usernic
