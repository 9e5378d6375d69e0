// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: frames that came together, merged into superframes (offload.h) [kernel: GRO].
//
// Of one flow, in order, with equal headers, full but for the last one, and with right sums, which are looked at where
// the card did not. A merged frame stands where its first one stood, so a flow's frames stay in their order; what is
// left alone is as it came. What cutting it again would not give back is not merged: options that differ, another TTL,
// ECN, window or acknowledgement, an IPv4 id that does not count on, a fragment, SYN, RST, URG.
#pragma once

#include <array>

#include "core/frame/inet_headers.h"
#include "usernic/features.h"
#include "usernic/skb.h"

namespace usernic {

class Coalescer {
 public:
  // `kinds`: of superframes to make.
  explicit Coalescer(Features kinds) noexcept : kinds_(kinds) {}
  // Context: any.
  void merge(SkbBatch& frames) noexcept USERNIC_NONBLOCKING;

 private:
  static constexpr uint32_t kFlows = 8;           // at a time; the one that was begun first gives way
  static constexpr uint32_t kPacketMax = 65'535;  // from the IP header on
  static constexpr uint32_t kPartsMax = 64;       // of UDP a kernel takes no more [kernel: UDP_MAX_SEGMENTS]

  struct Flow {
    Skb* first = nullptr;  // null: none
    Skb* last = nullptr;   // of its chain
    inet::Headers headers;
    uint32_t size = 0;  // payload of the first
    uint32_t payload = 0;
    uint32_t parts = 1;
    uint8_t last_flags = 0;  // of TCP, of the last frame
    bool verified = false;
  };

  void add(Skb& skb, SkbBatch& to) noexcept USERNIC_NONBLOCKING;
  bool takes(const Skb& skb, const inet::Headers& headers) const noexcept USERNIC_NONBLOCKING;
  bool begins(const Skb& skb, const inet::Headers& headers) const noexcept USERNIC_NONBLOCKING;
  Flow* find(const Skb& skb, const inet::Headers& headers) noexcept USERNIC_NONBLOCKING;
  bool goes_on(const Flow& flow, const Skb& skb, const inet::Headers& headers) const noexcept USERNIC_NONBLOCKING;
  void append(Flow& flow, Skb& skb, const inet::Headers& headers) noexcept USERNIC_NONBLOCKING;
  static void finish(Flow& flow) noexcept USERNIC_NONBLOCKING;

  const Features kinds_;
  std::array<Flow, kFlows> flows_;
  uint32_t next_ = 0;
};

}  // namespace usernic
// Explained best by: core/frame/coalesce_test.cc
