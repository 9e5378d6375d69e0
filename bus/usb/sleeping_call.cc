// SPDX-License-Identifier: Apache-2.0 OR MIT
// An atomic callback that calls a device: what sleeps is refused, with the sentence beside it. For ctest only.
#include "bus/usb/device.h"

using namespace usernic::usb;

[[maybe_unused]] void atomic_callback(Device& device, Transfer& transfer) noexcept USERNIC_NONBLOCKING {
  (void)device.submit(transfer);
  device.cancel(transfer);
  (void)device.control({}, {}, {});  // expected-error {{must not call non-'nonblocking' function}}
  (void)device.transfer(1, {}, {});  // expected-error {{must not call non-'nonblocking' function}}
  device.kill(transfer);             // expected-error {{must not call non-'nonblocking' function}}
  (void)device.clear_halt(1, {});    // expected-error {{must not call non-'nonblocking' function}}
}
