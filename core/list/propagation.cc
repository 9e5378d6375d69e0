// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/list/propagation.h"

#include "core/list/wanted.h"
#include "core/lock/mutation.h"

namespace usernic {

bool Propagation::serve(Wanted& upper) {
  bool all = true;
  for (Link& link : upper.lowers) {
    if (!link.behind(upper.generation)) continue;
    if (budget_ <= 0) return false;
    Wanted& lower = *link.to;
    LevelGuard guard(lower.lock, lower.stack_level);
    const WantedRoom room{.entries = kTellEntries, .vlan_refs = upper.vlan_refs.made() && link.passes_vlans()};
    if (!lower.has_room(room)) {
      starve(upper, lower, room.vlan_refs);
      continue;
    }
    const uint64_t before = lower.generation;
    budget_ -= 1 + static_cast<int>(link.tell(upper));
    if (link.behind(upper.generation)) all = false;
    if (lower.generation == before) continue;
    if (lower.run.claim()) owed_.push_back({DeviceHandle(lower.dev), &lower});
    if (!lower.lowers.empty() && !serve(lower) && !mutated(Mutation::kToldToNobody)) lower.owe_serve();
  }
  return all;
}

// One is tried again by `finish`, in the same context; a second one at a time is the upper's lane's.
void Propagation::starve(Wanted& upper, Wanted& lower, bool of_vlan_refs) {
  if (starved_.dev) return upper.owe_serve();
  behind_ = {DeviceHandle(upper.dev), &upper};
  starved_ = {DeviceHandle(lower.dev), &lower};
  starved_of_vlan_refs_ = of_vlan_refs;
}

void Propagation::finish_below() {
  for (Held& lower : owed_) lower.wanted->run.queue();
  owed_.clear();
  if (!starved_.dev) return;
  const bool fed = starved_.wanted->reserve({.entries = kTellEntries, .vlan_refs = starved_of_vlan_refs_});
  starved_ = {};
  Wanted& upper = *behind_.wanted;
  if (!fed || !upper.serve_once()) upper.owe_serve();
}

}  // namespace usernic
