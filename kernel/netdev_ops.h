// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: a driver as a table of functions, with its private data behind netdev_priv.
//
//   static constexpr net_device_ops my_ops = {.ndo_open = my_open, .ndo_stop = my_stop, .ndo_start_xmit = my_xmit};
//   net_device* dev = alloc_netdev_mqs<&my_ops>(sizeof(my_priv), "nic%d", NET_NAME_ENUM, ether_setup, 1, 1);
//
// The table is known when the program is compiled, as every driver's is: that is where dev->netdev_ops = &my_ops went.
// At most one of the two rx-mode ops; locks and contexts are those of driver.h.
#pragma once

#include <sys/socket.h>

#include <bit>
#include <cstddef>
#include <memory>

#include "kernel/device.h"
#include "kernel/flags.h"
#include "kernel/queues.h"

namespace usernic::kernel {

// What an id is one of, as on the wire [kernel: htons(ETH_P_8021Q)].
inline constexpr __be16 kVlanTag = std::endian::native == std::endian::little ? 0x0081 : 0x8100;

struct net_device_ops {
  int (*ndo_init)(net_device*) = nullptr;
  void (*ndo_uninit)(net_device*) = nullptr;
  int (*ndo_open)(net_device*) = nullptr;
  int (*ndo_stop)(net_device*) = nullptr;
  netdev_tx_t (*ndo_start_xmit)(sk_buff*, net_device*) = nullptr;
  void (*ndo_set_rx_mode)(net_device*) = nullptr;
  int (*ndo_set_rx_mode_async)(net_device*, netdev_hw_addr_list* uc, netdev_hw_addr_list* mc) = nullptr;
  int (*ndo_vlan_rx_add_vid)(net_device*, __be16 proto, u16 vid) = nullptr;  // kVlanTag
  int (*ndo_vlan_rx_kill_vid)(net_device*, __be16 proto, u16 vid) = nullptr;
  void (*ndo_change_rx_flags)(net_device*, int changed) = nullptr;  // rx_flags.h
  int (*ndo_set_mac_address)(net_device*, void* sockaddr) = nullptr;
  int (*ndo_validate_addr)(net_device*) = nullptr;  // before ndo_open
  int (*ndo_change_mtu)(net_device*, int mtu) = nullptr;
  int (*ndo_change_carrier)(net_device*, bool new_carrier) = nullptr;
  void (*ndo_get_stats64)(net_device*, rtnl_link_stats64*) = nullptr;
  net_device_stats* (*ndo_get_stats)(net_device*) = nullptr;  // the old form, where there is no ndo_get_stats64
  void (*ndo_tx_timeout)(net_device*, unsigned txqueue) = nullptr;
  u16 (*ndo_select_queue)(net_device*, sk_buff*, net_device* sb_dev) = nullptr;  // netdev_pick_tx: queues.h
  void (*ndo_poll_controller)(net_device*) = nullptr;
  bool requires_rtnl = false;  // the rx-mode ops and ndo_change_rx_flags are called with it; not in the kernel's table
};

// dev->priv_flags |= IFF_UNICAST_FLT, for a setup function or a probe: the card has a unicast filter. Without, as in
// the kernel, the device is promiscuous while its unicast list is not empty.
inline constexpr unsigned IFF_UNICAST_FLT = 1u << 12;

inline constexpr unsigned char NET_NAME_UNKNOWN = 0, NET_NAME_ENUM = 1, NET_NAME_USER = 3;
inline void ether_setup(net_device*) {}

// What netdev_priv finds.
struct private_data {
  explicit private_data(size_t size) : bytes(new std::byte[size]()) {}
  const std::unique_ptr<std::byte[]> bytes;
  unsigned priv_flags = 0;
};

// Kernel code says nothing of effects; the run-time checks watch it.
USERNIC_BLOCKING_BY_DESIGN_BEGIN
template <const net_device_ops* kOps>
class table_driver : public private_data {
  static_assert(kOps->ndo_open != nullptr && kOps->ndo_stop != nullptr && kOps->ndo_start_xmit != nullptr,
                "a driver needs ndo_open, ndo_stop and ndo_start_xmit");
  static_assert(kOps->ndo_set_rx_mode == nullptr || kOps->ndo_set_rx_mode_async == nullptr,
                "a driver has one of ndo_set_rx_mode and ndo_set_rx_mode_async");
  // "my_ops", of "... [with ... kOps = (& my_ops); ...]" or "... [kOps = &my_ops]".
  static constexpr std::string_view table_name() {
    std::string_view name = __PRETTY_FUNCTION__;
    name.remove_prefix(name.rfind('&') + 1);
    name = name.substr(0, name.find_first_of(";]"));
    if (name.ends_with(')')) name.remove_suffix(1);
    return name.substr(name.find_last_of(": ") + 1);
  }
  static Result<> result_of(int error) {  // a positive one is none [kernel: register_netdevice makes -EIO of it]
    if (error == 0) return {};
    return fail(error < 0 ? static_cast<std::errc>(-error) : std::errc::io_error);
  }

 public:
  static constexpr bool requires_rtnl = kOps->requires_rtnl;
  static constexpr std::string_view kDriverName = table_name();
  table_driver(NetDevice& dev, size_t size) : private_data(size), dev_(&dev) {}

  Result<> init() requires(kOps->ndo_init != nullptr) { return result_of(kOps->ndo_init(dev_)); }
  void uninit() requires(kOps->ndo_uninit != nullptr) { kOps->ndo_uninit(dev_); }
  Result<> open() { return result_of(kOps->ndo_open(dev_)); }
  Result<> validate_addr() const requires(kOps->ndo_validate_addr != nullptr) {
    return result_of(kOps->ndo_validate_addr(dev_));
  }
  void stop() { (void)kOps->ndo_stop(dev_); }
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING {
    const xmit_scope now(queue.index(), more);
    return kOps->ndo_start_xmit(&skb, dev_);
  }
  void set_rx_mode(const RxLists&) noexcept USERNIC_NONBLOCKING requires(kOps->ndo_set_rx_mode != nullptr) {
    kOps->ndo_set_rx_mode(dev_);
  }
  int set_rx_mode_async(NetDevice* dev, HwAddrList* uc,
                        HwAddrList* mc) requires(kOps->ndo_set_rx_mode_async != nullptr) {
    return kOps->ndo_set_rx_mode_async(dev, uc, mc);
  }
  Result<> vlan_rx_add_vid(uint16_t id) requires(kOps->ndo_vlan_rx_add_vid != nullptr) {
    return result_of(kOps->ndo_vlan_rx_add_vid(dev_, kVlanTag, id));
  }
  Result<> vlan_rx_kill_vid(uint16_t id) requires(kOps->ndo_vlan_rx_kill_vid != nullptr) {
    return result_of(kOps->ndo_vlan_rx_kill_vid(dev_, kVlanTag, id));
  }
  bool unicast_filter() const { return (priv_flags & IFF_UNICAST_FLT) != 0; }
  void change_rx_flags(RxFlags changed) requires(kOps->ndo_change_rx_flags != nullptr) {
    kOps->ndo_change_rx_flags(dev_, static_cast<int>(mask_of(changed)));
  }
  Result<> set_mac_address(const MacAddress& address) requires(kOps->ndo_set_mac_address != nullptr) {
    sockaddr to{};
    to.sa_family = ARPHRD_ETHER;
    for (size_t i = 0; i < address.octets.size(); ++i) to.sa_data[i] = static_cast<char>(address.octets[i]);
    return result_of(kOps->ndo_set_mac_address(dev_, &to));
  }
  Result<> change_mtu(uint32_t mtu) requires(kOps->ndo_change_mtu != nullptr) {
    return result_of(kOps->ndo_change_mtu(dev_, static_cast<int>(mtu)));
  }
  Result<> change_carrier(bool on) requires(kOps->ndo_change_carrier != nullptr) {
    return result_of(kOps->ndo_change_carrier(dev_, on));
  }
  void get_stats(LinkStats& stats) const noexcept USERNIC_NONBLOCKING requires(kOps->ndo_get_stats64 != nullptr) {
    kOps->ndo_get_stats64(dev_, &stats);
  }
  void get_stats(LinkStats& stats) const noexcept
      USERNIC_NONBLOCKING requires(kOps->ndo_get_stats64 == nullptr && kOps->ndo_get_stats != nullptr) {
    if (const net_device_stats* const own = kOps->ndo_get_stats(dev_); own != nullptr) take(stats, *own);
  }
  uint16_t select_queue(const Skb& skb, uint16_t flow) noexcept
      USERNIC_NONBLOCKING requires(kOps->ndo_select_queue != nullptr) {
    const xmit_scope now(flow, false);
    return kOps->ndo_select_queue(dev_, const_cast<Skb*>(&skb), nullptr);
  }
  void poll_controller() noexcept USERNIC_NONBLOCKING requires(kOps->ndo_poll_controller != nullptr) {
    kOps->ndo_poll_controller(dev_);
  }
  void tx_timeout(TxQueue& queue) noexcept USERNIC_NONBLOCKING requires(kOps->ndo_tx_timeout != nullptr) {
    kOps->ndo_tx_timeout(dev_, queue.index());
  }

 private:
  // Such a driver counts everything itself.
  static void take(LinkStats& stats, const net_device_stats& own) noexcept {
    stats.rx_packets = own.rx_packets, stats.rx_bytes = own.rx_bytes;
    stats.rx_dropped = own.rx_dropped, stats.rx_errors = own.rx_errors;
    stats.tx_packets = own.tx_packets, stats.tx_bytes = own.tx_bytes;
    stats.tx_dropped = own.tx_dropped, stats.tx_errors = own.tx_errors;
  }

  NetDevice* const dev_;
};
USERNIC_BLOCKING_BY_DESIGN_END

template <const net_device_ops* kOps>
net_device* alloc_netdev_mqs(int sizeof_priv, const char* name, unsigned char, void (*setup)(net_device*),
                             unsigned txqs, unsigned rxqs) {
  net_device* const dev = alloc_netdev_mqs<table_driver<kOps>>(name, txqs, rxqs, static_cast<size_t>(sizeof_priv));
  if (dev != nullptr && setup != nullptr) setup(dev);
  return dev;
}
template <const net_device_ops* kOps>
net_device* alloc_netdev(int sizeof_priv, const char* name, unsigned char assigned, void (*setup)(net_device*)) {
  return alloc_netdev_mqs<kOps>(sizeof_priv, name, assigned, setup, 1, 1);
}
template <const net_device_ops* kOps>
net_device* alloc_etherdev_mqs(int sizeof_priv, unsigned txqs, unsigned rxqs) {
  return alloc_netdev_mqs<kOps>(sizeof_priv, "eth%d", NET_NAME_ENUM, ether_setup, txqs, rxqs);
}
template <const net_device_ops* kOps>
net_device* alloc_etherdev(int sizeof_priv) {
  return alloc_etherdev_mqs<kOps>(sizeof_priv, 1, 1);
}
// Zeros at first. Requires: the driver is a table.
inline void* netdev_priv(const net_device* dev) {
  return static_cast<private_data*>(dev->driver())->bytes.get();
}

inline void netdev_add_priv_flags(net_device* dev, unsigned flags) {
  static_cast<private_data*>(dev->driver())->priv_flags |= flags;
}

}  // namespace usernic::kernel
