// SPDX-License-Identifier: Apache-2.0
// The card's way of frames: from the wire into memory, from memory onto the wire.
#include <cstring>
#include <utility>

#include "drivers/simnic/card.h"

namespace usernic::simnic {
namespace {

void count(Atomic<uint64_t>& counter, uint64_t more = 1) noexcept {
  counter.fetch_add(more, std::memory_order_relaxed);
}

const uint8_t* memory_at(uint64_t address) noexcept {
  return reinterpret_cast<const uint8_t*>(static_cast<uintptr_t>(address));
}

}  // namespace

void Card::hear(std::span<const Frame> frames) noexcept {
  bool fire = false;
  {
    SpinGuardBh guard(lock_);
    bool stored = false;
    for (const Frame& frame : frames) stored |= store_frame(frame);
    if (stored) fire = std::exchange(armed_, false);
  }
  if (fire) raise(Vector::kData);
}

bool Card::store_frame(Frame frame) noexcept {
  if ((control_ & kControlRx) == 0 || !link_.load()) return count(counters_.rx_off), false;
  if (!filter_.accepts(frame)) return count(counters_.rx_filtered), false;
  if (frame.size() > frame_max_) return count(counters_.rx_too_long), false;
  if (rx_.empty()) return count(counters_.rx_no_descriptor), false;
  Descriptor& descriptor = rx_.at(rx_.head);
  if (frame.size() > descriptor.length) return count(counters_.rx_too_long), false;  // the descriptor stays empty
  std::memcpy(reinterpret_cast<uint8_t*>(static_cast<uintptr_t>(descriptor.address)), frame.data(), frame.size());
  descriptor.length = static_cast<uint32_t>(frame.size());
  descriptor.status.store(kDescriptorDone, std::memory_order_release);
  ++rx_.head;
  count(counters_.rx_frames);
  return true;
}

// Returns true when this thread is to transmit; otherwise one does already, and will see the new tail.
bool Card::start_transmitter(uint64_t tail) noexcept {
  SpinGuardBh guard(lock_);
  tx_.tail = static_cast<uint32_t>(tail);
  if ((control_ & kControlTx) == 0 || transmitting_.load() != 0) return false;
  transmitting_.store(1);
  return true;
}

void Card::transmit() noexcept {
  Burst burst;
  bool fire = false;
  while (next_burst(burst)) {
    const bool sent = wire_->send(*this, {burst.frames, burst.size});
    count(sent ? counters_.tx_frames : counters_.tx_no_link, burst.size);
    fire = true;
  }
  if (!fire) return;
  {
    SpinGuardBh guard(lock_);
    fire = std::exchange(armed_, false);
  }
  if (fire) raise(Vector::kData);
}

// Writes back the burst that has gone, and takes the next one. Returns false at the end.
bool Card::next_burst(Burst& burst) noexcept {
  SpinGuardBh guard(lock_);
  finish_burst(burst);
  burst.size = burst.descriptors = burst.too_long = 0;
  if ((control_ & kControlTx) != 0 && !gone()) fill_burst(burst);
  if (burst.descriptors != 0) return true;
  transmitting_.store(0);
  if ((control_ & kControlTx) == 0) wake_all(transmitting_);  // quiesce waits
  return false;
}

void Card::finish_burst(const Burst& burst) noexcept {
  if (gone() || tx_.descriptors == nullptr || tx_.size == 0) return;  // the ring may have been taken away meanwhile
  for (uint32_t i = 0; i < burst.descriptors; ++i, ++tx_.head) {
    Descriptor& descriptor = tx_.at(tx_.head);
    const bool error = (burst.too_long >> i & 1) != 0;
    descriptor.status.store(error ? kDescriptorDone | kDescriptorError : kDescriptorDone, std::memory_order_release);
  }
}

void Card::fill_burst(Burst& burst) noexcept {
  if (tx_.empty()) return;
  const bool link = link_.load();
  for (uint32_t index = tx_.head; index != tx_.tail && burst.descriptors < kBurst; ++index, ++burst.descriptors) {
    const Descriptor& descriptor = tx_.at(index);
    if (descriptor.length > frame_max_) {
      burst.too_long |= uint32_t{1} << burst.descriptors;
      count(counters_.tx_too_long);
    } else if (!link) {
      count(counters_.tx_no_link);
    } else {
      burst.frames[burst.size++] = Frame(memory_at(descriptor.address), descriptor.length);
    }
  }
}

}  // namespace usernic::simnic
