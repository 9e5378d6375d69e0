// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/list/stack_graph.h"

#include <new>
#include <utility>

#include "core/list/wanted.h"

namespace usernic {

StackGuard::StackGuard(const Wanted& any) noexcept : stacks_(any.stacks), guard_(stacks_.lock) {}

Result<bool> StackGuard::leads_to(Wanted& from, const Wanted& to) noexcept {
  stacks_.lock.assert_held();  // by guard_
  try {
    return find(from, to);
  } catch (const std::bad_alloc&) {
    return fail(std::errc::not_enough_memory);
  }
}

bool StackGuard::find(Wanted& from, const Wanted& to) {
  ++stacks_.looks;
  found_.clear();
  found_.push_back({DeviceHandle(from.dev), &from});
  for (size_t i = 0; i < found_.size(); ++i) {
    Wanted& at = *found_[i].wanted;
    if (&at == &to) return true;
    look_below(at);
  }
  return false;
}

void StackGuard::look_below(Wanted& at) {
  std::vector<Found> below;
  {
    ListGuard guard(at.lock, at.stack_level);
    for (const Link& link : at.lowers) below.push_back({DeviceHandle(link.to->dev), link.to});
    for (const WantedList* table : {&at.uc, &at.mc}) {
      table->for_each_subscriber([&](const Subscriber& subscriber) {
        if (subscriber.to == nullptr) return;
        below.push_back({subscriber.to_dev, &static_cast<WantedList*>(subscriber.to)->wanted()});
      });
    }
  }
  for (Found& each : below) {
    if (std::exchange(each.wanted->last_look, stacks_.looks) != stacks_.looks) found_.push_back(std::move(each));
  }
}

}  // namespace usernic
