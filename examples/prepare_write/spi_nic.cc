// SPDX-License-Identifier: Apache-2.0 OR MIT
// A driver of the prepare + write style: a small NIC behind a slow bus, its filter four registers that are written at
// once.
//
// prepare_rx_mode condenses the lists to register values under addr_list_lock: no bus, no sleep. write_rx_mode puts
// them on the bus; it may take its time, fail, and be asked to stop. The core does the rest: it writes nothing when
// nothing is ready, retries a failed write, and calls an address covered when it is in the image that was written.
#include <fmt/core.h>

#include "usernic/address_list.h"
#include "usernic/net.h"
#include "usernic/rx_lists.h"
#include "usernic/rx_mode.h"
#include "usernic/work.h"

using namespace usernic;
using std::chrono::milliseconds;

namespace {

// The card: what its registers hold. Its bus fails now and then.
struct Registers {
  MacAddress own;
  uint64_t hash = 0;  // a bit a bucket, unicast and multicast
  bool promisc = false, allmulti = false;
};
struct Card {
  Registers registers;
  int writes = 0;
  int failures_left = 2;
};

uint64_t bucket_bit(const MacAddress& address) {
  return uint64_t{1} << (address.to_u64() * 0x9e37'79b9'7f4a'7c15 >> 58);
}

class SpiNic {
 public:
  using RxModeImage = Registers;

  SpiNic(NetDevice& dev, Card& card) : dev_(dev), card_(card) {}

  Result<> open() {
    card_.registers = {};
    dev_.tx_queue(0).start();
    return {};
  }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  Result<> set_mac_address(const MacAddress&) { return {}; }  // the next image has it

  Result<> prepare_rx_mode(const RxLists& lists, RxModeImage& image) noexcept USERNIC_NONBLOCKING {
    image = {.own = lists.own_address(), .promisc = lists.promisc(), .allmulti = lists.allmulti()};
    for (MacAddress address : lists.unicast()) image.hash |= bucket_bit(address);
    for (MacAddress address : lists.multicast()) image.hash |= bucket_bit(address);
    return {};
  }
  Result<> write_rx_mode(const RxModeImage& image) {
    ++card_.writes;
    if (current_stop_token().wait_until(Clock::now() + milliseconds(5))) return fail(std::errc::operation_canceled);
    if (card_.failures_left > 0 && card_.failures_left-- > 0) return fail(std::errc::io_error);
    card_.registers = image;
    return {};
  }

 private:
  NetDevice& dev_;
  Card& card_;
};

}  // namespace

int main() {
  Net net;
  Card card;
  NetdevPtr dev = *net.alloc_netdev<SpiNic>({.name = "spi0", .rx_retry = milliseconds(10)}, card);
  if (!dev->register_netdev() || !dev->open()) return 1;
  const MacAddress group = *MacAddress::parse("01:00:5e:00:00:fb");
  const MacAddress second = *MacAddress::parse("02:00:00:00:00:02");
  for (int i = 0; i < 1000; ++i) {  // who changes lists never waits for the bus
    if (!dev->uc().add(second) || !dev->uc().del(second)) return 1;
  }
  if (!dev->uc().add(second) || !dev->mc().add(group)) return 1;
  if (!dev->rx_mode().settle(Clock::now() + std::chrono::seconds(10))) return 1;
  const bool right = card.registers.hash == (bucket_bit(group) | bucket_bit(second)) &&
                     card.registers.own == dev->address() && dev->rx_mode().covered(group) && !card.registers.promisc;
  fmt::print("2002 changes, {} writes of which 2 failed; hash {:#018x}, own {}: {}\n", card.writes, card.registers.hash,
             card.registers.own.to_string(), right ? "as wanted" : "WRONG");
  return right ? 0 : 1;
}
