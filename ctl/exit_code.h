// SPDX-License-Identifier: Apache-2.0 OR MIT
// ctl: what a verb exits with.
#pragma once

namespace usernic::ctl {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

}  // namespace usernic::ctl
