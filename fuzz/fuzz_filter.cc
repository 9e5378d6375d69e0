// SPDX-License-Identifier: Apache-2.0 OR MIT
// An input as a history of the receive filter alone: a card, wishes, failures, losses and times
// (testing/filter_world.h).
#include "fuzz/input.h"
#include "testing/filter_world.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace usernic;
  fuzz::Input input(data, size);
  FilterWorld world(input);
  try {
    while (!input.empty()) world.step();
    world.calm();
  } catch (const Finding& finding) {
    fuzz::broken(finding.what());
  }
  return 0;
}
