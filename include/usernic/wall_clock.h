// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: the time of day, for what is written down for people. Nothing waits by it: it may be set.
#pragma once

#include "usernic/env.h"

namespace usernic {

// Nanoseconds since 1970 (UTC) of a moment, by what the machine takes for the time of day at the time of the call.
uint64_t wall_clock_ns(Time at) noexcept;

}  // namespace usernic
// Explained best by: capture/capture.cc
