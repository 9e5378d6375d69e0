// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: a driver that drops what it is given, and what every other driver here has that is not about frames.
#pragma once

#include "usernic/net_device.h"
#include "usernic/skb.h"
#include "usernic/tx_queue.h"

namespace usernic {

struct PlainDriver {
  explicit PlainDriver(NetDevice& dev) : dev_(dev) {}
  Result<> open() {
    for (uint16_t i = 0; i < dev_.tx_queue_count(); ++i) dev_.tx_queue(i).start();
    return {};
  }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  NetDevice& dev_;
};

}  // namespace usernic
