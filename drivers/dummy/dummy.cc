// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/dummy/dummy.h"

namespace usernic {

Result<> Dummy::open() {
  dev_.tx_queue(0).start();
  dev_.carrier_on();
  return {};
}

void Dummy::stop() {
  dev_.carrier_off();
}

// Closed, it has no link to turn on.
Result<> Dummy::change_carrier(bool on) {
  const bool carrier = on && dev_.running();
  carrier ? dev_.carrier_on() : dev_.carrier_off();
  return {};
}

// kOk: the frame is the driver's from here on, also when it only drops it. The core counts it as sent.
NetdevTx Dummy::start_xmit(Skb& skb, TxQueue&, bool) noexcept {
  SkbPool::free(skb);
  return NetdevTx::kOk;
}

}  // namespace usernic
