// SPDX-License-Identifier: Apache-2.0
#include "ctl/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace usernic::ctl {
namespace {
constexpr LockClass kPostedClass{"event loop: posted calls"};
constexpr uint64_t kWake = 0;  // the watch number of the eventfd
}  // namespace

EventLoop::EventLoop()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      posted_lock_(kPostedClass) {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kWake}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
}

uint64_t EventLoop::watch(int fd, uint32_t events, Ready ready) {
  const uint64_t number = next_watch_++;
  epoll_event event{.events = events, .data = {.u64 = number}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return 0;
  watches_.emplace(number, Watch{fd, std::move(ready)});
  return number;
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
  timers_.emplace(due, std::move(call));
}

void EventLoop::post(Call call) {
  {
    MutexGuard guard(posted_lock_);
    posted_.push_back(std::move(call));
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
    for (int i = 0; i < count && !stopped_.load(); ++i) {
      if (events[i].data.u64 == kWake) {
        run_posted();
        continue;
      }
      const auto found = watches_.find(events[i].data.u64);
      if (found == watches_.end()) continue;  // forgotten by a callback before it
      // The callback may forget its own watch, so it is moved out while it runs.
      Ready ready = std::move(found->second.ready);
      const uint64_t number = found->first;
      ready(events[i].events);
      if (const auto still = watches_.find(number); still != watches_.end()) still->second.ready = std::move(ready);
    }
    run_due();
  }
}

void EventLoop::run_posted() {
  uint64_t count;
  [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof count);
  std::vector<Call> calls;
  {
    MutexGuard guard(posted_lock_);
    calls.swap(posted_);
  }
  for (Call& call : calls) call();
}

void EventLoop::run_due() {
  const Time now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now && !stopped_.load()) {
    auto node = timers_.extract(timers_.begin());
    node.mapped()();
  }
}

int EventLoop::timeout_ms() const {
  if (timers_.empty()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first - Clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60'000));
}

}  // namespace usernic::ctl
