// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: features by the names that ethtool has for them: each by its own, several together by a short one ("tso").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ctl/messages.h"
#include "ctl/outcome.h"
#include "usernic/features.h"

namespace usernic::daemon {

// What `wishes` make of the features that are on, of a device that has `hw`. Refused with a sentence that begins
// "`dev` ...": there is no such name, or the device has it not.
ctl::Outcome<Features> with_wishes(std::string_view dev, Features on, Features hw,
                                   const std::vector<ctl::FeatureWish>& wishes);
// Empty, or a sentence: what was wished on and is off, of what was `wanted` in the end; a later wish may take back an
// earlier one.
std::string unfulfilled(std::string_view dev, Features on, Features wanted,
                        const std::vector<ctl::FeatureWish>& wishes);
std::vector<ctl::EthtoolReport::Feature> feature_rows(Features on, Features hw);

}  // namespace usernic::daemon
// Explained best by: daemon/feature_names_test.cc
