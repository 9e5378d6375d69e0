// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: frames to a TAP, a batch at a time.
//
// Many frames share a system call, where the kernel has io_uring; the ring is made, by whoever may sleep, when there is
// a batch that is worth one. Without it, or while another thread writes by it, each frame is a call of its own.
//
// Locks: none. Errors: counted by the caller.
#pragma once

#include <array>
#include <memory>

#include "host/tap_queue.h"
#include "host/tap_ring.h"
#include "usernic/env.h"
#include "usernic/frame_tap.h"
#include "usernic/kick.h"
#include "usernic/skb.h"

namespace usernic {

class TapWriter {
 public:
  // `wants_ring` is kicked when it is time for make_ring; it outlives the writer. `of`: the device whose taps see what
  // is not taken; null: nobody's.
  TapWriter(TapQueue& tap, Kick& wants_ring, NetDevice* of = nullptr) noexcept
      : tap_(tap), wants_ring_(wants_ring), of_(of) {}
  TapWriter(const TapWriter&) = delete;
  TapWriter& operator=(const TapWriter&) = delete;

  // Gives the kernel each of them, with its chain and what is left to do on it. They stay the caller's; what stands
  // before a frame in its buffer changes. Returns how many frames, of a superframe its segments, were not taken: the
  // interface is down. Context: any.
  uint64_t write(SkbBatch& frames) noexcept USERNIC_NONBLOCKING;
  // Makes the ring that `write` asked for, if it did; where it cannot be had, not again. Context: process; one thread.
  void make_ring();
  const TapIo& io() const noexcept { return io_; }

 private:
  static constexpr uint32_t kWorthARing = 4;  // frames

  // A ring, and what a submit of it needs to stay.
  struct Shared {
    std::unique_ptr<TapRing> ring;
    std::array<Skb*, TapRing::kDepth> frames;
    std::array<VnetHeader, TapRing::kDepth> headers;
    std::array<iovec, 4 * kFramePartsMax> parts;
  };

  Skb* write_turn(Shared& shared, Skb& first, uint64_t& dropped) noexcept USERNIC_NONBLOCKING;
  bool write_one(const Skb& skb) noexcept USERNIC_NONBLOCKING;
  uint64_t drop(const Skb& skb) const noexcept USERNIC_NONBLOCKING;

  TapQueue& tap_;
  Kick& wants_ring_;
  NetDevice* const of_;
  bool tried_ = false;  // to make one
  std::unique_ptr<Shared> owned_;
  Atomic<Shared*> shared_{nullptr};
  Atomic<bool> asked_{false};
  TapIo io_;
  Atomic<bool> busy_{false};  // somebody writes by the ring
};

}  // namespace usernic
// Explained best by: host/tap_ring_test.cc
