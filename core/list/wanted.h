// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what is wanted received of one device: both lists and the scalars, under addr_list_lock.
//
// Every change bumps `generation` and, once the lock is gone, owes the device's rx-mode work a run.
#pragma once

#include <cstdint>

#include "core/list/change_count.h"
#include "core/list/link.h"
#include "core/list/owed_run.h"
#include "core/list/propagation.h"
#include "core/list/put_off_syncs.h"
#include "core/list/stack_lock.h"
#include "core/list/vlan_refs.h"
#include "core/list/vlan_set.h"
#include "core/list/wanted_list.h"
#include "core/lock/level_guard.h"
#include "core/lock/lock_classes.h"
#include "usernic/lock.h"
#include "usernic/mac_address.h"
#include "usernic/rx_flags.h"

namespace usernic {

// References on promiscuity or allmulti. A user cannot take back what is an upper device's, or the switch's.
struct ModeRefs {
  uint32_t users = 0;
  uint32_t uppers = 0;     // one a link
  uint32_t by_switch = 0;  // one or none: RxMode::switch_flags
  Atomic<bool> on{false};  // is there one? Without the lock, too
  uint32_t total() const noexcept { return users + uppers + by_switch; }
};

// What a change may take.
struct WantedRoom {
  size_t entries = 1;
  bool vlan_refs = false;
};

class Wanted : public ChangeCount {
 public:
  Wanted(NetDevice& dev, StackLock& stacks, Workqueue& lane, OwedRun& run, uint64_t seed);

  NetDevice& dev;
  StackLock& stacks;

  mutable SpinLock lock{kAddrListClass};
  // Nesting level of `lock`: how many devices are above this one. See level_guard.h; who takes one lock only may use
  // a level that was read before.
  Atomic<int> stack_level{0};
  int level() const noexcept { return stack_level.load(std::memory_order_relaxed); }

  uint64_t scalars USERNIC_GUARDED_BY(addr_list_lock) = 0;  // generation of the last change of flags, own, VLAN ids
  bool gone USERNIC_GUARDED_BY(addr_list_lock) = false;     // unregistered: no more changes
  EntryPool pool USERNIC_GUARDED_BY(addr_list_lock);
  WantedList uc;
  WantedList mc;
  ModeRefs promiscuity USERNIC_GUARDED_BY(addr_list_lock);
  ModeRefs allmulti USERNIC_GUARDED_BY(addr_list_lock);
  bool vlan_filter USERNIC_GUARDED_BY(addr_list_lock) = false;
  VlanSet vlans USERNIC_GUARDED_BY(addr_list_lock);  // those with references
  VlanRefs vlan_refs USERNIC_GUARDED_BY(addr_list_lock);
  MacAddress own USERNIC_GUARDED_BY(addr_list_lock);
  Lowers lowers;  // links to the devices below: link.h
  PutOffSyncs put_off_syncs USERNIC_GUARDED_BY(addr_list_lock);
  uint64_t last_look = 0;  // that found it: core/list/stack_graph.cc, under its lock

  WantedList& table(AddressClass address_class) noexcept { return address_class == AddressClass::kUnicast ? uc : mc; }
  // That of the address' own class, unless it is wanted by the other list only.
  const WantedList& wanting(const MacAddress& address) const noexcept USERNIC_REQUIRES(addr_list_lock);
  // Is one asked for? Takes no lock.
  RxFlags flags() const noexcept USERNIC_NONBLOCKING USERNIC_NO_THREAD_SAFETY_ANALYSIS {
    return {.promisc = promiscuity.on.load(), .allmulti = allmulti.on.load()};
  }
  void scalar_changed() noexcept USERNIC_REQUIRES(addr_list_lock) { scalars = next_generation(); }

  // One reference more or less of `whose`. EINVAL, EOVERFLOW.
  Result<> count(ModeRefs& mode, uint32_t ModeRefs::*whose, int change) noexcept USERNIC_REQUIRES(addr_list_lock);
  // The references on an id become `refs`, a sum of VlanRefs' units. Requires: its counters, unless there are none.
  void set_vlan_refs(uint16_t id, uint32_t refs) noexcept USERNIC_REQUIRES(addr_list_lock);
  // What users ask for, by RxMode's methods.
  Result<> change_mode(ModeRefs Wanted::*mode, int change);
  Result<> switch_flags(RxFlags on);
  RxFlags switched() const;
  Result<> set_vlan_filter(bool on);
  Result<> change_vlan(uint16_t id, bool add);
  // Holds lists and flags still / and then carries out what was put off until now.
  void hold(Place where) noexcept USERNIC_NONBLOCKING;
  void let_go() noexcept USERNIC_NONBLOCKING;

  // `in_list`: it uses a slot of the card, so it is an entry of the unicast list.
  void set_own(const MacAddress& address, bool in_list, Uppers& uppers);

  bool has_room(WantedRoom room) const noexcept USERNIC_REQUIRES(addr_list_lock) {
    return pool.free_entries() >= room.entries && (!room.vlan_refs || vlan_refs.made());
  }
  // Calls `change` under the lock, with that room. If the generation moved, the devices below hear of it, and a run is
  // owed. ENOMEM: there is none.
  template <class Change>
  Result<> apply(Change&& change, WantedRoom room = {});
  // Without the lock: sees to it that there is room without an allocation, for now. False: there is no memory.
  [[nodiscard]] bool reserve(WantedRoom room) noexcept;

  // The rx-mode work owes a run. Context: any.
  OwedRun& run;
  // The devices below have to hear more than a changer tells them: the lane does it / now, about a chunk; false: there
  // is more. Context: any / process, no locks.
  void owe_serve() noexcept USERNIC_NONBLOCKING { lane_.queue(serve_); }
  bool serve_once();
  // Sleeps until nobody serves any more.
  void stop_serving() { serve_.disable_sync(); }

 private:
  Workqueue& lane_;
  Work serve_;
};

// In the path of every change of a list, so it is made for the caller who is on top of nothing.
template <class Change>
[[gnu::always_inline]] inline Result<> Wanted::apply(Change&& change, WantedRoom room) {
  Propagation below;  // finishes after the lock is gone
  bool more_below = false;
  while (true) {
    {
      ListGuard guard(lock, stack_level);
      if (gone) return fail(std::errc::no_such_device);
      if (has_room(room)) [[likely]] {
        const uint64_t before = generation;
        const Result<> result = change();
        if (generation == before) return result;
        if (!lowers.empty()) [[unlikely]]
          more_below = !below.serve(*this);
        break;
      }
    }
    if (!reserve(room)) return fail(std::errc::not_enough_memory);
  }
  run.owe();
  if (more_below) owe_serve();
  return {};
}

}  // namespace usernic
