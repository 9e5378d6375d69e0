// SPDX-License-Identifier: Apache-2.0 OR MIT
// usbnet: waiting for a chip that says only when it is asked that it is ready.
#pragma once

#include "bus/usb/device.h"

namespace usernic::usb {

inline constexpr Duration kLookAgain = std::chrono::milliseconds(1);
inline constexpr Duration kBusyMost = std::chrono::seconds(1);  // and as many looks, however slow they are:
inline constexpr int kLooksLeast = 3;

// Looks until `look` says true: a Result<bool>, mostly of a control transfer. Errors: the look's; timed_out: the chip
// is busy for ever; operation_canceled. Context: process.
template <class Look>
Result<> until(const StopToken& stop, Look&& look) {
  const Time patience_ends = Clock::now() + kBusyMost;
  for (int looks = 0; looks < kLooksLeast || Clock::now() < patience_ends; ++looks) {
    const Result<bool> ready = look();
    if (!ready) return fail(ready.error());
    if (*ready) return {};
    if (stop.wait_until(Clock::now() + kLookAgain)) return fail(std::errc::operation_canceled);
  }
  return fail(std::errc::timed_out);
}

}  // namespace usernic::usb
// Explained best by: bus/usbnet/until_test.cc
