// SPDX-License-Identifier: Apache-2.0
#include "drivers/simnic/wire.h"

namespace usernic::simnic {

void Wire::plug(WirePort& port) noexcept {
  SpinGuardBh guard(lock_);
  if (!port.hook_.is_linked()) ports_.push_back(port);
}

void Wire::unplug(WirePort& port) noexcept {
  SpinGuardBh guard(lock_);
  if (port.hook_.is_linked()) ports_.erase(ports_.iterator_to(port));
}

bool Wire::send(WirePort& from, std::span<const Frame> frames) noexcept {
  SpinGuardBh guard(lock_);
  if (!from.hook_.is_linked()) return false;
  if (frames.empty()) return true;
  for (WirePort& port : ports_) {
    if (&port != &from) port.hear(frames);
  }
  return true;
}

std::shared_ptr<Wire> Wires::wire(std::string_view name) {
  MutexGuard guard(lock_);
  const auto found = wires_.find(name);
  if (found != wires_.end()) return found->second;
  return wires_.emplace(std::string(name), std::make_shared<Wire>(std::string(name))).first->second;
}

}  // namespace usernic::simnic
