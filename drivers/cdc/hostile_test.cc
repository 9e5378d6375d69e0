// SPDX-License-Identifier: Apache-2.0 OR MIT
// A function whose answers, notifications and transfers are partly nonsense: whatever it says, nothing hangs, nothing
// is read outside a buffer (asan), and when it has come to its senses everything is as it should be.
#include <random>

#include "drivers/cdc/adapter_fixture.h"

namespace usernic::cdc {
namespace {

class HostileModel final : public usb::NicModel, private usb::ToHost {
 public:
  HostileModel(const Make& make, uint32_t seed) : model_(make, kPermanent), dice_(seed) {}
  void come_to_senses() { sane_.store(true); }
  usb::NicFilter filter() const override { return model_.filter(); }

  void connect_cable(usb::Cable* cable) override { model_.connect_cable(cable); }
  bool receive(std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING override { return model_.receive(frame); }
  void set_link(bool up) override { model_.set_link(up); }
  std::span<const uint8_t> device_descriptor() const override { return model_.device_descriptor(); }
  std::span<const uint8_t> configuration_descriptor() const override { return model_.configuration_descriptor(); }
  std::string_view string(uint8_t index) const override { return model_.string(index); }
  void connect(usb::ToHost& to_host) override {
    to_host_ = &to_host;
    model_.connect(*this);
  }
  void power_on() override { model_.power_on(); }
  void set_configuration(uint8_t value) override { model_.set_configuration(value); }
  void set_interface(uint8_t interface, uint8_t alternate) override { model_.set_interface(interface, alternate); }
  Result<uint32_t> control(const usb::Setup& setup, std::span<uint8_t> data) override {
    const Result<uint32_t> done = model_.control(setup, data);
    if (!done || (setup.request_type & usb::kIn) == 0) return done;
    return spoil(data, *done);
  }
  Result<> out(uint8_t endpoint, std::span<const uint8_t> data) override { return model_.out(endpoint, data); }

 private:
  bool deliver(uint8_t endpoint, std::span<const uint8_t> message) noexcept USERNIC_NONBLOCKING override {
    uint8_t octets[4096];
    const size_t size = std::min(message.size(), sizeof octets);
    std::copy_n(message.begin(), size, octets);
    return to_host_->deliver(endpoint, std::span(octets).first(spoil(octets, static_cast<uint32_t>(size))));
  }
  // Each third time: some octets are others, or the end is missing.
  uint32_t spoil(std::span<uint8_t> octets, uint32_t size) noexcept USERNIC_NONBLOCKING {
    SpinGuard guard(lock_);
    if (sane_.load() || size == 0 || dice_() % 3 != 0) return size;
    for (uint32_t changes = dice_() % 4; changes-- > 0;) octets[dice_() % size] = static_cast<uint8_t>(dice_());
    return dice_() % 4 == 0 ? dice_() % (size + 1) : size;
  }

  static constexpr LockClass kClass{"cdc_hostile", LockUse::kAnyContext};
  cdc::Model model_;
  usb::ToHost* to_host_ = nullptr;
  Atomic<bool> sane_{false};
  SpinLock lock_{kClass};
  std::minstd_rand dice_;
};

struct CdcHostileTest : ::testing::TestWithParam<Kind> {};

TEST_P(CdcHostileTest, NothingItSaysDoesHarm) {
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    usb::NicFixture<Cdc, HostileModel> adapter(false, GetParam().make, seed);
    // An address or a segment that is nonsense is no device, or another one.
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

INSTANTIATE_TEST_SUITE_P(Cdc, CdcHostileTest, ::testing::ValuesIn(kKinds), name_of);

}  // namespace
}  // namespace usernic::cdc
