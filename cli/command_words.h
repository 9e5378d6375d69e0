// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: words of a command line that CLI11 would take otherwise, or cannot check.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/messages.h"
#include "ctl/outcome.h"

namespace usernic::cli {

// Where the words for CLI11 end, and where the command of `exec` or `sim` begins: it is taken as it is, where CLI11
// would take lists like "[a,b]" apart and options for its own. It follows the host, or the first "--" after the verb.
struct Split {
  int front;
  int command;
};
Split split_words(int argc, const char* const* argv);

// The word that stands where a verb should; "" when there is none.
std::string_view verb_word(int argc, const char* const* argv);

// ethtool -K: "tso off gro on". A clause that says what is wrong.
ctl::Outcome<std::vector<ctl::FeatureWish>> feature_wishes(const std::vector<std::string>& words);

// rx-mode --wait: nullopt when it is no number of seconds, or too large a one.
std::optional<uint64_t> milliseconds_of(const std::string& seconds);

}  // namespace usernic::cli
// Explained best by: cli/command_line_test.cc
