// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests of upper devices: frames made, sent and received.
#pragma once

#include <algorithm>
#include <iterator>

#include "testing/frames.h"
#include "testing/watch.h"
#include "usernic/net.h"
#include "usernic/thread.h"

namespace usernic {

// 60 octets and more: addresses, type, and `number` as the first of the payload.
inline Frame frame(const MacAddress& to, const MacAddress& from, uint8_t number, uint16_t type = 0x0800) {
  Frame octets(to.octets.begin(), to.octets.end());
  octets.insert(octets.end(), from.octets.begin(), from.octets.end());
  octets.insert(octets.end(), {static_cast<uint8_t>(type >> 8), static_cast<uint8_t>(type), number});
  octets.resize(60);
  return octets;
}
inline Frame tagged(Frame octets, uint16_t id) {
  const uint8_t tag[] = {0x81, 0x00, static_cast<uint8_t>(id >> 8), static_cast<uint8_t>(id)};
  octets.insert(octets.begin() + 12, std::begin(tag), std::end(tag));
  return octets;
}
inline void put(SkbBatch& batch, SkbPool& pool, const Frame& octets) {
  Skb* const skb = pool.alloc();
  if (skb == nullptr) return;  // as in a ring without descriptors
  std::copy(octets.begin(), octets.end(), skb->put(static_cast<uint32_t>(octets.size())));
  batch.push_back(*skb);
}
// As if they had come from below / from the stack.
inline void receive(NetDevice& dev, SkbPool& pool, const All& all) {
  SkbBatch batch;
  for (const Frame& each : all) put(batch, pool, each);
  dev.receive(batch);
}
inline void send(NetDevice& dev, SkbPool& pool, const All& all) {
  SkbBatch batch;
  for (const Frame& each : all) put(batch, pool, each);
  dev.xmit(dev.tx_queue(0), batch);
}

// Sends on `up` and receives on `low`, again and again, while it lives.
class Traffic {
 public:
  Traffic(SkbPool& pool, NetDevice& up, const All& sent, NetDevice& low, const All& received)
      : thread_("traffic", [this, &pool, &up, sent, &low, received] {
          while (!stop_.load()) {
            send(up, pool, sent);
            receive(low, pool, received);
            rounds_.set();
          }
        }) {}
  ~Traffic() { stop_.store(true); }
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  // Is on its way, and goes on: `more` rounds from now.
  bool flows(uint32_t more = 2) const { return rounds_.wait(rounds_.count() + more); }

 private:
  Atomic<bool> stop_{false};
  Event rounds_;
  Thread thread_;
};

}  // namespace usernic
