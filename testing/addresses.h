// SPDX-License-Identifier: Apache-2.0 OR MIT
// The addresses that tests use.
#pragma once

#include "usernic/mac_address.h"

namespace usernic {

constexpr MacAddress uc(uint64_t n) {
  return MacAddress::from_u64(0x0200'0000'0000 | n);
}
constexpr MacAddress mc(uint64_t n) {
  return MacAddress::from_u64(0x0300'0000'0000 | n);
}

}  // namespace usernic
