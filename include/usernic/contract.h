// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: the net_device contract as data: one row an op.
//
// A row says what the core holds when it calls the op, in which context, whether a driver may leave the op out, and
// what it may answer. Everything that states the contract reads this table: the core's calls (core/contract/ndo.h
// asserts the row at each call), `usernic contract`, docs/contract.md, and the test that breaks each row. Facts:
// [netdevices: struct net_device synchronization rules].
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace usernic {

// The ops of driver.h, and a NAPI instance's poll.
enum class Ndo : uint8_t {
  kInit,
  kUninit,
  kOpen,
  kStop,
  kValidateAddr,
  kSelectQueue,
  kStartXmit,
  kTxTimeout,
  kPollController,
  kRxFilterCaps,
  kUnicastFilter,
  kSetRxModeAsync,
  kPrepareRxMode,
  kWriteRxMode,
  kSetRxMode,
  kSetRxModeKernel,
  kRxHash,
  kVlanRxAddVid,
  kVlanRxKillVid,
  kChangeRxFlags,
  kChangeMtu,
  kSetMacAddress,
  kChangeCarrier,
  kHwFeatures,
  kFixFeatures,
  kSetFeatures,
  kGetStats,
  kWork,
  kPrivateIoctl,
  kMiiIoctl,
  kGetDrvinfo,
  kGetLinkSettings,
  kGetRingparam,
  kGetCoalesce,
  kSetCoalesce,
  kGetEthtoolStats,
  kGetRegs,
  kPoll,
};

// The locks that the core holds at least. It may hold more: at unregister, `uninit` runs under all three of `open`'s.
namespace ndo_locks {
inline constexpr uint8_t kNone = 0;
inline constexpr uint8_t kLane = 1 << 0;  // the caller is the device's rx-mode work, or has parked it
inline constexpr uint8_t kRtnl = 1 << 1;
inline constexpr uint8_t kRtnlIfRequired = 1 << 2;  // where the driver says `requires_rtnl`
inline constexpr uint8_t kInstance = 1 << 3;        // the instance lock (IL)
inline constexpr uint8_t kAddrList = 1 << 4;        // addr_list_lock
inline constexpr uint8_t kXmit = 1 << 5;            // the TX queue's xmit lock; none where the driver says `lltx`
inline constexpr uint8_t kTxFreeze = 1 << 6;        // tx_freeze_lock, all TX queues frozen [kernel: tx_global_lock]
}  // namespace ndo_locks

// kProcess: the op may sleep. kBhDisabled, kIrqsOff: it must not. kAny: it does not, and is called in any of these.
enum class NdoContext : uint8_t { kProcess, kBhDisabled, kAny, kIrqsOff };

// What the core takes for the answer of an op that is absent.
enum class NdoAbsent : uint8_t { kRequired, kDone, kNotSupported };

struct NdoRow {
  Ndo ndo;
  std::string_view op;      // the driver's member, as in driver.h
  std::string_view kernel;  // "": the kernel has no such op
  uint8_t locks;            // of ndo_locks
  NdoContext context;
  NdoAbsent absent;
  std::string_view without;  // what a driver without it gets; "": it is required
  std::string_view returns;
  // The kernel's document in its older forms: until 2.6.28, when a device was its own table, and from then until ops
  // got the instance lock. Name and lock; "": it says nothing of the op.
  std::string_view oldest = "";
  std::string_view older = "";

  constexpr bool optional() const noexcept { return absent != NdoAbsent::kRequired; }
};

namespace ndo_table {
using namespace ndo_locks;
inline constexpr uint8_t kOperation = kLane | kRtnl | kInstance;  // of an operation on one device
inline constexpr uint8_t kRun = kLane | kInstance;                // of an rx-mode run
inline constexpr uint8_t kRunRtnl = kRun | kRtnlIfRequired;
inline constexpr std::string_view kErrno = "ok, or an errno";
inline constexpr std::string_view kVoid = "nothing";
inline constexpr std::string_view kNoFilter = "no RX filter";
inline constexpr std::string_view kNoVlanFilter = "VLAN ids are in its RxPlan or RxLists, or it has no VLAN filter";
inline constexpr std::string_view kUnderRtnl = "rtnl";
using enum NdoContext;
using enum NdoAbsent;
}  // namespace ndo_table

inline constexpr auto kContract = [] {
  using namespace ndo_table;
  return std::to_array<NdoRow>({
      {Ndo::kInit, "init", "ndo_init", kRtnl, kProcess, kDone, "nothing to prepare", kErrno, "dev->init: rtnl",
       kUnderRtnl},
      {Ndo::kUninit, "uninit", "ndo_uninit", kRtnl, kProcess, kDone, "nothing to undo", kVoid, "dev->uninit: rtnl",
       kUnderRtnl},
      {Ndo::kOpen, "open", "ndo_open", kOperation, kProcess, kRequired, "", kErrno, "dev->open: rtnl", kUnderRtnl},
      {Ndo::kStop, "stop", "ndo_stop", kOperation, kProcess, kRequired, "", kVoid, "dev->stop: rtnl", kUnderRtnl},
      {Ndo::kValidateAddr, "validate_addr", "ndo_validate_addr", kOperation, kProcess, kDone,
       "the own address is taken as it is", kErrno, "dev->validate_addr: rtnl", kUnderRtnl},
      {Ndo::kSelectQueue, "select_queue", "ndo_select_queue", kNone, kBhDisabled, kDone, "a hash of the flow",
       "the number of a TX queue", "", "it gets a fallback to call in place of the number that it would give"},
      {Ndo::kStartXmit, "start_xmit", "ndo_start_xmit", kXmit, kBhDisabled, kRequired, "",
       "kOk or kDropped: the skb is the driver's; kBusy: it is untouched",
       "dev->hard_start_xmit: xmit_lock; with NETIF_F_LLTX none, and NETDEV_TX_LOCKED where its own lock is taken",
       "__netif_tx_lock; with NETIF_F_LLTX none; NETDEV_TX_LOCKED until 4.8"},
      {Ndo::kTxTimeout, "tx_timeout", "ndo_tx_timeout", kTxFreeze, kBhDisabled, kDone, "a line in the log, no more",
       kVoid, "dev->tx_timeout: xmit_lock", "netif_tx_lock, all queues frozen"},
      {Ndo::kPollController, "poll_controller", "ndo_poll_controller", kNone, kIrqsOff, kDone,
       "its NAPI instances are polled, no more", kVoid, "dev->poll_controller: IRQs disabled", "IRQs disabled"},
      {Ndo::kRxFilterCaps, "rx_filter_caps", "", kRtnl, kProcess, kDone, kNoFilter, "what the card's filter can hold"},
      {Ndo::kUnicastFilter, "unicast_filter", "", kRtnl, kProcess, kDone, "it has one", "whether the card has one"},
      {Ndo::kSetRxModeAsync, "set_rx_mode_async", "ndo_set_rx_mode_async", kRunRtnl, kProcess, kDone, kNoFilter,
       "an answer to each command that it took"},
      {Ndo::kPrepareRxMode, "prepare_rx_mode", "", kRun | kAddrList, kBhDisabled, kDone, kNoFilter, kErrno},
      {Ndo::kWriteRxMode, "write_rx_mode", "", kRunRtnl, kProcess, kDone, kNoFilter, kErrno},
      {Ndo::kSetRxMode, "set_rx_mode", "ndo_set_rx_mode", kRun | kAddrList, kBhDisabled, kDone, kNoFilter, kVoid,
       "dev->set_multicast_list: xmit_lock", "netif_addr_lock"},
      {Ndo::kSetRxModeKernel, "set_rx_mode_async(dev, uc, mc)", "ndo_set_rx_mode_async", kRunRtnl, kProcess, kDone,
       kNoFilter, "0, or a negative errno"},
      {Ndo::kRxHash, "rx_hash", "", kNone, kAny, kDone, "no hash", "a bucket of the card's"},
      {Ndo::kVlanRxAddVid, "vlan_rx_add_vid", "ndo_vlan_rx_add_vid", kRunRtnl, kProcess, kDone, kNoVlanFilter, kErrno},
      {Ndo::kVlanRxKillVid, "vlan_rx_kill_vid", "ndo_vlan_rx_kill_vid", kRunRtnl, kProcess, kDone, kNoVlanFilter,
       kErrno},
      {Ndo::kChangeRxFlags, "change_rx_flags", "ndo_change_rx_flags", kRunRtnl, kProcess, kDone, "nothing to pass on",
       kVoid, "", kUnderRtnl},
      {Ndo::kChangeMtu, "change_mtu", "ndo_change_mtu", kOperation, kProcess, kDone, "any MTU within the limits",
       kErrno, "dev->change_mtu: rtnl", kUnderRtnl},
      {Ndo::kSetMacAddress, "set_mac_address", "ndo_set_mac_address", kOperation, kProcess, kNotSupported, "EOPNOTSUPP",
       kErrno, "dev->set_mac_address: rtnl", kUnderRtnl},
      {Ndo::kChangeCarrier, "change_carrier", "ndo_change_carrier", kOperation, kProcess, kNotSupported, "EOPNOTSUPP",
       kErrno, "", kUnderRtnl},
      {Ndo::kHwFeatures, "hw_features", "", kRtnl, kProcess, kDone, "no offload", "what the card can do"},
      {Ndo::kFixFeatures, "fix_features", "ndo_fix_features", kRtnl, kProcess, kDone, "what was asked for",
       "of what is asked for, what goes together", "", kUnderRtnl},
      {Ndo::kSetFeatures, "set_features", "ndo_set_features", kOperation, kProcess, kDone, "nothing to tell the card",
       kErrno, "", kUnderRtnl},
      {Ndo::kGetStats, "get_stats", "ndo_get_stats64", kNone, kBhDisabled, kDone, "nothing to add", kVoid,
       "dev->get_stats: dev_base_lock", "ndo_get_stats: dev_base_lock; ndo_get_stats64: RCU"},
      {Ndo::kWork, "work", "ndo_work", kOperation, kProcess, kDone, "its events are nothing", kVoid},
      {Ndo::kPrivateIoctl, "private_ioctl", "ndo_siocdevprivate", kOperation, kProcess, kNotSupported, "EOPNOTSUPP",
       kErrno, "dev->do_ioctl: rtnl", "ndo_do_ioctl: rtnl"},
      {Ndo::kMiiIoctl, "mii_ioctl", "ndo_eth_ioctl", kOperation, kProcess, kNotSupported, "EOPNOTSUPP", kErrno,
       "dev->do_ioctl: rtnl", "ndo_do_ioctl: rtnl"},
      {Ndo::kGetDrvinfo, "get_drvinfo", "ethtool_ops.get_drvinfo", kInstance, kProcess, kDone, "its name, no more",
       kErrno, kUnderRtnl, kUnderRtnl},
      {Ndo::kGetLinkSettings, "get_link_settings", "ethtool_ops.get_link_ksettings", kInstance, kProcess, kNotSupported,
       "EOPNOTSUPP", kErrno, "get_settings: rtnl", kUnderRtnl},
      {Ndo::kGetRingparam, "get_ringparam", "ethtool_ops.get_ringparam", kInstance, kProcess, kNotSupported,
       "EOPNOTSUPP", kErrno, kUnderRtnl, kUnderRtnl},
      {Ndo::kGetCoalesce, "get_coalesce", "ethtool_ops.get_coalesce", kInstance, kProcess, kNotSupported, "EOPNOTSUPP",
       kErrno, kUnderRtnl, kUnderRtnl},
      {Ndo::kSetCoalesce, "set_coalesce", "ethtool_ops.set_coalesce", kInstance, kProcess, kNotSupported, "EOPNOTSUPP",
       kErrno, kUnderRtnl, kUnderRtnl},
      {Ndo::kGetEthtoolStats, "get_ethtool_stats", "ethtool_ops.get_ethtool_stats", kInstance, kProcess, kNotSupported,
       "EOPNOTSUPP", kErrno, kUnderRtnl, kUnderRtnl},
      {Ndo::kGetRegs, "get_regs", "ethtool_ops.get_regs", kInstance, kProcess, kNotSupported, "EOPNOTSUPP", kErrno,
       kUnderRtnl, kUnderRtnl},
      {Ndo::kPoll, "poll", "napi_struct.poll", kNone, kBhDisabled, kDone, "the driver has no NAPI instance",
       "how many frames: its budget to be polled again, less once it has completed", "dev->poll: __LINK_STATE_RX_SCHED",
       "NAPI_STATE_SCHED"},
  });
}();

// The row of each op stands at its number.
static_assert([] {
  for (size_t i = 0; i < kContract.size(); ++i) {
    if (static_cast<size_t>(kContract[i].ndo) != i) return false;
  }
  return true;
}());

constexpr const NdoRow& row_of(Ndo ndo) noexcept {
  return kContract[static_cast<size_t>(ndo)];
}

}  // namespace usernic
// Explained best by: docs/contract.md
