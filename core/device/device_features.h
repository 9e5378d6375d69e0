// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: which features go together.
#pragma once

#include <string>

#include "core/device/device.h"

namespace usernic {

// Empty when a card can be like that, else a clause that names what is wrong and what would be right.
std::string features_error(Features hw);

// Of what is wanted, what can be on: superframes need the sums of their segments, kTsoEcn needs the TCP that it is of.
Features features_that_go_together(Features wanted) noexcept;

// Takes what the driver says at register. False after a sentence on stderr. Requires: rtnl.
bool configure_features(Device& dev);
// Requires: rtnl, IL, the lane parked.
Result<> change_features_locked(Device& dev, Features wanted);

}  // namespace usernic
