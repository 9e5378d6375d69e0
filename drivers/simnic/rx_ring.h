// SPDX-License-Identifier: Apache-2.0 OR MIT
// simnic, the driver: its receive ring. Empty buffers go to the card, frames come back in the same buffers.
//
// Descriptors [next, tail) are the card's; [tail, next + size) have no buffer, because the pool was empty. Only the
// owner of the NAPI instance touches the ring, or who has disabled it: no lock.
#pragma once

#include <memory>

#include "drivers/simnic/regs.h"
#include "usernic/skb.h"

namespace usernic::simnic {

class RxRing {
 public:
  // `size` is a power of two. Context: process.
  explicit RxRing(uint32_t size);
  // Gives every buffer back. Requires: the card touches none any more.
  ~RxRing() { drop_buffers(); }
  RxRing(const RxRing&) = delete;
  RxRing& operator=(const RxRing&) = delete;

  // Buffers of the pool for as many descriptors as it has. Returns true when the card has to hear of a new tail.
  bool refill(SkbPool& pool) noexcept USERNIC_NONBLOCKING;
  // Moves up to `budget` received frames to the end of `frames`, those over several buffers with a chain; returns how
  // many there were. One that is longer than its buffer, as the card says, is none.
  int receive(SkbBatch& frames, int budget) noexcept USERNIC_NONBLOCKING;
  // Gives the buffers back and starts from index 0 again. Requires: as for the destructor.
  void drop_buffers() noexcept USERNIC_NONBLOCKING;

  uint64_t address() const noexcept { return reinterpret_cast<uintptr_t>(descriptors_.get()); }
  uint32_t size() const noexcept { return mask_ + 1; }
  uint32_t next() const noexcept USERNIC_NONBLOCKING { return next_; }
  uint32_t tail() const noexcept USERNIC_NONBLOCKING { return tail_; }
  // The card has no buffer at all, so no interrupt will come.
  bool starved() const noexcept USERNIC_NONBLOCKING { return next_ == tail_; }

 private:
  void receive_rest(Skb& first) noexcept USERNIC_NONBLOCKING;

  const uint32_t mask_;
  const std::unique_ptr<Descriptor[]> descriptors_;
  const std::unique_ptr<Skb*[]> skbs_;  // the buffer of each descriptor
  uint32_t next_ = 0;
  uint32_t tail_ = 0;
};

}  // namespace usernic::simnic
// Explained best by: drivers/simnic/ring_test.cc
