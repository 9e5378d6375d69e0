// SPDX-License-Identifier: Apache-2.0 OR MIT
// simnic: faults that somebody asked for: the next commands that fit fail, in the way described.
//
//   {.error = io_error, .count = 3}                              the next three, transiently
//   {.error = operation_not_supported, .count = kAlways}         from now on, for good
//   {.address = group, .count = kAlways}                         whatever names this address
//   {.unprogram_only = true}                                     the next command that takes something out
//   {.applied = true}                                            does what it was told, and says that it failed
//
// Of several that fit, the oldest is used. Promiscuity and the like name no address.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <system_error>

#include "drivers/simnic/regs.h"
#include "usernic/error.h"
#include "usernic/mac_address.h"

namespace usernic::simnic {

struct Fault {
  static constexpr uint32_t kAlways = UINT32_MAX;

  std::errc error = std::errc::io_error;
  uint32_t count = 1;  // commands it serves
  std::optional<MacAddress> address = std::nullopt;
  bool unprogram_only = false;
  bool applied = false;
};

// Fixed room, no lock: the card's guards it.
class Faults {
 public:
  static constexpr size_t kMax = 32;

  // ENOBUFS: too many at once.
  Result<> add(const Fault& fault) noexcept USERNIC_NONBLOCKING;
  void clear() noexcept USERNIC_NONBLOCKING { size_ = 0; }
  // The fault that this message meets, used up by one; nothing when it meets none.
  std::optional<Fault> take(const Message& message) noexcept USERNIC_NONBLOCKING;

 private:
  void drop(size_t index) noexcept USERNIC_NONBLOCKING;
  std::array<Fault, kMax> faults_{};
  size_t size_ = 0;
};

}  // namespace usernic::simnic
// Explained best by: drivers/simnic/card_test.cc
