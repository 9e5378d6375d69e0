// SPDX-License-Identifier: Apache-2.0 OR MIT
// lan78xx: the adapter in software: registers, the RAM behind them, a PHY, a filter that filters, a cable.
//
// It does what the registers say and no more. What no source says to be empty after power on is not. README.md says
// what it was held against.
//
// Locks: one, a leaf; it is not held while the cable or the bus is called. Frames may come from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "bus/usb/nic_model.h"
#include "drivers/lan78xx/counters.h"
#include "drivers/lan78xx/model_phy.h"
#include "drivers/lan78xx/regs.h"
#include "usernic/lock.h"

namespace usernic::lan78xx {

struct ModelCounters {
  Atomic<uint64_t> received{0};  // passed the filter, and given to the bus
  Atomic<uint64_t> filtered{0};
  Atomic<uint64_t> deaf{0};       // receiver or link off
  Atomic<uint64_t> overrun{0};    // nobody fetched them
  Atomic<uint64_t> sent{0};       // as they were on the wire
  Atomic<uint64_t> not_sent{0};   // transmitter or link off
  Atomic<uint64_t> transfers{0};  // with frames, of the host
  Atomic<uint64_t> bad{0};        // those that broke a rule; nothing of them was sent
};

class Model final : public usb::NicModel {
 public:
  // What a word of the RAM has until somebody writes it.
  static constexpr uint32_t kUnwritten = 0xa5a5'a5a5;

  explicit Model(const MacAddress& permanent, uint16_t chip = 0x7800) : permanent_(permanent), chip_(chip) {}

  bool accepts(const MacAddress& destination) const noexcept USERNIC_NONBLOCKING;
  const ModelCounters& counters() const noexcept { return counters_; }
  // Those that the filter passes arrive in one transfer, as far as they fit in a burst. True: some are on their way.
  bool receive_together(std::span<const std::span<const uint8_t>> frames) noexcept USERNIC_NONBLOCKING;

  // usb::NicModel; `accept` is kRfeCtl.
  void connect_cable(usb::Cable* cable) override;
  bool receive(std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING override;
  void set_link(bool up) override;
  usb::NicFilter filter() const override;

  // usb::Model
  std::span<const uint8_t> device_descriptor() const override;
  std::span<const uint8_t> configuration_descriptor() const override;
  std::string_view string(uint8_t index) const override;
  void connect(usb::ToHost& to_host) override { to_host_ = &to_host; }
  void power_on() override;
  Result<uint32_t> control(const usb::Setup& setup, std::span<uint8_t> data) override;
  Result<> out(uint8_t endpoint, std::span<const uint8_t> data) override;

 private:
  static constexpr uint32_t kRegisterWords = kRegistersEnd / 4, kOtpWords = (kOtpEnd - kOtpBegin) / 4;
  using Frames = std::vector<std::vector<uint8_t>>;
  class Burst;

  // Registers.
  uint32_t* at(uint16_t address) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  uint32_t value(uint16_t address) const noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_) {
    return registers_[address / 4];
  }
  void lite_reset() USERNIC_REQUIRES(lock_);
  void write(uint16_t address, uint32_t value) USERNIC_REQUIRES(lock_);
  void access_ram(bool writes) USERNIC_REQUIRES(lock_);
  void access_phy(uint32_t command) USERNIC_REQUIRES(lock_);
  uint32_t enabled(uint32_t value, uint32_t enable, uint32_t disabled) const noexcept {
    return (value & enable) != 0 ? value & ~disabled : value | disabled;
  }
  bool interrupted() USERNIC_REQUIRES(lock_);
  void interrupt();

  // Filter and frames.
  bool hears() const noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  bool accepts_locked(const MacAddress& destination) const noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  bool passes_vlan(std::span<const uint8_t> frame) const noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  bool is_tagged(std::span<const uint8_t> frame) const noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void count(Counter octets, Counter frames, Counter sizes, std::span<const uint8_t> frame) noexcept
      USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void count_one(uint32_t counter, uint32_t more = 1) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  static bool take_frames(std::span<const uint8_t> octets, Frames& frames);
  static bool finish(std::vector<uint8_t> frame, uint32_t a, uint32_t b, Frames& frames);

  static constexpr LockClass kClass{"lan78xx_model", LockUse::kAnyContext};
  const MacAddress permanent_;
  const uint16_t chip_;
  usb::ToHost* to_host_ = nullptr;
  ModelCounters counters_;
  mutable SpinLock lock_{kClass};
  usb::Cable* cable_ USERNIC_GUARDED_BY(lock_) = nullptr;
  std::array<uint32_t, kRegisterWords> registers_ USERNIC_GUARDED_BY(lock_){};
  std::array<uint32_t, kOtpWords> otp_ USERNIC_GUARDED_BY(lock_){};
  std::array<uint32_t, kTableWords> ram_ USERNIC_GUARDED_BY(lock_){};
  std::array<uint32_t, kCounterNames.size()> counted_ USERNIC_GUARDED_BY(lock_){};
  ModelPhy phy_ USERNIC_GUARDED_BY(lock_);
  bool connected_ USERNIC_GUARDED_BY(lock_) = true;  // the far end of the cable
  bool told_ USERNIC_GUARDED_BY(lock_) = false;      // by the interrupt endpoint
};

}  // namespace usernic::lan78xx
// Explained best by: drivers/lan78xx/model_test.cc
