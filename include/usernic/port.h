// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: what sits on top of a device and takes its frames: the host port, a test's capture.
//
// At most one a device (NetDevice::attach_port). All three are called in atomic context, a batch at a time; they must
// not sleep and hand anything slow to a thread of their own.
#pragma once

#include "usernic/annotations.h"
#include "usernic/features.h"
#include "usernic/skb.h"

namespace usernic {

struct TxQueue;

class DevicePort {
 public:
  virtual void receive(SkbBatch& frames) noexcept USERNIC_NONBLOCKING = 0;  // may take them; what is left is freed
  virtual void tx_wake(TxQueue& queue) noexcept USERNIC_NONBLOCKING = 0;    // there may be room again
  virtual void carrier_changed(bool on) noexcept USERNIC_NONBLOCKING = 0;
  // The superframes that it takes (kTso4, kTso6, kUso): frames that came together are merged for it, and have a chain.
  virtual Features superframes() const noexcept USERNIC_NONBLOCKING { return {}; }

 protected:
  ~DevicePort() = default;
};

}  // namespace usernic
