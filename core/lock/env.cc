// SPDX-License-Identifier: Apache-2.0 OR MIT
// The door's production side: pthreads, futex, CLOCK_MONOTONIC, getrandom.
#include "usernic/env.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include "usernic/context.h"
#include "usernic/refusal.h"
#include "usernic/thread.h"

namespace usernic {

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // the vDSO reads the clock
    Time
    Clock::now() noexcept {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return Time(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}
USERNIC_BLOCKING_BY_DESIGN_END

namespace {

long futex(const Atomic<uint32_t>& word, int operation, uint32_t value, const timespec* timeout) noexcept {
  return ::syscall(SYS_futex, reinterpret_cast<const uint32_t*>(&word), operation | FUTEX_PRIVATE_FLAG, value, timeout,
                   nullptr, FUTEX_BITSET_MATCH_ANY);
}

}  // namespace

bool wait_on(const Atomic<uint32_t>& word, uint32_t seen, Time deadline) noexcept {
  timespec until;
  timespec* timeout = nullptr;
  if (deadline != kForever) {
    const auto since_boot = std::max(deadline.time_since_epoch(), Duration::zero());
    until.tv_sec = static_cast<time_t>(since_boot / std::chrono::seconds(1));
    until.tv_nsec = static_cast<long>((since_boot % std::chrono::seconds(1)).count());
    timeout = &until;
  }
  // FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time.
  return futex(word, FUTEX_WAIT_BITSET, seen, timeout) == 0 || errno != ETIMEDOUT;
}

// Waking is a bounded system call; the contract allows it everywhere.
USERNIC_BLOCKING_BY_DESIGN_BEGIN
void wake_one(Atomic<uint32_t>& word) noexcept {
  const BlockingByDesign allowed;
  futex(word, FUTEX_WAKE, 1, nullptr);
}
void wake_all(Atomic<uint32_t>& word) noexcept {
  const BlockingByDesign allowed;
  futex(word, FUTEX_WAKE, INT32_MAX, nullptr);
}
USERNIC_BLOCKING_BY_DESIGN_END

void spin_pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

uint64_t random_u64() noexcept {
  uint64_t value = 0;
  if (::getrandom(&value, sizeof value, 0) != sizeof value) std::abort();  // cannot fail for 8 bytes once booted
  return value;
}

struct Thread::State {
  std::jthread thread;
};

Thread::Thread() noexcept = default;
Thread::Thread(Thread&&) noexcept = default;
Thread& Thread::operator=(Thread&&) noexcept = default;
Thread::~Thread() = default;

Result<Thread> Thread::start(std::string name, std::move_only_function<void()> body) {
  name.resize(std::min<size_t>(name.size(), 15));
  Thread made;
  made.state_ = std::make_unique<State>();
  try {
    made.state_->thread = std::jthread([name, body = std::move(body)]() mutable {
      ::pthread_setname_np(::pthread_self(), name.c_str());
      body();
    });
  } catch (const std::system_error& refused) {
    return fail(static_cast<std::errc>(refused.code().value()));
  }
  return made;
}

Thread::Thread(std::string name, std::move_only_function<void()> body) {
  Result<Thread> made = start(name, std::move(body));
  if (!made) throw ThreadRefused(name.substr(0, 15), made.error());
  *this = *std::move(made);
}

bool Thread::run_on(int cpu) noexcept {
  cpu_set_t only;
  CPU_ZERO(&only);
  if (cpu < 0 || cpu >= CPU_SETSIZE) return false;
  CPU_SET(cpu, &only);
  return ::pthread_setaffinity_np(::pthread_self(), sizeof only, &only) == 0;
}
void Thread::join() {
  if (joinable()) state_->thread.join();
}
bool Thread::joinable() const noexcept {
  return state_ != nullptr && state_->thread.joinable();
}

}  // namespace usernic
