// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/rx/lag_histogram.h"

#include <algorithm>
#include <bit>

namespace usernic {

uint32_t LagHistogram::bucket_of(uint64_t nanoseconds) noexcept {
  constexpr uint64_t kExact = 1u << kSubBits;
  if (nanoseconds < kExact) return static_cast<uint32_t>(nanoseconds);
  const uint32_t shift = static_cast<uint32_t>(std::bit_width(nanoseconds)) - 1 - kSubBits;
  return ((shift + 1) << kSubBits) + static_cast<uint32_t>((nanoseconds >> shift) - kExact);
}

uint64_t LagHistogram::top_of(uint32_t bucket) noexcept {
  constexpr uint32_t kExact = 1u << kSubBits;
  if (bucket < kExact) return bucket;
  const uint32_t shift = (bucket >> kSubBits) - 1;
  const uint64_t first = uint64_t{kExact + bucket % kExact} << shift;
  return first + (uint64_t{1} << shift) - 1;
}

void LagHistogram::add(Duration lag) noexcept {
  const auto nanoseconds = static_cast<uint64_t>(std::max<int64_t>(lag.count(), 0));
  ++counts_[bucket_of(nanoseconds)];
  ++total_;
  max_ = std::max(max_, lag);
}

Duration LagHistogram::quantile(uint32_t per_mille) const noexcept {
  if (total_ == 0) return Duration::zero();
  const uint64_t rank = (total_ * per_mille + 999) / 1000;
  uint64_t seen = 0;
  for (uint32_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen >= rank) return std::min(Duration(static_cast<int64_t>(top_of(bucket))), max_);
  }
  return max_;
}

}  // namespace usernic
