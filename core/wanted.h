// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what is wanted received of one device: both lists and the scalars, under addr_list_lock.
//
// Every change bumps `generation` and, once the lock is gone, owes the device's rx-mode work a run.
#pragma once

#include <array>
#include <cstdint>

#include "core/address_table.h"
#include "core/level_guard.h"
#include "core/link.h"
#include "core/lock_classes.h"
#include "core/propagation.h"
#include "core/vlan_set.h"
#include "usernic/lock.h"
#include "usernic/mac_address.h"

namespace usernic {

// References on promiscuity or allmulti. A user cannot take back what is an upper device's, or the switch's.
struct ModeRefs {
  uint32_t users = 0;
  uint32_t uppers = 0;     // one a link
  uint32_t by_switch = 0;  // one or none: RxMode::switch_flags
  Atomic<bool> on{false};  // is there one? Without the lock, too
  uint32_t total() const noexcept { return users + uppers + by_switch; }
};

class Wanted {
 public:
  Wanted(NetDevice& dev, uint64_t seed);

  NetDevice& dev;

  mutable SpinLock lock{kAddrListClass};
  // Nesting level of `lock`: how many devices are above this one. See level_guard.h; who takes one lock only may use
  // a level that was read before.
  Atomic<int> stack_level{0};
  int level() const noexcept { return stack_level.load(std::memory_order_relaxed); }

  // Under `lock`.
  uint64_t generation = 0;  // so many changes
  uint64_t scalars = 0;     // generation of the last change of promiscuity, allmulti, own address or VLAN ids
  bool gone = false;        // unregistered: no more changes
  EntryPool pool;
  AddressTable uc;
  AddressTable mc;
  ModeRefs promiscuity;
  ModeRefs allmulti;
  bool vlan_filter = false;
  VlanSet vlans;  // those with references
  std::array<uint32_t, kVlanIds> vlan_refs{};
  MacAddress own;
  Lowers lowers;       // links to the devices below
  bool dirty = false;  // changed since the last run sampled
  Time dirty_since{};

  AddressTable& table(AddressClass address_class) noexcept { return address_class == AddressClass::kUnicast ? uc : mc; }
  uint64_t next_generation() noexcept {
    if (!dirty) {
      dirty = true;
      dirty_since = Clock::now();
    }
    return ++generation;
  }
  void scalar_changed() noexcept { scalars = next_generation(); }

  // One reference more or less of `whose`. EINVAL, EOVERFLOW. Requires: `lock`.
  Result<> count(ModeRefs& mode, uint32_t ModeRefs::*whose, int change) noexcept;
  // The references on an id become `refs`, a sum of VlanRefs' units. Requires: `lock`.
  void set_vlan_refs(uint16_t id, uint32_t refs) noexcept;

  // Calls `change` under the lock, with `entries` in the pool. If the generation moved, the devices below hear of it,
  // and a run is owed. ENOMEM: there is none for the entries.
  template <class Change>
  Result<> apply(Change&& change, size_t entries = 1);
  // Without the lock: sees to it that `entries` can be taken without an allocation, for now. False: there is no memory.
  [[nodiscard]] bool reserve(size_t entries) noexcept;
  void owe_run() noexcept;
  void owe_serve() noexcept;
};

// In the path of every change of a list, so it is made for the caller who is on top of nothing.
template <class Change>
[[gnu::always_inline]] inline Result<> Wanted::apply(Change&& change, size_t entries) {
  Propagation below;  // finishes after the lock is gone
  bool more_below = false;
  while (true) {
    {
      LevelGuard guard(lock, stack_level);
      if (gone) return fail(std::errc::no_such_device);
      if (pool.free_entries() >= entries) [[likely]] {
        const uint64_t before = generation;
        const Result<> result = change();
        if (generation == before) return result;
        if (!lowers.empty()) [[unlikely]]
          more_below = !below.serve(*this);
        break;
      }
    }
    if (!reserve(entries)) return fail(std::errc::not_enough_memory);
  }
  owe_run();
  if (more_below) owe_serve();
  return {};
}

}  // namespace usernic
