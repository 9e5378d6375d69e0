// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: frames in memory.
//
// An Skb is one Ethernet frame (no FCS) in one buffer with headroom before and tailroom after it. Buffers come from
// an SkbPool, which never grows: an empty pool means "drop", as in a ring without descriptors. Frames travel in
// batches, linked lists that own their frames. Nothing here allocates after a pool's construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "usernic/annotations.h"
#include "usernic/lock.h"

namespace usernic {

class SkbPool;

struct Skb {
 public:
  uint8_t* data() noexcept { return data_; }
  const uint8_t* data() const noexcept { return data_; }
  uint32_t size() const noexcept { return size_; }
  std::span<const uint8_t> bytes() const noexcept { return {data_, size_}; }
  uint32_t headroom() const noexcept { return static_cast<uint32_t>(data_ - head_); }
  uint32_t tailroom() const noexcept { return capacity_ - headroom() - size_; }

  // Grow at the end, grow at the front, shrink at the front; return the first octet of what changed or of the frame.
  // Requires: `size` <= tailroom / headroom / size. [kernel: skb_put, skb_push, skb_pull]
  uint8_t* put(uint32_t size) noexcept { return data_ + std::exchange(size_, size_ + size); }
  uint8_t* push(uint32_t size) noexcept { return size_ += size, data_ -= size; }
  uint8_t* pull(uint32_t size) noexcept { return size_ -= size, data_ += size; }
  // Makes it an empty frame with `headroom` octets before it.
  void reset(uint32_t headroom) noexcept { data_ = head_ + headroom, size_ = 0; }

 private:
  friend class SkbPool;
  friend class SkbBatch;
  Skb* next_ = nullptr;
  uint8_t* data_ = nullptr;
  uint8_t* head_ = nullptr;
  uint32_t size_ = 0;
  uint32_t capacity_ = 0;
  SkbPool* pool_ = nullptr;
};

// Frames in order. Owns them: what is left at destruction goes back to its pool.
class SkbBatch {
 public:
  SkbBatch() noexcept = default;
  ~SkbBatch() noexcept USERNIC_NONBLOCKING;
  SkbBatch(SkbBatch&& other) noexcept USERNIC_NONBLOCKING { splice(other); }
  SkbBatch& operator=(SkbBatch&&) = delete;

  bool empty() const noexcept { return first_ == nullptr; }
  uint32_t size() const noexcept { return size_; }
  Skb* front() noexcept { return first_; }
  static Skb* next(Skb& skb) noexcept { return skb.next_; }

  void push_back(Skb& skb) noexcept USERNIC_NONBLOCKING;
  void push_front(Skb& skb) noexcept USERNIC_NONBLOCKING;
  Skb* pop_front() noexcept USERNIC_NONBLOCKING;  // null when empty
  // Moves all frames of `other` to the end.
  void splice(SkbBatch& other) noexcept USERNIC_NONBLOCKING;

 private:
  Skb* first_ = nullptr;
  Skb* last_ = nullptr;
  uint32_t size_ = 0;
};

// Room before every frame that is received or sent, for headers that somebody adds later [kernel: NET_SKB_PAD].
inline constexpr uint32_t kSkbHeadroom = 64;

class SkbPool {
 public:
  // `count` buffers that take frames of up to `frame_bytes_max` behind kSkbHeadroom.
  SkbPool(uint32_t count, uint32_t frame_bytes_max);
  // Requires: every frame is back.
  ~SkbPool();
  SkbPool(const SkbPool&) = delete;
  SkbPool& operator=(const SkbPool&) = delete;

  // An empty frame behind kSkbHeadroom; null when the pool is empty. Context: any.
  Skb* alloc() noexcept USERNIC_NONBLOCKING;
  // Up to `count` of them under one lock hold.
  void alloc(SkbBatch& to, uint32_t count) noexcept USERNIC_NONBLOCKING;
  uint32_t available() const noexcept USERNIC_NONBLOCKING;

  // Back to where it came from; a batch takes one lock hold a run of equal pools.
  static void free(Skb& skb) noexcept USERNIC_NONBLOCKING;
  static void free(SkbBatch& batch) noexcept USERNIC_NONBLOCKING;

 private:
  const uint32_t count_;
  std::unique_ptr<uint8_t[]> memory_;
  std::unique_ptr<Skb[]> skbs_;
  mutable SpinLock lock_;
  Skb* free_ USERNIC_GUARDED_BY(lock_) = nullptr;
  uint32_t available_ USERNIC_GUARDED_BY(lock_) = 0;
};

}  // namespace usernic
// Explained best by: core/skb_test.cc
