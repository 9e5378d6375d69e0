// SPDX-License-Identifier: Apache-2.0 OR MIT
#include <array>

#include "daemon/config.h"
#include "daemon/config_section.h"
#include "daemon/drivers.h"
#include "drivers/impair/impair.h"

namespace usernic::daemon {
namespace {

constexpr auto kImpairKeys =
    std::to_array<std::string_view>({"direction", "loss_ppm", "duplicate_ppm", "corrupt_ppm", "delay_us", "jitter_us",
                                     "reorder_ppm", "reorder_us", "seed"});
constexpr auto kImpairDirections = std::to_array<std::pair<std::string_view, ImpairedWays>>(
    {{"both", ImpairedWays::kBoth}, {"in", ImpairedWays::kIn}, {"out", ImpairedWays::kOut}});

void read_impair(Section& section, NicConfig& nic) {
  ImpairConfig impair;
  section.choice("direction", impair.direction, kImpairDirections);
  section.number("loss_ppm", impair.loss_ppm, 0, kImpairPpm);
  section.number("duplicate_ppm", impair.duplicate_ppm, 0, kImpairPpm);
  section.number("corrupt_ppm", impair.corrupt_ppm, 0, kImpairPpm);
  section.number("delay_us", impair.delay_us, 0, kImpairUsMax);
  section.number("jitter_us", impair.jitter_us, 0, kImpairUsMax);
  section.number("reorder_ppm", impair.reorder_ppm, 0, kImpairPpm);
  section.number("reorder_us", impair.reorder_us, 0, kImpairUsMax);
  section.number("seed", impair.seed, 0, kImpairSeedMax);
  // What does not go together names its field first.
  const std::string sentence = config_error(impair);
  if (!sentence.empty()) {
    section.bad_at(std::string_view(sentence).substr(0, sentence.find(' ')), "in [nic.impair], " + sentence);
  }
  nic.section = impair;
}

}  // namespace

extern const Driver kImpairDriver;
const Driver kImpairDriver{
    .name = "impair",
    .help = "another nic behind a bad wire",
    .mtu_max = kMtuMax,
    .keys = kImpairKeys,
    .read = read_impair,
    .lowers_max = 1,
    .share = [](const NicConfig&) { return Share{Share::Of::kAll}; },
    .probe =
        [](const ProbeSite& site, const NetdevConfig& config) {
          return Impair::probe(site.net, config, *site.lowers[0], site.nic.section_as<ImpairConfig>());
        },
};

}  // namespace usernic::daemon
