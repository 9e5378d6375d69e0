// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/frame/taps.h"

#include "usernic/context.h"

namespace usernic {

Result<> Taps::add(FrameTap& tap) {
  MutexGuard guard(lock_);
  if (closed_) return fail(std::errc::no_such_device);
  const auto at = static_cast<size_t>(std::countr_one(used_.load()));
  if (at == kFrameTapsMax) return fail(std::errc::device_or_resource_busy);
  taps_[at].store(&tap);
  used_.fetch_or(1u << at);
  return {};
}

void Taps::remove(FrameTap& tap, Place where) noexcept {
  MutexGuard guard(lock_);
  for (size_t at = 0; at < kFrameTapsMax; ++at) {
    if ((used_.load() >> at & 1) == 0 || taps_[at].load() != &tap) continue;
    used_.fetch_and(~(1u << at));
    sections_.synchronize("calls of a frame tap to end, so that it is taken off", where);
    return;
  }
}

void Taps::close() noexcept {
  MutexGuard guard(lock_);
  closed_ = true;
  const uint32_t were = used_.exchange(0);
  if (were == 0) return;
  sections_.synchronize("calls of frame taps to end, so that all are taken off");
  for (size_t at = 0; at < kFrameTapsMax; ++at) {
    if ((were >> at & 1) != 0) taps_[at].load()->gone();
  }
}

void Taps::received(SkbBatch& frames) noexcept {
  see_all(frames, FrameWay::kIn, FrameFate::kWentOn, {});
}

void Taps::dropped(SkbBatch& frames, FrameWay way, DropReason why) noexcept {
  see_all(frames, way, FrameFate::kDropped, why);
}

void Taps::see_all(SkbBatch& frames, FrameWay way, FrameFate fate, DropReason why) noexcept {
  if (none()) return;
  const BhScope as_a_tap_is_promised;
  const Section taps(*this);
  if (taps.empty()) return;
  for (const Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*const_cast<Skb*>(skb))) {
    SeenFrame(taps, *skb, way).settle(fate, why);
  }
}

void Taps::dropped(const Skb& skb, FrameWay way, DropReason why) noexcept {
  if (none()) return;
  const BhScope as_a_tap_is_promised;
  const Section taps(*this);
  if (!taps.empty()) SeenFrame(taps, skb, way).settle(FrameFate::kDropped, why);
}

void Taps::rx_mode_changed() noexcept {
  const Section taps(*this);
  taps.each([](FrameTap& tap, size_t) { tap.rx_mode_changed(); });
}

}  // namespace usernic
