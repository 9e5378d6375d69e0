// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/impair/impaired_way.h"

#include <algorithm>

#include "usernic/skb_copy.h"

namespace usernic {
namespace {

constexpr uint32_t kHeaderBytes = 14;
constexpr Duration kTryAgain = std::chrono::milliseconds(1);

void turn_bit(Skb& skb, uint32_t bit) noexcept USERNIC_NONBLOCKING {
  if (skb.size() <= kHeaderBytes) return;
  bit %= (skb.size() - kHeaderBytes) * 8;
  skb.data()[kHeaderBytes + bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
  skb.set_offload({});  // whoever has verified its sum saw another frame
}

bool impairs(const ImpairConfig& config, Way way) {
  return config.direction == ImpairedWays::kBoth || (config.direction == ImpairedWays::kIn) == (way == Way::kIn);
}

}  // namespace

ImpairedWay::ImpairedWay(NetDevice& dev, SkbPool& copies, const ImpairConfig& config, Way way, GoOn go_on, void* of)
    : dev_(dev),
      config_(config),
      way_(way),
      impairs_(impairs(config, way)),
      straight_(config.delay_us == 0 && config.duplicate_ppm == 0),
      copies_(copies),
      go_on_(go_on),
      of_(of),
      work_(dev, &ImpairedWay::release_due, this) {}

void ImpairedWay::note(const Skb& skb, DropReason why) noexcept {
  note_drop(dev_, skb, way_ == Way::kIn ? FrameWay::kIn : FrameWay::kOut, why);
}

void ImpairedWay::pass(Skb& skb, SkbBatch& at_once) noexcept {
  counters_.frames.fetch_add(1, std::memory_order_relaxed);
  if (!impairs_) return at_once.push_back(skb);
  SpinGuardBh guard(lock_);
  const Fate fate = fate_of(config_, way_, frame_++);
  if (fate.lost) {
    counters_.lost.fetch_add(1, std::memory_order_relaxed);
    note(skb, "lost on the impaired wire");
    return SkbPool::free(skb);
  }
  if (fate.corrupted) {
    counters_.corrupted.fetch_add(1, std::memory_order_relaxed);
    turn_bit(skb, *fate.corrupted);
  }
  if (fate.overtaken) counters_.overtaken.fetch_add(1, std::memory_order_relaxed);
  if (straight_ && !fate.overtaken) return at_once.push_back(skb);
  const Time due = Clock::now() + fate.delay;
  hold(skb, due, fate.overtaken);
  if (fate.duplicated) {
    counters_.duplicated.fetch_add(1, std::memory_order_relaxed);
    hold(skb, due, fate.overtaken);
  }
  SkbPool::free(skb);
}

// A heap has the greatest on top, which is the one that is later than none.
void ImpairedWay::hold(const Skb& skb, Time due, bool overtaken) noexcept {
  const bool full = under_way_ >= kHeldMax;
  Skb* const same = full ? nullptr : copy_into(copies_, skb);
  if (same == nullptr) {
    counters_.no_room.fetch_add(1, std::memory_order_relaxed);
    return note(skb, full ? DropReason("too much is on the impaired wire") : "there was no buffer for a copy");
  }
  if (!overtaken) last_due_ = due = std::max(due, last_due_);
  ++under_way_;
  held_[held_count_++] = {.due = due, .number = number_++, .skb = same};
  std::push_heap(held_.begin(), held_.begin() + held_count_, Held::later);
  if (left_.empty()) (void)work_.schedule_at(held_[0].due);
}

void ImpairedWay::take_due(Time now, SkbBatch& due) noexcept {
  while (held_count_ != 0 && held_[0].due <= now) {
    std::pop_heap(held_.begin(), held_.begin() + held_count_, Held::later);
    due.push_back(*held_[--held_count_].skb);
  }
}

void ImpairedWay::release_due(void* of) noexcept {
  static_cast<ImpairedWay*>(of)->release();
}

// The work never runs twice at once, so that nobody overtakes what goes on here.
void ImpairedWay::release() noexcept {
  SkbBatch going;
  {
    SpinGuardBh guard(lock_);
    going.splice(left_);
    take_due(Clock::now(), going);
  }
  const uint32_t due = going.size();
  if (due != 0) go_on_(of_, going);
  SpinGuardBh guard(lock_);
  under_way_ -= due - going.size();
  left_.splice(going);
  if (!left_.empty()) {
    (void)work_.schedule_at(Clock::now() + kTryAgain);
  } else if (held_count_ != 0) {
    (void)work_.schedule_at(held_[0].due);
  }
}

void ImpairedWay::clear() {
  work_.cancel_sync();
  SkbBatch all;
  {
    SpinGuardBh guard(lock_);
    all.splice(left_);
    take_due(kForever, all);
    last_due_ = {};
    under_way_ = 0;
  }
  for (Skb* skb = all.front(); skb != nullptr; skb = SkbBatch::next(*skb)) {
    note(*skb, "the device was closed while it was on the impaired wire");
  }
  SkbPool::free(all);
}

}  // namespace usernic
