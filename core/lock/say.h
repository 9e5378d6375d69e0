// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: text for people that nobody may be reading: a full disk or a closed stderr is no reason to throw, and a pipe
// that nobody empties none to wait.
#pragma once

#include <fmt/format.h>
#include <poll.h>

#include <cstdio>
#include <string>
#include <utility>

#include "usernic/context.h"

namespace usernic {

// Says nothing where that would wait for a reader.
template <class... T>
void say(std::FILE* file, fmt::format_string<T...> text, T&&... values) {
  const std::string all = fmt::format(text, std::forward<T>(values)...);
  const BlockingByDesign allowed;  // it does not wait
  pollfd room{.fd = ::fileno(file), .events = POLLOUT, .revents = 0};
  if (::poll(&room, 1, 0) != 0) std::fwrite(all.data(), 1, all.size(), file);
}

}  // namespace usernic
