// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the edges of a device: what its features leave to be done on a frame is done before start_xmit sees it, and
// what its card received uncut is made what who gets it takes.
#pragma once

#include "core/frame/taps.h"
#include "usernic/features.h"
#include "usernic/skb.h"

namespace usernic {

// The headroom that tags may take of a segment: those of all devices that can stand below each other.
inline constexpr uint32_t kTagsBytesMax = kSkbHeadroom / 2;

// What became of a frame that is about to be sent.
enum class TxFit : uint8_t {
  kReady,    // the driver can take it
  kCut,      // its segments are at the front of the batch, and behind them what there were no buffers for
  kWaits,    // there were no buffers at all: it is at the front of the batch
  kTooLong,  // its segments would be; it is untouched
  kBad,      // it is not what its offload says; it is untouched
  kNoRoom,   // no buffer is long enough for its segments, or none is for segments at all; untouched
  kChained,  // in several buffers, which no driver takes; untouched
};

// `frames`: what is sent after it. Requires: it is in nobody else's hands.
TxFit fit_to_device(Skb& skb, SkbBatch& frames, Features features, uint32_t frame_bytes_max) noexcept
    USERNIC_NONBLOCKING;

// What a frame is on the wire, and what all of a batch are.
struct WireSize {
  uint32_t frames = 1;
  uint32_t bytes = 0;
};
WireSize wire_size(const Skb& skb) noexcept USERNIC_NONBLOCKING;
WireSize wire_of(SkbBatch& frames) noexcept USERNIC_NONBLOCKING;

// Received frames, for who takes superframes of these `kinds`: others are cut into buffers of the pool that theirs
// names; who takes none gets no frame whose sum is needed, either. Returns how many frames were dropped: there were no
// buffers, or they are not what they say.
uint32_t fit_to_port(SkbBatch& frames, Features kinds, Taps& taps) noexcept USERNIC_NONBLOCKING;

}  // namespace usernic
