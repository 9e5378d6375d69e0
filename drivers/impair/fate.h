// SPDX-License-Identifier: Apache-2.0 OR MIT
// impair: what a bad wire does to a frame, decided by a seed.
//
// The fate of the n-th frame of a direction is a function of the seed, the direction and n: a run whose frames come in
// the same order loses the same ones. Each kind of harm draws a number of its own, so that switching one on moves none
// of the others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "usernic/annotations.h"
#include "usernic/env.h"

namespace usernic {

enum class ImpairedWays : uint8_t { kBoth, kIn, kOut };

// Chances in millionths of frames. Names of fields are the names in a config file.
struct ImpairConfig {
  ImpairedWays direction = ImpairedWays::kBoth;
  uint32_t loss_ppm = 0;
  uint32_t duplicate_ppm = 0;
  uint32_t corrupt_ppm = 0;  // one bit behind the Ethernet header is turned
  uint32_t delay_us = 0;
  uint32_t jitter_us = 0;      // more or less of that; frames stay in order
  uint32_t reorder_ppm = 0;    // frames that others overtake, as they take
  uint32_t reorder_us = 1000;  // so much longer
  uint64_t seed = 0;           // 0: the device takes one at random
  bool operator==(const ImpairConfig&) const = default;
};

inline constexpr uint32_t kImpairPpm = 1'000'000;
inline constexpr uint32_t kImpairUsMax = 10'000'000;
inline constexpr uint64_t kImpairSeedMax = 1'000'000'000'000'000'000;

// Empty, or one sentence that names the field and what would be right.
std::string config_error(const ImpairConfig& config);

struct Fate {
  bool lost = false;
  bool duplicated = false;
  bool overtaken = false;
  std::optional<uint32_t> corrupted{};  // the bit, modulo how many there are
  Duration delay{};
  bool operator==(const Fate&) const = default;
};

enum class Way : uint8_t { kIn, kOut };

Fate fate_of(const ImpairConfig& config, Way way, uint64_t frame) noexcept USERNIC_NONBLOCKING;

}  // namespace usernic
// Explained best by: drivers/impair/fate_test.cc
