// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: threads, as env.h is the door to them. Most drivers need none: work.h and napi.h run what they have to do.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "usernic/error.h"

namespace usernic {

// A thread that runs `body`, or none. The destructor joins it. `name` is shown by the system's tools (15 characters).
class Thread {
 public:
  Thread() noexcept;
  // EAGAIN: the machine refuses one (refusal.h has the words for it).
  static Result<Thread> start(std::string name, std::move_only_function<void()> body);
  // The same for code that cannot go on without it: throws ThreadRefused (refusal.h).
  Thread(std::string name, std::move_only_function<void()> body);
  Thread(Thread&&) noexcept;
  Thread& operator=(Thread&&) noexcept;
  ~Thread();
  // Moves the calling thread to a CPU. False: it may not run there.
  static bool run_on(int cpu) noexcept;
  void join();  // none, or joined already: nothing to wait for
  bool joinable() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace usernic
// Explained best by: core/lock/env_test.cc
