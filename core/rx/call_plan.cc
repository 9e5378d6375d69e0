// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/rx/call_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/contract/ndo.h"
#include "usernic/contract_report.h"

namespace usernic {

bool CallPlan::call(PlanBook& book) {
  if (!has_ndo<Ndo::kSetRxModeAsync>(bed_.device)) {
    while (RxStep* step = book.next()) book.answer(*step, {});
    return false;
  }
  book_ = &book;
  RxPlan plan(*this, *this);
  call_ndo<Ndo::kSetRxModeAsync>(bed_.device, plan);
  check_answers();
  return false;
}

// A driver that takes no command at all would be called for ever.
void CallPlan::check_answers() noexcept {
  const auto untold = [](const RxStep& step) { return step.state == RxStep::State::kUntold; };
  if (std::ranges::all_of(book_->steps(), untold) && !book_->stop().stop_requested() && !book_->forgot()) {
    report("rx-plan-untouched", "took no command of its plan", Place::current());
    book_->answer(book_->steps().front(), fail(std::errc::io_error));
  }
  for (RxStep& step : book_->steps()) {
    if (step.state != RxStep::State::kHandedOut) continue;
    report("rx-command-unanswered", "took a command of its plan and did not answer it", Place::current());
    book_->answer(step, fail(std::errc::io_error));
  }
}

void CallPlan::report(const char* rule, const char* what, Place where) const noexcept {
  report_contract(bed_.device.dev, rule, fmt::format("the driver {}", what), where);
}

RxCommand* CallPlan::next() noexcept {
  RxStep* const step = book_->next();
  return step != nullptr ? &step->shown : nullptr;
}

void CallPlan::answer(RxCommand& command, Result<> result, Place where) noexcept {
  RxStep* const step = book_->find(command);
  if (step == nullptr) return report("rx-command-unknown", "answered a command that its plan does not have", where);
  if (step->state == RxStep::State::kAnswered) {
    return report("rx-command-twice", "answered a command twice; the first answer counts", where);
  }
  if (step->shown != step->command) {
    report("rx-command-edited", "changed a command of its plan; the answer counts for the command as it was", where);
  }
  book_->answer(*step, result);
}

void CallPlan::for_each(AddressClass address_class, Visit visit, void* user) const {
  bed_.filter.of(address_class).for_each_wanted([&](const AddressEntry& entry) { visit(user, entry.address()); });
}

RxCommand* RxPlan::next() noexcept {
  return call_.next();
}
void RxPlan::answer(RxCommand& command, Result<> result, Place where) noexcept {
  call_.answer(command, result, where);
}
StopToken RxPlan::stop() const noexcept {
  return call_.stop();
}

}  // namespace usernic
