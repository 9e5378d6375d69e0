// SPDX-License-Identifier: Apache-2.0 OR MIT
// usbnet: for tests, an adapter in software with its cable, the device that drives it, and a port that listens.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "bus/usb/emulated.h"
#include "bus/usb/nic_model.h"
#include "bus/usb/usbip_port.h"
#include "bus/usb/usbip_server.h"
#include "testing/watch.h"
#include "usernic/net.h"
#include "usernic/port.h"
#include "usernic/rx_mode.h"

namespace usernic::usb {

inline constexpr MacAddress kOther = MacAddress::from_u64(0x0200'0000'0099);  // at the far end of the cable

constexpr MacAddress unicast(uint64_t n) noexcept {
  return MacAddress::from_u64(0x0600'0000'0000 + n);
}
constexpr MacAddress multicast(uint64_t n) noexcept {
  return MacAddress::from_u64(0x0100'5e00'0000 + n);
}

// A frame of `size` octets with `number` in it.
inline std::vector<uint8_t> make_frame(const MacAddress& to, uint32_t number, uint32_t size = 60) {
  std::vector<uint8_t> frame(size);
  std::copy(to.octets.begin(), to.octets.end(), frame.begin());
  std::copy(kOther.octets.begin(), kOther.octets.end(), frame.begin() + 6);
  const uint8_t rest[] = {0x88,           0xb5, uint8_t(number >> 24), uint8_t(number >> 16), uint8_t(number >> 8),
                          uint8_t(number)};
  std::copy_n(rest, std::min<size_t>(sizeof rest, size - 12), frame.begin() + 12);
  for (size_t i = 18; i < size; ++i) frame[i] = static_cast<uint8_t>(i + number);
  return frame;
}
// The same with a VLAN tag.
inline std::vector<uint8_t> make_tagged(const MacAddress& to, uint32_t number, uint8_t vlan = 5) {
  std::vector<uint8_t> frame = make_frame(to, number);
  const uint8_t tag[] = {0x81, 0x00, 0x00, vlan};
  frame.insert(frame.begin() + 12, std::begin(tag), std::end(tag));
  return frame;
}
inline uint32_t number_of(std::span<const uint8_t> frame) noexcept {
  const size_t at = frame[12] == 0x81 && frame.size() >= 22 ? 18 : 14;
  return uint32_t{frame[at]} << 24 | uint32_t{frame[at + 1]} << 16 | uint32_t{frame[at + 2]} << 8 | frame[at + 3];
}

// The host above the device: which numbers came in, and the last frame whole.
class Listener final : public DevicePort {
 public:
  static constexpr uint32_t kNumbers = 1 << 16;
  void receive(SkbBatch& frames) noexcept USERNIC_NONBLOCKING override {
    for (const Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*const_cast<Skb*>(skb))) {
      if (skb->size() < 18) continue;
      const uint32_t number = number_of(skb->bytes()) % kNumbers;
      {
        SpinGuard guard(lock_);
        last_size_ = std::min<uint32_t>(skb->size(), static_cast<uint32_t>(last_.size()));
        std::copy_n(skb->data(), last_size_, last_.begin());
      }
      seen_[number].fetch_add(1);
    }
    news();
  }
  void tx_wake(TxQueue&) noexcept USERNIC_NONBLOCKING override { news(); }
  void carrier_changed(bool) noexcept USERNIC_NONBLOCKING override { news(); }

  uint32_t news_count() const noexcept { return news_.load(); }
  bool wait_news(uint32_t seen) const { return news_.load() != seen || wait_on(news_, seen, soon()); }
  uint32_t seen(uint32_t number) const noexcept { return seen_[number % kNumbers].load(); }
  bool wait_seen(uint32_t number) const {
    for (const Time deadline = soon(); Clock::now() < deadline;) {
      const uint32_t before = news_.load();
      if (seen(number) > 0) return true;
      wait_on(news_, before, deadline);
    }
    return false;
  }
  std::vector<uint8_t> last() const {
    SpinGuard guard(lock_);
    return {last_.begin(), last_.begin() + last_size_};
  }

 private:
  void news() noexcept USERNIC_NONBLOCKING {
    news_.fetch_add(1);
    wake_all(news_);
  }
  static constexpr LockClass kClass{"usb_listener", LockUse::kAnyContext};
  Atomic<uint32_t> news_{0};
  std::array<Atomic<uint32_t>, kNumbers> seen_{};
  mutable SpinLock lock_{kClass};
  std::array<uint8_t, 9216> last_{};
  uint32_t last_size_ = 0;
};

// The far end of the cable.
class Ear final : public Cable {
 public:
  void hear(std::span<const uint8_t> frame) noexcept override {
    MutexGuard guard(lock_);
    frames_.emplace_back(frame.begin(), frame.end());
    news_.wake();
  }
  bool wait(size_t count) {
    MutexGuard guard(lock_);
    const Time deadline = soon();
    while (frames_.size() < count) {
      if (!news_.wait(lock_, deadline)) return frames_.size() >= count;
    }
    return true;
  }
  std::vector<std::vector<uint8_t>> frames() const {
    MutexGuard guard(lock_);
    return frames_;
  }

 private:
  static constexpr LockClass kClass{"usb_ear"};
  mutable Mutex lock_{kClass};
  WaitQueue news_;
  std::vector<std::vector<uint8_t>> frames_;
};

// An adapter, plugged in, and its device: registered, not open. `served`: reached over USB/IP. The model has
// connect_cable and receive.
template <class Driver, class Model>
struct NicFixture {
  static constexpr uint64_t kOverflow = 20;  // groups: more than the adapter tells apart one by one
  template <class... Args>
  explicit NicFixture(bool served, Args&&... args) : model(std::forward<Args>(args)...) {
    model.connect_cable(&ear);
    if (served) server = *UsbipServer::create(*plug, "1-1", "127.0.0.1", 0);
    port = served ? std::make_shared<UsbipPort>("127.0.0.1", server->tcp_port(), "1-1", std::chrono::milliseconds(10))
                  : std::static_pointer_cast<Port>(plug);
  }
  ~NicFixture() {
    if (dev != nullptr) dev->detach_port();
    dev = nullptr;
    port = nullptr;
    server = nullptr;
  }

  Result<> probe() {
    const NetdevConfig config{.name = "usb%d", .rx_retry = std::chrono::milliseconds(5)};
    auto opened = port->open({.deadline = soon()});
    if (!opened) return fail(opened.error());
    Result<NetdevPtr> probed = Driver::probe(net, config, port, *std::move(opened), {.deadline = soon()});
    if (!probed) return fail(probed.error());
    dev = *std::move(probed);
    if (const Result<> registered = dev->register_netdev(); !registered) return registered;
    return dev->attach_port(listener);
  }
  bool settled() { return dev->rx_mode().settle(soon()).has_value(); }
  // Says the marker, which every filter passes, and waits until it is through: whatever was said before is, too.
  bool through() {
    const uint32_t marker = ++markers;
    return eventually([&] { return model.receive(make_frame(kBroadcast, marker)); }) && listener.wait_seen(marker);
  }
  // Does a frame to that address come up from the cable?
  bool hears(const MacAddress& to, bool tagged = false) {
    const uint32_t number = 0x8000 + ++questions;
    model.receive(tagged ? make_tagged(to, number) : make_frame(to, number));
    EXPECT_TRUE(through());
    return listener.seen(number) > 0;
  }
  uint32_t xmit(const std::vector<uint8_t>& frame) {
    Skb* const skb = frames.alloc();
    std::copy(frame.begin(), frame.end(), skb->put(static_cast<uint32_t>(frame.size())));
    SkbBatch batch;
    batch.push_back(*skb);
    return dev->xmit(dev->tx_queue(0), batch);
  }
  // Back on the bus, and the filter programmed.
  bool back() {
    return eventually([this] { return dev->present(); }) && settled();
  }

  Ear ear;
  Model model;
  std::shared_ptr<EmulatedPort> plug = std::make_shared<EmulatedPort>(model, "emulated:adapter");
  std::unique_ptr<UsbipServer> server;
  std::shared_ptr<Port> port;
  SkbPool frames{256, 9216};
  Listener listener;
  Net net;
  NetdevPtr dev;
  uint32_t markers = 0, questions = 0;
};

// A group that fits, and is in no bucket of those that a test wants.
template <class Fixture, class BucketOf, class Fits>
constexpr MacAddress foreign_group(BucketOf bucket_of, Fits fits) {
  for (uint64_t n = 1000;; ++n) {
    bool alone = fits(multicast(n));
    for (uint64_t wanted = 1; wanted <= Fixture::kOverflow; ++wanted) {
      alone &= bucket_of(multicast(n)) != bucket_of(multicast(wanted));
    }
    if (alone) return multicast(n);
  }
}

}  // namespace usernic::usb
