// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: rules that the simulator can switch off, one at a time, to show that its checkers would notice.
//
// In production `mutated` is false at compile time, and what it guards is not there. Numbers are those of
// docs/rx-mode.md; docs/simulator.md says what each does instead.
#pragma once

#include <cstdint>

#include "usernic/annotations.h"

namespace usernic {

enum class Mutation : uint8_t {
  kNone,
  kR1,
  kR2,
  kR3,
  kR4,
  kR5,
  kR7,
  kR7InFlight,
  kR8,  // a driver's rule: the simulated card breaks it
  kR11,
  kR12,
  kR13,
  kR14,
  kR15,
  kR19,
  kNoRerun,
  kUnprogramFirst,
  kPutEarly,
  kWakeFirst,
  kRunUnderRtnl,
  kNoSpareWorker,
  kSettleEarly,
  kNarrowToldFirst,
  kKeepsModes,
  kKeepsVlans,
  kToldToNobody,
  kLevelsFromTop,
  kHalfImage,
  kNarrowAtOnce,
  kCutShortBelieved,
  kFlagsOfNow,
  kNoSecondLook,
  kCount
};

#ifdef USERNIC_SIM
extern constinit Mutation active_mutation;
inline bool mutated(Mutation mutation) noexcept USERNIC_NONBLOCKING {
  return active_mutation == mutation;
}
#else
constexpr bool mutated(Mutation) noexcept USERNIC_NONBLOCKING {
  return false;
}
#endif

}  // namespace usernic
