// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/host_loop.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "host/netns_watch.h"
#include "usernic/refusal.h"

namespace usernic {

namespace {

constexpr int kEventsPerWait = 64;

bool watch_in(int epoll, int fd, void* whose) {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = whose}};
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

std::unexpected<HostError> no_loop(std::errc error, std::string_view what) {
  return host_fail(error, fmt::format("cannot make the loop of the interfaces: {}", what));
}

}  // namespace

HostResult<std::unique_ptr<HostLoop>> HostLoop::create(HostLoopConfig config) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return no_loop(static_cast<std::errc>(errno), refusal(static_cast<std::errc>(errno)));
  HostResult<Kick> called = make_kick();
  if (!called) return no_loop(called.error().error, called.error().sentence);
  if (!watch_in(epoll.get(), called->fd(), nullptr)) {
    return no_loop(static_cast<std::errc>(errno), refusal(static_cast<std::errc>(errno)));
  }
  std::unique_ptr<HostLoop> loop(new HostLoop(config, std::move(epoll), *std::move(called)));
  Result<Thread> thread = Thread::start("usernic-host", [&loop = *loop] { loop.loop(); });
  if (!thread) return no_loop(thread.error(), "no thread: " + thread_refusal(thread.error()));
  loop->thread_ = *std::move(thread);
  return loop;
}

HostLoop::~HostLoop() {
  stopping_.store(true);
  called_.kick();
  if (thread_.joinable()) thread_.join();
}

void HostLoop::wait_for(Call& call) {
  {
    MutexGuard guard(lock_);
    calls_.push_back(call);
    called_.kick();
    while (!call.done) done_.wait(lock_);
  }
  if (call.thrown) std::rethrow_exception(call.thrown);
}

HostResult<> HostLoop::add(Client& client, int fd) {
  if (!watch_in(epoll_.get(), fd, &client)) {
    const auto error = static_cast<std::errc>(errno);
    const bool too_many = error == std::errc::no_space_on_device;
    return host_fail(error, fmt::format("cannot watch it: {}{}", refusal(error),
                                        too_many ? "; see /proc/sys/fs/epoll/max_user_watches" : ""));
  }
  client.fd_ = fd;
  wake(client);
  return {};
}

void HostLoop::remove(Client& client) noexcept {
  if (client.fd_ < 0) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, std::exchange(client.fd_, -1), nullptr);
  if (client.ready_hook_.is_linked()) ready_.erase(ready_.iterator_to(client));
  if (client.due_hook_.is_linked()) due_.erase(due_.iterator_to(client));
}

void HostLoop::wake(Client& client) noexcept {
  if (client.fd_ >= 0 && !client.ready_hook_.is_linked()) ready_.push_back(client);
}

HostResult<std::shared_ptr<NetnsWatch>> HostLoop::watch(const NetNamespace& netns) {
  std::weak_ptr<NetnsWatch>& known = watches_[netns.id()];
  if (std::shared_ptr<NetnsWatch> watch = known.lock()) return watch;
  HostResult<std::shared_ptr<NetnsWatch>> opened = NetnsWatch::open(*this, netns, config_.audit);
  if (opened) known = *opened;
  std::erase_if(watches_, [](const auto& each) { return each.second.expired(); });
  return opened;
}

void HostLoop::loop() {
  while (!stopping_.load()) {
    wait();
    run_calls();
    run_turns();
  }
}

void HostLoop::wait() {
  const bool idle = ready_.empty();
  const Time asleep = Clock::now();
  Duration left = Duration::zero();
  if (idle && !due_.empty() && due_.begin()->due_ > asleep) left = due_.begin()->due_ - asleep;
  // Rounded up: who wakes too early would only wait again.
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  epoll_event events[kEventsPerWait];
  const int timeout_ms = idle && due_.empty() ? -1 : static_cast<int>(std::min<int64_t>(ms, 60'000));
  const int count = ::epoll_wait(epoll_.get(), events, kEventsPerWait, timeout_ms);
  for (int i = 0; i < count; ++i) {
    if (events[i].data.ptr != nullptr) wake(*static_cast<Client*>(events[i].data.ptr));
  }
  const Time now = Clock::now();
  while (!due_.empty() && due_.begin()->due_ <= now) {
    Client& client = *due_.begin();
    due_.erase(due_.begin());
    wake(client);
  }
}

void HostLoop::run_calls() {
  called_.clear();
  lock_.lock();
  while (!calls_.empty()) {
    Call& call = calls_.front();
    calls_.pop_front();
    lock_.unlock();
    try {
      call.function(call.body);
    } catch (...) {  // its caller's
      call.thrown = std::current_exception();
    }
    lock_.lock();
    call.done = true;
    done_.wake();
  }
  lock_.unlock();
}

// Those that are ready now, and not those that get ready meanwhile: others wait for calls.
void HostLoop::run_turns() noexcept {
  for (size_t left = ready_.size(); left > 0 && !ready_.empty(); --left) {
    Client& client = ready_.front();
    ready_.pop_front();
    if (client.due_hook_.is_linked()) due_.erase(due_.iterator_to(client));
    client.due_ = client.turn();
    if (client.fd_ >= 0 && client.due_ != kForever) due_.insert(client);
  }
}

}  // namespace usernic
