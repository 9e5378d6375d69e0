// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: a flag of the card's filter (promisc, allmulti, the open VLAN filter): what it is to be, and what it is.
#pragma once

#include "core/filter/outcome.h"
#include "core/list/retry.h"
#include "core/lock/addr_list_lock.h"

namespace usernic {

struct CardFlag {
  bool sure USERNIC_GUARDED_BY(addr_list_lock) = false;   // it is on
  bool maybe USERNIC_GUARDED_BY(addr_list_lock) = false;  // it may be on

  // The rx-mode work's own. That alone writes the two above, so it reads them without the lock: `is_sure`, `is_maybe`.
  bool refused = false;  // the card has none
  bool target = false;   // it is to be on
  Retry retry;

  bool is_sure() const noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS { return sure; }
  bool is_maybe() const noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS { return maybe; }

  bool to_widen(Time now) const noexcept { return target && !is_sure() && !refused && !retry.waits(now); }
  bool to_narrow(Time now) const noexcept { return !target && is_maybe() && !retry.waits(now); }
  // Is it on after a plan in which everything works?
  bool stays_on(Time now) const noexcept { return target && (is_sure() || (!refused && !retry.waits(now))); }
  // Is it on only because an address would go deaf?
  bool is_deferred() const noexcept { return !target && is_maybe() && !retry.owed(); }
  bool in_effect() const noexcept { return target ? is_sure() || refused : !retry.owed(); }
  // Is it on in what a call is to bring about, a narrowing excepted?
  bool is_shown() const noexcept { return target ? is_maybe() || !refused : is_maybe(); }  // R13: not asked again

  // Returns true when something else has to carry what it was for.
  bool answer(bool widen, Outcome outcome, Duration retry_first, Time now) noexcept USERNIC_REQUIRES(addr_list_lock) {
    if (outcome == Outcome::kDone) {
      sure = maybe = widen;
      retry.clear();
      return false;
    }
    if (widen && outcome == Outcome::kRefused) {
      refused = true;
      retry.clear();
      return true;
    }
    widen ? maybe = true : sure = false;  // R4
    if (outcome != Outcome::kStopped) retry.failed(retry_first, now);
    return false;
  }
};

}  // namespace usernic
