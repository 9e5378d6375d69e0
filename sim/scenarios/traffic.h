// SPDX-License-Identifier: Apache-2.0 OR MIT
// sim: frames that are sent and received on upper devices, counted; and what those scenarios share.
#pragma once

#include <algorithm>
#include <vector>

#include "sim/rx_world.h"
#include "sim/scheduler.h"

namespace usernic::sim {

// Until nobody has anything to do: virtual time passes when everybody waits.
inline void let_everything_happen() {
  (void)StopToken().wait_until(Clock::now() + std::chrono::seconds(1));
}

inline void rest(Chance& chance) {
  if (chance.one_in(3)) {
    (void)StopToken().wait_until(Clock::now() + std::chrono::microseconds(chance.below(1500)));
  }
}

// A frame as a history needs it: zero addresses are nobody's.
struct Header {
  MacAddress to{}, from{};
  uint16_t vlan = 0;  // 0: no tag
};

// Frames of one history, all of which come back.
struct Traffic {
  static constexpr uint32_t kFrames = 32;
  SkbPool pool{kFrames, 128};
  uint64_t received = 0;

  ~Traffic() { expect(pool.available() == kFrames, "frames", "a frame is lost"); }

  Skb* frame(const Header& header) {
    Skb* const skb = pool.alloc();
    if (skb == nullptr) return nullptr;
    uint8_t* const octets = skb->put(60);
    std::fill_n(octets, 60, uint8_t{0});
    std::ranges::copy(header.to.octets, octets);
    std::ranges::copy(header.from.octets, octets + 6);
    if (header.vlan != 0) octets[12] = 0x81, octets[15] = static_cast<uint8_t>(header.vlan);
    return skb;
  }
  // Returns how many of them were sent: by `header()` each.
  template <class MakeHeader>
  uint64_t send(NetDevice& dev, Chance chance, int count, MakeHeader&& header) {
    uint64_t sent = 0;
    for (int i = 0; i < count; ++i) {
      SkbBatch batch;
      for (uint64_t n = chance.between(1, 3); n > 0; --n) {
        if (Skb* const skb = frame(header())) batch.push_back(*skb), ++sent;
      }
      while (!batch.empty()) {
        (void)dev.xmit(dev.tx_queue(0), batch);
        if (!batch.empty()) (void)StopToken().wait_until(Clock::now() + std::chrono::microseconds(100));
        if (!batch.empty() && !dev.running()) sent -= batch.size(), SkbPool::free(batch);
      }
      rest(chance);
    }
    return sent;
  }
  uint64_t send(NetDevice& dev, Chance chance, int count) {
    return send(dev, chance, count, [] { return Header{}; });
  }
  // As if it came from the wire. False: there was no frame to be had.
  bool receive_one(NetDevice& dev, const Header& header) {
    Skb* const skb = frame(header);
    if (skb == nullptr) return false;
    SkbBatch batch;
    batch.push_back(*skb);
    ++received;
    const BhScope bh;
    dev.receive(batch);
    return true;
  }
  void check(const NetDevice& dev, uint64_t sent) const {
    const LinkStats stats = dev.stats();
    expect(sent == stats.tx_packets + stats.tx_dropped, "frames", "frames sent are not packets and drops");
  }
};

}  // namespace usernic::sim
