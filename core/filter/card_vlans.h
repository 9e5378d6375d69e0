// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the VLAN ids on the card, and the flag that lets every VLAN pass.
//
// Ids have one back-off: a plan with a failure counts once, one without ends it. An id that the card refuses opens the
// filter, until fewer are wanted than it refused.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/filter/card_flag.h"
#include "core/list/vlan_set.h"
#include "core/lock/addr_list_lock.h"

namespace usernic {

class CardVlans {
 public:
  // Why a filter that is asked for is to be open all the same.
  enum class Unfit : uint8_t { kNo, kNoSlots, kTooMany, kRefused };

  // `fixed`: the filter cannot be opened.
  void configure(uint32_t slots, bool fixed);
  // Every VLAN passes, unless the filter is fixed, and no id is on the card.
  void forget() noexcept USERNIC_REQUIRES(addr_list_lock);

  // A run works towards these; `filter`: nothing else is to pass. Without it the ids are those it last was with.
  void aim(bool filter, const VlanSet& ids) noexcept;
  Unfit unfit() const noexcept;
  size_t filtered() const noexcept { return filter_ ? wanted_.count() : 0; }
  void wake() noexcept { retry_.make_due(); }

  // Calls del(id, destructive), then add(id), for each id that a plan has to mention. Ids that go make room for those
  // that come; none goes while the filter is to open and is not open yet.
  template <class Del, class Add>
  void plan(Time now, Del&& del, Add&& add);
  // Would a wanted VLAN go deaf if the filter closed?
  bool closing_deafens(Time now) const noexcept { return retry_.waits(now); }
  // Returns true when something else has to carry what it was for.
  bool answer(uint16_t id, bool add, Outcome outcome, Duration retry_first, Time now) noexcept
      USERNIC_REQUIRES(addr_list_lock);
  // What was on its way when the card forgot is there perhaps.
  void doubt(uint16_t id) noexcept { maybe_.set(id); }

  bool in_effect() const noexcept { return !retry_.owed(); }
  Time due() const noexcept { return retry_.next(); }
  const VlanSet& shown() const noexcept { return stuck_ ? fitting_ : wanted_; }  // in the lists of the driver's call
  const VlanSet& sure() const noexcept USERNIC_REQUIRES(addr_list_lock) { return sure_; }
  const VlanSet& maybe() const noexcept { return maybe_; }

  CardFlag open;

 private:
  const VlanSet& own_sure() const noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS { return sure_; }  // the only writer's

  VlanSet sure_ USERNIC_GUARDED_BY(addr_list_lock);
  VlanSet maybe_;
  VlanSet wanted_;
  VlanSet fitting_;     // of the wanted ones, while it is stuck
  bool stuck_ = false;  // neither more ids nor an open filter fit
  uint32_t slots_ = 0;
  bool fixed_ = false;
  bool filter_ = false;
  size_t refused_ = SIZE_MAX;  // so many ids, or more, and the card has no room
  bool in_use_ = false;        // filtering, or some id may be on the card
  Retry retry_;
};

template <class Del, class Add>
void CardVlans::plan(Time now, Del&& del, Add&& add) {
  stuck_ = open.target && open.refused;
  if (stuck_) fitting_ = wanted_ & maybe_;  // what is not asked for is not in the driver's lists either
  if (!filter_ && !in_use_) return;
  in_use_ = true;
  const bool opens = open.stays_on(now);
  const VlanSet needed = opens ? VlanSet() : wanted_;
  const VlanSet extra = maybe_ & ~needed;
  const VlanSet missing = open.target ? VlanSet() : needed & ~own_sure();
  if (extra.none() && missing.none()) {
    retry_.clear();
    in_use_ = filter_ || !opens;
    return;
  }
  if (retry_.waits(now)) return;
  const auto each = [](const VlanSet& ids, auto&& visit) {
    for (size_t id = ids._Find_first(); id < kVlanIds; id = ids._Find_next(id)) visit(static_cast<uint16_t>(id));
  };
  each(extra, [&](uint16_t id) { del(id, opens); });
  each(missing, add);
}

}  // namespace usernic
