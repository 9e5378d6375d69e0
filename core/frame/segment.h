// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what the core does to a frame for a device that cannot: its sum, and cutting a superframe (segments.h).
#pragma once

#include <optional>

#include "usernic/segments.h"
#include "usernic/skb.h"

namespace usernic {

// Writes the sum that is needed. False: there is no such place in the frame.
bool complete_sum(Skb& skb) noexcept USERNIC_NONBLOCKING;

class Segmenter {
 public:
  // Nothing when the frame is not what its offload says.
  static std::optional<Segmenter> of(Skb& super) noexcept USERNIC_NONBLOCKING;

  uint32_t segments() const noexcept { return segments_.count(); }
  uint32_t bytes_max() const noexcept { return segments_.bytes_max(); }
  // Moves as many segments from the front as there are `buffers`, empty frames with room for bytes_max(), to the end of
  // `to`. What is left is a shorter superframe; true: nothing is. One that has a chain is cut as a whole or not at all.
  bool cut(SkbBatch& buffers, SkbBatch& to, SegmentSums sums) noexcept USERNIC_NONBLOCKING;

 private:
  Segmenter(Skb& super, const Segments& segments) noexcept : super_(super), segments_(segments) {}
  void drop_front(uint32_t segments) noexcept USERNIC_NONBLOCKING;

  Skb& super_;
  Segments segments_;
};

}  // namespace usernic
// Explained best by: core/frame/segment_test.cc
