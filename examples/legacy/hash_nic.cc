// SPDX-License-Identifier: Apache-2.0 OR MIT
// A driver of the legacy style: a NIC whose registers are memory, so that its filter can be written under a lock.
//
// set_rx_mode is called under addr_list_lock with BHs disabled: it must not sleep, allocate or wait for the card, and
// it cannot fail. While checks are on, sleeping in it is reported with the place where the lock was taken. Everything
// it was shown counts as covered when it returns. For anything slower, see examples/prepare_write.
#include <fmt/core.h>

#include "usernic/address_list.h"
#include "usernic/net.h"
#include "usernic/rx_lists.h"
#include "usernic/rx_mode.h"

using namespace usernic;

namespace {

struct Card {
  static constexpr uint32_t kSlots = 2;
  MacAddress slots[kSlots];
  uint32_t used = 0;
  uint64_t hash = 0;
  bool promisc = false, allmulti = false;
};

uint64_t bucket_bit(const MacAddress& address) {
  return uint64_t{1} << (address.to_u64() * 0x9e37'79b9'7f4a'7c15 >> 58);
}

class HashNic {
 public:
  HashNic(NetDevice& dev, Card& card) : dev_(dev), card_(card) {}

  Result<> open() {
    dev_.tx_queue(0).start();
    return {};
  }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }

  // Two exact slots for unicast, and promiscuous when they do not do; a hash for multicast.
  void set_rx_mode(const RxLists& lists) noexcept USERNIC_NONBLOCKING {
    card_.promisc = lists.promisc();
    card_.allmulti = lists.allmulti();
    card_.used = 0;
    for (MacAddress address : lists.unicast()) {
      if (card_.used == Card::kSlots) {
        card_.promisc = true;
        break;
      }
      card_.slots[card_.used++] = address;
    }
    card_.hash = 0;
    for (MacAddress address : lists.multicast()) card_.hash |= bucket_bit(address);
  }

 private:
  NetDevice& dev_;
  Card& card_;
};

bool settled(NetDevice& dev) {
  return dev.rx_mode().settle(Clock::now() + std::chrono::seconds(10)).has_value();
}

}  // namespace

int main() {
  Net net;
  Card card;
  NetdevPtr dev = *net.alloc_netdev<HashNic>({.name = "hash0"}, card);
  if (!dev->register_netdev() || !dev->open()) return 1;
  const MacAddress group = *MacAddress::parse("01:00:5e:00:00:fb");
  if (!dev->mc().add(group)) return 1;
  for (uint64_t n = 1; n <= 3; ++n) {
    if (!dev->uc().add(MacAddress::from_u64(0x0200'0000'0000 | n))) return 1;
  }
  if (!settled(*dev)) return 1;
  const bool full = card.used == 2 && card.promisc && card.hash == bucket_bit(group);
  fmt::print("3 unicast addresses: {} slots used, promisc {}\n", card.used, card.promisc);
  if (!dev->uc().del(MacAddress::from_u64(0x0200'0000'0001)) || !settled(*dev)) return 1;
  const bool fits = card.used == 2 && !card.promisc && dev->rx_mode().covered(group);
  fmt::print("2 unicast addresses: {} slots used, promisc {}; {}\n", card.used, card.promisc,
             full && fits ? "as wanted" : "WRONG");
  return full && fits ? 0 : 1;
}
