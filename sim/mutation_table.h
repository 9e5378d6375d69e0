// SPDX-License-Identifier: Apache-2.0 OR MIT
// sim: how well the checkers see: each rule switched off, and the number of seeds until somebody notices.
#pragma once

#include <cstdint>

namespace usernic::sim {

// Prints a row a rule: the median over nine ranges of seeds, at most `seeds_max` each, and what noticed it first.
// Returns 0 when every rule was noticed in every range, else 1.
int print_mutation_table(uint64_t seeds_max);

}  // namespace usernic::sim
