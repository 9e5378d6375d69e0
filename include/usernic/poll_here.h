// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: who sends also polls [kernel: local_bh_enable runs pending softirqs].
//
// While one is on the stack, what this thread schedules is not the poll thread's: this thread polls it at the end, in
// BH context, so that frames stay in the caches they are in and nobody is woken for them. If the poll thread is polling
// just then, or more is to do than a few polls, the rest is left to it. At most one poll of a Net runs at a time.
#pragma once

#include "usernic/annotations.h"

namespace usernic {

class Net;
class Softirq;

class PollHere {
 public:
  // Context: process, no locks; the same at its end.
  explicit PollHere(Net& net) noexcept;
  ~PollHere();
  PollHere(const PollHere&) = delete;
  PollHere& operator=(const PollHere&) = delete;

 private:
  Softirq& softirq_;
  Softirq* const outer_;
};

}  // namespace usernic
// Explained best by: core/device/poll_here_test.cc
