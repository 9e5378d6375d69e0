// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests, the simulator and the fuzzers: chance that a seed decides [splitmix64]. Who fails prints the seed.
#pragma once

#include <cstdint>

namespace usernic {

class Chance {
 public:
  constexpr explicit Chance(uint64_t seed) : state_(seed) {}
  // Another stream of the same seed: what one draws does not move the other.
  constexpr Chance stream(uint64_t number) const {
    return Chance(Chance(state_ + number * 0xd1b5'4a32'd192'ed03).next());
  }

  constexpr uint64_t next() noexcept {
    uint64_t z = state_ += 0x9e37'79b9'7f4a'7c15;
    z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ z >> 27) * 0x94d0'49bb'1331'11eb;
    return z ^ z >> 31;
  }
  // 0 .. bound - 1, near enough to uniform for the small bounds of a history. Requires: bound > 0.
  constexpr uint64_t below(uint64_t bound) noexcept { return next() % bound; }
  constexpr uint64_t between(uint64_t first, uint64_t last) noexcept { return first + below(last - first + 1); }
  constexpr bool one_in(uint64_t n) noexcept { return below(n) == 0; }

 private:
  uint64_t state_;
};

}  // namespace usernic
