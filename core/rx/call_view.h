// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the lists and flags as a driver sees them: what its running rx-mode call is to bring about, or what is wanted.
#pragma once

#include <optional>
#include <span>

#include "core/filter/card_filter.h"
#include "core/list/wanted.h"
#include "usernic/rx_lists.h"
#include "usernic/work.h"

namespace usernic {

class CallView {
 public:
  CallView(const Wanted& wanted, const Work& run, const Work& retry) noexcept : wanted_(wanted), works_{&run, &retry} {}

  // What a call for these steps is to bring about; `narrow`: the flags that they narrow are off in it.
  static RxLists of_call(const CardFilter& filter, std::span<const RxStep> steps, bool narrow) noexcept;
  static RxLists of_wanted(const Wanted& wanted) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(addr_list_lock);

  // While it lives, the driver call that this thread makes sees `lists`.
  class Scope {
   public:
    Scope(CallView& view, const RxLists& lists) noexcept : view_(view) { view_.lists_ = lists; }
    ~Scope() { view_.lists_.reset(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    CallView& view_;
  };
  // Of the driver call in which this thread is; null: in none.
  const RxLists* now() const noexcept USERNIC_NONBLOCKING;
  RxLists lists() const noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(addr_list_lock) {
    return now() != nullptr ? *now() : of_wanted(wanted_);
  }

 private:
  const Wanted& wanted_;
  const Work* const works_[2];
  std::optional<RxLists> lists_;
};

}  // namespace usernic
