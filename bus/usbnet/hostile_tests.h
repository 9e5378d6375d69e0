// SPDX-License-Identifier: Apache-2.0 OR MIT
// usbnet: for tests of every driver: an adapter whose answers, notifications and transfers are partly nonsense.
// Whatever it says, nothing hangs, nothing is read outside a buffer (asan), and when it has come to its senses
// everything is as it should be.
#pragma once

#include <algorithm>
#include <random>
#include <utility>

#include "bus/usbnet/nic_fixture.h"

namespace usernic::usb {

// Of `answers` answers to control transfers one is spoilt, and of three transfers.
template <class RealModel>
class HostileModel final : public NicModel, private ToHost {
 public:
  template <class... Args>
  HostileModel(uint32_t answers, uint32_t seed, Args&&... args)
      : model_(std::forward<Args>(args)...), answers_(answers), dice_(seed) {}
  void come_to_senses() { sane_.store(true); }
  NicFilter filter() const override { return model_.filter(); }

  void connect_cable(Cable* cable) override { model_.connect_cable(cable); }
  bool receive(std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING override { return model_.receive(frame); }
  void set_link(bool up) override { model_.set_link(up); }
  std::span<const uint8_t> device_descriptor() const override { return model_.device_descriptor(); }
  std::span<const uint8_t> configuration_descriptor() const override { return model_.configuration_descriptor(); }
  std::string_view string(uint8_t index) const override { return model_.string(index); }
  void connect(ToHost& to_host) override {
    to_host_ = &to_host;
    model_.connect(*this);
  }
  void power_on() override { model_.power_on(); }
  void set_configuration(uint8_t value) override { model_.set_configuration(value); }
  void set_interface(uint8_t interface, uint8_t alternate) override { model_.set_interface(interface, alternate); }
  Result<uint32_t> control(const Setup& setup, std::span<uint8_t> data) override {
    const Result<uint32_t> done = model_.control(setup, data);
    if (!done || (setup.request_type & kIn) == 0) return done;
    return spoil(data, *done, answers_);
  }
  Result<> out(uint8_t endpoint, std::span<const uint8_t> data) override { return model_.out(endpoint, data); }

 private:
  bool deliver(uint8_t endpoint, std::span<const uint8_t> message) noexcept USERNIC_NONBLOCKING override {
    uint8_t octets[4096];
    const size_t size = std::min(message.size(), sizeof octets);
    std::copy_n(message.begin(), size, octets);
    return to_host_->deliver(endpoint, std::span(octets).first(spoil(octets, static_cast<uint32_t>(size), 3)));
  }
  // Some octets are others, or the end is missing.
  uint32_t spoil(std::span<uint8_t> octets, uint32_t size, uint32_t one_in) noexcept USERNIC_NONBLOCKING {
    SpinGuard guard(lock_);
    if (sane_.load() || size == 0 || dice_() % one_in != 0) return size;
    for (uint32_t changes = dice_() % 4; changes-- > 0;) octets[dice_() % size] = static_cast<uint8_t>(dice_());
    return dice_() % 4 == 0 ? dice_() % (size + 1) : size;
  }

  static constexpr LockClass kClass{"usb_hostile", LockUse::kAnyContext};
  RealModel model_;
  ToHost* to_host_ = nullptr;
  const uint32_t answers_;
  Atomic<bool> sane_{false};
  SpinLock lock_{kClass};
  std::minstd_rand dice_;
};

template <class Driver, class Model, class... Args>
void nothing_it_says_does_harm(uint32_t seeds, uint32_t answers, const Args&... args) {
  for (uint32_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    NicFixture<Driver, HostileModel<Model>> adapter(false, answers, seed, args...);
    // An address or a size that is nonsense is no device, or another one.
    const bool probed = adapter.probe().has_value();
    if (probed && adapter.dev->open()) {
      for (uint64_t n = 0; n < 4; ++n) ASSERT_TRUE(adapter.dev->mc().add(multicast(n)));
      for (uint32_t n = 0; n < 60; ++n) {
        (void)adapter.model.receive(make_frame(kBroadcast, n, 60 + 16 * n));
        if (n % 4 == 0) (void)adapter.xmit(make_frame(kOther, n));
        if (n % 16 == 0) adapter.model.set_link(n % 32 == 0);
      }
      (void)adapter.dev->rx_mode().settle(Clock::now() + std::chrono::milliseconds(20));
      (void)adapter.dev->close();
    }
    adapter.model.come_to_senses();
    // Who said at probe that it can more than it does is another now.
    ASSERT_TRUE(eventually([&] {
      if (adapter.dev != nullptr && adapter.dev->open()) return true;
      if (adapter.dev != nullptr) adapter.dev->detach_port();
      adapter.dev = nullptr;
      return adapter.probe() && adapter.dev->open();
    }));
    adapter.model.set_link(true);
    ASSERT_TRUE(adapter.settled());
    EXPECT_TRUE(adapter.through());
  }
}

}  // namespace usernic::usb
