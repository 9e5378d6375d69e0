// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/rx/rx_call.h"

#include <limits>

#include "core/contract/ndo.h"
#include "core/filter/outcome.h"

namespace usernic {

RxFilterCaps RxCall::unlimited(bool own_address_uses_slot, uint32_t vlan_slots) const {
  constexpr uint32_t kUnlimited = std::numeric_limits<uint32_t>::max();
  // Without a unicast filter no unicast address finds a slot, so that promisc carries it [kernel: IFF_UNICAST_FLT].
  const bool unicast = !has_ndo<Ndo::kUnicastFilter>(bed_.device) || call_ndo<Ndo::kUnicastFilter>(bed_.device);
  return {.unicast_slots = unicast ? kUnlimited : 0,
          .multicast_slots = kUnlimited,
          .own_address_uses_slot = own_address_uses_slot && unicast,
          .vlan_slots = vlan_slots,
          .vlan_filter_fixed = has_ndo<Ndo::kVlanRxAddVid>(bed_.device)};
}

bool RxCall::keep_wide(const PlanBook& book, const Result<>& result) noexcept {
  if (result || !is_refusal(result.error()) || narrows_later(book.steps())) return false;
  bool kept = false;
  for (const RxStep& step : book.steps()) {
    if (!step.narrows() || step.command.object == RxObject::kVlanUnfiltered) continue;
    bed_.filter.no_room_without(step.command.object);
    kept = true;
  }
  return kept;
}

}  // namespace usernic
