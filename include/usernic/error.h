// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: what a call that can fail returns.
//
// Errors are values: `Result<T>` is a T or an errno, named by std::errc. The kernel's `-EBUSY` is
// `return fail(std::errc::device_or_resource_busy)` here; `errno_name` gives back "EBUSY" for people.
#pragma once

#include <expected>
#include <string_view>
#include <system_error>

namespace usernic {

template <class T = void>
using Result = std::expected<T, std::errc>;

// The failing value of every Result<T>.
constexpr std::unexpected<std::errc> fail(std::errc error) noexcept {
  return std::unexpected(error);
}

// "EIO", "ENODEV", ...; "E?" for a number that usernic has no use for.
std::string_view errno_name(std::errc error) noexcept;

}  // namespace usernic
