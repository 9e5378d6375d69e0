// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: a thread that sends polls what it caused [kernel: local_bh_enable runs pending softirqs].
//
// A PollHere stands on the stack of a thread. NAPI instances that the thread schedules meanwhile are polled by the
// thread itself at the end, in BH context: their frames are still in its caches, and nobody has to be woken. A poll
// thread gets what is left when it is polling just then, or when a few polls were not enough. The polls of one poll
// thread run one at a time, also here.
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
