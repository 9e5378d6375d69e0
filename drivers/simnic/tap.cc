// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/simnic/tap.h"

#include <algorithm>
#include <cstring>

namespace usernic::simnic {

WireTap::WireTap(std::shared_ptr<Wire> wire, size_t kept_max)
    : wire_(std::move(wire)), kept_max_(kept_max), memory_(new uint8_t[kept_max * kFrameMax]) {
  kept_sizes_.reserve(kept_max);
  wire_->plug(*this);
}

WireTap::~WireTap() {
  wire_->unplug(*this);
}

void WireTap::hear(std::span<const Frame> frames) noexcept {
  {
    SpinGuardBh guard(lock_);
    for (const Frame& frame : frames) {
      if (kept_sizes_.size() == kept_max_) break;
      const size_t size = std::min<size_t>(frame.size(), kFrameMax);
      std::memcpy(&memory_[kept_sizes_.size() * kFrameMax], frame.data(), size);
      USERNIC_BLOCKING_BY_DESIGN_BEGIN  // within the reserved capacity
          kept_sizes_.push_back(static_cast<uint32_t>(size));
      USERNIC_BLOCKING_BY_DESIGN_END
    }
  }
  heard_.fetch_add(static_cast<uint32_t>(frames.size()));
  wake_all(heard_);
}

bool WireTap::wait_heard(uint32_t count, Time deadline) const {
  might_sleep();
  for (;;) {
    const uint32_t seen = heard_.load();
    if (seen >= count) return true;
    if (!wait_on(heard_, seen, deadline)) return heard_.load() >= count;
  }
}

std::vector<std::vector<uint8_t>> WireTap::kept() const {
  std::vector<uint32_t> sizes;
  sizes.reserve(kept_max_);
  {
    SpinGuardBh guard(lock_);
    sizes = kept_sizes_;
  }
  std::vector<std::vector<uint8_t>> frames;  // what is kept never changes
  for (size_t i = 0; i < sizes.size(); ++i) {
    frames.emplace_back(&memory_[i * kFrameMax], &memory_[i * kFrameMax] + sizes[i]);
  }
  return frames;
}

}  // namespace usernic::simnic
