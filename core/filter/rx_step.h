// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: one command of a plan, what it is about, and what became of it.
#pragma once

#include <algorithm>
#include <span>

#include "core/list/address_entry.h"
#include "core/lock/mutation.h"
#include "usernic/rx_filter.h"

namespace usernic {

struct RxStep {
  RxCommand command;
  AddressEntry* entry = nullptr;  // of an address
  bool destructive = false;       // takes away what covers a wanted address if anything before it failed

  enum class State : uint8_t { kUntold, kHandedOut, kAnswered };
  State state = State::kUntold;
  bool before_forget = false;  // answered while the card still remembered
  Result<> result;
  RxCommand shown{};  // the copy that its driver has

  bool narrows() const noexcept { return command.kind == RxCommandKind::kNarrow; }
  bool adds_address() const noexcept { return command.kind == RxCommandKind::kAdd && entry != nullptr; }
  AddressClass address_class() const noexcept {
    return command.object == RxObject::kMulticast ? AddressClass::kMulticast : AddressClass::kUnicast;
  }
};

// One call of a style without an order can narrow nothing while it adds, sets or widens; nor can who is told of flags:
// what such a plan would narrow stays on, and goes with the next.
inline bool narrows_later(std::span<const RxStep> steps) noexcept {
  if (mutated(Mutation::kNarrowAtOnce)) return false;
  return std::ranges::any_of(steps, [](const RxStep& step) {
    const RxCommandKind kind = step.command.kind;
    return kind == RxCommandKind::kAdd || kind == RxCommandKind::kSetBucket || kind == RxCommandKind::kWiden;
  });
}

}  // namespace usernic
