// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the legacy style: one call under addr_list_lock, which cannot fail, but for what it pushes from the lists.
#pragma once

#include "core/rx/rx_call.h"

namespace usernic {

class CallLegacy : public RxCall {
 public:
  explicit CallLegacy(const Bed& bed) : RxCall(bed) {}
  RxFilterCaps caps(const RxFilterCaps&) const override { return unlimited(false, kVlanIds); }
  bool owed(std::span<const RxStep> steps, Time now) override;
  bool call(PlanBook& book) override;

 protected:
  // Has the driver ops for VLAN ids? Then it is told of them before its call, and each is answered alone.
  bool tells_vlans() const noexcept;
  void tell_vlans(PlanBook& book);
  // What became of the other steps by a call that returned `error`, by what it pushed.
  bool answer(PlanBook& book, bool narrow, int error);
};

}  // namespace usernic
