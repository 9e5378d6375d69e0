// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what a driver was told of promiscuity and allmulti, from its open to its stop. The lane's own.
#pragma once

#include <optional>
#include <span>

#include "core/filter/card_filter.h"
#include "core/rx/rx_device.h"
#include "usernic/rx_flags.h"

namespace usernic {

class ToldFlags {
 public:
  // Open finds these on / stop has returned, or open has failed.
  void begin(RxFlags on) noexcept { told_ = on; }
  void end() noexcept { told_.reset(); }
  const std::optional<RxFlags>& now() const noexcept { return told_; }

  // Brings it to what the run aims at, before its driver call. What goes on and what goes off are two calls, as they
  // are for a card. Returns true when another run is owed. Requires: lane, IL.
  bool tell(const RxDevice& device, const CardFilter& filter, std::span<const RxStep> steps);

 private:
  std::optional<RxFlags> told_;
};

}  // namespace usernic
