// SPDX-License-Identifier: Apache-2.0 OR MIT
// A USB adapter in software that keeps the address that it was made with: whoever writes another stalls. Served over
// USB/IP at a port that it prints, until its input ends.
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "bus/usb/emulated.h"
#include "bus/usb/usbip_server.h"
#include "drivers/rtl8150/model.h"

namespace usernic {
namespace {

constexpr MacAddress kOwn = MacAddress::from_u64(0x0200'0000'0001);

class StubbornAdapter final : public usb::Model {
 public:
  std::span<const uint8_t> device_descriptor() const override { return chip_.device_descriptor(); }
  std::span<const uint8_t> configuration_descriptor() const override { return chip_.configuration_descriptor(); }
  std::string_view string(uint8_t index) const override { return chip_.string(index); }
  usb::Speed speed() const override { return chip_.speed(); }
  void connect(usb::ToHost& to_host) override { chip_.connect(to_host); }
  void power_on() override { chip_.power_on(); }
  Result<> out(uint8_t endpoint, std::span<const uint8_t> data) override { return chip_.out(endpoint, data); }
  Result<uint32_t> control(const usb::Setup& setup, std::span<uint8_t> data) override {
    const bool another = setup.request_type == rtl8150::kRequestWrite && setup.value == rtl8150::kIdr &&
                         !std::ranges::equal(data, kOwn.octets);
    return another ? fail(std::errc::broken_pipe) : chip_.control(setup, data);
  }

 private:
  rtl8150::Model chip_{kOwn};
};

int serve() {
  StubbornAdapter adapter;
  usb::EmulatedPort plug(adapter, "stubborn");
  const auto server = usb::UsbipServer::create(plug, "1-1", "127.0.0.1", 0);
  if (!server) return 1;
  std::printf("%u\n", unsigned{(*server)->tcp_port()});
  std::fflush(stdout);
  for (char octet; ::read(STDIN_FILENO, &octet, 1) > 0;) {
  }
  return 0;
}

}  // namespace
}  // namespace usernic

int main() {
  return usernic::serve();
}
