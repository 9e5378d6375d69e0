// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the inside of a LowerLink: what one upper device has put on one lower device.
//
// Links are added and removed under rtnl, both ends' addr_list_lock and the lower's uppers_lock: whoever holds one of
// them may walk. What was told changes under both addr_list_locks.
#pragma once

#include <boost/intrusive/list.hpp>

#include "core/list/address_table.h"
#include "core/list/vlan_set.h"
#include "usernic/device_ref.h"
#include "usernic/work.h"

namespace usernic {

struct Device;
enum class VlanIds : uint8_t;
class Wanted;
class WantedList;

struct Link {
  Device& upper;
  Workqueue& queue;
  Work& changed;
  const VlanIds vlan_ids;

  DeviceHandle lower_dev;             // keeps it in memory while linked
  Atomic<NetDevice*> lower{nullptr};  // who sends looks under an xmit lock
  Wanted* to = nullptr;               // what is wanted of the lower
  Atomic<bool> in_use{false};         // from link until the last touch of unlink; without a lock: look again under rtnl
  bool active = false;
  bool settled = true;              // not active, and everything was taken back
  uint64_t told = kUntold;          // the upper's generation, all of which the lower knows
  uint64_t scalars_told = kUntold;  // that of the upper's scalars
  static constexpr uint64_t kUntold = UINT64_MAX;

  // What the lower was told.
  Subscriber uc, mc;
  bool promisc = false;   // it has our reference
  bool allmulti = false;  // the same
  MacAddress own;         // the upper's own address; zero: none
  bool own_told = false;  // it is not the lower's own too, so its unicast list has our reference
  VlanSet vlans;          // that have our reference

  boost::intrusive::list_member_hook<> lower_hook;  // in the upper's list of lowers
  boost::intrusive::list_member_hook<> upper_hook;  // in the lower's list of uppers

  // Does the lower not know everything that the upper wanted at `generation`?
  bool behind(uint64_t generation) const noexcept { return told != generation; }
  // Tells it at most a chunk of each list; returns how many entries, and VLAN ids. Requires: both addr_list_locks, room
  // in the pool.
  size_t tell(Wanted& from) noexcept USERNIC_REQUIRES(addr_list_lock);
  bool passes_vlans() const noexcept;  // the upper's ids go down
  // The lower holds our own address exactly while it is not its own. Requires: the lower's addr_list_lock, room.
  void settle_own() noexcept USERNIC_REQUIRES(addr_list_lock);

 private:
  // A chunk of each, counted in `entries`. They return true when nothing is left to tell.
  bool tell_list(WantedList& upper, Subscriber& subscriber, WantedList& lower, size_t& entries) noexcept
      USERNIC_REQUIRES(addr_list_lock);
  bool tell_wider(Wanted& from, size_t& entries) noexcept USERNIC_REQUIRES(addr_list_lock);
  void tell_narrower(const Wanted& from) noexcept USERNIC_REQUIRES(addr_list_lock);
  void tell_own(Wanted& from) noexcept USERNIC_REQUIRES(addr_list_lock);
  bool tell_vlans(const Wanted& from, size_t& entries) noexcept USERNIC_REQUIRES(addr_list_lock);
};

using Lowers = boost::intrusive::list<
    Link, boost::intrusive::member_hook<Link, boost::intrusive::list_member_hook<>, &Link::lower_hook>>;
using Uppers = boost::intrusive::list<
    Link, boost::intrusive::member_hook<Link, boost::intrusive::list_member_hook<>, &Link::upper_hook>>;

// Entries that one `tell` may take from the lower's pool: a chunk of each list, the own address and the one before.
inline constexpr size_t kTellEntries = 2 * AddressTable::kChunk + 2;

// What `to` has to hear of one entry of `from` whose subscriber has `bit`. Requires: both addr_list_locks.
void tell_entry(AddressTable& from, AddressEntry& entry, uint64_t bit, WantedList& to, bool wanted) noexcept
    USERNIC_REQUIRES(addr_list_lock);

// References on an address that is the own one too come and go without an effective change, and rule R10 keeps the
// entry where it is in the change order; so whoever told of another own address tells of the list's share in this one.
void tell_own_entry(AddressTable& from, const MacAddress& own, uint64_t bit, WantedList& to, bool wants) noexcept
    USERNIC_REQUIRES(addr_list_lock);

}  // namespace usernic
