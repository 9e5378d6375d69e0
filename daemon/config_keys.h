// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: keys of a config that no parser should see: toml++ goes down a dotted key by recursion, however long it is.
#pragma once

#include <string_view>

namespace usernic::daemon {

inline constexpr int kKeyPartsMax = 16;  // "a.b.c" has three; ours have one or two

// The line of the first key of more than kKeyPartsMax parts; 0: there is none. Of a text that is no TOML up to there
// the answer may be either.
int line_of_long_key(std::string_view text);

}  // namespace usernic::daemon
// Explained best by: daemon/config_test.cc
