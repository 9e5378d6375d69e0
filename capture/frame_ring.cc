// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "capture/frame_ring.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

namespace usernic {

FrameRing::FrameRing(size_t bytes, uint32_t snap_bytes, Kick& wake)
    : granules_(rounded(bytes, snap_bytes) / kGranule),
      snap_bytes_(snap_bytes),
      wake_(wake),
      memory_(std::make_unique_for_overwrite<Granule[]>(granules_)),
      states_(std::make_unique<Atomic<uint32_t>[]>(granules_)) {}

// Less than a record is skipped before the memory's end, and then the record has to fit.
size_t FrameRing::rounded(size_t bytes, uint32_t snap_bytes) noexcept {
  const size_t record = (sizeof(Header) + snap_bytes + kGranule - 1) / kGranule;
  return std::bit_ceil(std::max(bytes / kGranule, 2 * record)) * kGranule;
}

// By the kernel, which writes nothing where somebody has a frame already. One that cannot leaves it to the frames.
void FrameRing::touch() noexcept {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(memory_.get()) + page - 1) & ~(page - 1);
  const auto end = reinterpret_cast<uintptr_t>(memory_.get() + granules_) & ~(page - 1);
  if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_WRITE);
}

FrameRing::Header& FrameRing::header(uint64_t position) noexcept {
  return *std::launder(reinterpret_cast<Header*>(memory_[position & (granules_ - 1)].octets));
}

uint8_t* FrameRing::payload(uint64_t position) noexcept {
  return reinterpret_cast<uint8_t*>(memory_[position & (granules_ - 1)].octets) + sizeof(Header);
}

uint64_t FrameRing::see(const Skb& skb, FrameWay way) noexcept {
  const uint32_t wire_bytes = skb.total_size();
  const uint32_t kept = std::min(wire_bytes, snap_bytes_);
  const uint64_t needed = (sizeof(Header) + kept + kGranule - 1) / kGranule;
  // A record lies in one piece: what is left before the memory's end is skipped.
  uint64_t skipped = 0;
  uint64_t end = end_.load(std::memory_order_relaxed);
  do {
    const uint64_t before_wrap = granules_ - (end & (granules_ - 1));
    skipped = before_wrap < needed ? before_wrap : 0;
    if (end + skipped + needed - begin_.load(std::memory_order_acquire) > granules_) {
      lost_.fetch_add(1, std::memory_order_relaxed);
      return kLost;
    }
  } while (!end_.compare_exchange_weak(end, end + skipped + needed, std::memory_order_relaxed));
  if (skipped != 0) publish(end, static_cast<uint32_t>(skipped) | kSkip);
  const uint64_t mine = end + skipped;
  new (&header(mine)) Header{.at = Clock::now(),
                             .lost = lost_.load(std::memory_order_relaxed),
                             .why = {},
                             .wire_bytes = wire_bytes,
                             .kept_bytes = kept,
                             .way = way};
  uint8_t* to = payload(mine);
  uint32_t left = kept;
  const auto copy = [&](const Skb& part) noexcept USERNIC_NONBLOCKING {
    const uint32_t now = std::min(left, part.size());
    std::memcpy(to, part.data(), now);
    to += now;
    left -= now;
  };
  copy(skb);
  for (const Skb* part = skb.chain(); part != nullptr && left != 0; part = Skb::chain_next(*part)) copy(*part);
  return mine;
}

void FrameRing::settle(uint64_t seen, FrameFate fate, DropReason why) noexcept {
  if (seen == kLost) return;
  Header& mine = header(seen);
  mine.why = why;
  const auto size = static_cast<uint32_t>((sizeof(Header) + mine.kept_bytes + kGranule - 1) / kGranule);
  publish(seen, fate == FrameFate::kNotTaken ? size | kSkip : size);
}

// Between the store and the look of one side, and those of the other, one sees the other's.
void FrameRing::publish(uint64_t position, uint32_t state) noexcept {
  states_[position & (granules_ - 1)].store(state);
  if (sleeps_.load()) [[unlikely]]
    wake();
}

void FrameRing::wake() noexcept {
  if (sleeps_.exchange(false)) wake_.kick();
}

void FrameRing::rx_mode_changed() noexcept {
  rx_mode_changes_.fetch_add(1);
  Duration::rep none = kForever.time_since_epoch().count();
  rx_mode_at_.compare_exchange_strong(none, Clock::now().time_since_epoch().count());
  wake();
}

void FrameRing::gone() noexcept {
  gone_.store(true);
  wake_.kick();
}

// A change between the two is told with the one before, and once more as nothing new.
Time FrameRing::take_rx_mode() noexcept {
  const Time first(Duration(rx_mode_at_.exchange(kForever.time_since_epoch().count())));
  return rx_mode_changes_.exchange(0) == 1 && first != kForever ? first : Clock::now();
}

bool FrameRing::front(Frame& frame) {
  while (true) {
    const uint64_t at = begin_.load(std::memory_order_relaxed);
    const uint32_t state = states_[at & (granules_ - 1)].load();
    if (state == 0) return false;
    if ((state & kSkip) != 0) {
      pop();
      continue;
    }
    const Header& head = header(at);
    // A loss between the claim of the place and the look at the counter is told of the wrong frame, but once.
    const uint64_t lost = std::max(head.lost, lost_seen_);
    frame = {.at = head.at,
             .way = head.way,
             .dropped = head.why,
             .wire_bytes = head.wire_bytes,
             .lost_before = lost - lost_seen_,
             .octets = {payload(at), head.kept_bytes}};
    return true;
  }
}

void FrameRing::pop() {
  const uint64_t at = begin_.load(std::memory_order_relaxed);
  Atomic<uint32_t>& state = states_[at & (granules_ - 1)];
  const uint32_t size = state.load(std::memory_order_relaxed);
  if ((size & kSkip) == 0) lost_seen_ = std::max(lost_seen_, header(at).lost);
  state.store(0, std::memory_order_relaxed);
  begin_.store(at + (size & ~kSkip), std::memory_order_release);
}

bool FrameRing::may_sleep() {
  sleeps_.store(true);
  const bool nothing = empty() && rx_mode_changed_at() == kForever;
  if (!nothing) sleeps_.store(false);
  return nothing;
}

}  // namespace usernic
