// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/rx/call_kernel.h"

#include "core/contract/ndo.h"

namespace usernic {

bool CallKernel::call(PlanBook& book) {
  const bool narrow = !narrows_later(book.steps());
  bed_.lists.bring_up_to_date(book.steps());
  tell_vlans(book);
  int error = 0;
  {
    const CallView::Scope in_call(bed_.view, CallView::of_call(bed_.filter, book.steps(), narrow));
    error = call_ndo<Ndo::kSetRxModeKernel>(bed_.device, &bed_.device.dev, &bed_.lists.list(AddressClass::kUnicast),
                                            &bed_.lists.list(AddressClass::kMulticast));
  }
  return answer(book, narrow, error);
}

}  // namespace usernic
