// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what the rx mode needs of its device.
#pragma once

#include "core/contract/ndo_device.h"
#include "core/frame/taps.h"
#include "core/list/stack_lock.h"

namespace usernic {

struct RxDevice : NdoDevice {
  StackLock& stacks;
  const Atomic<RegState>& reg_state;
  const Atomic<bool>& running;
  const Atomic<bool>& present;
  Taps& taps;

  // No driver call on a device that is down, absent or going (invariant 5).
  bool may_call() const noexcept {
    return reg_state.load() == RegState::kRegistered && running.load() && present.load();
  }
};

}  // namespace usernic
