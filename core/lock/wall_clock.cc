// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/wall_clock.h"

#include <time.h>

namespace usernic {

// Between two looks at the other clock, the best of three: who looks may be off the CPU meanwhile.
uint64_t wall_clock_ns(Time at) noexcept {
  Duration ahead{}, closest = Duration::max();
  for (int i = 0; i < 3; ++i) {
    timespec wall;
    const Time before = Clock::now();
    ::clock_gettime(CLOCK_REALTIME, &wall);
    const Duration took = Clock::now() - before;
    if (took >= closest) continue;
    closest = took;
    ahead = std::chrono::seconds(wall.tv_sec) + std::chrono::nanoseconds(wall.tv_nsec) - before.time_since_epoch();
  }
  return static_cast<uint64_t>((at.time_since_epoch() + ahead).count());
}

}  // namespace usernic
