// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the poll threads of a Net. Who is polled has one of them for its home, the one with the fewest at that time.
#pragma once

#include <deque>
#include <span>

#include "core/device/softirq.h"

namespace usernic {

class PollThreads {
 public:
  // At least one is made. They run on `cpus`, in turn; empty: wherever they may.
  PollThreads(uint16_t count, std::span<const int> cpus);

  // Context: process.
  Softirq& move_in() noexcept;
  void move_out(Softirq& home) noexcept;
  // Whose polls this thread will carry out itself; null: nobody's.
  static PollThreads*& polls_here() noexcept USERNIC_NONBLOCKING { return Local<PollThreads*, PollThreads>::get(); }
  void poll_here() noexcept;
  size_t count() const noexcept { return threads_.size(); }

 private:
  struct OneThread {
    OneThread(const std::string& name, std::optional<int> cpu) : softirq(name, cpu) {}
    Softirq softirq;
    uint32_t lodgers = 0;
  };
  static constexpr LockClass kClass{"poll_threads"};
  Mutex lock_{kClass};  // of `lodgers`
  std::deque<OneThread> threads_;
};

}  // namespace usernic
