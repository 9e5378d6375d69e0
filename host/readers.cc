// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/readers.h"

#include <fmt/format.h>

#include <algorithm>

namespace usernic {

HostResult<std::unique_ptr<Readers>> Readers::create(uint16_t count, std::span<const int> cpus) {
  auto readers = std::make_unique<Readers>();
  for (uint16_t i = 0; i < std::max<uint16_t>(count, 1); ++i) {
    auto loop = TurnLoop::create(i == 0 ? "usernic-read" : fmt::format("usernic-read/{}", i),
                                 cpus.empty() ? std::nullopt : std::optional(cpus[i % cpus.size()]));
    if (!loop) return std::unexpected(loop.error());
    readers->threads_.push_back({.loop = *std::move(loop)});
  }
  return readers;
}

TurnLoop& Readers::move_in() noexcept {
  MutexGuard guard(lock_);
  OneThread& home = *std::ranges::min_element(threads_, {}, &OneThread::lodgers);
  ++home.lodgers;
  return *home.loop;
}

void Readers::move_out(TurnLoop& home) noexcept {
  MutexGuard guard(lock_);
  --std::ranges::find(threads_, &home, [](const OneThread& each) { return each.loop.get(); })->lodgers;
}

}  // namespace usernic
