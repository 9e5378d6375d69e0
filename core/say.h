// SPDX-License-Identifier: Apache-2.0
// core: text for people that nobody may be reading: a full disk or a closed stderr is no reason to throw.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <utility>

namespace usernic {

template <class... T>
void say(std::FILE* file, fmt::format_string<T...> text, T&&... values) {
  const std::string all = fmt::format(text, std::forward<T>(values)...);
  std::fwrite(all.data(), 1, all.size(), file);
}

}  // namespace usernic
