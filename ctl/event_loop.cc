// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "ctl/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>

#include "usernic/refusal.h"

namespace usernic::ctl {
namespace {
constexpr LockClass kPostedClass{"event loop: posted calls"};
constexpr uint64_t kWake = 0;  // the watch number of the eventfd
constexpr Duration kMemoryPause = std::chrono::milliseconds(10);

// False: it found no memory, and is not done.
template <class Callback>
bool survives(Callback&& callback) {
  try {
    callback();
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

}  // namespace

EventLoop::EventLoop(UniqueFd epoll, UniqueFd wake) noexcept
    : epoll_(std::move(epoll)), wake_(std::move(wake)), posted_lock_(kPostedClass) {}

Outcome<std::unique_ptr<EventLoop>> EventLoop::create() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return refuse("cannot make an epoll: " + refusal(static_cast<std::errc>(errno)));
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return refuse("cannot make an eventfd: " + refusal(static_cast<std::errc>(errno)));
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kWake}};
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return refuse("cannot watch an eventfd: " + refusal(static_cast<std::errc>(errno)));
  }
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(wake)));
}

uint64_t EventLoop::watch(int fd, uint32_t events, Ready ready) {
  const uint64_t number = next_watch_++;
  const auto made = watches_.emplace(number, Watch{fd, std::move(ready)}).first;
  epoll_event event{.events = events, .data = {.u64 = number}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return number;
  watches_.erase(made);
  return 0;
}

void EventLoop::change(uint64_t watch, uint32_t events) {
  const auto found = watches_.find(watch);
  if (found == watches_.end()) return;
  epoll_event event{.events = events, .data = {.u64 = watch}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, found->second.fd, &event);
}

void EventLoop::forget(uint64_t watch) {
  const auto found = watches_.find(watch);
  if (found == watches_.end()) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.fd, nullptr);
  watches_.erase(found);
}

void EventLoop::at(Time due, Call call) {
  timers_.emplace(due, Timer{{}, [call = std::move(call)]() mutable {
                               call();
                               return false;
                             }});
}

void EventLoop::every(Duration period, Again call) {
  timers_.emplace(Clock::now() + period, Timer{period, std::move(call)});
}

EventLoop::Prepared EventLoop::prepare(Call call) {
  Prepared one;
  one.push_back(std::move(call));
  return one;
}

void EventLoop::post(Prepared call) noexcept {
  {
    MutexGuard guard(posted_lock_);
    posted_.splice(posted_.end(), call);
  }
  wake();
}

void EventLoop::stop() {
  stopped_.store(true);
  wake();
}

void EventLoop::wake() {
  const uint64_t one = 1;
  // Fails only when the counter is full: then the loop is awake anyway.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

void EventLoop::run() {
  std::array<epoll_event, 64> events;
  while (!stopped_.load()) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), timeout_ms());
    bool starved = false;
    for (int i = 0; i < count && !stopped_.load(); ++i) {
      const uint64_t watch = events[i].data.u64;
      starved |= !(watch == kWake ? run_posted() : run_ready(watch, events[i].events));
    }
    starved |= !run_due();
    const Atomic<uint32_t> never{0};
    if (starved) wait_on(never, 0, Clock::now() + kMemoryPause);  // what is ready is so at once again
  }
}

bool EventLoop::run_ready(uint64_t watch, uint32_t events) {
  const auto found = watches_.find(watch);
  if (found == watches_.end()) return true;  // forgotten by a callback before it
  // The callback may forget its own watch, so it is moved out while it runs.
  Ready ready = std::move(found->second.ready);
  const bool done = survives([&] { ready(events); });
  if (const auto still = watches_.find(watch); still != watches_.end()) still->second.ready = std::move(ready);
  return done;
}

bool EventLoop::run_posted() {
  uint64_t count;
  [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof count);
  std::list<Call> calls;
  {
    MutexGuard guard(posted_lock_);
    calls.swap(posted_);
  }
  bool all = true;
  for (Call& call : calls) all &= survives(call);
  return all;
}

bool EventLoop::run_due() {
  bool all = true;
  const Time now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now && !stopped_.load()) {
    auto timer = timers_.extract(timers_.begin());
    bool again = true;
    const bool done = survives([&] { again = timer.mapped().call(); });
    all &= done;
    if (!again) continue;
    timer.key() = Clock::now() + (done ? timer.mapped().period : kMemoryPause);
    timers_.insert(std::move(timer));
  }
  return all;
}

int EventLoop::timeout_ms() const {
  if (timers_.empty()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first - Clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60'000));
}

}  // namespace usernic::ctl
