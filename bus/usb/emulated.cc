// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/emulated.h"

#include <utility>

#include "bus/usb/emulated_device.h"

namespace usernic::usb {

EmulatedPort::EmulatedPort(Model& model, std::string name, PortWatch* watch)
    : model_(model), name_(std::move(name)), watch_(watch) {
  if (Result<Configuration> parsed = Configuration::parse(model.configuration_descriptor())) {
    configuration_ = *std::move(parsed);
  }
  for (const Interface& interface : configuration_.interfaces) {
    for (const Endpoint& endpoint : interface.endpoints) {
      if ((endpoint.address & kIn) == 0) continue;
      fifos_[endpoint.address & 0x0f].ring = std::make_unique_for_overwrite<Message[]>(kMessages);
    }
  }
  model_.connect(*this);
  model_.power_on();
}

EmulatedPort::~EmulatedPort() = default;

Result<std::unique_ptr<Device>> EmulatedPort::open(const Wait& wait) {
  if (!plugged()) return fail(std::errc::no_such_device);
  auto device = std::make_unique<EmulatedDevice>(*this);
  {
    SpinGuard guard(lock_);
    if (device_ != nullptr) return fail(std::errc::device_or_resource_busy);
    device_ = device.get();
  }
  if (const Result<> begun = device->begin(wait); !begun) return fail(begun.error());
  return device;
}

// Messages of an interrupt endpoint until one ends in a short packet, or the transfer is full; nothing yet: neither is
// so.
std::optional<Result<uint32_t>> EmulatedPort::gather(Fifo& fifo, std::span<uint8_t> to, uint32_t packet) {
  size_t size = 0;
  for (uint32_t count = 1; count <= fifo.count; ++count) {
    const Message& message = fifo.ring[(fifo.head + count - 1) % kMessages];
    if (message.size > to.size() - size) return fail(std::errc::value_too_large);
    size += copy(std::span(message.octets, message.size), to.subspan(size));
    if (message.size % packet == 0 && message.size != 0 && size < to.size()) continue;
    fifo.head = (fifo.head + count) % kMessages;
    fifo.count -= count;
    return static_cast<uint32_t>(size);
  }
  return std::nullopt;
}

void EmulatedPort::unplug() noexcept {
  SpinGuard guard(lock_);
  plugged_.store(false);
  if (device_ != nullptr) device_->kick();
}

void EmulatedPort::plug() {
  {
    SpinGuard guard(lock_);
    while (device_ != nullptr) closed_.wait(lock_);
    for (Fifo& fifo : fifos_) fifo.count = 0;
    halted_ = 0;
    configured_ = 0;
  }
  model_.power_on();
  plugged_.store(true);
}

void EmulatedPort::halt(uint8_t endpoint) noexcept {
  SpinGuard guard(lock_);
  halted_ |= bit(endpoint);
  if (device_ != nullptr) device_->kick();
}

bool EmulatedPort::deliver(uint8_t endpoint, std::span<const uint8_t> octets) noexcept {
  SpinGuard guard(lock_);
  Fifo& fifo = fifos_[endpoint & 0x0f];
  if (!plugged() || configured_ == 0 || fifo.ring == nullptr || fifo.count == kMessages) return false;
  if (octets.size() > kMessageMax) return false;
  Message& message = fifo.ring[(fifo.head + fifo.count) % kMessages];
  message.size = copy(octets, message.octets);
  message.sent = 0;
  ++fifo.count;
  if (device_ != nullptr) device_->kick();
  return true;
}

size_t EmulatedPort::waiting(uint8_t endpoint) const noexcept {
  SpinGuard guard(lock_);
  const Fifo& fifo = fifos_[endpoint & 0x0f];
  size_t octets = 0;
  for (uint32_t n = 0; n < fifo.count; ++n) {
    const Message& message = fifo.ring[(fifo.head + n) % kMessages];
    octets += message.size - message.sent;
  }
  return octets;
}

}  // namespace usernic::usb
