// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: a driver as a table of functions. driver.h makes it of a class; a program may fill one in as it runs
// (Net::alloc_netdev_with). A null op is absent. The first argument is the driver. Locks and contexts: driver.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "usernic/annotations.h"
#include "usernic/error.h"
#include "usernic/features.h"
#include "usernic/mac_address.h"
#include "usernic/rx_filter.h"
#include "usernic/rx_flags.h"
#include "usernic/skb.h"
#include "usernic/stats.h"
#include "usernic/tx_queue.h"

namespace usernic {

struct HwAddrList;
class RxLists;
struct RxImageType;
// ethtool.h, ioctl.h
struct DriverInfo;
struct LinkSettings;
struct RingParam;
struct Coalesce;
struct NamedCounter;
struct RegisterValue;
struct MiiRequest;

struct NetDeviceOps {
  std::string_view driver;  // its name, for people
  Result<> (*init)(void*) = nullptr;
  void (*uninit)(void*) = nullptr;
  Result<> (*open)(void*) = nullptr;
  void (*stop)(void*) = nullptr;
  Result<> (*validate_addr)(const void*) = nullptr;
  uint16_t (*select_queue)(void*, const Skb&, uint16_t flow) noexcept USERNIC_NONBLOCKING = nullptr;
  NetdevTx (*start_xmit)(void*, Skb&, TxQueue&, bool more) noexcept USERNIC_NONBLOCKING = nullptr;
  void (*tx_timeout)(void*, TxQueue&) noexcept USERNIC_NONBLOCKING = nullptr;
  void (*poll_controller)(void*) noexcept USERNIC_NONBLOCKING = nullptr;
  RxFilterCaps (*rx_filter_caps)(const void*) = nullptr;
  void (*set_rx_mode_async)(void*, RxPlan&) = nullptr;
  const RxImageType* rx_image = nullptr;
  Result<> (*prepare_rx_mode)(void*, const RxLists&, void* image) noexcept USERNIC_NONBLOCKING = nullptr;
  Result<> (*write_rx_mode)(void*, const void* image) = nullptr;
  void (*set_rx_mode)(void*, const RxLists&) noexcept USERNIC_NONBLOCKING = nullptr;
  int (*set_rx_mode_kernel)(void*, NetDevice*, HwAddrList* uc, HwAddrList* mc) = nullptr;
  bool (*unicast_filter)(const void*) = nullptr;
  uint32_t (*rx_hash)(const void*, AddressClass, const MacAddress&) = nullptr;
  Result<> (*vlan_rx_add_vid)(void*, uint16_t id) = nullptr;
  Result<> (*vlan_rx_kill_vid)(void*, uint16_t id) = nullptr;
  void (*change_rx_flags)(void*, RxFlags changed) = nullptr;
  Result<> (*change_mtu)(void*, uint32_t mtu) = nullptr;
  Result<> (*set_mac_address)(void*, const MacAddress&) = nullptr;
  Result<> (*change_carrier)(void*, bool on) = nullptr;
  Features (*hw_features)(const void*) = nullptr;
  Features (*fix_features)(const void*, Features wanted) = nullptr;
  Result<> (*set_features)(void*, Features) = nullptr;
  void (*get_stats)(const void*, LinkStats&) noexcept USERNIC_NONBLOCKING = nullptr;
  void (*work)(void*, uint32_t events) = nullptr;
  Result<> (*private_ioctl)(void*, uint32_t command, std::span<std::byte> data) = nullptr;
  Result<> (*mii_ioctl)(void*, MiiRequest&) = nullptr;
  Result<> (*get_drvinfo)(void*, DriverInfo&) = nullptr;
  Result<> (*get_link_settings)(void*, LinkSettings&) = nullptr;
  Result<> (*get_ringparam)(void*, RingParam&) = nullptr;
  Result<> (*get_coalesce)(void*, Coalesce&) = nullptr;
  Result<> (*set_coalesce)(void*, const Coalesce&) = nullptr;
  Result<> (*get_ethtool_stats)(void*, std::vector<NamedCounter>&) = nullptr;
  Result<> (*get_regs)(void*, std::vector<RegisterValue>&) = nullptr;
  void (*destroy)(void*) = nullptr;  // null: the driver is not the device's to delete
  bool requires_rtnl = false;
  bool lltx = false;
};

}  // namespace usernic
// Explained best by: core/contract/ops_table_test.cc
