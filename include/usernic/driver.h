// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: what a driver is: an ordinary class whose members are the netdevice ops. A smallest one:
//
//   struct Null {
//     explicit Null(NetDevice& dev) : dev_(dev) {}
//     Result<> open() { return dev_.tx_queue(0).start(), Result<>(); }
//     void stop() {}
//     NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
//       return SkbPool::free(skb), NetdevTx::kOk;
//     }
//     NetDevice& dev_;
//   };
//   Result<NetdevPtr> make_null(Net& net) { return net.alloc_netdev<Null>({.name = "null%d"}); }
// The ops. IL is the instance lock of the device.
//   member                                                     locks held            context      absent means
//   Result<> open()                                            lane, rtnl, IL        process      required
//   void stop()                                                lane, rtnl, IL        process      required
//   Result<> validate_addr() const                             lane, rtnl, IL        process      any own address
//   uint16_t select_queue(const Skb&, uint16_t flow)           none                  BH disabled  a hash of the flow
//   NetdevTx start_xmit(Skb&, TxQueue&, bool more)             xmit lock             BH disabled  required
//   void tx_timeout(TxQueue&)                                  tx_freeze_lock        BH disabled  a line in the log
//   void poll_controller()                                     none                  IRQs off     its NAPIs are polled
//   its RX filter, in one of four styles (rx_style.h):                                             no filter
//     RxFilterCaps rx_filter_caps() const                      none, at register     process
//     void set_rx_mode_async(RxPlan&)                          lane, IL              process
//       uint32_t rx_hash(AddressClass, MacAddress) const       none                  any          no hash
//     Result<> prepare_rx_mode(const RxLists&, RxModeImage&)   ..., addr_list_lock   BH disabled
//     Result<> write_rx_mode(const RxModeImage&)               lane, IL              process
//     void set_rx_mode(const RxLists&)                         ..., addr_list_lock   BH disabled
//     int set_rx_mode_async(NetDevice*, HwAddrList* uc, *mc)   lane, IL              process
//     Result<> vlan_rx_add_vid(uint16_t), vlan_rx_kill_vid     lane, IL              process      as its style has it
//   bool unicast_filter() const                               none, at register     process      it has one
//   void change_rx_flags(RxFlags)                             lane, IL              process      nothing to pass on
//   Result<> change_mtu(uint32_t)                              lane, rtnl, IL        process      any MTU in limits
//   Result<> set_mac_address(MacAddress)                       lane, rtnl, IL        process      EOPNOTSUPP
//   Result<> change_carrier(bool on)                           lane, rtnl, IL        process      EOPNOTSUPP
//   Features hw_features() const                              none, at register     process      no offload
//   Features fix_features(Features wanted) const              rtnl                  process      as wanted
//   Result<> set_features(Features)                           lane, rtnl, IL        process      nothing to tell
//   void get_stats(LinkStats&) const                           none                  atomic       nothing to add
//   void work(uint32_t events)                                 lane, rtnl, IL        process      nothing
//   Result<> private_ioctl(uint32_t command, std::span<std::byte>)  lane, rtnl, IL   process      EOPNOTSUPP
//   Result<> mii_ioctl(MiiRequest&)                            lane, rtnl, IL        process      EOPNOTSUPP
//   what it says of itself, ethtool.h: get_drvinfo, ...        IL                    process      EOPNOTSUPP
//   Result<> init() / void uninit()                            rtnl                  process      nothing to do
//
// An op that runs in atomic context is `noexcept USERNIC_NONBLOCKING`. `open` finds or makes an empty filter: own
// address and broadcast only. After `stop` the hardware neither receives nor transmits. `change_carrier(false)` takes
// the carrier away, `true` gives it back to the wire; the driver tells the result by carrier_on and carrier_off.
// `tx_timeout` is called when a queue was stopped for NetdevConfig::watchdog; all queues are frozen meanwhile, and a
// work item recovers the card. `work` gets the events that NetDevice::queue_work gathered. A device without a unicast
// filter (`unicast_filter` is false; in the plan style: no unicast slots, no hash) is promiscuous while its unicast
// list has an entry.
// A class may have these `static constexpr` members. `bool requires_rtnl`: its rx-mode ops need rtnl. `bool lltx`: its
// start_xmit is called without the xmit lock, by several threads, and locks for itself. `std::string_view kDriverName`:
// its name in reports, which is else that of the type. Rules: [netdevices: ndo_*].
#pragma once

#include <new>

#include "usernic/driver_shape.h"
#include "usernic/net_device_ops.h"
#include "usernic/rx_style.h"

namespace usernic {

// A driver that finds no memory (std::bad_alloc) has refused.
template <class Call>
Result<> refused_without_memory(Call&& call) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return fail(std::errc::not_enough_memory);
  }
}

// The ops of ethtool.h.
template <class D>
constexpr void set_ethtool_ops(NetDeviceOps& ops) {
#define USERNIC_ETHTOOL_OP(op, Filled)                                               \
  if constexpr (requires(D & d, Filled f) { d.op(f); }) {                            \
    ops.op = [](void* d, Filled filled) {                                            \
      return refused_without_memory([&] { return static_cast<D*>(d)->op(filled); }); \
    };                                                                               \
  }
  USERNIC_ETHTOOL_OP(get_drvinfo, DriverInfo&)
  USERNIC_ETHTOOL_OP(get_link_settings, LinkSettings&)
  USERNIC_ETHTOOL_OP(get_ringparam, RingParam&)
  USERNIC_ETHTOOL_OP(get_coalesce, Coalesce&)
  USERNIC_ETHTOOL_OP(set_coalesce, const Coalesce&)
  USERNIC_ETHTOOL_OP(get_ethtool_stats, std::vector<NamedCounter>&)
  USERNIC_ETHTOOL_OP(get_regs, std::vector<RegisterValue>&)
#undef USERNIC_ETHTOOL_OP
}

template <class D>
constexpr NetDeviceOps ops_of() {
  NetDeviceOps ops;
  ops.driver = driver_name_of<D>();
  check_driver_shape<D>();
  check_rx_style<D>();

  ops.open = [](void* d) { return refused_without_memory([d] { return static_cast<D*>(d)->open(); }); };
  ops.stop = [](void* d) { static_cast<D*>(d)->stop(); };
  ops.start_xmit = [](void* d, Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING {
    return static_cast<D*>(d)->start_xmit(skb, queue, more);
  };
  if constexpr (requires(D & d, const Skb& s) { d.select_queue(s, uint16_t{}); }) {
    ops.select_queue = [](void* d, const Skb& skb, uint16_t flow) noexcept USERNIC_NONBLOCKING -> uint16_t {
      return static_cast<D*>(d)->select_queue(skb, flow);
    };
  }
  if constexpr (requires(D & d) { d.poll_controller(); }) {
    ops.poll_controller = [](void* d) noexcept USERNIC_NONBLOCKING { static_cast<D*>(d)->poll_controller(); };
  }
  if constexpr (requires(D & d, TxQueue & q) { d.tx_timeout(q); }) {
    ops.tx_timeout = [](void* d, TxQueue& queue) noexcept USERNIC_NONBLOCKING {
      static_cast<D*>(d)->tx_timeout(queue);
    };
  }
  if constexpr (requires(const D& d) { d.validate_addr(); }) {
    ops.validate_addr = [](const void* d) {
      return refused_without_memory([d] { return static_cast<const D*>(d)->validate_addr(); });
    };
  }
  if constexpr (requires(D & d) { d.work(0u); }) {
    ops.work = [](void* d, uint32_t events) { static_cast<D*>(d)->work(events); };
  }
  if constexpr (requires(D & d, std::span<std::byte> data) { d.private_ioctl(0u, data); }) {
    ops.private_ioctl = [](void* d, uint32_t command, std::span<std::byte> data) {
      return refused_without_memory([&] { return static_cast<D*>(d)->private_ioctl(command, data); });
    };
  }
  if constexpr (requires(D & d, MiiRequest & r) { d.mii_ioctl(r); }) {
    ops.mii_ioctl = [](void* d, MiiRequest& request) {
      return refused_without_memory([&] { return static_cast<D*>(d)->mii_ioctl(request); });
    };
  }
  set_ethtool_ops<D>(ops);
  if constexpr (requires(D & d) { d.init(); }) {
    ops.init = [](void* d) { return refused_without_memory([d] { return static_cast<D*>(d)->init(); }); };
  }
  if constexpr (requires(D & d) { d.uninit(); }) ops.uninit = [](void* d) { static_cast<D*>(d)->uninit(); };
  set_rx_style<D>(ops);
  if constexpr (requires(const D& d) { d.rx_filter_caps(); }) {
    ops.rx_filter_caps = [](const void* d) { return static_cast<const D*>(d)->rx_filter_caps(); };
  }
  if constexpr (requires(const D& d) { d.unicast_filter(); }) {
    static_assert(!PlanStyle<D>, "a driver with rx_filter_caps says there what unicast filter it has");
    ops.unicast_filter = [](const void* d) -> bool { return static_cast<const D*>(d)->unicast_filter(); };
  }
  if constexpr (requires(const D& d, MacAddress a) { d.rx_hash(AddressClass::kUnicast, a); }) {
    ops.rx_hash = [](const void* d, AddressClass c, const MacAddress& a) {
      return static_cast<const D*>(d)->rx_hash(c, a);
    };
  }
  if constexpr (requires(D & d) { d.change_rx_flags(RxFlags{}); }) {
    ops.change_rx_flags = [](void* d, RxFlags changed) { static_cast<D*>(d)->change_rx_flags(changed); };
  }
  if constexpr (requires(D & d) { d.change_mtu(1500u); }) {
    ops.change_mtu = [](void* d, uint32_t mtu) {
      return refused_without_memory([&] { return static_cast<D*>(d)->change_mtu(mtu); });
    };
  }
  if constexpr (requires(D & d, MacAddress a) { d.set_mac_address(a); }) {
    ops.set_mac_address = [](void* d, const MacAddress& a) {
      return refused_without_memory([&] { return static_cast<D*>(d)->set_mac_address(a); });
    };
  }
  if constexpr (requires(D & d) { d.change_carrier(true); }) {
    ops.change_carrier = [](void* d, bool on) {
      return refused_without_memory([&] { return static_cast<D*>(d)->change_carrier(on); });
    };
  }
  if constexpr (requires(const D& d) { d.hw_features(); }) {
    ops.hw_features = [](const void* d) -> Features { return static_cast<const D*>(d)->hw_features(); };
  }
  if constexpr (requires(const D& d) { d.fix_features(Features{}); }) {
    ops.fix_features = [](const void* d, Features wanted) -> Features {
      return static_cast<const D*>(d)->fix_features(wanted);
    };
  }
  if constexpr (requires(D & d) { d.set_features(Features{}); }) {
    ops.set_features = [](void* d, Features features) {
      return refused_without_memory([&] { return static_cast<D*>(d)->set_features(features); });
    };
  }
  if constexpr (requires(const D& d, LinkStats& s) { d.get_stats(s); }) {
    ops.get_stats = [](const void* d, LinkStats& s) noexcept USERNIC_NONBLOCKING {
      static_cast<const D*>(d)->get_stats(s);
    };
  }
  if constexpr (requires { D::requires_rtnl; }) ops.requires_rtnl = D::requires_rtnl;
  if constexpr (requires { D::lltx; }) ops.lltx = D::lltx;
  ops.destroy = [](void* d) { delete static_cast<D*>(d); };
  return ops;
}

}  // namespace usernic
// Explained best by: drivers/dummy/dummy.h
