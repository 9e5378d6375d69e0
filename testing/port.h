// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: a port that keeps what arrives, and counts what it is told.
#pragma once

#include "testing/frames.h"
#include "testing/watch.h"
#include "usernic/port.h"

namespace usernic {

struct TestPort final : DevicePort {
  Frames received;
  Event woken, carrier_ups, carrier_downs;
  void receive(SkbBatch& frames) noexcept override { received.take(frames); }
  void tx_wake(TxQueue&) noexcept override { woken.set(); }
  void carrier_changed(bool on) noexcept override { (on ? carrier_ups : carrier_downs).set(); }
};

}  // namespace usernic
