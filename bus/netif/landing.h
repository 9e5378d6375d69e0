// SPDX-License-Identifier: Apache-2.0 OR MIT
// netif: where a frame lands that is read from the kernel, before anybody knows its length: in a frame's buffer, and on
// in a superframe's. What comes whole takes the first one only, so that nothing is copied but a superframe's beginning.
//
// Locks: none, one owner. Context: any.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "bus/netif/vnet_header.h"
#include "usernic/skb.h"

namespace usernic {

struct Landing {
  VnetHeader header;
  Skb* first = nullptr;
  Skb* super = nullptr;
  std::array<iovec, 3> parts;  // header, first, super

  // The beginning of so many octets that came.
  std::span<const uint8_t> start(uint32_t bytes) const noexcept USERNIC_NONBLOCKING {
    return {first->data(), std::min<size_t>(bytes, parts[1].iov_len)};
  }
  // What is left to do on them; nothing: nobody knows such a frame.
  std::optional<Offload> offload(uint32_t bytes) const noexcept USERNIC_NONBLOCKING {
    return offload_of(header, start(bytes));
  }
  // They, in their buffer; the other one stays.
  Skb& take(uint32_t bytes, const Offload& offload) noexcept USERNIC_NONBLOCKING {
    const bool is_super = offload.superframe();
    Skb& skb = *std::exchange(is_super ? super : first, nullptr);
    uint8_t* const at = skb.put(bytes);
    if (is_super) std::ranges::copy(start(bytes), at);
    skb.set_offload(offload);
    return skb;
  }
};

// Of so many octets with that left to do; of a superframe, a segment's.
inline uint32_t frame_bytes(uint32_t bytes, const Offload& offload) noexcept USERNIC_NONBLOCKING {
  return offload.superframe() ? offload.header_bytes + offload.gso_size : bytes;
}

// The buffers that a reader has at hand.
class LandingBuffers {
 public:
  void fill_frames(SkbPool& frames, uint32_t count) noexcept USERNIC_NONBLOCKING {
    if (frames_.size() < count) frames.alloc(frames_, count - frames_.size());
  }
  // For how many landings there are both now, at most `count`.
  uint32_t fill_superframes(SkbPool& superframes, uint32_t count) noexcept USERNIC_NONBLOCKING {
    const uint32_t wanted = std::min(count, frames_.size());
    if (superframes_.size() < wanted) superframes.alloc(superframes_, wanted - superframes_.size());
    return std::min(wanted, superframes_.size());
  }
  void lend(Landing& to, uint32_t frame_bytes_max) noexcept USERNIC_NONBLOCKING {
    to.first = frames_.pop_front();
    to.super = superframes_.pop_front();
    to.parts = {iovec{&to.header, sizeof to.header}, iovec{to.first->data(), frame_bytes_max},
                iovec{to.super->data() + frame_bytes_max, to.super->tailroom() - frame_bytes_max}};
  }
  // What nothing landed in; the last one first, so that they serve in the same order.
  void take_back(const Landing& from) noexcept USERNIC_NONBLOCKING {
    if (from.first != nullptr) frames_.push_front(*from.first);
    if (from.super != nullptr) superframes_.push_front(*from.super);
  }
  void free() noexcept {
    SkbPool::free(frames_);
    SkbPool::free(superframes_);
  }

 private:
  SkbBatch frames_, superframes_;
};

}  // namespace usernic
// Explained best by: host/tap_ring_test.cc
