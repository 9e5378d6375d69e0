// SPDX-License-Identifier: Apache-2.0
// core: what is wanted received of one device: both lists and the scalars, under addr_list_lock.
//
// Every change bumps `generation` and, once the lock is gone, owes the device's rx-mode work a run.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>

#include "core/address_table.h"
#include "core/lock_classes.h"
#include "usernic/lock.h"
#include "usernic/mac_address.h"

namespace usernic {

inline constexpr uint16_t kVlanIds = 4095;  // 0 .. 4094

class Wanted {
 public:
  // `owe_run` is called after a change, without the lock; any context.
  Wanted(NetDevice& dev, std::move_only_function<void()> owe_run, uint64_t seed);

  NetDevice& dev;

  mutable SpinLock lock{kAddrListClass};
  // Nesting level of `lock`: a stacked device is above its lower ones.
  int level() const noexcept { return level_.load(std::memory_order_relaxed); }
  void raise_level(int level) noexcept;

  // Under `lock`.
  uint64_t generation = 0;
  bool gone = false;  // unregistered: no more changes
  EntryPool pool;
  AddressTable uc;
  AddressTable mc;
  uint32_t promiscuity = 0;
  uint32_t allmulti = 0;
  bool vlan_filter = false;
  std::bitset<kVlanIds> vlans;
  MacAddress own;
  uint64_t changes = 0;
  bool dirty = false;  // changed since the last run sampled
  Time dirty_since{};

  AddressTable& table(AddressClass address_class) noexcept { return address_class == AddressClass::kUnicast ? uc : mc; }
  uint64_t next_generation() noexcept;

  // Calls `change` under the lock, with an entry in the pool, and owes a run if the generation moved.
  template <class Change>
  Result<> apply(Change&& change);
  // Without the lock: sees to it that `entries` can be taken without an allocation, for now.
  void reserve(size_t entries);
  void owe_run() { owe_run_(); }

 private:
  Atomic<int> level_{0};
  std::move_only_function<void()> owe_run_;
};

template <class Change>
Result<> Wanted::apply(Change&& change) {
  while (true) {
    {
      SpinGuardBh guard(lock, level());
      if (gone) return fail(std::errc::no_such_device);
      if (pool.free_entries() != 0) [[likely]] {
        const uint64_t before = generation;
        const Result<> result = change();
        if (generation == before) return result;
        break;
      }
    }
    reserve(1);
  }
  owe_run_();
  return {};
}

}  // namespace usernic
