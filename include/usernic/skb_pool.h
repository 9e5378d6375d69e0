// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: where frames come from, and go back to.
//
// A pool has a fixed number of buffers: an empty one means "drop", as a ring without descriptors. Only its construction
// allocates, and a frame takes the machine's memory from its first use on, so a pool that is larger than what is ever
// out costs little. While checks are on, a free buffer is poisoned and has red zones, of which AddressSanitizer knows,
// too.
#pragma once

#include <cstdint>
#include <memory>

#include "usernic/annotations.h"
#include "usernic/context.h"
#include "usernic/lock.h"

namespace usernic {

class Kick;
class SkbBatch;
struct Skb;

inline constexpr uint32_t kSkbHeadroom = 64;  // of every frame, for headers that somebody adds [kernel: NET_SKB_PAD]

class SkbPool {
 public:
  // `count` buffers for frames of up to `frame_bytes_max` octets behind kSkbHeadroom. `segments`: of a pool of
  // superframes, the pool of their segments, which outlives it.
  SkbPool(uint32_t count, uint32_t frame_bytes_max, SkbPool* segments = nullptr);
  ~SkbPool();  // requires: every frame is back
  SkbPool(const SkbPool&) = delete;
  SkbPool& operator=(const SkbPool&) = delete;

  // An empty frame behind kSkbHeadroom, or null; up to `count` of them under one lock hold. Context: any.
  Skb* alloc(Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  void alloc(SkbBatch& to, uint32_t count, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  uint32_t available() const noexcept USERNIC_NONBLOCKING;
  uint32_t capacity() const noexcept USERNIC_NONBLOCKING { return capacity_; }  // of a buffer, headroom included
  // True: the pool is empty, and the next frame that is back kicks `kick` once. Else, or for null, nobody is kicked.
  bool kick_when_back(Kick* kick) noexcept USERNIC_NONBLOCKING;
  static SkbPool* segments_of(const Skb& skb) noexcept USERNIC_NONBLOCKING;

  // Back to its pool. A batch takes a pool's lock once for each run of frames of that pool.
  static void free(Skb& skb, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  static void free(SkbBatch& batch, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;

 private:
  friend struct Skb;
  struct Memory;                                                      // what its frames are made of
  enum class Back : uint8_t { kFine, kTwice, kFromBatch, kDamaged };  // what is to say of a frame that was freed
  bool make() noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  Back put_back(Skb& skb, Place where) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void put_back_run(SkbBatch& batch, SkbBatch& chained, Place where) noexcept
      USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void renew(Skb& skb, Place where) noexcept USERNIC_NONBLOCKING;
  void check_and_renew(Skb& skb, Place where) noexcept USERNIC_NONBLOCKING;
  static void unchain(Skb& skb, SkbBatch& to, Place where) noexcept USERNIC_NONBLOCKING;
  static void report(Back what, const Skb& skb, Place before, Place where) noexcept USERNIC_NONBLOCKING;
  void report_leak(uint32_t made) const noexcept;

  const uint32_t count_, capacity_;
  const bool guarded_;  // by BufferGuard
  SkbPool* const segments_;
  const std::unique_ptr<Memory> memory_;
  mutable SpinLock lock_;
  uint32_t made_ USERNIC_GUARDED_BY(lock_) = 0;  // so many of its frames were used yet
  uint32_t available_ USERNIC_GUARDED_BY(lock_) = 0;
  Skb* free_ USERNIC_GUARDED_BY(lock_) = nullptr;
  Skb* free_last_ USERNIC_GUARDED_BY(lock_) = nullptr;  // where a guarded one's go, to be used again late
  Kick* kicked_ USERNIC_GUARDED_BY(lock_) = nullptr;    // by the next frame that is back
};

}  // namespace usernic
// Explained best by: core/frame/skb_test.cc
