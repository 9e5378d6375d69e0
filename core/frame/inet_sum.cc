// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/frame/inet_sum.h"

namespace usernic::inet {

// Words of 32 bits into lanes of 64, 64 octets a step: no carry is lost below 2^32 words.
uint64_t sum_of(std::span<const uint8_t> octets) noexcept {
  using Lanes = uint64_t __attribute__((vector_size(16)));
  constexpr Lanes kLow = {0xffff'ffff, 0xffff'ffff};
  const uint8_t* from = octets.data();
  size_t left = octets.size();
  uint64_t sum = 0;
  if (left >= 64) {
    Lanes even[2] = {}, odd[2] = {};
    for (; left >= 64; left -= 64, from += 64) {
      Lanes four[4];
      std::memcpy(four, from, sizeof four);
      even[0] += (four[0] & kLow) + (four[1] & kLow);
      odd[0] += (four[0] >> 32) + (four[1] >> 32);
      even[1] += (four[2] & kLow) + (four[3] & kLow);
      odd[1] += (four[2] >> 32) + (four[3] >> 32);
    }
    const Lanes all = even[0] + even[1] + odd[0] + odd[1];
    sum = all[0] + all[1];
  }
  for (; left >= 4; left -= 4, from += 4) {
    uint32_t word;
    std::memcpy(&word, from, sizeof word);
    sum += word;
  }
  uint32_t rest = 0;  // what is missing of the last word is zero
  if (left != 0) std::memcpy(&rest, from, left);
  return sum + rest;
}

}  // namespace usernic::inet
