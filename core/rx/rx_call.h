// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: one driver style: how the plan of a run becomes one driver call.
//
// call_plan, call_image, call_legacy and call_kernel are those that there are; a driver has one. Styles other than the
// plan know no commands: the run plans as for a card with room for everything, and the style answers every command by
// what its one call says. So retries, tickets, parking and epochs are the filter's and the run's, in every style.
#pragma once

#include <span>

#include "core/filter/card_filter.h"
#include "core/filter/plan_book.h"
#include "core/list/retry.h"
#include "core/list/wanted.h"
#include "core/rx/call_requests.h"
#include "core/rx/call_view.h"
#include "core/rx/kernel_lists.h"
#include "core/rx/rx_device.h"
#include "core/rx/rx_image_pair.h"

namespace usernic {

class RxCall {
 public:
  // What every style works with.
  struct Bed {
    const RxDevice& device;
    Wanted& wanted;
    CardFilter& filter;
    CallView& view;
    CallRequests& requests;
    KernelLists& lists;
    const Duration retry_first;
  };
  virtual ~RxCall() = default;
  RxCall(const RxCall&) = delete;
  RxCall& operator=(const RxCall&) = delete;

  // What the card holds, as far as the filter has to know; `told`: by a driver of plans.
  virtual RxFilterCaps caps(const RxFilterCaps& told) const = 0;
  // One result for the whole plan: nothing in it is retried on its own.
  virtual bool one_result() const noexcept { return false; }
  // Is there something to call for? Asked once a run, before `call`.
  virtual bool owed(std::span<const RxStep> steps, Time now) = 0;
  // Makes the one driver call, and answers the steps. Returns true when another run is owed. Requires: lane, IL.
  virtual bool call(PlanBook& book) = 0;
  // The card forgot: what was learned does not hold.
  virtual void forget() { retry_.clear(); }
  virtual RxImagePair* image() noexcept USERNIC_NONBLOCKING { return nullptr; }

  // A call that failed as a whole.
  const Retry& retry() const noexcept { return retry_; }
  void make_due() noexcept { retry_.make_due(); }

 protected:
  explicit RxCall(const Bed& bed) : bed_(bed) {}
  // Without commands capacity is the driver's own business: it says "no space" when it has none.
  RxFilterCaps unlimited(bool own_address_uses_slot, uint32_t vlan_slots) const;
  void failed(bool failed) noexcept { failed ? retry_.failed(bed_.retry_first, Clock::now()) : retry_.clear(); }
  // A driver need not look at the addresses while promiscuous: that they have no room shows only when it is to end.
  // Then it goes on, until there are fewer. Returns true when this is why a call that narrows was refused.
  bool keep_wide(const PlanBook& book, const Result<>& result) noexcept;
  // The view of a call is set, and the syncs that it put off are carried out after it. `under_lock` is called with
  // addr_list_lock held.
  template <class UnderLock>
  void call_under_lock(const PlanBook& book, bool narrow, UnderLock&& under_lock);

  const Bed bed_;
  Retry retry_;
};

template <class UnderLock>
void RxCall::call_under_lock(const PlanBook& book, bool narrow, UnderLock&& under_lock) {
  PutOffSyncs syncs;
  {
    const RxLists lists = CallView::of_call(bed_.filter, book.steps(), narrow);
    const CallView::Scope in_call(bed_.view, lists);
    ListGuard guard(bed_.wanted.lock, bed_.wanted.level());
    under_lock(lists);
    syncs = std::exchange(bed_.wanted.put_off_syncs, {});
  }
  syncs.carry_out();
}

}  // namespace usernic
