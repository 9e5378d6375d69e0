// SPDX-License-Identifier: Apache-2.0 OR MIT
// simnic, the driver: its transmit ring. Frames go to the card and are given back to their pools when it is done.
//
// Two sides without a lock: start_xmit (under the xmit lock) moves `tail`, the poll (owner of the NAPI instance)
// moves `clean`. Each reads the other's index; room = size - (tail - clean). Both indexes are sequentially
// consistent, because "stop, then look for room" races with "make room, then look whether it is stopped".
#pragma once

#include <memory>

#include "drivers/simnic/regs.h"
#include "usernic/env.h"
#include "usernic/skb.h"

namespace usernic::simnic {

class TxRing {
 public:
  // `size` is a power of two. Context: process.
  explicit TxRing(uint32_t size);
  // Gives every frame back, sent or not. Requires: the card touches none any more.
  ~TxRing();
  TxRing(const TxRing&) = delete;
  TxRing& operator=(const TxRing&) = delete;

  // Context: any.
  uint32_t room() const noexcept USERNIC_NONBLOCKING { return size() - (tail_.load() - clean_.load()); }
  uint32_t tail() const noexcept USERNIC_NONBLOCKING { return tail_.load(); }
  uint32_t clean() const noexcept USERNIC_NONBLOCKING { return clean_.load(); }
  uint32_t size() const noexcept USERNIC_NONBLOCKING { return mask_ + 1; }
  uint64_t address() const noexcept { return reinterpret_cast<uintptr_t>(descriptors_.get()); }

  // Puts the frame into the ring, and keeps it. Requires: the xmit lock, room() > 0.
  void put(Skb& skb) noexcept USERNIC_NONBLOCKING;
  // Frees the frames that the card is done with, and says what they were. Requires: called from poll.
  struct Reclaimed {
    uint32_t frames = 0;
    uint64_t bytes = 0;
  };
  Reclaimed reclaim() noexcept USERNIC_NONBLOCKING;
  // Moves those that were not reclaimed to the end of `frames`. Requires: the card touches none any more, nobody puts
  // one in.
  void take_unsent(SkbBatch& frames) noexcept USERNIC_NONBLOCKING;

 private:
  const uint32_t mask_;
  const std::unique_ptr<Descriptor[]> descriptors_;
  const std::unique_ptr<Skb*[]> skbs_;  // the frame of each descriptor
  Atomic<uint32_t> tail_{0};
  Atomic<uint32_t> clean_{0};
};

}  // namespace usernic::simnic
// Explained best by: drivers/simnic/ring_test.cc
