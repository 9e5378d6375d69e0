// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: the receive mode of a device.
//
// A NIC receives what its filter accepts. What the stack wants received changes in any context and at any rate;
// programming a card takes from a microsecond to seconds and may fail. So there are two records with one writer each:
//
//   any context --[addr_list_lock]--> wanted --[addr_list_lock, chunks]--> rx-mode work --[lane + instance lock]-->
//       one driver call --> rx-mode work --[addr_list_lock, chunks]--> programmed <--[addr_list_lock]-- any reader
//
// Nobody who changes `wanted` waits for a card. Newest wins: at most one driver call is in flight and at most one
// more is owed. Filters are widened first and narrowed last, so an address wanted throughout stays covered. A failure
// is a state that can be read, and is retried; the card's reset is answered by programming everything again.
//
// Covered means: the card passes this address now, by exact entry, hash bucket, allmulti or promisc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "usernic/address_list.h"
#include "usernic/context.h"
#include "usernic/hw_addr_list.h"
#include "usernic/rx_filter.h"
#include "usernic/rx_flags.h"
#include "usernic/rx_lists.h"

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

  std::vector<MacAddress> programmed_unicast, programmed_multicast;  // held exactly or by hash, sorted
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

  // Counted: +1 or -1. EOVERFLOW; EINVAL below zero. Context: any but hard irq; the card follows soon. Switching off
  // may be deferred while an address is not yet covered otherwise. [kernel: dev_set_promiscuity, dev_set_allmulti]
  Result<> set_promiscuity(int change);
  Result<> set_allmulti(int change);

  // The VLAN filter is open (every VLAN passes) until it is switched on. Ids are counted references, and go down to the
  // devices below (VlanIds). EINVAL: id above 4094. EOVERFLOW: more than 4095. ENOENT. ENOMEM.
  Result<> set_vlan_filter(bool on);
  Result<> vlan_add(uint16_t id);
  Result<> vlan_del(uint16_t id);

  // Does the card pass the address now? Context: any but hard irq.
  bool covered(const MacAddress& address) const;

  // A ticket for the newest change of `address`, and waiting for it: ok when it is covered; ECANCELED when it is no
  // longer wanted, ENETDOWN when the device is down, ENODEV when it is gone, ENOSPC when the card has no way left -
  // at once; at the deadline the address' last error, or ETIMEDOUT. Context: process, neither rtnl nor IL held.
  RxTicket ticket(const MacAddress& address) const;
  Result<> wait(const RxTicket& ticket, Time deadline, Place where = Place::current()) const;
  // Waits until every change made before the call is in effect: all wanted addresses covered, no retry owed,
  // nothing deferred.
  Result<> settle(Time deadline, Place where = Place::current()) const;

  // Is it asked for? In prepare_rx_mode, set_rx_mode and a call of the kernel's signature: what that is to bring about;
  // elsewhere on the device's lane, from open to stop: what the driver was told (rx_flags.h); elsewhere: now. Takes no
  // lock.
  bool promisc() const noexcept USERNIC_NONBLOCKING;
  bool allmulti() const noexcept USERNIC_NONBLOCKING;

  // Has the driver called soon, whatever changed (not with an empty plan); what waits for a retry is due at once.
  // Context: any. [kernel: dev_set_rx_mode, netif_rx_mode_run]
  void call_soon() noexcept USERNIC_NONBLOCKING;
  void retry_now() noexcept USERNIC_NONBLOCKING;

  // The card lost its filter (reset, resume, re-plug): everything is programmed again. Context: any.
  void card_forgot() noexcept USERNIC_NONBLOCKING;

  // Never waits for a card; copies in chunks. Context: process.
  RxModeStatus status() const;

 protected:
  RxMode() = default;
  ~RxMode() = default;
};

}  // namespace usernic
// Explained best by: core/rx/rx_mode_test.cc
