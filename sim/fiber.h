// SPDX-License-Identifier: Apache-2.0 OR MIT
// sim: a fiber: a thread of the simulated world, on a stack of its own.
//
// Sanitizers are told of every change of stacks. What the C++ runtime knows of exceptions belongs to the fiber, so a
// change of fibers within a catch block cannot mix them up.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "usernic/env.h"

namespace usernic::sim {

// A stack with a guard page below it.
class Stack {
 public:
  Stack();
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  void* top() const noexcept;
  void* bottom() const noexcept;
  static size_t size() noexcept;

 private:
  void* memory_;
};

// Stacks that are free. A run that was given up never gives its stacks back: what they hold stays reachable.
class StackPool {
 public:
  static std::unique_ptr<Stack> take();
  static void give(std::unique_ptr<Stack> stack);
  static void abandon(std::unique_ptr<Stack> stack);
};

class Fiber {
 public:
  enum class State : uint8_t { kReady, kWaiting, kDone };

  // The scheduler's own context: it has the stack it was born with.
  Fiber() = default;
  Fiber(uint32_t number, std::string name, std::move_only_function<void()> body);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Leaves `from` and goes on in `to`; returns when somebody comes back to `from`. `dying`: nobody will.
  static void change(Fiber& from, Fiber& to, bool dying = false);
  static bool exception_in_flight() noexcept;
  void abandon_stack();

  uint32_t number = 0;  // in order of birth
  std::string name;     // "poll#3"
  uint32_t slot = 0;    // of its Locals
  uint64_t unique = 0;
  State state = State::kReady;
  uint64_t priority = 0;  // PCT
  // While kWaiting.
  const Atomic<uint32_t>* word = nullptr;
  uint32_t seen = 0;
  Time deadline = kForever;
  bool timed_out = false;
  // Where it was last seen.
  const char* doing = "is born";
  std::source_location where;

  std::move_only_function<void()> body;
  void (*on_start)(Fiber&) = nullptr;

 private:
  static void enter(boost::context::detail::transfer_t transfer);
  void arrived(boost::context::detail::fcontext_t from_context) noexcept;

  boost::context::detail::fcontext_t context_ = nullptr;
  Fiber* came_from_ = nullptr;  // who changed to this one last
  std::unique_ptr<Stack> stack_;
  // Of the C++ runtime.
  struct Exceptions {
    void* caught = nullptr;
    unsigned uncaught = 0;
  } exceptions_;
  // Of the sanitizers.
  [[maybe_unused]] void* fake_stack_ = nullptr;
  const void* stack_bottom_ = nullptr;
  size_t stack_size_ = 0;
  [[maybe_unused]] void* tsan_ = nullptr;
};

}  // namespace usernic::sim
