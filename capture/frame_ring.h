// SPDX-License-Identifier: Apache-2.0 OR MIT
// capture: a tap that copies frames into a ring, from which one thread takes them.
//
// Those who have frames wait for nobody: several write at once, each into a place of its own. It is claimed by moving
// the ring's end, and is the reader's when it is published, in the order of the claims. Where there is no room the
// frame is lost and counted. The reader sleeps in poll(2) and is kicked, once, by the first who finds that it does.
#pragma once

#include <memory>
#include <span>

#include "usernic/env.h"
#include "usernic/frame_tap.h"
#include "usernic/kick.h"
#include "usernic/skb.h"

namespace usernic {

class FrameRing final : public FrameTap {
 public:
  // Of each frame the first `snap_bytes` octets are kept. `wake` outlives it. Throws std::bad_alloc.
  FrameRing(size_t bytes, uint32_t snap_bytes, Kick& wake);
  // What it has of `bytes`: a power of two, and room for any frame wherever the one before it ends.
  static size_t rounded(size_t bytes, uint32_t snap_bytes) noexcept;
  // Its memory comes now, and not with the first frames, which would wait for it. Context: process.
  void touch() noexcept;

  struct Frame {
    Time at;
    FrameWay way;
    DropReason dropped;
    uint32_t wire_bytes;
    uint64_t lost_before;  // between the frame before and this one
    std::span<const uint8_t> octets;
  };
  // The reader's. The oldest frame, valid until `pop`; false: there is none yet.
  bool front(Frame& frame);
  void pop();
  bool empty() const noexcept { return states_[begin_.load(std::memory_order_relaxed) & (granules_ - 1)].load() == 0; }
  // True: a kick comes with the next frame or change of the rx mode. False: there is one already. The device's end is a
  // kick in any case.
  bool may_sleep();
  // When the rx mode changed first that was not taken yet; kForever: it did not.
  Time rx_mode_changed_at() const noexcept { return Time(Duration(rx_mode_at_.load())); }
  // Before the mode is read. When it changed; of several changes now, since only what is so now is known.
  Time take_rx_mode() noexcept;
  bool device_is_gone() const noexcept { return gone_.load(); }
  // Since the last frame that was taken.
  uint64_t lost_since() const noexcept { return lost_.load() - lost_seen_; }

  uint64_t see(const Skb& skb, FrameWay way) noexcept override;
  void settle(uint64_t seen, FrameFate fate, DropReason why) noexcept override;
  void rx_mode_changed() noexcept override;
  void gone() noexcept override;

 private:
  static constexpr size_t kGranule = 64;
  static constexpr uint64_t kLost = ~uint64_t{0};  // what `see` says of a frame for which there was no room
  // The state of a record's first granule: 0 until it is published, then how many it has, and perhaps kSkip.
  static constexpr uint32_t kSkip = 1u << 31;
  struct Header {
    Time at;
    uint64_t lost;  // so far
    DropReason why;
    uint32_t wire_bytes, kept_bytes;
    FrameWay way;
  };
  struct alignas(kGranule) Granule {
    std::byte octets[kGranule];
  };
  static_assert(sizeof(Header) <= kGranule);

  Header& header(uint64_t position) noexcept USERNIC_NONBLOCKING;
  uint8_t* payload(uint64_t position) noexcept USERNIC_NONBLOCKING;
  void publish(uint64_t position, uint32_t state) noexcept USERNIC_NONBLOCKING;
  void wake() noexcept USERNIC_NONBLOCKING;

  const size_t granules_;  // a power of two
  const uint32_t snap_bytes_;
  Kick& wake_;
  const std::unique_ptr<Granule[]> memory_;  // untouched
  const std::unique_ptr<Atomic<uint32_t>[]> states_;
  // The writers'.
  alignas(64) Atomic<uint64_t> end_{0};
  Atomic<uint64_t> lost_{0};
  // The reader's.
  alignas(64) Atomic<uint64_t> begin_{0};
  uint64_t lost_seen_ = 0;
  // Both's, when there is little to do.
  alignas(64) Atomic<bool> sleeps_{false};
  Atomic<bool> gone_{false};
  Atomic<Duration::rep> rx_mode_at_{kForever.time_since_epoch().count()};
  Atomic<uint32_t> rx_mode_changes_{0};
};

}  // namespace usernic
// Explained best by: capture/frame_ring_test.cc
