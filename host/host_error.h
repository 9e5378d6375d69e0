// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: an error that people read: an errno, and one sentence that says what failed and what helps.
#pragma once

#include <expected>
#include <string>
#include <system_error>
#include <utility>

namespace usernic {

struct HostError {
  std::errc error{};
  std::string sentence;
};

template <class T = void>
using HostResult = std::expected<T, HostError>;

inline std::unexpected<HostError> host_fail(std::errc error, std::string sentence) {
  return std::unexpected(HostError{error, std::move(sentence)});
}
inline std::unexpected<HostError> host_fail(int error, std::string sentence) {
  return host_fail(static_cast<std::errc>(error), std::move(sentence));
}

}  // namespace usernic
