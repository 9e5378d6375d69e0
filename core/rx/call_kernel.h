// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the kernel's signature: one call that may sleep and fail, with both lists to push from.
#pragma once

#include "core/rx/call_legacy.h"

namespace usernic {

class CallKernel final : public CallLegacy {
 public:
  explicit CallKernel(const Bed& bed) : CallLegacy(bed) {}
  RxFilterCaps caps(const RxFilterCaps&) const override { return unlimited(false, tells_vlans() ? kVlanIds : 0); }
  bool call(PlanBook& book) override;
};

}  // namespace usernic
