// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: the RX filter as a driver sees it: what the card can do, and the plan of one driver call.
//
// A driver says in RxFilterCaps what its card holds. The core decides what goes where, and calls the driver's
// `set_rx_mode_async(RxPlan&)` with ordered commands. The driver executes them in order and answers each:
//
//   while (RxCommand* command = plan.next()) plan.answer(*command, card_.execute(*command));
//
// The plan keeps these rules for the driver. After a failure it hands out nothing destructive. An add that waits for a
// slot comes only when a slot was freed. `next` ends when the call is asked to stop.
//
// The driver answers: ok; no_space_on_device, the table is full; operation_not_supported, this command never works;
// anything else, which is transient and retried. The first two errors are refusals: the command did nothing.
// operation_canceled after a stop is no failure. While the card's filter is lost and the core is not told yet
// (RxMode::card_forgot) every command must fail.
#pragma once

#include <cstdint>

#include "usernic/context.h"
#include "usernic/env.h"
#include "usernic/error.h"
#include "usernic/mac_address.h"

namespace usernic {

// Is it an answer that no retry will change? Then the command did nothing, and something wider takes its place.
constexpr bool is_refusal(std::errc error) noexcept {
  return error == std::errc::no_space_on_device || error == std::errc::operation_not_supported;
}

enum class AddressClass : uint8_t { kUnicast, kMulticast };

// What fits in the card's filter; 0: it has none. Constant from registration on. Registration refuses what no card can
// have (EINVAL, and a sentence on stderr). The core's memory does not depend on the slots: 145 octets for each wanted
// address, 9 for each bucket.
struct RxFilterCaps {
  uint32_t unicast_slots = 0;          // exact entries
  uint32_t multicast_slots = 0;        // exact entries; not used with shared_slots
  bool shared_slots = false;           // one table of `unicast_slots` entries serves both classes
  bool own_address_uses_slot = false;  // false: the own address has a register, set by set_mac_address
  uint32_t unicast_hash_buckets = 0;  // powers of two: bits of a hash choose one. rx_hash says which, below this number
  uint32_t multicast_hash_buckets = 0;
  bool promisc = true;
  bool allmulti = true;
  uint32_t vlan_slots = 0;         // VLAN ids; 0: every VLAN passes, always
  bool vlan_filter_fixed = false;  // the VLAN filter is on, always: an id that finds no room goes deaf, the others stay
};
// No known card has a hundredth of the slots, or a tenth of the buckets. More is a mistake.
inline constexpr uint32_t kRxSlotsMax = 1u << 20;
inline constexpr uint32_t kRxHashBucketsMax = 1u << 16;
inline constexpr uint32_t kRxVlanSlotsMax = 4096;

enum class RxCommandKind : uint8_t {
  kWiden,        // accept more: turn a flag on
  kAdd,          // accept this address or VLAN id exactly
  kSetBucket,    // accept what hashes to `bucket`
  kDel,          // stop accepting it exactly
  kClearBucket,  // stop accepting what hashes to `bucket`
  kNarrow,       // accept less: turn a flag off
};

enum class RxObject : uint8_t {
  kUnicast,         // kAdd, kDel: `address`; kSetBucket, kClearBucket: `bucket` of the unicast hash
  kMulticast,       // the same of the multicast hash
  kVlan,            // kAdd, kDel: `vlan`
  kPromisc,         // kWiden, kNarrow: accept everything
  kAllmulti,        // kWiden, kNarrow: accept every multicast
  kVlanUnfiltered,  // kWiden, kNarrow: accept every VLAN
};

struct RxCommand {
  RxCommandKind kind;
  RxObject object;
  bool own = false;  // `address` is the device's own
  uint16_t vlan = 0;
  uint32_t bucket = 0;
  MacAddress address{};

  bool operator==(const RxCommand&) const = default;
};

class RxTarget;
class CallPlan;

class RxPlan {
 public:
  // The next command to execute; null when there is none, or the call is asked to stop.
  RxCommand* next() noexcept;
  // One answer for each command that was handed out, unchanged; anything else is a contract report.
  void answer(RxCommand& command, Result<> result, Place where = Place::current()) noexcept;

  // Stops when somebody waits for this call to end. Give it, and a deadline, to everything that waits for the bus.
  StopToken stop() const noexcept;
  // Everything that the card shall accept after this plan, for a card that is written as one image. Valid in the call.
  const RxTarget& target() const noexcept { return target_; }

 private:
  friend class CallPlan;
  RxPlan(CallPlan& call, const RxTarget& target) noexcept : call_(call), target_(target) {}

  CallPlan& call_;
  const RxTarget& target_;
};

// Everything that the card shall accept. No copy, no lock: it is what the rx-mode work itself looks at.
class RxTarget {
 public:
  virtual bool promisc() const noexcept = 0;
  virtual bool allmulti() const noexcept = 0;
  virtual MacAddress own_address() const noexcept = 0;
  // Calls `visit(user, address)` for each wanted address of the class, in no particular order.
  using Visit = void (*)(void* user, const MacAddress& address);
  virtual void for_each(AddressClass address_class, Visit visit, void* user) const = 0;

 protected:
  ~RxTarget() = default;
};

}  // namespace usernic
// Explained best by: core/rx/rx_mode_test.cc
