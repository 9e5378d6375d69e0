// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the image style: prepare under the lock, swap under the lock, write without it.
#pragma once

#include "core/rx/rx_call.h"

namespace usernic {

class CallImage final : public RxCall {
 public:
  explicit CallImage(const Bed& bed) : RxCall(bed), image_(*bed.device.ops.rx_image) {}
  // The own address is in the image.
  RxFilterCaps caps(const RxFilterCaps&) const override { return unlimited(true, kVlanIds); }
  bool one_result() const noexcept override { return true; }
  bool owed(std::span<const RxStep> steps, Time now) override;
  bool call(PlanBook& book) override;
  void forget() override;
  RxImagePair* image() noexcept override { return &image_; }

 private:
  bool prepare(const PlanBook& book, bool narrow, Result<>& prepared);
  Result<> write();
  bool answer(PlanBook& book, bool narrow, Result<> prepared, Result<> written);

  RxImagePair image_;
  bool asked_ = false;  // this run calls, whatever changed
};

}  // namespace usernic
