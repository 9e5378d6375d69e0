// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: frames in order, a linked list that owns them.
#pragma once

#include <cstdint>

#include "usernic/annotations.h"
#include "usernic/context.h"

namespace usernic {

struct Skb;
class SkbPool;

// Frames in order. The batch owns them: what it still has at destruction goes back to its pool.
class SkbBatch {
 public:
  SkbBatch() noexcept = default;
  ~SkbBatch() noexcept USERNIC_NONBLOCKING;
  SkbBatch(SkbBatch&& other) noexcept USERNIC_NONBLOCKING { splice(other); }
  SkbBatch& operator=(SkbBatch&&) = delete;

  bool empty() const noexcept { return first_ == nullptr; }
  uint32_t size() const noexcept { return size_; }
  Skb* front() noexcept { return first_; }
  static Skb* next(Skb& skb) noexcept;

  // Requires: in nobody else's hands, in no batch.
  void push_back(Skb& skb, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  void push_front(Skb& skb, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  Skb* pop_front() noexcept USERNIC_NONBLOCKING;  // null when empty
  // Moves all frames of `other` to the end / to the front.
  void splice(SkbBatch& other) noexcept USERNIC_NONBLOCKING;
  void splice_front(SkbBatch& other) noexcept USERNIC_NONBLOCKING;

 private:
  friend class SkbPool;
  friend struct Skb;
  static void refuse(const Skb& skb, Place where) noexcept USERNIC_NONBLOCKING;
  void append(Skb& first, Skb& last, uint32_t count) noexcept USERNIC_NONBLOCKING;
  Skb* first_ = nullptr;
  Skb* last_ = nullptr;
  uint32_t size_ = 0;
};

}  // namespace usernic
// Explained best by: core/frame/skb_test.cc
