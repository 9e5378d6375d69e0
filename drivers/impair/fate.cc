// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/impair/fate.h"

namespace usernic {
namespace {

// A number that looks like chance, of a seed and a place [splitmix64].
constexpr uint64_t mixed(uint64_t seed, uint64_t place) noexcept {
  uint64_t z = seed + place * 0x9e37'79b9'7f4a'7c15;
  z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9;
  z = (z ^ z >> 27) * 0x94d0'49bb'1331'11eb;
  return z ^ z >> 31;
}

enum class Draw : uint8_t { kLoss, kDuplicate, kCorrupt, kBit, kJitter, kReorder };

}  // namespace

std::string config_error(const ImpairConfig& config) {
  if (config.jitter_us > config.delay_us)
    return "jitter_us must be at most delay_us: no frame arrives before it was sent";
  if (config.reorder_ppm != 0 && config.reorder_us == 0)
    return "reorder_us must be at least 1 with reorder_ppm: what takes no longer is not overtaken";
  return {};
}

Fate fate_of(const ImpairConfig& config, Way way, uint64_t frame) noexcept {
  const uint64_t of_frame = mixed(mixed(config.seed, static_cast<uint64_t>(way) + 1), frame + 1);
  const auto draw = [&](Draw what) noexcept USERNIC_NONBLOCKING {
    return mixed(of_frame, static_cast<uint64_t>(what) + 1);
  };
  const auto happens = [&](Draw what, uint32_t ppm) noexcept USERNIC_NONBLOCKING {
    return ppm != 0 && draw(what) % kImpairPpm < ppm;
  };
  Fate fate;
  if (fate.lost = happens(Draw::kLoss, config.loss_ppm); fate.lost) return fate;
  fate.duplicated = happens(Draw::kDuplicate, config.duplicate_ppm);
  if (happens(Draw::kCorrupt, config.corrupt_ppm)) fate.corrupted = static_cast<uint32_t>(draw(Draw::kBit));
  fate.overtaken = happens(Draw::kReorder, config.reorder_ppm);
  int64_t us = config.delay_us;
  if (config.jitter_us != 0)
    us += static_cast<int64_t>(draw(Draw::kJitter) % (2 * uint64_t{config.jitter_us} + 1)) - config.jitter_us;
  if (fate.overtaken) us += config.reorder_us;
  fate.delay = std::chrono::microseconds(us);
  return fate;
}

}  // namespace usernic
