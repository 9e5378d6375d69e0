// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/rx/told_flags.h"

#include "core/contract/ndo.h"
#include "core/rx/call_view.h"

namespace usernic {
namespace {

// Without a unicast filter, whatever is in the list asks for promiscuity [kernel: uc_promisc].
RxFlags asked(const RxDevice& device, const CardFilter& filter) noexcept {
  const bool by_list = has_ndo<Ndo::kUnicastFilter>(device) && filter.caps().unicast_slots == 0 &&
                       filter.of(AddressClass::kUnicast).wanted() != 0;
  return {.promisc = filter.target().promisc || by_list, .allmulti = filter.target().allmulti};
}

// Is something to go off that the plan leaves on for now? Its retry brings it, or what it waits for.
bool leaves_wide(const CardFilter& filter, std::span<const RxStep> steps) noexcept {
  const RxLists call = CallView::of_call(filter, steps, true);
  return (call.promisc() && !filter.flag(RxObject::kPromisc).target) ||
         (call.allmulti() && !filter.flag(RxObject::kAllmulti).target);
}

}  // namespace

bool ToldFlags::tell(const RxDevice& device, const CardFilter& filter, std::span<const RxStep> steps) {
  const RxFlags aim = asked(device, filter);
  if (!has_ndo<Ndo::kChangeRxFlags>(device)) return told_ = aim, false;
  const RxFlags wide = aim | *told_;
  const bool goes_on = wide != *told_ || narrows_later(steps);
  const RxFlags now = goes_on || leaves_wide(filter, steps) ? wide : aim;
  const RxFlags changed = now ^ *told_;
  told_ = now;
  if (changed.any()) call_ndo<Ndo::kChangeRxFlags>(device, changed);
  return goes_on && now != aim;
}

}  // namespace usernic
