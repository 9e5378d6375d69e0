// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: what goes wrong with an emulated device, on purpose. Any of it can be changed while the device is in use.
#pragma once

#include <cstdint>

#include "usernic/env.h"

namespace usernic::usb {

struct Faults {
  Atomic<uint64_t> control_ns{0};  // how long each control transfer takes
  Atomic<uint64_t> fail_every{0};  // each n-th control transfer stalls; 0: none
  Atomic<uint64_t> unplug_at{0};   // the n-th transfer since the port was made pulls the plug; 0: none
};

// What was asked of it since it was made. `transfers` counts all that the device came to see.
struct TransferCounts {
  Atomic<uint64_t> transfers{0}, controls{0}, vendor_writes{0};
  // Control transfers at the device at once; the longest that one was there until it was over.
  Atomic<uint64_t> in_flight{0}, in_flight_max{0}, age_max_us{0};
};

}  // namespace usernic::usb
