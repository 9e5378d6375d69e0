// SPDX-License-Identifier: Apache-2.0 OR MIT
// sim: what waits for no card (invariant 4), timed in virtual time.
#pragma once

#include <fmt/format.h>

#include "sim/scheduler.h"
#include "usernic/env.h"

namespace usernic::sim {

// A history of points creeps for 0.1 s at most, timers that are near come up to 10 ms early, and a quick card takes a
// few milliseconds. Nothing of it grows with a slow card's latency.
inline constexpr Duration kPromptMax = std::chrono::milliseconds(500);

template <class Body>
void promptly(const char* what, Body&& body) {
  const Time begun = Clock::now();
  body();
  const Duration took = Clock::now() - begun;
  if (took <= kPromptMax) return;
  found("isolation", fmt::format("{} took {} ms beside a slow card", what, took / std::chrono::milliseconds(1)));
}

}  // namespace usernic::sim
