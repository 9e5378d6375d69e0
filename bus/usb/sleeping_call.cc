// SPDX-License-Identifier: Apache-2.0 OR MIT
// An atomic callback that makes CALL: the compiler refuses what sleeps. Compiled by ctest only, see CMakeLists.txt.
#include "bus/usb/device.h"

using namespace usernic::usb;

[[maybe_unused]] void atomic_callback(Device& device, Transfer& transfer) noexcept USERNIC_NONBLOCKING {
  (void)CALL;
}
