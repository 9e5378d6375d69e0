// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/simnic/wire.h"

#include <algorithm>

namespace usernic::simnic {
namespace {

// How many of the frames there is room for: one at least.
size_t fitting(std::span<const Frame> frames, Room room) noexcept USERNIC_NONBLOCKING {
  size_t taken = 0;
  for (const Frame& frame : frames) {
    const size_t needed = frame.offload.superframe() ? (frame.size() + room.frame_bytes - 1) / room.frame_bytes : 1;
    if (needed > room.frames && taken != 0) break;
    ++taken;
    room.frames -= static_cast<uint32_t>(std::min<size_t>(needed, room.frames));
    if (room.frames == 0) break;
  }
  return taken;
}

}  // namespace

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
    least.frame_bytes = std::min(least.frame_bytes, room.frame_bytes);
  }
  return least;
}

uint32_t Wire::superframe_max(const WireEnd& from) noexcept {
  SpinGuardBh guard(lock_);
  uint32_t least = std::numeric_limits<uint32_t>::max();
  for (const WireEnd& port : ports_) {
    if (&port != &from) least = std::min(least, port.superframe_max());
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
  const size_t taken = fitting(frames, room);
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
