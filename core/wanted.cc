// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/wanted.h"

#include <new>

namespace usernic {

Wanted::Wanted(NetDevice& device, StackLock& stack_lock, Workqueue& lane, OwedRun& owed, uint64_t seed)
    : dev(device),
      stacks(stack_lock),
      uc(*this, *this, pool, AddressClass::kUnicast, seed),
      mc(*this, *this, pool, AddressClass::kMulticast, seed),
      run(owed),
      lane_(lane),
      serve_(
          [this] {
            while (!serve_once()) {  // a hold at a time: other devices' changers get their turn in between
            }
          },
          &device) {}

bool Wanted::serve_once() {
  Propagation below;  // finishes after the lock is gone
  ListGuard guard(lock, stack_level);
  return below.serve(*this);
}

void Wanted::set_own(const MacAddress& address, bool in_list, Uppers& uppers) {
  const Result<> changed = apply(
      [&]() -> Result<> {
        addr_list_lock.assert_held();
        if (address == own) return {};
        if (in_list) {
          // The new one first: an address that is taken away and given again in between was never wanted twice.
          uc.set_own(address, true);
          uc.set_own(own, false);
        }
        own = address;
        scalar_changed();
        for (Link& upper : uppers) upper.settle_own();
        return {};
      },
      2);
  if (!changed && changed.error() == std::errc::not_enough_memory) throw std::bad_alloc();
}

bool Wanted::reserve(size_t entries) noexcept {
  while (true) {
    {
      ListGuard guard(lock, level());
      if (pool.free_entries() >= entries) return true;
    }
    auto slab = EntryPool::make_slab();
    if (slab == nullptr) return false;
    ListGuard guard(lock, level());
    pool.adopt(std::move(slab));
  }
}

Result<> Wanted::count(ModeRefs& mode, uint32_t ModeRefs::*whose, int change) noexcept {
  if (change != 1 && change != -1) return fail(std::errc::invalid_argument);
  if (change == -1 && mode.*whose == 0) return fail(std::errc::invalid_argument);
  if (change == 1 && mode.total() == UINT32_MAX) return fail(std::errc::value_too_large);
  const bool was_on = mode.total() != 0;
  mode.*whose += change;
  if (was_on == (mode.total() != 0)) return {};
  scalar_changed();
  mode.on.store(!was_on);  // somebody may look from here on, and must not see the change without its generation
  return {};
}

void Wanted::set_vlan_refs(uint16_t id, uint32_t refs) noexcept {
  vlan_refs[id] = refs;
  if (vlans[id] == (refs != 0)) return;
  vlans.flip(id);
  scalar_changed();
}

const WantedList& Wanted::wanting(const MacAddress& address) const noexcept {
  const WantedList& usual = address.is_multicast() ? mc : uc;
  const WantedList& other = address.is_multicast() ? uc : mc;
  const auto wants = [&address](const WantedList& list) USERNIC_REQUIRES(addr_list_lock) {
    const AddressEntry* const entry = list.find(address);
    return entry != nullptr && entry->wanted();
  };
  return !wants(usual) && wants(other) ? other : usual;
}

}  // namespace usernic
