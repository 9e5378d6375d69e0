// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/cdc/protocol.h"

#include "bus/usb/standard.h"
#include "drivers/cdc/ncm.h"
#include "drivers/cdc/rndis.h"

namespace usernic::cdc {
namespace {

constexpr uint16_t kEnglish = 0x0409;

}  // namespace

Result<uint32_t> Control::string(uint8_t index, std::span<uint8_t> descriptor) {
  const usb::Setup setup{.request_type = usb::kIn,
                         .request = usb::kGetDescriptor,
                         .value = static_cast<uint16_t>(usb::kStringDescriptor << 8 | index),
                         .index = kEnglish};
  return device_.control(setup, descriptor, wait());
}

Result<uint32_t> Control::get(uint8_t request, std::span<uint8_t> data) {
  return device_.control({.request_type = kFromInterface, .request = request, .index = interface_}, data, wait());
}

Result<> Control::set(uint8_t request, uint16_t value, std::span<uint8_t> data) {
  const usb::Setup setup{.request_type = kToInterface, .request = request, .value = value, .index = interface_};
  const Result<uint32_t> done = device_.control(setup, data, wait());
  return done ? Result<>() : fail(done.error());
}

std::unique_ptr<Protocol> Protocol::create(const Function& function) {
  switch (function.framing) {
    case Framing::kEcm:
      return std::make_unique<Ecm>(function);
    case Framing::kNcm:
      return std::make_unique<Ncm>(function);
    case Framing::kRndis:
      return std::make_unique<Rndis>();
  }
  return nullptr;
}

}  // namespace usernic::cdc
