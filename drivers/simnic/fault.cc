// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/simnic/fault.h"

namespace usernic::simnic {
namespace {

bool names_address(const Message& message) noexcept {
  const bool exact = message.op == Op::kAdd || message.op == Op::kDel;
  return exact && (message.table == Table::kUnicast || message.table == Table::kMulticast);
}

bool fits(const Fault& fault, const Message& message) noexcept {
  if (fault.unprogram_only && !unprograms(message.op)) return false;
  return !fault.address || (names_address(message) && message.address == *fault.address);
}

}  // namespace

Result<> Faults::add(const Fault& fault) noexcept {
  if (fault.count == 0) return {};
  if (size_ == kMax) return fail(std::errc::no_buffer_space);
  faults_[size_++] = fault;
  return {};
}

std::optional<Fault> Faults::take(const Message& message) noexcept {
  for (size_t i = 0; i < size_; ++i) {
    Fault& fault = faults_[i];
    if (!fits(fault, message)) continue;
    const Fault met = fault;
    if (fault.count != Fault::kAlways && --fault.count == 0) drop(i);
    return met;
  }
  return std::nullopt;
}

void Faults::drop(size_t index) noexcept {
  for (size_t i = index + 1; i < size_; ++i) faults_[i - 1] = faults_[i];
  --size_;
}

}  // namespace usernic::simnic
