// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/frame/frame_account.h"

namespace usernic {

void FrameAccount::enter(FrameAccount*& of) noexcept {
  leave(of);
  users_.fetch_add(1, std::memory_order_relaxed);
  held_.fetch_add(1, std::memory_order_relaxed);
  of = this;
}

void FrameAccount::left() noexcept {
  held_.fetch_sub(1, std::memory_order_release);
  drop();
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // the last frame of a device that is gone, while checks are on
    void
    FrameAccount::drop() noexcept {
  if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}
USERNIC_BLOCKING_BY_DESIGN_END

}  // namespace usernic
