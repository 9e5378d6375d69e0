// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests of upper devices: a NIC that keeps what it is given to send, a port that keeps what arrives, and frames.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "testing/test_watch.h"
#include "usernic/net.h"
#include "usernic/port.h"

namespace usernic {

using Frame = std::vector<uint8_t>;
using All = std::vector<Frame>;

// Frames as octets, in the order they came.
class Frames {
 public:
  void take(SkbBatch& frames) noexcept {
    while (Skb* const skb = frames.pop_front()) {
      take(*skb);
    }
  }
  void take(Skb& skb) noexcept {
    const BlockingByDesign a_test_may;
    {
      SpinGuardBh guard(lock_);
      all_.emplace_back(skb.bytes().begin(), skb.bytes().end());
    }
    SkbPool::free(skb);
    came_.set();
  }
  // The frames so far, which are forgotten. Waits until there were `count` of them since the last call.
  All wait(uint32_t count) {
    EXPECT_TRUE(came_.wait(seen_ + count)) << "fewer than " << count << " frames";
    SpinGuardBh guard(lock_);
    seen_ += static_cast<uint32_t>(all_.size());
    return std::exchange(all_, {});
  }
  All now() { return wait(0); }

 private:
  static constexpr LockClass kClass{"test_frames"};
  SpinLock lock_{kClass};
  All all_;
  Event came_;
  uint32_t seen_ = 0;
};

class TestNic {
 public:
  explicit TestNic(NetDevice& dev) : dev_(dev) {}
  Result<> open() {
    dev_.tx_queue(0).start();
    return {};
  }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept {
    sent.take(skb);
    return NetdevTx::kOk;
  }
  Result<> set_mac_address(const MacAddress&) {
    asked_address.set();
    return refuse_address ? fail(std::errc::io_error) : Result<>();
  }

  Frames sent;
  bool refuse_address = false;
  Event asked_address;

 private:
  NetDevice& dev_;
};

struct TestPort final : DevicePort {
  Frames received;
  Event carrier_ups, carrier_downs, wakes;
  void receive(SkbBatch& frames) noexcept override { received.take(frames); }
  void tx_wake(TxQueue&) noexcept override { wakes.set(); }
  void carrier_changed(bool on) noexcept override { (on ? carrier_ups : carrier_downs).set(); }
};

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
