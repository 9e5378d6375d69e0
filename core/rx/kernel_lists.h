// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the lists that a driver of the kernel's signature, or a legacy one, may push from: HwAddrList::sync_dev.
//
// They live from call to call, so that sync_cnt says what is on the card. Before a call they are brought up to date
// from the plan; afterwards sync_cnt and the call's return value answer its commands. An address whose push failed
// leaves the list until its retry, so that it holds up no other: sync_dev ends at the first error. What a list that the
// driver did not push from, or of which it took addresses back without an error, is to the card, is the driver's own
// affair: it counts as carried out, or not, as a whole. Written by the rx-mode work, with the lane and IL
// held.
#pragma once

#include <set>
#include <span>
#include <utility>

#include "core/filter/rx_step.h"
#include "usernic/hw_addr_list.h"

namespace usernic {

class KernelLists {
 public:
  HwAddrList& list(AddressClass address_class) noexcept { return lists_[static_cast<size_t>(address_class)]; }
  // Nothing is on the card; what a call was pushing then is there perhaps, and taken back if it is no longer wanted.
  void forget(bool in_call);
  // Has exactly these users' references; what is pushed stays so, stale if need be.
  void match(AddressClass address_class, std::span<const std::pair<MacAddress, int>> wanted);
  // Adds and deletes what the plan says.
  void bring_up_to_date(std::span<const RxStep> steps);

  // What became of the plan by a call that returned `error`, 0 or negative. `answer(step, result)` is called for the
  // steps whose fate is known; the others are to come again at once. Before what concerns the call as a whole,
  // `lost(address_class, address, error)` is called for what the plan does not mention and a push failed for, or did
  // not get to (error 0): it was not pushed before because the driver saw no need. It leaves the list.
  template <class Answer, class Lost>
  void answer(std::span<RxStep> steps, int error, Answer&& answer, Lost&& lost);

 private:
  enum class Fate : uint8_t { kDone, kFailed, kNotReached, kAsTheCall };
  // What the driver did with a list.
  struct Use {
    bool pushed = false;
    bool cut_short = false;  // at an error: the rest was not reached
  };
  Use take_use(HwAddrList& list) noexcept { return {list.take_used(), list.take_cut_short()}; }
  Fate fate_of(const RxStep& step, const Use& use, int call_error, int& error);
  static bool is_address(const RxStep& step) noexcept { return step.entry != nullptr; }
  HwAddrList& list_of(const RxStep& step) noexcept { return list(step.address_class()); }
  HwAddr* find(const RxStep& step) noexcept;
  // A new entry. Throws std::bad_alloc: the run comes again.
  HwAddr& make(AddressClass address_class, const MacAddress& address);

  HwAddrList lists_[2];
  std::set<MacAddress> doubtful_;  // pushed by a call in which the card forgot, and no push or unsync worked since
};

template <class Answer, class Lost>
void KernelLists::answer(std::span<RxStep> steps, int error, Answer&& answer, Lost&& lost) {
  const Use uses[2] = {take_use(lists_[0]), take_use(lists_[1])};
  bool explained = false;  // the call failed because an address did
  const auto failed = [](int code) { return fail(static_cast<std::errc>(-code)); };
  for (RxStep& step : steps) {
    if (!is_address(step)) continue;
    int why = 0;
    const Fate fate = fate_of(step, uses[step.command.object == RxObject::kMulticast], error, why);
    if (fate == Fate::kFailed) explained = explained || why == error;
    if (fate == Fate::kDone) doubtful_.erase(step.command.address), answer(step, Result<>());
    if (fate == Fate::kFailed) answer(step, Result<>(failed(why)));
  }
  for (size_t i = 0; i < 2; ++i) {
    for (HwAddr* entry = lists_[i].first(); uses[i].pushed && entry != nullptr;) {
      HwAddr& each = *std::exchange(entry, lists_[i].next(*entry));
      if (each.sync_cnt != 0 || (each.error == 0 && !uses[i].cut_short)) continue;
      lost(static_cast<AddressClass>(i), MacAddress::from_bytes(each.addr), each.error);
      (void)lists_[i].del(each);
    }
  }
  for (RxStep& step : steps) {
    const bool pushes = uses[step.command.object == RxObject::kMulticast].pushed;
    if (is_address(step) && pushes) continue;
    if (error == 0 && is_address(step)) doubtful_.erase(step.command.address);
    if (error == 0) answer(step, Result<>());
    if (error == 0 || explained) continue;
    answer(step, Result<>(failed(error)));
    if (HwAddr* const entry = is_address(step) ? find(step) : nullptr; entry != nullptr) {
      if (step.command.kind == RxCommandKind::kAdd) (void)list_of(step).del(*entry);
    }
  }
}

}  // namespace usernic
