// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/poll_here.h"

#include <utility>

#include "core/device/net_impl.h"

namespace usernic {

PollHere::PollHere(Net& net) noexcept
    : threads_(net.impl().poll_threads), outer_(std::exchange(PollThreads::polls_here(), &threads_)) {}

PollHere::~PollHere() {
  threads_.poll_here();
  PollThreads::polls_here() = outer_;
}

}  // namespace usernic
