// SPDX-License-Identifier: Apache-2.0 OR MIT
// capture: a change of a device's rx mode, in one line.
#pragma once

#include <string>

#include "usernic/rx_mode.h"

namespace usernic {

// What is different from `before`: "rx mode: unicast exact, multicast hash (...); 1 more multicast on the card:
// 33:33:00:00:12:34; generation 7". Nothing: "".
std::string rx_mode_text(const RxModeStatus& before, const RxModeStatus& now);

}  // namespace usernic
// Explained best by: capture/rx_mode_text_test.cc
