// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/propagation.h"

#include "core/device.h"
#include "core/mutation.h"

namespace usernic {

bool Propagation::serve(Wanted& upper) {
  bool all = true;
  for (Link& link : upper.lowers) {
    if (!link.behind(upper.generation)) continue;
    if (budget_ <= 0) return false;
    Wanted& lower = *link.to;
    LevelGuard guard(lower.lock, lower.stack_level);
    if (lower.pool.free_entries() < kTellEntries) {
      starve(upper, lower);
      continue;
    }
    const uint64_t before = lower.generation;
    budget_ -= 1 + static_cast<int>(link.tell(upper));
    if (link.behind(upper.generation)) all = false;
    if (lower.generation == before) continue;
    RxModeEngine& engine = Device::of(lower.dev).engine;
    if (engine.claim_run()) owed_.emplace_back(lower.dev);
    if (!lower.lowers.empty() && !serve(lower) && !mutated(Mutation::kToldToNobody)) engine.owe_serve();
  }
  return all;
}

// One is tried again by `finish`, in the same context; a second one at a time is the upper's lane's.
void Propagation::starve(Wanted& upper, Wanted& lower) {
  if (starved_) return Device::of(upper.dev).engine.owe_serve();
  behind_ = DeviceHandle(upper.dev);
  starved_ = DeviceHandle(lower.dev);
}

void Propagation::finish_below() {
  for (DeviceHandle& dev : owed_) Device::of(*dev).engine.queue_run();
  owed_.clear();
  if (!starved_) return;
  const bool fed = Device::of(*starved_).engine.wanted.reserve(kTellEntries);
  starved_ = {};
  RxModeEngine& engine = Device::of(*behind_).engine;
  if (!fed || !engine.serve_once()) engine.owe_serve();
}

}  // namespace usernic
