// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the run of the rx-mode work that is owed: at most one, however much changed.
#pragma once

#include "usernic/work.h"

namespace usernic {

class OwedRun {
 public:
  OwedRun(Workqueue& lane, Work& run, const Atomic<bool>& running) noexcept
      : lane_(lane), run_(run), running_(running) {}

  // Something changed: a run is owed. Context: any.
  void owe() noexcept USERNIC_NONBLOCKING {
    if (claim()) queue();
  }
  // The same in two steps, for who holds locks: when `claim` returns true, `queue` must follow. A device that is down
  // owes none: its open does.
  bool claim() noexcept USERNIC_NONBLOCKING { return running_.load() && !owed_.load() && !owed_.exchange(true); }
  void queue() noexcept USERNIC_NONBLOCKING { lane_.queue(run_); }
  // The run begins: a change from here on owes another.
  void begins() noexcept { owed_.store(false); }

 private:
  Workqueue& lane_;
  Work& run_;
  const Atomic<bool>& running_;
  Atomic<bool> owed_{false};
};

}  // namespace usernic
