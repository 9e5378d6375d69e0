// SPDX-License-Identifier: Apache-2.0 OR MIT
// rtl8150: the adapter in software: registers, a filter that filters, a link, and a cable.
//
// It does what the registers say and no more: a filter that was never set receives nothing, a frame that is too short
// is not sent. README.md says what it was held against.
//
// Locks: one, a leaf; it is not held while the cable or the bus is called. Frames may come from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "bus/usb/nic_model.h"
#include "drivers/rtl8150/regs.h"
#include "usernic/lock.h"

namespace usernic::rtl8150 {

struct ModelCounters {
  Atomic<uint64_t> received{0};  // passed the filter, and given to the bus
  Atomic<uint64_t> filtered{0};
  Atomic<uint64_t> deaf{0};     // receiver or link off
  Atomic<uint64_t> overrun{0};  // nobody fetched them
  Atomic<uint64_t> sent{0};
  Atomic<uint64_t> not_sent{0};          // transmitter or link off
  Atomic<uint64_t> runts{0}, giants{0};  // of the host; not sent
};

class Model final : public usb::NicModel {
 public:
  explicit Model(const MacAddress& permanent) : permanent_(permanent) {}

  bool accepts(const MacAddress& destination) const noexcept USERNIC_NONBLOCKING;
  const ModelCounters& counters() const noexcept { return counters_; }

  // usb::NicModel; `accept` is kRcr, `hash` kMar.
  void connect_cable(usb::Cable* cable) override;
  bool receive(std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING override;
  void set_link(bool up) override;
  usb::NicFilter filter() const override;

  // usb::Model
  std::span<const uint8_t> device_descriptor() const override;
  std::span<const uint8_t> configuration_descriptor() const override;
  std::string_view string(uint8_t index) const override;
  usb::Speed speed() const override { return usb::Speed::kFull; }
  void connect(usb::ToHost& to_host) override { to_host_ = &to_host; }
  void power_on() override;
  Result<uint32_t> control(const usb::Setup& setup, std::span<uint8_t> data) override;
  Result<> out(uint8_t endpoint, std::span<const uint8_t> data) override;

 private:
  uint8_t* at(uint16_t address, size_t size) USERNIC_REQUIRES(lock_);
  void written(uint16_t address, size_t size) USERNIC_REQUIRES(lock_);
  void show_link() USERNIC_REQUIRES(lock_);
  bool accepts_locked(const MacAddress& destination) const noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  uint16_t rcr() const noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void interrupt();

  static constexpr LockClass kClass{"rtl8150_model", LockUse::kAnyContext};
  const MacAddress permanent_;
  usb::ToHost* to_host_ = nullptr;
  ModelCounters counters_;
  mutable SpinLock lock_{kClass};
  usb::Cable* cable_ USERNIC_GUARDED_BY(lock_) = nullptr;
  bool link_ USERNIC_GUARDED_BY(lock_) = true;
  std::array<uint8_t, kRegistersEnd - kRegistersBegin> registers_ USERNIC_GUARDED_BY(lock_){};
  std::array<uint8_t, kEepromBytes> eeprom_ USERNIC_GUARDED_BY(lock_){};
};

}  // namespace usernic::rtl8150
// Explained best by: drivers/rtl8150/model_test.cc
