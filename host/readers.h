// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: the threads that read what the kernel sends.
//
// A queue of an interface has one of them for its home, the one with the fewest at that time. Where queues share a
// thread, what goes in by one and comes out by the other wakes nobody in between.
//
// Locks: one of its own. Errors: HostError, with a sentence.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "host/turn_loop.h"

namespace usernic {

class Readers {
 public:
  // One of them; goes before they do.
  class Home {
   public:
    explicit Home(Readers& readers) noexcept : readers_(readers), loop_(readers.move_in()) {}
    ~Home() { readers_.move_out(loop_); }
    Home(const Home&) = delete;
    Home& operator=(const Home&) = delete;
    TurnLoop& loop() noexcept { return loop_; }

   private:
    Readers& readers_;
    TurnLoop& loop_;
  };

  // At least one is made. They run on `cpus`, in turn; empty: wherever they may. Fails as TurnLoop::create.
  static HostResult<std::unique_ptr<Readers>> create(uint16_t count, std::span<const int> cpus);

 private:
  struct OneThread {
    std::unique_ptr<TurnLoop> loop;
    uint32_t lodgers = 0;
  };
  TurnLoop& move_in() noexcept;
  void move_out(TurnLoop& home) noexcept;

  static constexpr LockClass kClass{"readers"};
  Mutex lock_{kClass};  // of `lodgers`
  std::vector<OneThread> threads_;
};

}  // namespace usernic
// Explained best by: host/readers_test.cc
