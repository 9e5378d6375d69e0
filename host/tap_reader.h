// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: frames from a TAP, a batch at a time.
//
// The first two reads are plain ones. While more and more come at once the next ones share a system call, where the
// kernel has io_uring: as many as would have come the last time, and no more octets than caches like.
//
// Locks: none; by one thread. Errors: counted.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "bus/netif/landing.h"
#include "host/frame_pools.h"
#include "host/tap_queue.h"
#include "host/tap_ring.h"
#include "usernic/env.h"

namespace usernic {

class TapReader {
 public:
  explicit TapReader(TapQueue& tap) noexcept : tap_(tap) {}
  ~TapReader() { free_spare(); }
  TapReader(const TapReader&) = delete;
  TapReader& operator=(const TapReader&) = delete;

  // What is there, behind what `frames` has; frames of more than `frame_bytes_max` octets are left out and counted.
  // False when there was not one buffer to read into: the device has them all. Context: process.
  bool read(FramePools& pools, uint32_t frame_bytes_max, SkbBatch& frames);
  // The buffers that it keeps at hand go back. Needed before other pools serve.
  void free_spare() { buffers_.free(); }

  const TapIo& io() const noexcept { return io_; }
  bool gone() const noexcept { return gone_; }  // the interface is
  uint64_t oversized() const noexcept { return oversized_.load(); }

 private:
  static constexpr uint32_t kBatch = 64;
  static constexpr uint32_t kBatchBytes = 65'536;  // what is more waits for the next batch
  static constexpr uint32_t kTurn = FramePools::kSuperframes;

  // One of the reads of a turn.
  struct Read : Landing {
    Result<size_t> bytes{0};
  };

  std::span<Read> begin_turn(FramePools& pools, uint32_t frame_bytes_max);
  void carry_out(std::span<Read> turn) noexcept;
  uint32_t end_turn(std::span<Read> turn, uint32_t frame_bytes_max, SkbBatch& frames, uint32_t& bytes);
  bool take(Read& read, uint32_t frame_bytes_max, SkbBatch& frames);
  void make_ring() noexcept;
  void next_turn(uint32_t reads, uint32_t came, uint32_t bytes, bool others_came) noexcept;

  TapQueue& tap_;
  std::unique_ptr<TapRing> ring_;
  bool may_ring_ = true;
  TapIo io_;
  uint32_t turn_ = 1;  // reads of the next one
  std::array<Read, kTurn> reads_;
  LandingBuffers buffers_;
  bool gone_ = false;
  Atomic<uint64_t> oversized_{0};
};

}  // namespace usernic
// Explained best by: host/tap_ring_test.cc
