// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the plan style: the driver walks the commands. A driver without any rx-mode op has no filter: all is done.
#pragma once

#include "core/rx/rx_call.h"

namespace usernic {

class CallPlan final : public RxCall, private RxTarget {
 public:
  explicit CallPlan(const Bed& bed) : RxCall(bed) {}
  RxFilterCaps caps(const RxFilterCaps& told) const override { return told; }
  bool owed(std::span<const RxStep> steps, Time) override { return !steps.empty(); }
  bool call(PlanBook& book) override;

  // The driver's hold on the book, behind RxPlan. An answer that fits no command of it is a report.
  RxCommand* next() noexcept;
  void answer(RxCommand& command, Result<> result, Place where) noexcept;
  StopToken stop() const noexcept { return book_->stop(); }

 private:
  bool promisc() const noexcept override { return bed_.filter.flag(RxObject::kPromisc).target; }
  bool allmulti() const noexcept override { return bed_.filter.flag(RxObject::kAllmulti).target; }
  MacAddress own_address() const noexcept override { return bed_.filter.target().own; }
  void for_each(AddressClass address_class, Visit visit, void* user) const override;

  void report(const char* rule, const char* what, Place where) const noexcept;
  void check_answers() noexcept;

  PlanBook* book_ = nullptr;  // of the call that runs
};

}  // namespace usernic
