// SPDX-License-Identifier: Apache-2.0 OR MIT
// ctl: a call that fails with a sentence for the person at the terminal.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace usernic::ctl {

template <class T = void>
using Outcome = std::expected<T, std::string>;

inline std::unexpected<std::string> refuse(std::string sentence) {
  return std::unexpected(std::move(sentence));
}

}  // namespace usernic::ctl
