// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: a notifier that writes down what it hears, and refuses what it is told to refuse.
#pragma once

#include <functional>
#include <iterator>
#include <optional>
#include <string>

#include "usernic/notifier.h"

namespace usernic {

inline std::string_view event_name(NetdevEvent event) {
  static constexpr const char* kNames[] = {"register", "unregister", "pre-up",   "up",   "going-down", "down",
                                           "pre-mtu",  "mtu",        "pre-addr", "addr", "features"};
  static_assert(std::size(kNames) == kNetdevEventCount);
  return kNames[static_cast<size_t>(event)];
}

struct Listener {
  std::string heard;
  std::optional<NetdevEvent> refuses;
  std::function<void(NetdevEvent, NetDevice&)> on_event;
  Notifier notifier;

  // `which`: a Net, or one device.
  template <class NetOrDevice>
  explicit Listener(NetOrDevice& which)
      : notifier(which, [this](NetdevEvent event, NetDevice& dev) -> Result<> {
          heard += (heard.empty() ? "" : " ") + std::string(event_name(event));
          if (on_event) on_event(event, dev);
          return refuses == event ? fail(std::errc::permission_denied) : Result<>();
        }) {}
};

}  // namespace usernic
