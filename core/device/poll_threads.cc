// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/device/poll_threads.h"

#include <fmt/format.h>

#include <algorithm>

namespace usernic {

PollThreads::PollThreads(uint16_t count, std::span<const int> cpus) {
  for (uint16_t i = 0; i < std::max<uint16_t>(count, 1); ++i) {
    threads_.emplace_back(i == 0 ? "usernic-poll" : fmt::format("usernic-poll/{}", i),
                          cpus.empty() ? std::nullopt : std::optional(cpus[i % cpus.size()]));
  }
}

Softirq& PollThreads::move_in() noexcept {
  MutexGuard guard(lock_);
  OneThread& home = *std::ranges::min_element(threads_, {}, &OneThread::lodgers);
  ++home.lodgers;
  return home.softirq;
}

void PollThreads::move_out(Softirq& home) noexcept {
  MutexGuard guard(lock_);
  --std::ranges::find(threads_, &home, [](const OneThread& each) { return &each.softirq; })->lodgers;
}

void PollThreads::poll_here() noexcept {
  for (OneThread& each : threads_) each.softirq.poll_here();
  for (OneThread& each : threads_) each.softirq.wake_if_owed();
}

}  // namespace usernic
