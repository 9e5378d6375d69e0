// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: whom what this thread says concerns.
#pragma once

#include <string>

namespace usernic {

std::string concerned_text();  // "nic0 (driver Simnic)", of the innermost ReportsOn; empty: of no device

}  // namespace usernic
