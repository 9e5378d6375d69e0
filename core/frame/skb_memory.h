// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what the frames of a pool are made of. None of it takes the machine's memory before its frame is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "usernic/skb.h"

namespace usernic {

struct SkbPool::Memory {
  template <typename T>
  union Later {
    Later() noexcept {}
    T value;
  };

  Memory(uint32_t count, size_t octets_each, bool watched)
      : octets(std::make_unique_for_overwrite<uint8_t[]>(octets_each * count)),
        skbs(std::make_unique_for_overwrite<Later<Skb>[]>(count)),
        cbs(std::make_unique_for_overwrite<Skb::Cb[]>(count)) {
    if (watched) watches = std::make_unique_for_overwrite<Later<Skb::Watch>[]>(count);
  }
  size_t index(const Skb& skb) const noexcept { return static_cast<size_t>(&skb - &skbs[0].value); }

  std::unique_ptr<uint8_t[]> octets;
  std::unique_ptr<Later<Skb>[]> skbs;
  std::unique_ptr<Skb::Cb[]> cbs;
  std::unique_ptr<Later<Skb::Watch>[]> watches;  // while checks are on
};

}  // namespace usernic
