// SPDX-License-Identifier: Apache-2.0 OR MIT
// The card's way of frames: from the wire into memory, from memory onto the wire.
#include <algorithm>
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

// --- Receiving ---

bool Card::receiving() const noexcept {
  return (control_ & kControlRx) != 0 && link_.load() && !gone();
}

// Whether it makes others wait follows from its ring alone. Returns true when it has just let them go on: xon is owed,
// when the lock is free.
bool Card::look_at_rx_ring() noexcept {
  const bool full = config_.flow_control && receiving() && rx_.empty();
  if (std::exchange(pausing_, full) == full) return false;
  if (!full) return true;
  pause_end_ = Clock::now() + Duration(pause_max_ns_.load());
  count(counters_.tx_pause);
  return false;
}

Room Card::room() noexcept {
  SpinGuardBh guard(lock_);
  if (!config_.flow_control || !receiving()) return {};
  if (!pausing_) return {.frames = rx_.tail - rx_.head};
  if (Clock::now() >= pause_end_) return {};
  return {.frames = 0, .until = pause_end_};
}

void Card::hear(std::span<const Frame> frames) noexcept {
  bool fire = false;
  {
    SpinGuardBh guard(lock_);
    bool stored = false;
    for (const Frame& frame : frames) stored |= store_frame(frame);
    if (stored) fire = std::exchange(armed_, false);
    if (stored) (void)look_at_rx_ring();  // there are fewer descriptors than before
  }
  if (fire) raise(Vector::kData);
}

bool Card::store_frame(Frame frame) noexcept {
  if (!receiving()) return count(counters_.rx_off), false;
  if (frame.size() < kFrameMin) return count(counters_.rx_runt), false;
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

// --- Transmitting ---

// Returns true when this thread is to transmit; otherwise one does already, and will look again.
bool Card::start_transmitter() noexcept {
  if ((control_ & kControlTx) == 0) return false;
  if (transmitting_.load() != 0) {
    look_again_ = true;
    return false;
  }
  transmitting_.store(1);
  return true;
}

void Card::resume() noexcept {
  (void)wire_->workqueue().queue_at(go_on_, kAtOnce);
}

// One ring of frames a run: the driver puts in more meanwhile, and others have items in the queue, too.
void Card::go_on() {
  uint32_t ring = 0;
  {
    SpinGuardBh guard(lock_);
    if (!start_transmitter()) return;
    ring = tx_.size;
  }
  transmit(ring);
}

// Until the ring is empty, somebody makes it wait, or so many descriptors were taken.
void Card::transmit(uint32_t descriptors_max) noexcept {
  Burst burst;
  burst.left = descriptors_max;
  while (next_burst(burst)) send_burst(burst);
  const bool progress = burst.left != descriptors_max;
  if (burst.left == 0) resume();
  if (burst.wait_until) (void)wire_->workqueue().queue_at(go_on_, *burst.wait_until);
  if (!progress) return;
  bool fire = false;
  {
    SpinGuardBh guard(lock_);
    fire = std::exchange(armed_, false);
  }
  if (fire) raise(Vector::kData);
}

void Card::send_burst(Burst& burst) noexcept {
  if (burst.size == 0) return;
  const std::span frames(burst.frames, burst.size);
  Wire::Taken taken;
  if (config_.flow_control) {
    taken = wire_->offer(*this, frames);
  } else {
    taken = {.plugged = wire_->send(*this, frames), .frames = burst.size};
  }
  if (!taken.plugged) {
    burst.no_link = ~burst.too_long;
    return;
  }
  burst.sent = taken.frames;
  count(counters_.tx_frames, taken.frames);
  if (taken.frames == 0) burst.wait_until = taken.until;
}

// Writes back what has gone of the burst, and takes the next one. Returns false at the end.
bool Card::next_burst(Burst& burst) noexcept {
  SpinGuardBh guard(lock_);
  finish_burst(burst);
  const bool made_to_wait = burst.wait_until.has_value();
  if (made_to_wait && !waiting_) count(counters_.rx_pause);
  if (made_to_wait || burst.sent != 0) waiting_ = made_to_wait;
  // Who let it go on before it had left has found it here.
  const bool goes_on = std::exchange(look_again_, false) || !made_to_wait;
  burst.size = burst.sent = burst.descriptors = burst.too_long = burst.no_link = 0;
  if (goes_on) {
    burst.wait_until.reset();
    if ((control_ & kControlTx) != 0 && !gone()) fill_burst(burst);
  }
  if (burst.descriptors != 0) return true;
  transmitting_.store(0);
  if ((control_ & kControlTx) == 0) wake_all(transmitting_);  // quiesce waits
  return false;
}

void Card::finish_burst(Burst& burst) noexcept {
  if (gone() || tx_.descriptors == nullptr || tx_.size == 0) return;  // the ring may have been taken away meanwhile
  uint32_t sent = burst.sent;
  for (uint32_t i = 0; i < burst.descriptors; ++i, ++tx_.head, --burst.left) {
    Descriptor& descriptor = tx_.at(tx_.head);
    uint32_t status = kDescriptorDone;
    if ((burst.too_long >> i & 1) != 0) {
      count(counters_.tx_too_long);
      status |= kDescriptorError;
    } else if ((burst.no_link >> i & 1) != 0) {
      count(counters_.tx_no_link);
    } else if (sent-- == 0) {
      return;  // it waits, and whatever is behind it
    }
    descriptor.status.store(status, std::memory_order_release);
  }
}

void Card::fill_burst(Burst& burst) noexcept {
  if (tx_.empty()) return;
  const bool link = link_.load();
  const uint32_t most = std::min(kBurst, burst.left);
  for (uint32_t index = tx_.head; index != tx_.tail && burst.descriptors < most; ++index, ++burst.descriptors) {
    const Descriptor& descriptor = tx_.at(index);
    if (descriptor.length > frame_max_) {
      burst.too_long |= uint32_t{1} << burst.descriptors;
    } else if (!link) {
      burst.no_link |= uint32_t{1} << burst.descriptors;
    } else {
      burst.frames[burst.size] = padded(burst, descriptor);
      ++burst.size;
    }
  }
}

// The frame of a descriptor, no runt whatever its length.
Frame Card::padded(Burst& burst, const Descriptor& descriptor) noexcept {
  const Frame frame(memory_at(descriptor.address), descriptor.length);
  if (frame.size() >= kFrameMin) return frame;
  uint8_t* const whole = burst.padded[burst.size];
  std::memset(std::copy(frame.begin(), frame.end(), whole), 0, kFrameMin - frame.size());
  return Frame(whole, kFrameMin);
}

}  // namespace usernic::simnic
