// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/device.h"

#include <algorithm>
#include <utility>

#include "bus/usb/standard.h"

namespace usernic::usb {
namespace {

// Two things end a wait, and one word can be slept on: the stop is looked at this often.
constexpr Duration kStopLook = std::chrono::milliseconds(5);

Result<> without_data(Device& device, const Setup& setup, const Wait& wait) {
  const Result<uint32_t> done = device.control(setup, {}, wait);
  return done ? Result<>() : fail(done.error());
}

}  // namespace

Result<> Device::submit(Transfer& transfer) noexcept {
  SpinGuard guard(lock_);
  if (gone_.load()) return fail(std::errc::no_such_device);
  if (transfer.kills_ > 0) return fail(std::errc::operation_canceled);
  transfer.state_ = Transfer::State::kQueued;
  transfer.cancelled_ = false;
  transfer.tag_ = 0;
  queued_.push_back(transfer);
  kick();
  return {};
}

void Device::cancel(Transfer& transfer) noexcept {
  SpinGuard guard(lock_);
  if (transfer.state_ != Transfer::State::kQueued && transfer.state_ != Transfer::State::kTaken) return;
  transfer.cancelled_ = true;
  cancels_ = true;
  kick();
}

void Device::kill(Transfer& transfer, Place where) {
  might_sleep(where);
  {
    SpinGuard guard(lock_);
    if (transfer.state_ == Transfer::State::kIdle) return;
    ++transfer.kills_;
  }
  cancel(transfer);
  SpinGuard guard(lock_);
  wait_idle(transfer, {}, where);
  --transfer.kills_;
}

// Sleeps until the transfer is idle, or `wait` is over.
void Device::wait_idle(Transfer& transfer, const Wait& wait, Place where) {
  while (transfer.state_ != Transfer::State::kIdle) {
    const Time now = Clock::now();
    if (wait.stop.stop_requested() || now >= wait.deadline) return;
    const Time look = wait.stop.word() != nullptr ? std::min(wait.deadline, now + kStopLook) : wait.deadline;
    idle_.wait(lock_, look, where);
  }
}

Result<uint32_t> Device::run(Transfer& transfer, const Wait& wait, Place where) {
  might_sleep(where);
  if (wait.stop.stop_requested()) return fail(std::errc::operation_canceled);
  if (const Result<> submitted = submit(transfer); !submitted) return fail(submitted.error());
  {
    SpinGuard guard(lock_);
    wait_idle(transfer, wait, where);
  }
  kill(transfer, where);
  const bool late = !transfer.result && transfer.result.error() == std::errc::operation_canceled;
  if (late && !wait.stop.stop_requested()) return fail(std::errc::timed_out);
  return transfer.result;
}

Result<uint32_t> Device::control(const Setup& setup, std::span<uint8_t> data, const Wait& wait, Place where) {
  Transfer transfer([](void*, Transfer&) noexcept USERNIC_NONBLOCKING {}, nullptr);
  transfer.setup = setup;
  transfer.setup.length = static_cast<uint16_t>(data.size());
  transfer.data = data;
  return run(transfer, wait, where);
}

Result<uint32_t> Device::transfer(uint8_t endpoint, std::span<uint8_t> data, const Wait& wait, Place where) {
  Transfer transfer([](void*, Transfer&) noexcept USERNIC_NONBLOCKING {}, nullptr);
  transfer.endpoint = endpoint;
  transfer.data = data;
  return run(transfer, wait, where);
}

Result<> Device::set_configuration(uint8_t value, const Wait& wait) {
  return without_data(*this, {.request = kSetConfiguration, .value = value}, wait);
}

Result<> Device::set_interface(uint8_t interface, uint8_t alternate, const Wait& wait) {
  const Setup setup{.request_type = kToInterface, .request = kSetInterface, .value = alternate, .index = interface};
  return without_data(*this, setup, wait);
}

Result<> Device::clear_halt(uint8_t endpoint, const Wait& wait) {
  const Setup setup{.request_type = kToEndpoint, .request = kClearFeature, .value = kEndpointHalt, .index = endpoint};
  return without_data(*this, setup, wait);
}

void Device::watch(Unplugged unplugged, void* owner) {
  {
    SpinGuard guard(lock_);
    if (!gone_.load()) {
      unplugged_ = unplugged;
      unplugged_owner_ = owner;
      return;
    }
  }
  BhScope bh;
  unplugged(owner);
}

// --- The transport's side ---

void Device::take(Transfers& to, Transfers& cancelled) noexcept {
  SpinGuard guard(lock_);
  for (Transfer& transfer : queued_) transfer.state_ = Transfer::State::kTaken;
  to.splice(to.end(), queued_);
  if (!cancels_) return;
  cancels_ = false;
  for (auto next = to.begin(); next != to.end();) {
    Transfer& transfer = *next++;
    if (!transfer.cancelled_) continue;
    to.erase(to.iterator_to(transfer));
    cancelled.push_back(transfer);
  }
}

void Device::complete(Transfer& transfer, Result<uint32_t> result) noexcept {
  transfer.result = result;
  {
    SpinGuard guard(lock_);
    transfer.state_ = Transfer::State::kCompleting;
  }
  {
    BhScope bh;
    transfer.complete_(transfer.owner_, transfer);
  }
  // Unless it was submitted again. From here on it may be destroyed.
  SpinGuard guard(lock_);
  if (transfer.state_ != Transfer::State::kCompleting) return;
  transfer.state_ = Transfer::State::kIdle;
  idle_.wake();
}

void Device::end_all(Transfers& taken) noexcept {
  Unplugged unplugged = nullptr;
  void* owner = nullptr;
  {
    SpinGuard guard(lock_);
    if (gone_.exchange(true)) return;
    taken.splice(taken.end(), queued_);
    std::swap(unplugged, unplugged_);
    owner = unplugged_owner_;
  }
  while (!taken.empty()) {
    Transfer& transfer = taken.front();
    taken.pop_front();
    complete(transfer, fail(std::errc::no_such_device));
  }
  if (unplugged == nullptr) return;
  BhScope bh;
  unplugged(owner);
}

Result<> Device::read_descriptors(const Wait& wait) {
  Result<Descriptors> read =
      Descriptors::read([&](const Setup& setup, std::span<uint8_t> data) { return control(setup, data, wait); });
  if (!read) return fail(read.error());
  descriptors_ = *std::move(read);
  return {};
}

}  // namespace usernic::usb
