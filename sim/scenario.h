// SPDX-License-Identifier: Apache-2.0 OR MIT
// sim: a scenario: a small world that a seed fills with events, and what must hold in it.
#pragma once

#include <span>
#include <string_view>

#include "testing/chance.h"

namespace usernic::sim {

struct Scenario {
  const char* name;
  const char* sentence;         // "what meets what"
  void (*play)(Chance chance);  // the first fiber's body
};

// All of them, in the order of their names.
std::span<const Scenario> all_scenarios();
const Scenario* find_scenario(std::string_view name);

}  // namespace usernic::sim
