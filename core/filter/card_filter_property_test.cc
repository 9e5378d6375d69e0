// SPDX-License-Identifier: Apache-2.0 OR MIT
// The receive filter alone: random cards, wishes, failures and losses; what must hold is in filter_world.h.
#include <gtest/gtest.h>

#include <cstdlib>

#include "testing/chance.h"
#include "testing/filter_world.h"
#include "testing/watch.h"

namespace usernic {
namespace {

// USERNIC_SEED=N repeats the history that failed; USERNIC_LONG plays fifty times as many.
TEST(CardFilterProperty, WhateverIsWantedAndHoweverTheCardFails) {
  const char* const one = std::getenv("USERNIC_SEED");
  const uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : random_u64() >> 16;
  const uint64_t histories = one != nullptr ? 1 : std::getenv("USERNIC_LONG") != nullptr ? 1'000'000 : 20'000;
  uint64_t commands = 0;
  for (uint64_t seed = first; seed < first + histories; ++seed) {
    Chance chance(seed);
    FilterWorld world(chance);
    try {
      world.play(static_cast<uint32_t>(5 + chance.below(60)));
    } catch (const Finding& finding) {
      FAIL() << finding.what() << "\nUSERNIC_SEED=" << seed << " repeats it";
    }
    commands += world.commands();
  }
  std::printf("%llu histories from seed %llu, %llu commands\n", static_cast<unsigned long long>(histories),
              static_cast<unsigned long long>(first), static_cast<unsigned long long>(commands));
}

}  // namespace
}  // namespace usernic
