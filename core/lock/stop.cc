// SPDX-License-Identifier: Apache-2.0 OR MIT
// Requests to stop, on the door's one primitive to block on.
#include "usernic/context.h"
#include "usernic/env.h"

namespace usernic {

void StopSource::request_stop() noexcept {
  requested_.store(1);
  wake_all(requested_);
}
void StopSource::reset() noexcept {
  requested_.store(0);
}
StopToken StopSource::token() const noexcept {
  return StopToken(&requested_);
}

bool StopToken::stop_requested() const noexcept {
  return word_ != nullptr && word_->load() != 0;
}

bool StopToken::wait_until(Time deadline, std::source_location where) const noexcept {
  might_sleep(where);
  static const Atomic<uint32_t> kNever{0};
  const Atomic<uint32_t>& word = word_ != nullptr ? *word_ : kNever;
  while (word.load() == 0) {
    if (!wait_on(word, 0, deadline)) return word.load() != 0;
  }
  return true;
}

}  // namespace usernic
