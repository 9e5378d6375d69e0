// SPDX-License-Identifier: Apache-2.0 OR MIT
// impair: one direction of a bad wire: what becomes of each frame, and those that are still under way.
//
// A frame that takes time is copied into a buffer of the Net's, so that no ring waits for it, and goes on by a BH work
// of the upper device. At most kHeldMax are under way; what finds no room is dropped. Frames stay in order, but for
// those that are meant to be overtaken.
// Locks: one of its own, not held while frames go on.
#pragma once

#include <array>
#include <cstdint>

#include "drivers/impair/fate.h"
#include "usernic/bh_work.h"
#include "usernic/frame_tap.h"
#include "usernic/lock.h"
#include "usernic/net_device.h"
#include "usernic/skb.h"

namespace usernic {

class ImpairedWay {
 public:
  static constexpr uint32_t kHeldMax = 1000;

  struct Counters {
    Atomic<uint64_t> frames{0}, lost{0}, duplicated{0}, corrupted{0}, overtaken{0}, no_room{0};
  };

  // `go_on(of, frames)` is given what was under way, and leaves what it has no room for; it is called by the BH work.
  using GoOn = void (*)(void* of, SkbBatch& frames) noexcept USERNIC_NONBLOCKING;
  ImpairedWay(NetDevice& dev, SkbPool& copies, const ImpairConfig& config, Way way, GoOn go_on, void* of);

  // What goes on at once is put into `at_once`, in order. Context: any but hard irq.
  void pass(Skb& skb, SkbBatch& at_once) noexcept USERNIC_NONBLOCKING;
  // What is under way is dropped. Requires: nobody is in `pass`. Context: process.
  void clear();

  const Counters& counters() const noexcept { return counters_; }

 private:
  struct Held {
    Time due{};
    uint64_t number = 0;
    Skb* skb = nullptr;
    // Of two that are due at one time the one that came first is first.
    static bool later(const Held& a, const Held& b) noexcept USERNIC_NONBLOCKING {
      return a.due != b.due ? a.due > b.due : a.number > b.number;
    }
  };
  static void release_due(void* of) noexcept USERNIC_NONBLOCKING;
  void note(const Skb& skb, DropReason why) noexcept USERNIC_NONBLOCKING;
  void hold(const Skb& skb, Time due, bool overtaken) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void take_due(Time now, SkbBatch& due) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void release() noexcept USERNIC_NONBLOCKING;

  static constexpr LockClass kClass{"impaired_way"};

  NetDevice& dev_;
  const ImpairConfig& config_;
  const Way way_;
  const bool impairs_;
  const bool straight_;  // only who is overtaken is held; else everybody, so that one thread has all that is in order
  SkbPool& copies_;
  const GoOn go_on_;
  void* const of_;
  Counters counters_;
  SpinLock lock_{kClass};
  uint64_t frame_ USERNIC_GUARDED_BY(lock_) = 0;  // number of the frame that comes next
  // The first `held_count_` are a heap, the one that is due next on top.
  std::array<Held, kHeldMax> held_ USERNIC_GUARDED_BY(lock_);
  uint32_t held_count_ USERNIC_GUARDED_BY(lock_) = 0;
  uint64_t number_ USERNIC_GUARDED_BY(lock_) = 0;     // of the next one that is held
  uint32_t under_way_ USERNIC_GUARDED_BY(lock_) = 0;  // those, what is left, and what is going just now
  Time last_due_ USERNIC_GUARDED_BY(lock_){};         // of those that nobody overtakes
  SkbBatch left_ USERNIC_GUARDED_BY(lock_);           // what was due, and found no room
  BhWork work_;
};

}  // namespace usernic
// Explained best by: drivers/impair/impair_test.cc
