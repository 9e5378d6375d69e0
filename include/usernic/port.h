// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: the port of a device, which takes its frames: the host port, a test's capture.
//
// A device has one port at most (NetDevice::attach_port). The members are called in atomic context. They must not
// sleep; what is slow they hand to a thread of their own.
#pragma once

#include <cstdint>

#include "usernic/annotations.h"
#include "usernic/features.h"
#include "usernic/skb.h"

namespace usernic {

struct TxQueue;

class DevicePort {
 public:
  virtual void receive(SkbBatch& frames) noexcept USERNIC_NONBLOCKING = 0;  // takes frames out; what is left is freed
  // By which RX queue they came (Napi::queue). Several threads may be in it, of one queue, too; a flow is in one.
  virtual void receive_from(uint16_t, SkbBatch& frames) noexcept USERNIC_NONBLOCKING { receive(frames); }
  virtual void tx_wake(TxQueue& queue) noexcept USERNIC_NONBLOCKING = 0;  // there may be room again
  virtual void carrier_changed(bool on) noexcept USERNIC_NONBLOCKING = 0;
  // The superframes that it takes (kTso4, kTso6, kUso): frames that came together are merged for it and have a chain.
  virtual Features superframes() const noexcept USERNIC_NONBLOCKING { return {}; }

 protected:
  ~DevicePort() = default;
};

}  // namespace usernic
