// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: what a driver's class must look like, said by the compiler; and what it is called.
//
// An op is found by its name and shape. One that is misspelt, or has another shape, would silently be absent: each of
// these is an error with a sentence that says how the op is written. driver.h asks; nobody else needs to.
#pragma once

#include <concepts>
#include <string_view>

#include "usernic/net_device_ops.h"

namespace usernic {

// "Simnic": kDriverName, or else the type without namespaces and arguments.
template <class D>
constexpr std::string_view driver_name_of() {
  if constexpr (requires { std::string_view(D::kDriverName); }) {
    return D::kDriverName;
  } else {
    std::string_view name = __PRETTY_FUNCTION__;  // "... [with D = usernic::Simnic; ...]", "... [D = usernic::Simnic]"
    name.remove_prefix(name.find("D = ") + 4);
    name = name.substr(0, name.find_first_of("<;]"));
    return name.substr(name.rfind(':') + 1);
  }
}

// `op` is there, but cannot be called as `shape`.
#define USERNIC_OP_SHAPE(op, parameters, call, shape)           \
  static_assert(                                                \
      !requires { &D::op; } || requires parameters { d.call; }, \
      "a driver's " #op " has another shape than the op, which would be absent: " shape)
// `op` is called as it should be, but may throw where nobody can catch.
#define USERNIC_OP_NOEXCEPT(op, parameters, call) \
  static_assert(                                  \
      !requires parameters { d.call; } ||         \
          requires parameters {                   \
            { d.call }                            \
            noexcept;                             \
          },                                      \
      "a driver's " #op " runs in atomic context: noexcept USERNIC_NONBLOCKING")
// A name that somebody may write for that of `op`.
#define USERNIC_NO_OP(name, op) \
  static_assert(                \
      !requires { &D::name; }, "a driver's " #name " is not an op, and would never be called: it is called " #op)

template <class D>
constexpr void check_driver_shape() {
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
  USERNIC_OP_NOEXCEPT(start_xmit, (D & d, Skb & s, TxQueue & q), start_xmit(s, q, true));

  USERNIC_OP_SHAPE(init, (D & d), init(), "Result<> init()");
  USERNIC_OP_SHAPE(uninit, (D & d), uninit(), "void uninit()");
  USERNIC_OP_SHAPE(rx_filter_caps, (const D& d), rx_filter_caps(), "RxFilterCaps rx_filter_caps() const");
  USERNIC_OP_SHAPE(unicast_filter, (const D& d), unicast_filter(), "bool unicast_filter() const");
  USERNIC_OP_SHAPE(rx_hash, (const D& d, MacAddress a), rx_hash(AddressClass::kUnicast, a),
                   "uint32_t rx_hash(AddressClass, const MacAddress&) const");
  USERNIC_OP_SHAPE(vlan_rx_add_vid, (D & d), vlan_rx_add_vid(uint16_t{}), "Result<> vlan_rx_add_vid(uint16_t id)");
  USERNIC_OP_SHAPE(vlan_rx_kill_vid, (D & d), vlan_rx_kill_vid(uint16_t{}), "Result<> vlan_rx_kill_vid(uint16_t id)");
  USERNIC_OP_SHAPE(change_rx_flags, (D & d), change_rx_flags(RxFlags{}), "void change_rx_flags(RxFlags changed)");
  USERNIC_OP_SHAPE(change_mtu, (D & d), change_mtu(1500u), "Result<> change_mtu(uint32_t)");
  USERNIC_OP_SHAPE(set_mac_address, (D & d, const MacAddress& a), set_mac_address(a),
                   "Result<> set_mac_address(const MacAddress&)");
  USERNIC_OP_SHAPE(change_carrier, (D & d), change_carrier(true), "Result<> change_carrier(bool on)");
  USERNIC_OP_SHAPE(hw_features, (const D& d), hw_features(), "Features hw_features() const");
  USERNIC_OP_SHAPE(fix_features, (const D& d), fix_features(Features{}), "Features fix_features(Features) const");
  USERNIC_OP_SHAPE(set_features, (D & d), set_features(Features{}), "Result<> set_features(Features)");
  USERNIC_OP_SHAPE(get_stats, (const D& d, LinkStats& s), get_stats(s), "void get_stats(LinkStats&) const");
  USERNIC_OP_NOEXCEPT(get_stats, (const D& d, LinkStats& s), get_stats(s));

  USERNIC_OP_SHAPE(select_queue, (D & d, const Skb& s), select_queue(s, uint16_t{}),
                   "uint16_t select_queue(const Skb&, uint16_t flow)");
  USERNIC_OP_NOEXCEPT(select_queue, (D & d, const Skb& s), select_queue(s, uint16_t{}));
  USERNIC_OP_SHAPE(poll_controller, (D & d), poll_controller(), "void poll_controller()");
  USERNIC_OP_NOEXCEPT(poll_controller, (D & d), poll_controller());
  USERNIC_OP_SHAPE(tx_timeout, (D & d, TxQueue & q), tx_timeout(q), "void tx_timeout(TxQueue&)");
  USERNIC_OP_NOEXCEPT(tx_timeout, (D & d, TxQueue & q), tx_timeout(q));
  USERNIC_OP_SHAPE(validate_addr, (const D& d), validate_addr(), "Result<> validate_addr() const");
  USERNIC_OP_SHAPE(private_ioctl, (D & d, std::span<std::byte> s), private_ioctl(0u, s),
                   "Result<> private_ioctl(uint32_t command, std::span<std::byte> data)");
  USERNIC_OP_SHAPE(mii_ioctl, (D & d, MiiRequest & r), mii_ioctl(r), "Result<> mii_ioctl(MiiRequest&)");
  USERNIC_OP_SHAPE(get_drvinfo, (D & d, DriverInfo & i), get_drvinfo(i), "Result<> get_drvinfo(DriverInfo&)");
  USERNIC_OP_SHAPE(get_link_settings, (D & d, LinkSettings & l), get_link_settings(l),
                   "Result<> get_link_settings(LinkSettings&)");
  USERNIC_OP_SHAPE(get_ringparam, (D & d, RingParam & r), get_ringparam(r), "Result<> get_ringparam(RingParam&)");
  USERNIC_OP_SHAPE(get_coalesce, (D & d, Coalesce & c), get_coalesce(c), "Result<> get_coalesce(Coalesce&)");
  USERNIC_OP_SHAPE(set_coalesce, (D & d, const Coalesce& c), set_coalesce(c), "Result<> set_coalesce(const Coalesce&)");
  USERNIC_OP_SHAPE(get_ethtool_stats, (D & d, std::vector<NamedCounter> & v), get_ethtool_stats(v),
                   "Result<> get_ethtool_stats(std::vector<NamedCounter>&)");
  USERNIC_OP_SHAPE(get_regs, (D & d, std::vector<RegisterValue> & v), get_regs(v),
                   "Result<> get_regs(std::vector<RegisterValue>&)");

  USERNIC_NO_OP(tx_time_out, tx_timeout);
  USERNIC_NO_OP(timeout, tx_timeout);
  USERNIC_NO_OP(select_tx_queue, select_queue);
  USERNIC_NO_OP(poll_control, poll_controller);
  USERNIC_NO_OP(validate_address, validate_addr);
  USERNIC_NO_OP(get_link_ksettings, get_link_settings);
  USERNIC_NO_OP(get_settings, get_link_settings);
  USERNIC_NO_OP(do_ioctl, private_ioctl);
  USERNIC_NO_OP(eth_ioctl, mii_ioctl);
  USERNIC_NO_OP(siocdevprivate, private_ioctl);
  USERNIC_NO_OP(hard_start_xmit, start_xmit);
  USERNIC_NO_OP(set_mac_adress, set_mac_address);
  USERNIC_NO_OP(set_mac_addr, set_mac_address);
  USERNIC_NO_OP(set_address, set_mac_address);
  USERNIC_NO_OP(chang_mtu, change_mtu);
  USERNIC_NO_OP(hw_feature, hw_features);
  USERNIC_NO_OP(fix_feature, fix_features);
  USERNIC_NO_OP(set_feature, set_features);
  USERNIC_NO_OP(get_stats64, get_stats);
  USERNIC_NO_OP(get_stat, get_stats);
  USERNIC_NO_OP(set_rx_mode_asynch, set_rx_mode_async);
  USERNIC_NO_OP(set_rx_mod, set_rx_mode);
  USERNIC_NO_OP(set_multicast_list, set_rx_mode);
  USERNIC_NO_OP(rx_filter_cap, rx_filter_caps);
  USERNIC_NO_OP(prepare_rx_mod, prepare_rx_mode);
  USERNIC_NO_OP(change_rx_flag, change_rx_flags);
  USERNIC_NO_OP(vlan_rx_add, vlan_rx_add_vid);
  USERNIC_NO_OP(vlan_rx_del_vid, vlan_rx_kill_vid);
  USERNIC_NO_OP(vlan_rx_kill, vlan_rx_kill_vid);
  USERNIC_NO_OP(deinit, uninit);
  USERNIC_NO_OP(un_init, uninit);
}

#undef USERNIC_OP_SHAPE
#undef USERNIC_OP_NOEXCEPT
#undef USERNIC_NO_OP

}  // namespace usernic
// Explained best by: tests/driver_style/driver_style_test.py
