// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: the net_device contract as data: one row an op.
//
// A row says what the core holds when it calls the op, in which context, whether a driver may leave the op out, and
// what it may answer. Everything that states the contract reads this table: the core's calls (core/ndo.h asserts the
// row at each call), `usernic contract`, docs/contract.md, and the test that breaks each row. Facts:
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
  kStartXmit,
  kRxFilterCaps,
  kUnicastFilter,
  kSetRxModeAsync,
  kPrepareRxMode,
  kWriteRxMode,
  kSetRxMode,
  kSetRxModeKernel,
  kRxHash,
  kChangeRxFlags,
  kChangeMtu,
  kSetMacAddress,
  kChangeCarrier,
  kHwFeatures,
  kFixFeatures,
  kSetFeatures,
  kGetStats,
  kPoll,
};

// What the core holds, at least. More may be held: `uninit` at unregister runs under all three of `open`'s.
namespace ndo_locks {
inline constexpr uint8_t kNone = 0;
inline constexpr uint8_t kLane = 1 << 0;  // the caller is the device's rx-mode work, or has parked it
inline constexpr uint8_t kRtnl = 1 << 1;
inline constexpr uint8_t kRtnlIfRequired = 1 << 2;  // where the driver says `requires_rtnl`
inline constexpr uint8_t kInstance = 1 << 3;        // the instance lock (IL)
inline constexpr uint8_t kAddrList = 1 << 4;        // addr_list_lock
inline constexpr uint8_t kXmit = 1 << 5;            // the TX queue's xmit lock
}  // namespace ndo_locks

// kProcess may sleep, kBhDisabled must not; kAny does not, and is called in either.
enum class NdoContext : uint8_t { kProcess, kBhDisabled, kAny };

// What the core takes for the answer of an op that the driver does not have.
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
using enum NdoContext;
using enum NdoAbsent;
}  // namespace ndo_table

inline constexpr auto kContract = [] {
  using namespace ndo_table;
  return std::to_array<NdoRow>({
      {Ndo::kInit, "init", "ndo_init", kRtnl, kProcess, kDone, "nothing to prepare", kErrno},
      {Ndo::kUninit, "uninit", "ndo_uninit", kRtnl, kProcess, kDone, "nothing to undo", kVoid},
      {Ndo::kOpen, "open", "ndo_open", kOperation, kProcess, kRequired, "", kErrno},
      {Ndo::kStop, "stop", "ndo_stop", kOperation, kProcess, kRequired, "", kVoid},
      {Ndo::kStartXmit, "start_xmit", "ndo_start_xmit", kXmit, kBhDisabled, kRequired, "",
       "kOk or kDropped: the skb is the driver's; kBusy: it is untouched"},
      {Ndo::kRxFilterCaps, "rx_filter_caps", "", kRtnl, kProcess, kDone, kNoFilter, "what the card's filter can hold"},
      {Ndo::kUnicastFilter, "unicast_filter", "", kRtnl, kProcess, kDone, "it has one", "whether the card has one"},
      {Ndo::kSetRxModeAsync, "set_rx_mode_async", "ndo_set_rx_mode_async", kRunRtnl, kProcess, kDone, kNoFilter,
       "an answer to each command that it took"},
      {Ndo::kPrepareRxMode, "prepare_rx_mode", "", kRun | kAddrList, kBhDisabled, kDone, kNoFilter, kErrno},
      {Ndo::kWriteRxMode, "write_rx_mode", "", kRunRtnl, kProcess, kDone, kNoFilter, kErrno},
      {Ndo::kSetRxMode, "set_rx_mode", "ndo_set_rx_mode", kRun | kAddrList, kBhDisabled, kDone, kNoFilter, kVoid},
      {Ndo::kSetRxModeKernel, "set_rx_mode_async(dev, uc, mc)", "ndo_set_rx_mode_async", kRunRtnl, kProcess, kDone,
       kNoFilter, "0, or a negative errno"},
      {Ndo::kRxHash, "rx_hash", "", kNone, kAny, kDone, "no hash", "a bucket of the card's"},
      {Ndo::kChangeRxFlags, "change_rx_flags", "ndo_change_rx_flags", kRunRtnl, kProcess, kDone, "nothing to pass on",
       kVoid},
      {Ndo::kChangeMtu, "change_mtu", "ndo_change_mtu", kOperation, kProcess, kDone, "any MTU within the limits",
       kErrno},
      {Ndo::kSetMacAddress, "set_mac_address", "ndo_set_mac_address", kOperation, kProcess, kNotSupported, "EOPNOTSUPP",
       kErrno},
      {Ndo::kChangeCarrier, "change_carrier", "ndo_change_carrier", kOperation, kProcess, kNotSupported, "EOPNOTSUPP",
       kErrno},
      {Ndo::kHwFeatures, "hw_features", "", kRtnl, kProcess, kDone, "no offload", "what the card can do"},
      {Ndo::kFixFeatures, "fix_features", "ndo_fix_features", kRtnl, kProcess, kDone, "what was asked for",
       "of what is asked for, what goes together"},
      {Ndo::kSetFeatures, "set_features", "ndo_set_features", kOperation, kProcess, kDone, "nothing to tell the card",
       kErrno},
      {Ndo::kGetStats, "get_stats", "ndo_get_stats64", kNone, kBhDisabled, kDone, "nothing to add", kVoid},
      {Ndo::kPoll, "poll", "napi_struct.poll", kNone, kBhDisabled, kDone, "the driver has no NAPI instance",
       "how many frames: its budget to be polled again, less once it has completed"},
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
