// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/rx/call_legacy.h"

#include <algorithm>

#include "core/contract/ndo.h"
#include "core/filter/outcome.h"

namespace usernic {

bool CallLegacy::owed(std::span<const RxStep> steps, Time now) {
  const bool asked = bed_.requests.take_call(now) || (!retry_.waits(now) && retry_.owed());
  return asked || !steps.empty();
}

bool CallLegacy::call(PlanBook& book) {
  const bool narrow = !narrows_later(book.steps());
  bed_.lists.bring_up_to_date(book.steps());
  tell_vlans(book);
  call_under_lock(book, narrow, [&](const RxLists& lists) {
    const NdoCall<Ndo::kSetRxMode> set_rx_mode(bed_.device, &bed_.wanted.lock);
    set_rx_mode(lists);
  });
  return answer(book, narrow, 0);
}

bool CallLegacy::tells_vlans() const noexcept {
  return has_ndo<Ndo::kVlanRxAddVid>(bed_.device);
}

// What goes makes room for what comes, and nobody goes deaf by it: each id is its own affair.
void CallLegacy::tell_vlans(PlanBook& book) {
  if (!tells_vlans()) return;
  for (const RxCommandKind kind : {RxCommandKind::kDel, RxCommandKind::kAdd}) {
    for (RxStep& step : book.steps()) {
      if (step.command.object != RxObject::kVlan || step.command.kind != kind) continue;
      Result<> result = fail(std::errc::operation_canceled);
      if (!book.stop().stop_requested()) {
        const uint16_t id = step.command.vlan;
        result = kind == RxCommandKind::kAdd ? call_ndo<Ndo::kVlanRxAddVid>(bed_.device, id)
                                             : call_ndo<Ndo::kVlanRxKillVid>(bed_.device, id);
      }
      book.answer(step, result);
    }
  }
}

bool CallLegacy::answer(PlanBook& book, bool narrow, int error) {
  bool wide = !narrow;  // what is to be narrowed stays on
  const auto answer = [&](RxStep& step, const Result<>& result) {
    if (step.state == RxStep::State::kAnswered) return;  // a VLAN's
    if (!wide || !step.narrows()) book.answer(step, result);
  };
  const auto lost = [&](AddressClass address_class, const MacAddress& address, int why) {
    {
      ListGuard guard(bed_.wanted.lock, bed_.wanted.level());
      bed_.filter.program_anew(address_class, address);
    }
    const std::errc reason = static_cast<std::errc>(-why);
    if (!wide && is_refusal(reason)) wide = keep_wide(book, fail(reason));
  };
  bed_.lists.answer(book.steps(), error, answer, lost);
  bool untold = false;
  bool some_failed = false;
  for (const RxStep& step : book.steps()) {
    some_failed |= step.state == RxStep::State::kAnswered && !step.result;
    if (step.state != RxStep::State::kUntold) continue;
    untold = true;
    if (step.command.kind != RxCommandKind::kWiden) continue;
    // A call that ended at an address' error was shown the flags all the same.
    ListGuard guard(bed_.wanted.lock, bed_.wanted.level());
    bed_.filter.doubt_on(step.command.object);
  }
  failed(error != 0 && !some_failed);  // otherwise that command's retry brings it
  if (narrow && wide) {                // the driver switched them off, and is to switch them on again
    ListGuard guard(bed_.wanted.lock, bed_.wanted.level());
    bed_.filter.doubt_kept();
  }
  return untold;
}

}  // namespace usernic
