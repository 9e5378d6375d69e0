// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: an emulated device, opened: its thread serves what was submitted, by its port's model and faults.
#pragma once

#include <algorithm>
#include <optional>
#include <span>

#include "bus/usb/device.h"
#include "bus/usb/emulated.h"
#include "usernic/thread.h"

namespace usernic::usb {

// What fits; how many octets that were.
inline uint32_t copy(std::span<const uint8_t> from, std::span<uint8_t> to) noexcept {
  const size_t size = std::min(from.size(), to.size());
  std::copy_n(from.begin(), size, to.begin());
  return static_cast<uint32_t>(size);
}

class EmulatedDevice final : public Device {
 public:
  explicit EmulatedDevice(EmulatedPort& port) : port_(port), thread_("usb-emulated", [this] { run(); }) {
    set_speed(port.model_.speed());
  }
  ~EmulatedDevice() override {
    closing_.store(true);
    kick();
    thread_.join();
    leave();
  }

  Result<> begin(const Wait& wait) { return read_descriptors(wait); }
  void kick() noexcept USERNIC_NONBLOCKING override {
    kicks_.fetch_add(1);
    wake_all(kicks_);
  }

 private:
  void run();
  Time serve();
  void serve_one(Transfer& transfer, Time& due);
  bool counted(bool control);
  uint32_t now_us() const;
  Result<uint32_t> control(const Setup& setup, std::span<uint8_t> data);
  Result<uint32_t> standard(const Setup& setup, std::span<uint8_t> data);
  Result<uint32_t> feature(const Setup& setup, bool on);
  Result<uint32_t> descriptor(const Setup& setup, std::span<uint8_t> data) const;
  std::optional<Result<uint32_t>> in(Transfer& transfer);
  const Endpoint* find(uint8_t endpoint) const;
  bool stalls(uint8_t endpoint) const;
  void leave() noexcept;

  EmulatedPort& port_;
  Atomic<uint32_t> kicks_{0};
  Atomic<bool> closing_{false};
  const Time opened_ = Clock::now();
  // The thread's.
  Transfers taken_;
  Transfer* slow_ = nullptr;  // the control transfer that takes its time
  Time slow_due_{};
  uint64_t controls_ = 0;
  uint8_t alternate_ = 0;
  Thread thread_;
};

}  // namespace usernic::usb
// Explained best by: bus/usb/emulated_test.cc
