// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/list/wanted.h"

#include <new>
#include <utility>

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
      {.entries = 2});
  if (!changed && changed.error() == std::errc::not_enough_memory) throw std::bad_alloc();
}

bool Wanted::reserve(WantedRoom room) noexcept {
  std::unique_ptr<VlanRefs::Counters> counters;
  while (true) {
    bool refs_missing = false;
    {
      ListGuard guard(lock, level());
      if (has_room(room)) return true;
      refs_missing = room.vlan_refs && !vlan_refs.made();
    }
    if (refs_missing) {
      counters = VlanRefs::make();
      if (counters == nullptr) return false;
      ListGuard guard(lock, level());
      vlan_refs.adopt(counters);
      continue;
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
  vlan_refs.set(id, refs);
  if (vlans[id] == (refs != 0)) return;
  vlans.flip(id);
  scalar_changed();
}

Result<> Wanted::change_mode(ModeRefs Wanted::*mode, int change) {
  return apply([&] {
    addr_list_lock.assert_held();
    return count(this->*mode, &ModeRefs::users, change);
  });
}

Result<> Wanted::switch_flags(RxFlags on) {
  const auto turn = [this](ModeRefs Wanted::*which, bool to) {
    return apply([&]() -> Result<> {
      addr_list_lock.assert_held();
      ModeRefs& mode = this->*which;
      if ((mode.by_switch != 0) == to) return {};
      return count(mode, &ModeRefs::by_switch, to ? 1 : -1);
    });
  };
  const Result<> promisc_turned = turn(&Wanted::promiscuity, on.promisc);
  const Result<> allmulti_turned = turn(&Wanted::allmulti, on.allmulti);
  return promisc_turned ? allmulti_turned : promisc_turned;
}

RxFlags Wanted::switched() const {
  ListGuard guard(lock, level());
  return {.promisc = promiscuity.by_switch != 0, .allmulti = allmulti.by_switch != 0};
}

Result<> Wanted::set_vlan_filter(bool on) {
  return apply([&]() -> Result<> {
    addr_list_lock.assert_held();
    if (std::exchange(vlan_filter, on) != on) next_generation();
    return {};
  });
}

Result<> Wanted::change_vlan(uint16_t id, bool add) {
  if (id >= kVlanIds) return fail(std::errc::invalid_argument);
  return apply(
      [&]() -> Result<> {
        addr_list_lock.assert_held();
        const uint32_t refs = vlan_refs.of(id);
        if (add && refs > UINT32_MAX - VlanRefs::kUser) return fail(std::errc::value_too_large);
        if (!add && refs < VlanRefs::kUser) return fail(std::errc::no_such_file_or_directory);
        set_vlan_refs(id, add ? refs + VlanRefs::kUser : refs - VlanRefs::kUser);
        return {};
      },
      {.entries = 0, .vlan_refs = add});
}

void Wanted::hold(Place where) noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  if (kChecksOn) internal::enter_context(Context::kBhDisabled, ScopeOf::kLock, where);
  lock.lock(level(), where);
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // what was put off until now
    void
    Wanted::let_go() noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  PutOffSyncs syncs = std::exchange(put_off_syncs, {});
  lock.unlock();
  if (kChecksOn) internal::leave_context();
  if (!syncs.empty()) syncs.carry_out();
}
USERNIC_BLOCKING_BY_DESIGN_END

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
