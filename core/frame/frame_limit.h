// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: how long a device's frames may be: its MTU, an Ethernet header and one VLAN tag [netdevices: MTU].
//
// What is longer goes neither out nor in: it is dropped and counted. It is somebody's mistake, and reported while
// checks are on, if it was too long at every MTU that the device ever had: one that shrank meets frames that were on
// their way.
#pragma once

#include <algorithm>

#include "core/frame/taps.h"
#include "usernic/net_device.h"

namespace usernic {

class FrameLimit {
 public:
  FrameLimit(uint32_t mtu, Taps& taps) noexcept : taps_(taps), mtu_(mtu), most_(mtu) {}

  uint32_t mtu() const noexcept USERNIC_NONBLOCKING { return mtu_.load(); }
  uint32_t frame_bytes_max() const noexcept USERNIC_NONBLOCKING {
    return mtu_.load(std::memory_order_relaxed) + kFrameOverhead;
  }
  // Under rtnl. `expect` first: a driver may let longer frames in before it has answered.
  void expect(uint32_t mtu) noexcept { most_.store(std::max(most_.load(), mtu)); }
  void set_mtu(uint32_t mtu) noexcept { mtu_.store(mtu); }

  // Drops a frame that is about to be sent.
  void drop(QueueCounters& counters, Skb& skb, Place where) const noexcept USERNIC_NONBLOCKING;

  // Counts received frames, and drops the ones that are too long. A card's driver keeps the limit itself; a software
  // device takes what comes from below. True: something is left to do on a frame.
  enum class From : uint8_t { kCard, kBelow };
  bool receive(QueueCounters& counters, SkbBatch& frames, From from, Place where) const noexcept USERNIC_NONBLOCKING;

 private:
  void report(const char* way, uint32_t size, Place where) const noexcept USERNIC_NONBLOCKING;
  Taps& taps_;
  Atomic<uint32_t> mtu_;
  Atomic<uint32_t> most_;  // that it ever had
};

}  // namespace usernic
