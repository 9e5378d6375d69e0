// SPDX-License-Identifier: Apache-2.0 OR MIT
// ctl: text for people that nobody may be reading: a full disk or a closed pipe is no reason to throw.
#pragma once

#include <cstdio>
#include <string_view>

namespace usernic::ctl {

inline void print(std::FILE* file, std::string_view text) noexcept {
  std::fwrite(text.data(), 1, text.size(), file);
}

// Everything that was printed so far has been taken.
inline bool all_printed(std::FILE* file) noexcept {
  return std::fflush(file) == 0 && std::ferror(file) == 0;
}

}  // namespace usernic::ctl
// Explained best by: ctl/print_test.cc
