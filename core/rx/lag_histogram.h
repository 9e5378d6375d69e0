// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: durations in buckets of 1/16 octave: quantiles with an error of at most 6 percent, in constant memory.
#pragma once

#include <array>
#include <cstdint>

#include "usernic/env.h"

namespace usernic {

class LagHistogram {
 public:
  void add(Duration lag) noexcept;
  // The lag that `per_mille` of all do not exceed; zero when there are none.
  Duration quantile(uint32_t per_mille) const noexcept;
  Duration max() const noexcept { return max_; }

 private:
  static constexpr uint32_t kSubBits = 4;
  static uint32_t bucket_of(uint64_t nanoseconds) noexcept;
  static uint64_t top_of(uint32_t bucket) noexcept;

  std::array<uint32_t, 64 << kSubBits> counts_{};
  uint64_t total_ = 0;
  Duration max_{};
};

}  // namespace usernic
