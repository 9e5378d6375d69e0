// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/error.h"

#include <cstring>

namespace usernic {

std::string_view errno_name(std::errc error) noexcept {
  const char* name = ::strerrorname_np(static_cast<int>(error));
  return name != nullptr ? name : "E?";
}

}  // namespace usernic
