// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: who sends also polls [kernel: local_bh_enable runs pending softirqs].
//
// While one is on the stack, what this thread schedules is not the poll thread's: this thread polls it at the end, in
// BH context, so that frames stay in the caches they are in and nobody is woken for them. If a poll thread is polling
// just then, or more is to do than a few polls, the rest is left to it. A thread's polls run one at a time, here too.
#pragma once

#include "usernic/annotations.h"

namespace usernic {

class Net;
class PollThreads;

class PollHere {
 public:
  // Context: process, no locks; the same at its end.
  explicit PollHere(Net& net) noexcept;
  ~PollHere();
  PollHere(const PollHere&) = delete;
  PollHere& operator=(const PollHere&) = delete;

 private:
  PollThreads& threads_;
  PollThreads* const outer_;
};

}  // namespace usernic
// Explained best by: core/device/poll_here_test.cc
