// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: a place in the source, as reports name it. A last argument `Place where = Place::current()` is the caller's.
#pragma once

#include <source_location>

namespace usernic {

using Place = std::source_location;

}  // namespace usernic
// Explained best by: core/lock/report_test.cc
