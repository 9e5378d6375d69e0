// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what a driver's answer to a command means.
#pragma once

#include <cstdint>

#include "usernic/rx_filter.h"

namespace usernic {

enum class Outcome : uint8_t {
  kDone,
  kRefused,  // no space, not supported: this command did nothing, and something else must carry what it was for
  kStopped,  // the call was asked to stop: perhaps done; again at once, and no failure
  kFailed,   // perhaps done; again at its time
};

// `stopped`: the call was asked to.
constexpr Outcome outcome_of(const Result<>& result, bool stopped) noexcept {
  if (result) return Outcome::kDone;
  if (stopped && result.error() == std::errc::operation_canceled) return Outcome::kStopped;
  return is_refusal(result.error()) ? Outcome::kRefused : Outcome::kFailed;
}

}  // namespace usernic
