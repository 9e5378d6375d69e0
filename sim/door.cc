// SPDX-License-Identifier: Apache-2.0 OR MIT
// The door's second implementation: fibers under one scheduler, virtual time, a seed's random numbers.
//
// Outside a run - static initialisation, a test's own code - there is one thread: time stands still, nobody can be
// waited for, and random numbers are a fixed sequence.
#include <time.h>

#include <stdexcept>
#include <utility>

#include "core/lock/mutation.h"
#include "sim/scheduler.h"
#include "sim/wall_clock.h"
#include "usernic/env.h"
#include "usernic/thread.h"

namespace usernic {

constinit Mutation active_mutation = Mutation::kNone;

Time Clock::now() noexcept {
  const sim::Scheduler* const scheduler = sim::Scheduler::current();
  return scheduler != nullptr ? scheduler->now() : Time{};
}

bool wait_on(const Atomic<uint32_t>& word, uint32_t seen, Time deadline) noexcept {
  sim::Scheduler* const scheduler = sim::Scheduler::current();
  return scheduler == nullptr || scheduler->wait(word, seen, deadline);
}
void wake_one(Atomic<uint32_t>& word) noexcept {
  if (sim::Scheduler* scheduler = sim::Scheduler::current()) scheduler->wake(word, false);
}
void wake_all(Atomic<uint32_t>& word) noexcept {
  if (sim::Scheduler* scheduler = sim::Scheduler::current()) scheduler->wake(word, true);
}
void spin_pause() noexcept {
  if (sim::Scheduler* scheduler = sim::Scheduler::current()) scheduler->yield();
}

uint64_t random_u64() noexcept {
  static constinit Chance outside{1};
  sim::Scheduler* const scheduler = sim::Scheduler::current();
  return scheduler != nullptr ? scheduler->draw() : outside.next();
}

struct Thread::State {
  // Shared with the fiber: it may end after the Thread has moved on.
  std::shared_ptr<Atomic<uint32_t>> ended = std::make_shared<Atomic<uint32_t>>(0u);
  bool joined = false;

  ~State() { join(); }
  void join() noexcept {
    if (joined) return;
    while (ended->load() == 0) wait_on(*ended, 0);
    joined = true;
  }
};

Thread::Thread() noexcept = default;
Thread::Thread(Thread&&) noexcept = default;
Thread& Thread::operator=(Thread&&) noexcept = default;
Thread::~Thread() = default;

Result<Thread> Thread::start(std::string name, std::move_only_function<void()> body) {
  return Thread(std::move(name), std::move(body));
}

Thread::Thread(std::string name, std::move_only_function<void()> body) : state_(std::make_unique<State>()) {
  sim::Scheduler* const scheduler = sim::Scheduler::current();
  if (scheduler == nullptr) throw std::logic_error("a thread outside a simulation");
  scheduler->spawn(std::move(name), [ended = state_->ended, body = std::move(body)]() mutable {
    body();
    body = nullptr;
    const sim::NoSwitch gone;  // who has joined it finds no trace of it
    ended->store(1);
    wake_all(*ended);
  });
  sim::point("spawn");
}

bool Thread::run_on(int) noexcept {
  return true;
}
void Thread::join() {
  if (state_ != nullptr) state_->join();
}
bool Thread::joinable() const noexcept {
  return state_ != nullptr && !state_->joined;
}

namespace sim {

double wall_seconds() noexcept {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace sim
}  // namespace usernic
