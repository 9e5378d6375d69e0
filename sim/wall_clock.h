// SPDX-License-Identifier: Apache-2.0 OR MIT
// sim: the time outside, for "so many seeds a second". No history may look at it.
#pragma once

namespace usernic::sim {

double wall_seconds() noexcept;

}  // namespace usernic::sim
