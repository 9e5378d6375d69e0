// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/rx/call_view.h"

#include <algorithm>

#include "core/work/current_work.h"

namespace usernic {

RxLists CallView::of_call(const CardFilter& filter, std::span<const RxStep> steps, bool narrow) noexcept {
  const auto is_on = [&](RxObject object) {
    const auto narrows = [&](const RxStep& step) { return step.narrows() && step.command.object == object; };
    return filter.flag(object).is_shown() && (!narrow || std::ranges::none_of(steps, narrows));
  };
  RxLists lists;
  lists.tables_[0] = &filter.of(AddressClass::kUnicast).table;
  lists.tables_[1] = &filter.of(AddressClass::kMulticast).table;
  lists.vlans_ = &filter.vlans().shown();
  lists.own_ = filter.target().own;
  lists.as_drained_ = true;
  lists.promisc_ = is_on(RxObject::kPromisc);
  lists.allmulti_ = is_on(RxObject::kAllmulti);
  lists.vlan_filter_ = !is_on(RxObject::kVlanUnfiltered);
  return lists;
}

RxLists CallView::of_wanted(const Wanted& wanted) noexcept {
  RxLists lists;
  lists.tables_[0] = &wanted.uc;
  lists.tables_[1] = &wanted.mc;
  lists.vlans_ = &wanted.vlans;
  lists.own_ = wanted.own;
  lists.promisc_ = wanted.promiscuity.total() != 0;
  lists.allmulti_ = wanted.allmulti.total() != 0;
  lists.vlan_filter_ = wanted.vlan_filter;
  return lists;
}

const RxLists* CallView::now() const noexcept {
  const Work* const current = current_work();
  const bool in_run = current != nullptr && (current == works_[0] || current == works_[1]);
  return in_run && lists_ ? &*lists_ : nullptr;
}

}  // namespace usernic
