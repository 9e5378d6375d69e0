// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: says a sentence to whoever hears notices [usernic/notice.h].
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <new>
#include <string>
#include <utility>

#include "usernic/notice.h"

namespace usernic {

// Without memory only that something was to be said is printed. Context: process.
template <class... T>
void notice(fmt::format_string<T...> text, T&&... values) noexcept {
  try {
    tell_notice(fmt::format(text, std::forward<T>(values)...));
  } catch (const std::bad_alloc&) {
    std::fputs("usernic: there is something to say, and no memory for it\n", stderr);
  }
}

}  // namespace usernic
