// SPDX-License-Identifier: Apache-2.0
// usernic: what a driver is: an ordinary class whose members are the netdevice ops.
//
//   member                                                     locks held            context      absent means
//   Result<> open()                                            lane, rtnl, IL        process      required
//   void stop()                                                lane, rtnl, IL        process      required
//   NetdevTx start_xmit(Skb&, TxQueue&, bool more)             xmit lock             BH disabled  required
//   RxFilterCaps rx_filter_caps() const                        none, at register     process      no filter
//   void set_rx_mode_async(RxPlan&)                            lane, IL              process      no filter
//   uint32_t rx_hash(AddressClass, MacAddress) const           none                  any          no hash
//   Result<> change_mtu(uint32_t)                              lane, rtnl, IL        process      any MTU in limits
//   Result<> set_mac_address(MacAddress)                       lane, rtnl, IL        process      EOPNOTSUPP
//   void get_stats(LinkStats&) const                           none                  atomic       nothing to add
//   Result<> init() / void uninit()                            rtnl                  process      nothing to do
//
// Atomic ones are `noexcept USERNIC_NONBLOCKING`. A class whose set_rx_mode_async needs rtnl says
// `static constexpr bool requires_rtnl = true`. `open` finds an empty filter: own address and broadcast only, or
// leaves one; after `stop` the hardware neither receives nor transmits. Rules: [netdevices: ndo_*].
#pragma once

#include "usernic/annotations.h"
#include "usernic/error.h"
#include "usernic/mac_address.h"
#include "usernic/rx_filter.h"
#include "usernic/skb.h"
#include "usernic/stats.h"
#include "usernic/tx_queue.h"

namespace usernic {

// The table that ops_of derives. A null op is absent. The first argument is the driver.
struct NetDeviceOps {
  Result<> (*init)(void*) = nullptr;
  void (*uninit)(void*) = nullptr;
  Result<> (*open)(void*) = nullptr;
  void (*stop)(void*) = nullptr;
  NetdevTx (*start_xmit)(void*, Skb&, TxQueue&, bool more) noexcept USERNIC_NONBLOCKING = nullptr;
  RxFilterCaps (*rx_filter_caps)(const void*) = nullptr;
  void (*set_rx_mode_async)(void*, RxPlan&) = nullptr;
  uint32_t (*rx_hash)(const void*, AddressClass, const MacAddress&) = nullptr;
  Result<> (*change_mtu)(void*, uint32_t mtu) = nullptr;
  Result<> (*set_mac_address)(void*, const MacAddress&) = nullptr;
  void (*get_stats)(const void*, LinkStats&) noexcept USERNIC_NONBLOCKING = nullptr;
  void (*destroy)(void*) = nullptr;
  bool requires_rtnl = false;
};

template <class D>
constexpr NetDeviceOps ops_of() {
  NetDeviceOps ops;
  static_assert(
      requires(D & d) {
        d.open();
        d.stop();
      },
      "a driver needs open() and stop()");
  static_assert(
      requires(D & d, Skb & s, TxQueue & q) {
        { d.start_xmit(s, q, true) } -> std::same_as<NetdevTx>;
      },
      "a driver needs NetdevTx start_xmit(Skb&, TxQueue&, bool more)");
  constexpr bool has_async = requires(D & d, RxPlan & p) {
    d.set_rx_mode_async(p);
  };
  constexpr bool has_caps = requires(const D& d) {
    d.rx_filter_caps();
  };
  static_assert(has_async == has_caps, "set_rx_mode_async and rx_filter_caps come together: both or neither");

  ops.open = [](void* d) { return static_cast<D*>(d)->open(); };
  ops.stop = [](void* d) { static_cast<D*>(d)->stop(); };
  ops.start_xmit = [](void* d, Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING {
    return static_cast<D*>(d)->start_xmit(skb, queue, more);
  };
  if constexpr (requires(D & d) { d.init(); }) ops.init = [](void* d) { return static_cast<D*>(d)->init(); };
  if constexpr (requires(D & d) { d.uninit(); }) ops.uninit = [](void* d) { static_cast<D*>(d)->uninit(); };
  if constexpr (has_async && has_caps) {
    ops.set_rx_mode_async = [](void* d, RxPlan& plan) { static_cast<D*>(d)->set_rx_mode_async(plan); };
    ops.rx_filter_caps = [](const void* d) { return static_cast<const D*>(d)->rx_filter_caps(); };
  }
  if constexpr (requires(const D& d, MacAddress a) { d.rx_hash(AddressClass::kUnicast, a); }) {
    ops.rx_hash = [](const void* d, AddressClass c, const MacAddress& a) {
      return static_cast<const D*>(d)->rx_hash(c, a);
    };
  }
  if constexpr (requires(D & d) { d.change_mtu(1500u); }) {
    ops.change_mtu = [](void* d, uint32_t mtu) { return static_cast<D*>(d)->change_mtu(mtu); };
  }
  if constexpr (requires(D & d, MacAddress a) { d.set_mac_address(a); }) {
    ops.set_mac_address = [](void* d, const MacAddress& a) { return static_cast<D*>(d)->set_mac_address(a); };
  }
  if constexpr (requires(const D& d, LinkStats& s) { d.get_stats(s); }) {
    ops.get_stats = [](const void* d, LinkStats& s) noexcept USERNIC_NONBLOCKING {
      static_cast<const D*>(d)->get_stats(s);
    };
  }
  if constexpr (requires { D::requires_rtnl; }) ops.requires_rtnl = D::requires_rtnl;
  ops.destroy = [](void* d) { delete static_cast<D*>(d); };
  return ops;
}

}  // namespace usernic
// Explained best by: drivers/dummy/dummy.h
