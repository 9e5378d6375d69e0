// SPDX-License-Identifier: Apache-2.0 OR MIT
// A driver of the legacy style whose set_rx_mode makes BLOCKING_CALL. The compiler, the
// checks and RealtimeSanitizer each catch it: atomic_callbacks_test.py.
#include <stdlib.h>
#include <unistd.h>

#include "usernic/address_list.h"
#include "usernic/net.h"
#include "usernic/rx_lists.h"
#include "usernic/rx_mode.h"

namespace {

using namespace usernic;

struct Driver {
  explicit Driver(NetDevice&) {}
  Result<> open() { return {}; }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  void set_rx_mode(const RxLists&) noexcept USERNIC_NONBLOCKING {
    BLOCKING_CALL;
    calls.fetch_add(1);
  }
  static inline Atomic<int> calls{0};
  [[maybe_unused]] static inline void* volatile block = nullptr;  // keeps the compiler from leaving malloc out
};

}  // namespace

int main() {
  Net net;
  const NetdevPtr dev = *net.alloc_netdev<Driver>({.name = "t0"});
  const bool settled = dev->register_netdev() && dev->open() && dev->mc().add(MacAddress::from_u64(0x0300'0000'0001)) &&
                       dev->rx_mode().settle(Clock::now() + std::chrono::seconds(20));
  return settled && Driver::calls.load() != 0 ? 0 : 1;
}
