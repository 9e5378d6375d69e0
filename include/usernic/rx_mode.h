// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: the receive mode of a device.
//
// A NIC receives what its filter accepts. What the stack wants received changes in any context and at any rate.
// Programming a card takes from a microsecond to seconds and may fail. So there are two records with one writer each:
//
//   any context --[addr_list_lock]--> wanted --[addr_list_lock, chunks]--> rx-mode work --[lane, instance lock (IL)]-->
//       one driver call --> rx-mode work --[addr_list_lock, chunks]--> programmed <--[addr_list_lock]-- any reader
//
// Nobody who changes `wanted` waits for a card. Newest wins: at most one driver call is in flight and at most one
// more is owed. A filter is widened first and narrowed last, so an address that is wanted throughout stays covered. A
// failure is a state that can be read, and is retried. After a reset of the card everything is programmed again.
//
// An address is covered when the card passes it now: by exact entry, hash bucket, allmulti or promisc.
//
//   Result<> join(NetDevice& dev, const MacAddress& group) {
//     const Result<> added = dev.mc().add(group);  // any context; the card is programmed soon
//     if (!added) return added;
//     const RxTicket ticket = dev.rx_mode().ticket(group);
//     return dev.rx_mode().wait(ticket, Clock::now() + std::chrono::seconds(1));  // process context; covered now
//   }
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "usernic/address_list.h"
#include "usernic/context.h"
#include "usernic/env.h"
#include "usernic/error.h"
#include "usernic/mac_address.h"

namespace usernic {

enum class FilterMode : uint8_t { kNone, kExact, kHash, kAllmulti, kPromisc };
std::string_view filter_mode_name(FilterMode mode) noexcept;

struct RxModeStatus {
  bool up = false;
  MacAddress own_address;
  uint64_t generation_wanted = 0;
  uint64_t generation_programmed = 0;
  FilterMode unicast_mode = FilterMode::kNone;
  FilterMode multicast_mode = FilterMode::kNone;
  std::string reason;  // why the modes are what they are, and what is deferred

  std::vector<MacAddress> wanted_unicast, wanted_multicast;  // sorted
  uint32_t promiscuity = 0, allmulti = 0;                    // references
  bool vlan_filter = false;
  std::vector<uint16_t> wanted_vlans;

  std::vector<MacAddress> programmed_unicast, programmed_multicast;  // exactly or by hash, sorted
  bool programmed_promisc = false, programmed_allmulti = false;
  std::vector<uint16_t> programmed_vlans;

  struct Failed {
    MacAddress address;
    std::errc error;
    uint32_t attempts;
    Duration next_retry;  // from now; zero when due, or for a card without room
  };
  std::vector<Failed> failed;         // sorted by address
  std::vector<MacAddress> uncovered;  // wanted, and not covered now; sorted

  struct Stats {
    uint64_t changes, runs, driver_calls, coalesced, retries, failures;  // runs and calls: those that have returned
    Duration lag_p50, lag_p99, lag_max;                                  // from a change to its being in effect
  } stats{};
};

// Waits for one address: done when it is covered. [kernel: nothing like it]
struct RxTicket {
  MacAddress address;
  uint64_t generation = 0;
};

class RxMode {
 public:
  RxMode(const RxMode&) = delete;
  RxMode& operator=(const RxMode&) = delete;

  // Counted references: +1 or -1. EOVERFLOW. EINVAL: below zero. The card is programmed soon. Switching off is deferred
  // while an address has no other cover yet. Context: any but hard irq. [kernel: dev_set_promiscuity, dev_set_allmulti]
  Result<> set_promiscuity(int change);
  Result<> set_allmulti(int change);

  // The VLAN filter is open (every VLAN passes) until it is switched on. EOPNOTSUPP: one that is always on
  // (RxFilterCaps::vlan_filter_fixed). Ids are counted references, which the devices below get, too (VlanIds). EINVAL:
  // id above 4094. EOVERFLOW: more than 4095 references. ENOENT. ENOMEM.
  Result<> set_vlan_filter(bool on);
  Result<> vlan_add(uint16_t id);
  Result<> vlan_del(uint16_t id);

  // Does the card pass the address now? Context: any but hard irq.
  bool covered(const MacAddress& address) const;

  // A ticket stands for the newest change of `address`; `wait` sleeps until the address is covered. At once: ECANCELED,
  // nobody wants the address any more; ENETDOWN, the device is down; ENODEV, it is gone; ENOSPC, the card has no way
  // left. At the deadline: the address' last error, or ETIMEDOUT. Context: process, neither rtnl nor IL held.
  RxTicket ticket(const MacAddress& address) const;
  Result<> wait(const RxTicket& ticket, Time deadline, Place where = Place::current()) const;
  // Sleeps until every change that was made before the call is in effect: all wanted addresses are covered, no retry is
  // owed, nothing is deferred. Errors as above.
  Result<> settle(Time deadline, Place where = Place::current()) const;

  // Is promiscuity, is allmulti wanted? The answer depends on who asks. In prepare_rx_mode, set_rx_mode and
  // set_rx_mode_async(dev, uc, mc) it is what the call is to bring about. Elsewhere on the device's lane, from open to
  // stop, it is what the driver was told (rx_flags.h). Anywhere else it is what is wanted now. Takes no lock.
  bool promisc() const noexcept USERNIC_NONBLOCKING;
  bool allmulti() const noexcept USERNIC_NONBLOCKING;

  // `call_soon`: the driver is called soon, even if nothing changed, but never with an empty plan. `retry_now`: what
  // waits for a retry is due at once. Context: any. [kernel: dev_set_rx_mode, netif_rx_mode_run]
  void call_soon() noexcept USERNIC_NONBLOCKING;
  void retry_now() noexcept USERNIC_NONBLOCKING;

  // The card lost its filter (reset, resume, re-plug): everything is programmed again. Context: any.
  void card_forgot() noexcept USERNIC_NONBLOCKING;

  // A copy, made in chunks; never waits for a card. Context: process.
  RxModeStatus status() const;

 protected:
  RxMode() = default;
  ~RxMode() = default;
};

}  // namespace usernic
// Explained best by: core/rx/rx_mode_test.cc
