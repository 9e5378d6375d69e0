// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: frames in memory.
//
// An Skb is one Ethernet frame (no FCS) in one buffer with headroom and tailroom. Buffers come from an SkbPool, which
// never grows: an empty pool means "drop", as in a ring without descriptors. Frames travel in batches, which own them.
// Nothing here allocates after a pool's construction. A frame that was merged from several goes on in their buffers,
// its chain, which is freed with it; a superframe (offload.h) that is sent takes its segments from the pool that its
// own pool names.
//
// A frame is in its pool, in one batch, or in somebody's hands, and each step looks where: freed or queued twice, it is
// a contract report, with the place of the step before, and stays. While checks are on a free buffer is poisoned and
// has red zones; a pool made in a program with AddressSanitizer tells it of both.
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
class SkbPool;

// One cache line: whoever takes a frame on touches it once.
struct alignas(64) Skb {
 public:
  uint8_t* data() noexcept { return data_; }
  const uint8_t* data() const noexcept { return data_; }
  uint32_t size() const noexcept { return size_; }
  std::span<const uint8_t> bytes() const noexcept { return {data_, size_}; }
  uint32_t headroom() const noexcept { return static_cast<uint32_t>(data_ - head_); }
  uint32_t tailroom() const noexcept;

  // Grow at the end, grow at the front, shrink at the front; return the first octet of what changed or of the frame.
  // By more than tailroom / headroom / size: a contract report; null, and the frame is as it was.
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
  // Ends it there; a frame that is no longer is left as it is. [kernel: skb_trim]
  void trim(uint32_t size) noexcept USERNIC_NONBLOCKING { size_ = size < size_ ? size : size_; }
  // Makes it an empty frame with `headroom` octets before it; more than the buffer has: as above.
  void reset(uint32_t headroom, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  // The user area, of whoever has the frame: zeros for who takes it from its pool, or gets it in start_xmit.
  static constexpr size_t kCbBytes = 48;  // [kernel: skb->cb]
  std::span<std::byte, kCbBytes> cb() noexcept USERNIC_NONBLOCKING;
  const Offload& offload() const noexcept USERNIC_NONBLOCKING { return offload_; }
  void set_offload(const Offload& offload) noexcept USERNIC_NONBLOCKING { offload_ = offload; }

  // What goes on in other buffers: the next one, or null; and all octets.
  const Skb* chain() const noexcept USERNIC_NONBLOCKING { return chain_; }
  static const Skb* chain_next(const Skb& part) noexcept USERNIC_NONBLOCKING { return part.next_; }
  uint32_t total_size() const noexcept USERNIC_NONBLOCKING;
  // Makes `part` the end of this frame's chain, whose last one is `last`; null: there is none yet.
  // Requires: `part` is in nobody else's hands, in no batch, and has no chain.
  void chain(Skb& part, Skb* last, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;

 private:
  friend class SkbPool;
  friend class SkbBatch;
  friend class XmitCheck;
  friend struct Device;
  using Cb = std::array<std::byte, kCbBytes>;
  enum class At : uint8_t { kPool, kHands, kBatch, kChain };
  // Of a frame, while checks are on: the account of the driver that has it from start_xmit; how often it was freed.
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
  uint8_t* data_ = nullptr;
  uint8_t* head_ = nullptr;
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

// Room before every frame that is received or sent, for headers that somebody adds later [kernel: NET_SKB_PAD].
inline constexpr uint32_t kSkbHeadroom = 64;

class SkbPool {
 public:
  // `count` buffers that take frames of up to `frame_bytes_max` behind kSkbHeadroom. A pool of superframes names the
  // one that their segments come from, which outlives it.
  SkbPool(uint32_t count, uint32_t frame_bytes_max, SkbPool* segments = nullptr);
  // Requires: every frame is back.
  ~SkbPool();
  SkbPool(const SkbPool&) = delete;
  SkbPool& operator=(const SkbPool&) = delete;

  // An empty frame behind kSkbHeadroom; null when the pool is empty. Context: any.
  Skb* alloc(Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  // Up to `count` of them under one lock hold.
  void alloc(SkbBatch& to, uint32_t count, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  uint32_t available() const noexcept USERNIC_NONBLOCKING;
  uint32_t capacity() const noexcept USERNIC_NONBLOCKING { return capacity_; }  // of a buffer, headroom included
  static SkbPool* segments_of(const Skb& skb) noexcept USERNIC_NONBLOCKING { return skb.pool_->segments_; }

  // Back to where it came from; a batch takes one lock hold a run of equal pools.
  static void free(Skb& skb, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  static void free(SkbBatch& batch, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;

 private:
  friend struct Skb;
  enum class Back : uint8_t { kFine, kTwice, kFromBatch, kDamaged };  // what is to say of a frame that was freed
  Skb* take(uint32_t count) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  Back put_back(Skb& skb, Place where) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void put_back_run(SkbBatch& batch, SkbBatch& chained, Place where) noexcept
      USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void renew(Skb& skb, Place where) noexcept USERNIC_NONBLOCKING;
  void check_and_renew(Skb& skb, Place where) noexcept USERNIC_NONBLOCKING;
  static void free_chain(Skb& skb, Place where) noexcept USERNIC_NONBLOCKING;
  static void unchain(Skb& skb, SkbBatch& to, Place where) noexcept USERNIC_NONBLOCKING;
  static void report(Back what, const Skb& skb, Place before, Place where) noexcept USERNIC_NONBLOCKING;
  void report_leak() const noexcept;
  static void report_written(uint32_t octet, Place freed, Place where) noexcept USERNIC_NONBLOCKING;

  const uint32_t count_;
  const uint32_t capacity_;
  const bool guarded_;  // by BufferGuard
  SkbPool* const segments_;
  std::unique_ptr<uint8_t[]> memory_;
  std::unique_ptr<Skb[]> skbs_;
  std::unique_ptr<Skb::Cb[]> cbs_;         // takes memory when used
  std::unique_ptr<Skb::Watch[]> watches_;  // while checks are on
  mutable SpinLock lock_;
  Skb* free_ USERNIC_GUARDED_BY(lock_) = nullptr;
  Skb* free_last_ USERNIC_GUARDED_BY(lock_) = nullptr;  // where a guarded one's go, to be used again late
  uint32_t available_ USERNIC_GUARDED_BY(lock_) = 0;
};

inline Skb* SkbBatch::next(Skb& skb) noexcept {
  return skb.next_;
}
inline uint32_t Skb::tailroom() const noexcept {
  return pool_->capacity_ - headroom() - size_;
}

}  // namespace usernic
// Explained best by: core/frame/skb_test.cc
