// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: for tests, a device that sends back what it is sent: bulk OUT 2 comes in at bulk IN 1, vendor requests write and
// read 64 octets by their index, interrupt IN 3 says what one asks it to.
#pragma once

#include <algorithm>
#include <array>

#include "bus/usb/emulated.h"

namespace usernic::usb {

class EchoModel final : public Model {
 public:
  static constexpr uint8_t kBulkIn = 0x81, kBulkOut = 0x02, kInterruptIn = 0x83;
  static constexpr uint16_t kVendorId = 0x1209, kProductId = 0x0001;

  std::span<const uint8_t> device_descriptor() const override {
    static constexpr uint8_t kOctets[] = {18, 1, 0, 2, 0, 0, 0, 64, 0x09, 0x12, 0x01, 0, 0, 1, 0, 1, 0, 1};
    return kOctets;
  }
  std::span<const uint8_t> configuration_descriptor() const override {
    static constexpr uint8_t kOctets[] = {9, 2, 48,   0, 1,  1,   0,  0x80, 50,  //
                                          9, 4, 0,    0, 3,  255, 0,  0,    0,   //
                                          7, 5, 0x81, 2, 64, 0,   0,             //
                                          7, 5, 0x02, 2, 64, 0,   0,             //
                                          7, 5, 0x83, 3, 8,  0,   10,            //
                                          9, 4, 0,    1, 0,  255, 0,  0,    0};
    return kOctets;
  }
  std::string_view string(uint8_t index) const override { return index == 1 ? "echo" : ""; }
  void connect(ToHost& to_host) override { to_host_ = &to_host; }
  void power_on() override { memory_ = {}; }
  Result<uint32_t> control(const Setup& setup, std::span<uint8_t> data) override {
    if (setup.index + data.size() > memory_.size()) return fail(std::errc::broken_pipe);
    const auto place = memory_.begin() + setup.index;
    if ((setup.request_type & kIn) != 0) {
      std::copy_n(place, data.size(), data.begin());
    } else {
      std::copy(data.begin(), data.end(), place);
    }
    return static_cast<uint32_t>(data.size());
  }
  Result<> out(uint8_t endpoint, std::span<const uint8_t> data) override {
    if (endpoint != kBulkOut) return fail(std::errc::broken_pipe);
    to_host_->deliver(kBulkIn, data);
    return {};
  }
  bool interrupt(std::span<const uint8_t> data) { return to_host_->deliver(kInterruptIn, data); }

 private:
  ToHost* to_host_ = nullptr;
  std::array<uint8_t, 64> memory_{};
};

}  // namespace usernic::usb
