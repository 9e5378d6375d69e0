// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: an upper device's frames on their way to the device below.
//
// Those of one batch go down together, after the last one, so that they take the lower's xmit lock once and ring its
// doorbell once; what it drops is counted then. What its queue has no room for waits in the upper's queue, which takes
// nothing more until the lower's is woken.
#pragma once

#include "core/device/device.h"

namespace usernic {

struct TxBelow {
  // From start_xmit of `queue`, an upper's: the frame goes out on `to`. Requires: the queue's xmit lock.
  static NetdevTx send(TxQueue& queue, NetDevice& to, Skb& skb) noexcept USERNIC_NONBLOCKING;
  // The batch is over. `taken`: all that were gathered, as the upper was given them. `sent`: what the driver took, and
  // did not drop; `counted`: what of it is out. What waits is counted when it goes. Requires: the queue's xmit lock.
  static void flush(TxQueue& queue, const Device::Sent& taken, Device::Sent& sent, Device::Sent& counted) noexcept
      USERNIC_NONBLOCKING;
  // What waits is dropped. Requires: the queue's xmit lock.
  static void drop(TxQueue& queue, DropReason why) noexcept USERNIC_NONBLOCKING;
  // Of all queues, what waits for `lower` is dropped; returns when nobody sends there any more who still found it
  // below. Context: process.
  static void leave(Device& upper, const NetDevice& lower);
  // What waits goes on soon, and who waits for us. Context: any.
  static void resume_if_waiting(Device& upper) noexcept USERNIC_NONBLOCKING;

 private:
  friend struct Device;
  static Device::Sent give(TxQueue& queue, uint32_t before) noexcept USERNIC_NONBLOCKING;
  static void wait(TxQueue& queue, TxQueue& lower) noexcept USERNIC_NONBLOCKING;
};

}  // namespace usernic
