// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: what happens to a device, as notifiers hear of it (notifier.h) [kernel: NETDEV_REGISTER and the like].
#pragma once

#include <cstddef>
#include <cstdint>

namespace usernic {

enum class NetdevEvent : uint8_t {
  kRegister,  // may be refused: the device is unregistered again
  kUnregister,
  kPreUp,  // may be refused
  kUp,
  kGoingDown,
  kDown,
  kPreChangeMtu,  // may be refused
  kChangeMtu,
  kPreChangeAddr,  // may be refused
  kChangeAddr,
  kChangeFeatures,
};
inline constexpr size_t kNetdevEventCount = static_cast<size_t>(NetdevEvent::kChangeFeatures) + 1;  // the last one

}  // namespace usernic
// Explained best by: core/device/notifier_test.cc
