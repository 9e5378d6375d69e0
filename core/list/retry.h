// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the one way in which the rx mode says "again, later": of an address, a hash, a flag, the VLAN ids, a whole
// call.
#pragma once

#include <algorithm>
#include <cstdint>

#include "usernic/env.h"

namespace usernic {

// After the first failure `first`, then 2, 4, .. 60 times that.
constexpr Duration retry_delay(Duration first, uint32_t attempts) noexcept USERNIC_NONBLOCKING {
  constexpr uint32_t kFactorMax = 60;
  return first * std::min(1u << (std::clamp(attempts, 1u, 7u) - 1), kFactorMax);
}

class Retry {
 public:
  // It failed, and has not worked since.
  bool owed() const noexcept { return attempts_ != 0; }
  // It is not to be tried yet.
  bool waits(Time now) const noexcept { return due_ > now; }
  uint32_t attempts() const noexcept { return attempts_; }  // failures since it last worked
  Time due() const noexcept { return due_; }
  Time next() const noexcept { return owed() ? due_ : kForever; }

  void failed(Duration first, Time now) noexcept {
    if (attempts_ != UINT32_MAX) ++attempts_;
    due_ = now + retry_delay(first, attempts_);
  }
  void make_due() noexcept { due_ = {}; }
  void clear() noexcept { *this = {}; }

 private:
  uint32_t attempts_ = 0;
  Time due_{};
};

}  // namespace usernic
