// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: who wants which VLAN id of a device. The counters, 16 KiB, come with the first id: most devices never have one.
#pragma once

#include <array>
#include <memory>
#include <new>

#include "core/list/vlan_set.h"

namespace usernic {

class VlanRefs {
 public:
  // The units of an id's references: 20 bits for the uppers', of which each link has one, 12 for the users'.
  static constexpr uint32_t kUpper = 1;
  static constexpr uint32_t kUser = 1u << 20;
  using Counters = std::array<uint32_t, kVlanIds>;

  // Without the lock. Null: there is no memory.
  static std::unique_ptr<Counters> make() noexcept { return std::unique_ptr<Counters>(new (std::nothrow) Counters{}); }
  // The rest: under addr_list_lock. What was there before stays, and `counters` is left to the caller.
  void adopt(std::unique_ptr<Counters>& counters) noexcept {
    if (!made()) counters_.swap(counters);
  }
  bool made() const noexcept { return counters_ != nullptr; }
  uint32_t of(uint16_t id) const noexcept { return made() ? (*counters_)[id] : 0; }
  // Requires: they are made.
  void set(uint16_t id, uint32_t refs) noexcept { (*counters_)[id] = refs; }
  bool operator==(const Counters& others) const noexcept { return (made() ? *counters_ : Counters{}) == others; }

 private:
  std::unique_ptr<Counters> counters_;
};

}  // namespace usernic
