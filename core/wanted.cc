// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/wanted.h"

#include "core/device.h"

namespace usernic {

Wanted::Wanted(NetDevice& device, uint64_t seed)
    : dev(device), uc(*this, pool, AddressClass::kUnicast, seed), mc(*this, pool, AddressClass::kMulticast, seed) {}

void Wanted::owe_run() noexcept {
  Device::of(dev).engine.owe_run();
}

void Wanted::owe_serve() noexcept {
  Device::of(dev).engine.owe_serve();
}

bool Wanted::reserve(size_t entries) noexcept {
  while (true) {
    {
      SpinGuardBh guard(lock, level());
      if (pool.free_entries() >= entries) return true;
    }
    auto slab = EntryPool::make_slab();
    if (slab == nullptr) return false;
    SpinGuardBh guard(lock, level());
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

}  // namespace usernic
