// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/emulated_device.h"

#include <utility>

#include "bus/usb/standard.h"

namespace usernic::usb {

void EmulatedDevice::run() {
  for (;;) {
    const uint32_t seen = kicks_.load();
    if (closing_.load()) return;
    Transfers cancelled;
    take(taken_, cancelled);
    while (!cancelled.empty()) {
      Transfer& transfer = cancelled.front();
      cancelled.pop_front();
      if (&transfer == slow_) slow_ = nullptr;
      complete(transfer, fail(std::errc::operation_canceled));
    }
    const Time due = port_.plugged() ? serve() : Time::min();
    if (!port_.plugged()) {
      if (port_.watch_ != nullptr) port_.watch_->unplugged();
      leave();
      return end_all(taken_);
    }
    wait_on(kicks_, seen, due);
  }
}

// Not the port's any more.
void EmulatedDevice::leave() noexcept {
  SpinGuard guard(port_.lock_);
  if (port_.device_ != this) return;
  port_.device_ = nullptr;
  port_.configured_ = 0;
  port_.counts_.in_flight.store(0);
  port_.closed_.wake();
}

// Since the device was opened, never 0: the tag of a control transfer is when it came.
uint32_t EmulatedDevice::now_us() const {
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - opened_);
  return static_cast<uint32_t>(since.count()) | 1;
}

// Serves what can be served; returns when something more can, if nobody kicks.
Time EmulatedDevice::serve() {
  Time due = kForever;
  uint64_t controls = 0;
  for (Transfer& transfer : taken_) {
    if (transfer.endpoint != 0) continue;
    ++controls;
    if (tag(transfer) == 0) tag(transfer) = now_us();
  }
  port_.counts_.in_flight.store(controls);
  port_.counts_.in_flight_max.store(std::max(port_.counts_.in_flight_max.load(), controls));
  for (auto next = taken_.begin(); next != taken_.end() && port_.plugged();) {
    Transfer& transfer = *next++;
    serve_one(transfer, due);
  }
  return due;
}

// Ends the transfer and takes it out of the list, or leaves it there.
void EmulatedDevice::serve_one(Transfer& transfer, Time& due) {
  const auto end = [&](Result<uint32_t> result) {
    taken_.erase(taken_.iterator_to(transfer));
    complete(transfer, result);
  };
  const bool is_control = transfer.endpoint == 0;
  if (is_control) {
    if (slow_ != nullptr && slow_ != &transfer) return;
    const Time now = Clock::now();
    if (slow_ == nullptr) slow_due_ = now + std::chrono::nanoseconds(port_.faults_.control_ns.load());
    slow_ = &transfer;
    if (now < slow_due_) {
      due = std::min(due, slow_due_);
      return;
    }
    slow_ = nullptr;
    if (!counted(true)) return;
    const uint64_t fail_every = port_.faults_.fail_every.load();
    const bool fails = fail_every != 0 && ++controls_ % fail_every == 0;
    const Result<uint32_t> result = fails ? fail(std::errc::broken_pipe) : control(transfer.setup, transfer.data);
    if (port_.watch_ != nullptr) {
      const size_t size = transfer.in() ? result.value_or(0) : transfer.data.size();
      port_.watch_->control(transfer.setup, transfer.data.first(size), result);
    }
    port_.counts_.in_flight.fetch_sub(1);
    const uint32_t age_us = now_us() - tag(transfer);
    port_.counts_.age_max_us.store(std::max<uint64_t>(port_.counts_.age_max_us.load(), age_us));
    return end(result);
  }
  if (stalls(transfer.endpoint)) return end(fail(std::errc::broken_pipe));
  if ((transfer.endpoint & kIn) == 0) {
    if (!counted(false)) return;
    const Result<> taken = port_.model_.out(transfer.endpoint, transfer.data);
    return end(taken ? Result<uint32_t>(static_cast<uint32_t>(transfer.data.size())) : fail(taken.error()));
  }
  if (const std::optional<Result<uint32_t>> got = in(transfer)) end(*got);
}

// Counts a transfer that came to the device, unless it is the one that pulls the plug.
bool EmulatedDevice::counted(bool control) {
  if (control) port_.counts_.controls.fetch_add(1);
  if (port_.counts_.transfers.fetch_add(1) + 1 != port_.faults_.unplug_at.load()) return true;
  port_.unplug();
  return false;
}

bool EmulatedDevice::stalls(uint8_t endpoint) const {
  SpinGuard guard(port_.lock_);
  return port_.configured_ == 0 || (port_.halted_ & EmulatedPort::bit(endpoint)) != 0 || find(endpoint) == nullptr;
}

// Null: there is none of that address.
const Endpoint* EmulatedDevice::find(uint8_t endpoint) const {
  for (const Interface& interface : port_.configuration_.interfaces) {
    if (interface.alternate != alternate_ && interface.alternate != 0) continue;
    for (const Endpoint& other : interface.endpoints) {
      if (other.address == endpoint) return &other;
    }
  }
  return nullptr;
}

// The next message, or what is left of it; nothing when there is none.
std::optional<Result<uint32_t>> EmulatedDevice::in(Transfer& transfer) {
  const Endpoint& endpoint = *find(transfer.endpoint);  // it does not stall
  const uint32_t packet = std::max<uint32_t>(1, endpoint.packet_max);
  std::optional<Result<uint32_t>> gathered;
  {
    SpinGuard guard(port_.lock_);
    EmulatedPort::Fifo& fifo = port_.fifos_[transfer.endpoint & 0x0f];
    if (fifo.count == 0) return std::nullopt;
    // On the wire a full packet does not end a transfer that has room for more.
    if (endpoint.type == EndpointType::kInterrupt) gathered = port_.gather(fifo, transfer.data, packet);
    if (endpoint.type == EndpointType::kInterrupt && !gathered) return std::nullopt;
  }
  if (!counted(false)) return std::nullopt;
  if (gathered) return gathered;
  SpinGuard guard(port_.lock_);
  EmulatedPort::Fifo& fifo = port_.fifos_[transfer.endpoint & 0x0f];
  if (fifo.count == 0) return std::nullopt;
  EmulatedPort::Message& message = fifo.ring[fifo.head];
  const std::span<const uint8_t> left(message.octets + message.sent, message.size - message.sent);
  const uint32_t size = copy(left, transfer.data);
  message.sent += size;
  const bool fits = size == left.size();
  // A full packet does not end a bulk message: with the transfer full too, an empty one has to.
  message.empty_follows =
      endpoint.type == EndpointType::kBulk && fits && size != 0 && size == transfer.data.size() && size % packet == 0;
  if (fits && !message.empty_follows) {
    fifo.head = (fifo.head + 1) % EmulatedPort::kMessages;
    --fifo.count;
  }
  // More than asked for, and not at the end of a packet: the device talks on where nobody listens.
  if (!fits && size % packet != 0) return fail(std::errc::value_too_large);
  return size;
}

// --- Requests ---

Result<uint32_t> EmulatedDevice::control(const Setup& setup, std::span<uint8_t> data) {
  if ((setup.request_type & kTypeMask) == kStandard) return standard(setup, data);
  if ((setup.request_type & (kTypeMask | kIn)) == kVendor) port_.counts_.vendor_writes.fetch_add(1);
  return port_.model_.control(setup, data);
}

Result<uint32_t> EmulatedDevice::standard(const Setup& setup, std::span<uint8_t> data) {
  const uint8_t recipient = setup.request_type & kRecipientMask;
  const uint8_t nothing[2] = {0, 0};
  switch (setup.request) {
    case kGetStatus: {
      const uint8_t halted[2] = {stalls(static_cast<uint8_t>(setup.index)), 0};
      return copy(recipient == kToEndpoint ? halted : nothing, data);
    }
    case kClearFeature:
    case kSetFeature:
      return feature(setup, setup.request == kSetFeature);
    case kGetDescriptor:
      return descriptor(setup, data);
    case kGetConfiguration: {
      SpinGuard guard(port_.lock_);
      return copy(std::span(&port_.configured_, 1), data);
    }
    case kSetConfiguration: {
      if (setup.value != 0 && setup.value != port_.configuration_.value) return fail(std::errc::broken_pipe);
      {
        SpinGuard guard(port_.lock_);
        port_.configured_ = static_cast<uint8_t>(setup.value);
        port_.halted_ = 0;
        alternate_ = 0;
      }
      port_.model_.set_configuration(static_cast<uint8_t>(setup.value));
      return 0;
    }
    case kGetInterface:
      return copy(std::span(&alternate_, 1), data);
    case kSetInterface: {
      const bool there = std::ranges::any_of(port_.configuration_.interfaces, [&](const Interface& interface) {
        return interface.number == setup.index && interface.alternate == setup.value;
      });
      if (!there) return fail(std::errc::broken_pipe);
      alternate_ = static_cast<uint8_t>(setup.value);
      {
        SpinGuard guard(port_.lock_);
        port_.halted_ = 0;
      }
      port_.model_.set_interface(static_cast<uint8_t>(setup.index), alternate_);
      return 0;
    }
  }
  return fail(std::errc::broken_pipe);
}

Result<uint32_t> EmulatedDevice::feature(const Setup& setup, bool on) {
  if ((setup.request_type & kRecipientMask) != kToEndpoint || setup.value != kEndpointHalt) return 0;
  const uint32_t which = EmulatedPort::bit(static_cast<uint8_t>(setup.index));
  SpinGuard guard(port_.lock_);
  port_.halted_ = on ? port_.halted_ | which : port_.halted_ & ~which;
  return 0;
}

Result<uint32_t> EmulatedDevice::descriptor(const Setup& setup, std::span<uint8_t> data) const {
  const auto index = static_cast<uint8_t>(setup.value);
  switch (setup.value >> 8) {
    case kDeviceDescriptor:
      return copy(port_.model_.device_descriptor(), data);
    case kConfigurationDescriptor:
      if (index != 0) return fail(std::errc::broken_pipe);
      return copy(port_.model_.configuration_descriptor(), data);
    case kStringDescriptor: {
      const uint8_t english[] = {4, kStringDescriptor, 0x09, 0x04};
      if (index == 0) return copy(english, data);
      const std::string_view text = port_.model_.string(index).substr(0, 126);
      if (text.empty()) return fail(std::errc::broken_pipe);
      std::vector<uint8_t> octets{static_cast<uint8_t>(2 + 2 * text.size()), kStringDescriptor};
      for (const char letter : text) octets.insert(octets.end(), {static_cast<uint8_t>(letter), 0});
      return copy(octets, data);
    }
  }
  return fail(std::errc::broken_pipe);
}

}  // namespace usernic::usb
