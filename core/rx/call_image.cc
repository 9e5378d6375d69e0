// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/rx/call_image.h"

#include <algorithm>

#include "core/contract/ndo.h"
#include "core/filter/outcome.h"

namespace usernic {

bool CallImage::owed(std::span<const RxStep> steps, Time now) {
  if (retry_.waits(now)) return false;
  asked_ = bed_.requests.take_call(now) || retry_.owed();
  if (!steps.empty() || asked_) return true;
  ListGuard guard(bed_.wanted.lock, bed_.wanted.level());
  return image_.ready;
}

void CallImage::forget() {
  RxCall::forget();
  ListGuard guard(bed_.wanted.lock, bed_.wanted.level());
  image_.ready = false;  // what it shows is of before; the call that is asked for prepares anew
}

bool CallImage::call(PlanBook& book) {
  const bool narrow = !narrows_later(book.steps());
  Result<> prepared;
  const bool ready = prepare(book, narrow, prepared);
  if (book.stop().stop_requested()) {  // the image stays ready, and may be written before these commands come again
    for (RxStep& step : book.steps()) {
      if (narrow || !step.narrows()) book.answer(step, fail(std::errc::operation_canceled));
    }
    if (asked_) bed_.requests.call();
    return true;
  }
  return answer(book, narrow, prepared, ready ? write() : prepared);
}

// Returns true when there is something to write: the new image, or an earlier one that was not.
bool CallImage::prepare(const PlanBook& book, bool narrow, Result<>& prepared) {
  bool ready = false;
  call_under_lock(book, narrow, [&](const RxLists& lists) {
    addr_list_lock.assert_held();
    if (!book.steps().empty() || asked_) {
      const auto prepare_copy = [&](void* copy) noexcept USERNIC_NONBLOCKING {
        const NdoCall<Ndo::kPrepareRxMode> prepare_rx_mode(bed_.device, &bed_.wanted.lock);
        return prepare_rx_mode(lists, copy);
      };
      const bool wide = lists.promisc() || lists.allmulti();
      prepared = image_.prepare(bed_.filter.target().generation, wide, prepare_copy);
    }
    ready = image_.ready;
  });
  return ready;
}

Result<> CallImage::write() {
  {
    ListGuard guard(bed_.wanted.lock, bed_.wanted.level());
    (void)image_.take_ready();
  }
  const Result<> written = call_ndo<Ndo::kWriteRxMode>(bed_.device, image_.writing());
  if (!written) {
    ListGuard guard(bed_.wanted.lock, bed_.wanted.level());
    image_.ready = true;  // pending is this image, or a newer one
  }
  return written;
}

// An image of this run carries out every command. An earlier one, written because prepare failed, carries out what it
// is new enough for.
bool CallImage::answer(PlanBook& book, bool narrow, Result<> prepared, Result<> written) {
  const bool adds = std::ranges::any_of(book.steps(), &RxStep::adds_address);
  if (!prepared && image_.writing_wide()) {  // what an earlier image had on is on, perhaps
    ListGuard guard(bed_.wanted.lock, bed_.wanted.level());
    bed_.filter.doubt_on(RxObject::kPromisc);
    bed_.filter.doubt_on(RxObject::kAllmulti);
  }
  if (keep_wide(book, prepared ? written : prepared)) {
    failed(false);
    return true;
  }
  const bool stopped = !written && book.stop().stop_requested() && written.error() == std::errc::operation_canceled;
  bool again = stopped;
  bool refused = false;
  for (RxStep& step : book.steps()) {
    if (step.narrows() && !narrow) {
      again = again || written.has_value();
      continue;
    }
    bool in_image = prepared.has_value();
    if (!in_image && step.entry != nullptr) {
      ListGuard guard(bed_.wanted.lock, bed_.wanted.level());
      in_image = image_.writing_has(step.entry->generation);
    }
    const Result<> result = in_image ? written : prepared;
    // Of a plan that is refused, the addresses are what found no room; the rest comes again without them.
    const bool refusal = !result && is_refusal(result.error());
    if (refusal && adds && !step.adds_address()) continue;
    refused = refused || (refusal && (step.adds_address() || step.command.kind == RxCommandKind::kWiden));
    book.answer(step, result);
  }
  if (refused && adds) bed_.filter.no_room();
  failed((!prepared || !written) && !refused && !stopped);
  return again;
}

}  // namespace usernic
