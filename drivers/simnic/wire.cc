// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/simnic/wire.h"

#include <algorithm>

namespace usernic::simnic {

void Wire::plug(WireEnd& port) noexcept {
  SpinGuardBh guard(lock_);
  if (!port.hook_.is_linked()) ports_.push_back(port);
}

void Wire::unplug(WireEnd& port) noexcept {
  {
    SpinGuardBh guard(lock_);
    if (!port.hook_.is_linked()) return;
    ports_.erase(ports_.iterator_to(port));
    SpinGuard waiting(waiting_lock_);
    if (port.waiting_hook_.is_linked()) waiting_.erase(waiting_.iterator_to(port));
  }
  xon();  // nobody waits for who is not there
}

void Wire::deliver(const WireEnd& from, std::span<const Frame> frames) noexcept {
  for (WireEnd& port : ports_) {
    if (&port != &from) port.hear(frames);
  }
}

bool Wire::send(WireEnd& from, std::span<const Frame> frames) noexcept {
  SpinGuardBh guard(lock_);
  if (!from.hook_.is_linked()) return false;
  if (!frames.empty()) deliver(from, frames);
  return true;
}

Room Wire::room_beside(const WireEnd& from) noexcept {
  Room least;
  for (WireEnd& port : ports_) {
    if (&port == &from) continue;
    const Room room = port.room();
    least.frames = std::min(least.frames, room.frames);
    least.until = std::max(least.until, room.until);
  }
  return least;
}

Wire::Taken Wire::offer(WireEnd& from, std::span<const Frame> frames) noexcept {
  SpinGuardBh guard(lock_);
  if (!from.hook_.is_linked()) return {.plugged = false};
  Room room = room_beside(from);
  if (room.frames == 0) {
    {
      SpinGuard waiting(waiting_lock_);
      if (!from.waiting_hook_.is_linked()) waiting_.push_back(from);
    }
    room = room_beside(from);  // who got room before the line above saw nobody wait
    if (room.frames == 0) return {.until = room.until};
  }
  const auto taken = std::min<size_t>(room.frames, frames.size());
  deliver(from, frames.first(taken));
  return {.frames = static_cast<uint32_t>(taken)};
}

void Wire::xon() noexcept {
  SpinGuard guard(waiting_lock_);
  while (!waiting_.empty()) {
    WireEnd& port = waiting_.front();
    waiting_.pop_front();
    port.resume();
  }
}

std::shared_ptr<Wire> Wires::wire(std::string_view name) {
  MutexGuard guard(lock_);
  const auto found = wires_.find(name);
  if (found != wires_.end()) return found->second;
  return wires_.emplace(std::string(name), std::make_shared<Wire>(std::string(name), workqueue_)).first->second;
}

}  // namespace usernic::simnic
