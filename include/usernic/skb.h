// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: frames in memory.
//
// An Skb is one Ethernet frame (no FCS) in one buffer of an SkbPool, with headroom before it and tailroom after it. A
// pool never grows: an empty one means "drop", as a ring without descriptors. It allocates when it is made, and takes
// the machine's memory as its frames are used. Frames travel in batches, linked lists that own them.
//
//   void take_in(std::span<const uint8_t> octets, SkbPool& pool, SkbBatch& received) {
//     Skb* const skb = pool.alloc();
//     if (skb == nullptr) return;  // dropped
//     std::ranges::copy(octets, skb->put(static_cast<uint32_t>(octets.size())));
//     received.push_back(*skb);
//   }
//
// A received frame that was merged from several has a chain: its payload goes on in their buffers, which are freed with
// it. The segments of a superframe that is sent (offload.h) come from the pool that the superframe's own pool names.
// A frame is in its pool, in one batch, or in somebody's hands, and every step checks where. A frame that is freed or
// queued twice stays where it is, and is a contract report that names the place of the step before. While checks are
// on, a freed buffer is poisoned and has red zones, of which AddressSanitizer knows, too.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "usernic/annotations.h"
#include "usernic/context.h"
#include "usernic/lock.h"
#include "usernic/offload.h"
#include "usernic/skb_batch.h"

namespace usernic {

class FrameAccount;
class Kick;
class SkbPool;

struct alignas(64) Skb {
  uint8_t* data() noexcept { return data_; }
  const uint8_t* data() const noexcept { return data_; }
  uint32_t size() const noexcept { return size_; }
  std::span<const uint8_t> bytes() const noexcept { return {data_, size_}; }
  uint32_t headroom() const noexcept { return static_cast<uint32_t>(data_ - head_); }
  uint32_t tailroom() const noexcept;

  // `put` grows the frame at its end and returns the first new octet. `push` grows and `pull` shrinks it at its front;
  // they return its first octet. More than tailroom, headroom or size is a contract report: null, nothing is changed.
  // [kernel: skb_put, skb_push, skb_pull]
  uint8_t* put(uint32_t size, Place where = Place::current()) noexcept USERNIC_NONBLOCKING {
    if (size > tailroom()) [[unlikely]]
      return beyond("put", size, "tailroom", tailroom(), where);
    return data_ + std::exchange(size_, size_ + size);
  }
  uint8_t* push(uint32_t size, Place where = Place::current()) noexcept USERNIC_NONBLOCKING {
    if (size > headroom()) [[unlikely]]
      return beyond("push", size, "headroom", headroom(), where);
    if (offload_.any()) [[unlikely]]
      shift_offload(size);
    return size_ += size, data_ -= size;
  }
  uint8_t* pull(uint32_t size, Place where = Place::current()) noexcept USERNIC_NONBLOCKING {
    if (size > size_) [[unlikely]]
      return beyond("pull", size, "size", size_, where);
    if (offload_.any()) [[unlikely]]
      shift_offload(0u - size);
    return size_ -= size, data_ += size;
  }
  void trim(uint32_t size) noexcept USERNIC_NONBLOCKING { size_ = size < size_ ? size : size_; }  // [kernel: skb_trim]
  // An empty frame with `headroom` octets before it; more than the buffer has is a contract report, as above.
  void reset(uint32_t headroom, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  // The user area, of whoever has the frame: zeros for who takes it from its pool, or gets it in start_xmit.
  static constexpr size_t kCbBytes = 48;  // [kernel: skb->cb]
  std::span<std::byte, kCbBytes> cb() noexcept USERNIC_NONBLOCKING;
  const Offload& offload() const noexcept USERNIC_NONBLOCKING { return offload_; }
  void set_offload(const Offload& offload) noexcept USERNIC_NONBLOCKING { offload_ = offload; }

  // The chain: its first part or null, the part after `part`, and the octets of the frame with all parts.
  const Skb* chain() const noexcept USERNIC_NONBLOCKING { return chain_; }
  static const Skb* chain_next(const Skb& part) noexcept USERNIC_NONBLOCKING { return part.next_; }
  uint32_t total_size() const noexcept USERNIC_NONBLOCKING;
  // Appends `part` to the chain, behind its last part `last`; null: there is no chain yet.
  // Requires: `part` is in nobody else's hands, in no batch, and has no chain.
  void chain(Skb& part, Skb* last, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;

 private:
  friend class SkbPool;
  friend class SkbBatch;
  friend class XmitCheck;
  friend struct Device;
  using Cb = std::array<std::byte, kCbBytes>;
  enum class At : uint8_t { kPool, kHands, kBatch, kChain };
  // While checks are on: the account of the driver that start_xmit gave the frame to; how often it was freed.
  struct Watch {
    FrameAccount* account = nullptr;
    RawAtomic<uint32_t> life{0};
  };
  Watch& watch() const noexcept USERNIC_NONBLOCKING;
  void leave_account() noexcept USERNIC_NONBLOCKING;
  void shift_offload(uint32_t by) noexcept USERNIC_NONBLOCKING {
    offload_.sum_start = static_cast<uint16_t>(offload_.sum_start + by);
    offload_.header_bytes = static_cast<uint16_t>(offload_.header_bytes + by);
  }
  uint8_t* beyond(const char* op, uint32_t wanted, const char* of, uint32_t room, Place where) const noexcept
      USERNIC_NONBLOCKING;

  Skb* next_ = nullptr;
  uint8_t *data_ = nullptr, *head_ = nullptr;
  SkbPool* pool_ = nullptr;
  Skb* chain_ = nullptr;
  Place where_;  // of its last step
  Offload offload_;
  At at_ = At::kPool;
  bool poisoned_ : 1 = false;
  bool cb_used_ : 1 = false;  // else its octets are anything, and mean zeros
  uint32_t size_ = 0;
};
static_assert(sizeof(Skb) == 64);
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
  static SkbPool* segments_of(const Skb& skb) noexcept USERNIC_NONBLOCKING { return skb.pool_->segments_; }

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
  uint32_t made_ USERNIC_GUARDED_BY(lock_) = 0;  // of its frames; the others were never used
  uint32_t available_ USERNIC_GUARDED_BY(lock_);
  Skb* free_ USERNIC_GUARDED_BY(lock_) = nullptr;
  Skb* free_last_ USERNIC_GUARDED_BY(lock_) = nullptr;  // where a guarded one's go, to be used again late
  Kick* kicked_ USERNIC_GUARDED_BY(lock_) = nullptr;    // by the next frame that is back
};

inline Skb* SkbBatch::next(Skb& skb) noexcept {
  return skb.next_;
}
inline void SkbBatch::push_back(Skb& skb, Place where) noexcept {
  if (skb.at_ != Skb::At::kHands) [[unlikely]]
    return refuse(skb, where);
  if (kChecksOn) [[unlikely]]
    skb.leave_account();
  skb.at_ = Skb::At::kBatch;
  skb.where_ = where;
  skb.next_ = nullptr;
  (first_ == nullptr ? first_ : last_->next_) = &skb;
  last_ = &skb;
  ++size_;
}
inline Skb* SkbBatch::pop_front() noexcept {
  if (first_ == nullptr) return nullptr;
  Skb* const skb = std::exchange(first_, first_->next_);
  if (first_ == nullptr) last_ = nullptr;
  skb->next_ = nullptr;
  skb->at_ = Skb::At::kHands;
  --size_;
  return skb;
}
inline uint32_t Skb::tailroom() const noexcept {
  return pool_->capacity_ - headroom() - size_;
}

}  // namespace usernic
// Explained best by: core/frame/skb_test.cc
