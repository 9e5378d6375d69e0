// SPDX-License-Identifier: Apache-2.0 OR MIT
// The receive filter alone: random cards, wishes, failures and losses; what must hold is in filter_world.h.
#include <gtest/gtest.h>

#include <cstdlib>

#include "testing/chance.h"
#include "testing/filter_world.h"
#include "testing/watch.h"

#if defined(__SANITIZE_THREAD__)
#define USERNIC_TEST_TSAN 1
#elif defined(__has_feature)
#define USERNIC_TEST_TSAN __has_feature(thread_sanitizer)
#endif

namespace usernic {
namespace {

#if USERNIC_TEST_TSAN
constexpr uint64_t kHistories = 1'000;  // each is of one thread's: there are no races in it
#else
constexpr uint64_t kHistories = 20'000;
#endif

// USERNIC_SEED=N repeats the history that failed; USERNIC_LONG plays a million.
TEST(CardFilterProperty, WhateverIsWantedAndHoweverTheCardFails) {
  const char* const one = std::getenv("USERNIC_SEED");
  const uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : random_u64() >> 16;
  const uint64_t histories = one != nullptr ? 1 : std::getenv("USERNIC_LONG") != nullptr ? 1'000'000 : kHistories;
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
