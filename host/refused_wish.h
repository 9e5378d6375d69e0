// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: a change that the kernel wished for and the device did not make.
#pragma once

#include <string>
#include <system_error>

#include "usernic/env.h"

namespace usernic {

struct RefusedWish {
  std::string wish;    // "MTU 9001"
  std::errc answer{};  // the device's
  Time when{};
};

}  // namespace usernic
// Explained best by: host/host_port_test.cc
