// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: where a filter stands after a run, as it is published.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/filter/card_class.h"
#include "core/filter/card_vlans.h"

namespace usernic {

struct FilterTally {
  uint64_t retries = 0, failures = 0;
};

struct FilterView {
  struct OfClass {
    FilterLevel level = FilterLevel::kExact;
    uint32_t outside = 0;
    uint32_t wanted = 0;
  };
  OfClass classes[2];              // by AddressClass
  bool narrow_deferred = false;    // something is on that should be off, only because an address would go deaf
  bool full = false;               // it stays wide because without it there was no room
  bool in_effect = false;          // what was aimed at is done, addresses that failed excepted
  bool deaf = false;               // a wanted address failed or found no way in
  bool retries_addresses = false;  // some failed, and wait for their time
  CardVlans::Unfit vlans_unfit = CardVlans::Unfit::kNo;
  size_t vlans_wanted = 0;
};

}  // namespace usernic
