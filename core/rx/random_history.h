// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: a history of a device, from a seed: random steps on real threads, each looked at, and then calm.
#pragma once

#include <rapidcheck.h>

#include <cstdint>

namespace usernic {

// History(seed) has step(), which does something at random; look(), which checks; rest(), which at times waits for the
// lane; and converge_and_check().
template <class History>
void check_random_history() {
  constexpr int kSteps = 120;
  const auto seed = *rc::gen::noShrink(rc::gen::arbitrary<uint64_t>());  // threads make each history new
  History history(seed);
  for (int i = 0; i < kSteps; ++i) {
    history.step();
    history.look();
    history.rest();
  }
  history.converge_and_check();
}

}  // namespace usernic
