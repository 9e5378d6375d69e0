// SPDX-License-Identifier: Apache-2.0 OR MIT
// Drivers of the styles other than the plan: the same changes, failures and resets, and the same checkers.
#include "sim/rx_world.h"
#include "sim/scenarios/scenarios.h"
#include "sim/scheduler.h"

namespace usernic::sim {
namespace {

void play_style(Chance chance, CardStyle style) {
  RxWorldConfig config = random_world(chance);
  config.style = style;
  RxWorld world(config, chance);
  const bool loses = chance.one_in(3), reopens = chance.one_in(3), changes_own = chance.one_in(3);
  const int vlans = style != CardStyle::kKernel && chance.one_in(3) ? 4 : 0;
  together({{"user-1", [&, c = chance.stream(1)] { world.change(c, 12); }},
            {"user-2", [&, c = chance.stream(2)] { world.change(c, 6); }},
            {"vlans", [&, c = chance.stream(3)] { world.filter_vlans(c, vlans); }},
            {"waiter", [&, c = chance.stream(4)] { world.wait_for(c, 2); }},
            {"reader", [&, c = chance.stream(5)] { world.read(c, 1); }},
            {"firmware", [&, c = chance.stream(6)] { world.reset(c, loses ? 2 : 0); }},
            {"admin-1", [&, c = chance.stream(7)] { world.reopen(c, reopens ? 3 : 0); }},
            {"admin-2", [&, c = chance.stream(8)] { world.change_own(c, changes_own ? 3 : 0); }}});
  world.converge();
  world.thin_out(chance.below(2));
  world.unregister();
}

}  // namespace

void play_image(Chance chance) {
  play_style(chance, CardStyle::kImage);
}
void play_legacy(Chance chance) {
  play_style(chance, CardStyle::kLegacy);
}
void play_kernel_style(Chance chance) {
  play_style(chance, CardStyle::kKernel);
}

}  // namespace usernic::sim
