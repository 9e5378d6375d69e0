// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: the buffers that a TAP's frames are read into: of frames, and of superframes that are cut into those.
//
// Locks, errors: SkbPool's.
#pragma once

#include <cstdint>

#include "bus/netif/vnet_header.h"
#include "usernic/skb.h"

namespace usernic {

struct FramePools {
  static constexpr uint32_t kFrames = 512;
  static constexpr uint32_t kSuperframes = 16;

  explicit FramePools(uint32_t frame_bytes_max)
      : frames(kFrames, frame_bytes_max), superframes(kSuperframes, kSuperframeBytes, &frames) {}
  // How many are in use.
  uint32_t out() const { return kFrames - frames.available() + kSuperframes - superframes.available(); }
  // As SkbPool::kick_when_back, of those of which there is none.
  bool kick_when_back(Kick* kick) noexcept {
    const bool by_frame = frames.kick_when_back(kick);
    return superframes.kick_when_back(kick) || by_frame;
  }

  SkbPool frames;
  SkbPool superframes;
};

}  // namespace usernic
