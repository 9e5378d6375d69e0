// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/turn_loop.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "usernic/long_wait.h"
#include "usernic/notice.h"
#include "usernic/refusal.h"

namespace usernic {

namespace {

constexpr int kEventsPerWait = 64;

// Whose it is, and the last bit: it is a client's kick. A call's: nobody's.
constexpr uint64_t kIsKick = 1;

bool watch_in(int epoll, int fd, const void* whose, uint64_t kind = 0) {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = reinterpret_cast<uintptr_t>(whose) | kind}};
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

void stay_on(int cpu) {
  if (Thread::run_on(cpu)) return;
  tell_notice(fmt::format("a thread that reads may not run on CPU {}: it runs wherever it may", cpu));
}

std::unexpected<HostError> no_loop(std::string_view name, std::errc error, std::string_view what) {
  return host_fail(error, fmt::format("cannot make the loop {}: {}", name, what));
}

}  // namespace

HostResult<std::unique_ptr<TurnLoop>> TurnLoop::create(std::string name, std::optional<int> cpu) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return no_loop(name, static_cast<std::errc>(errno), refusal(static_cast<std::errc>(errno)));
  HostResult<Kick> called = make_kick();
  if (!called) return no_loop(name, called.error().error, called.error().sentence);
  if (!watch_in(epoll.get(), called->fd(), nullptr)) {
    return no_loop(name, static_cast<std::errc>(errno), refusal(static_cast<std::errc>(errno)));
  }
  std::unique_ptr<TurnLoop> loop(new TurnLoop(std::move(epoll), *std::move(called)));
  Result<Thread> thread = Thread::start(name, [&loop = *loop] { loop.loop(); });
  if (!thread) return no_loop(name, thread.error(), "no thread: " + thread_refusal(thread.error()));
  loop->thread_ = *std::move(thread);
  if (cpu) loop->run([&] { stay_on(*cpu); });
  return loop;
}

TurnLoop::~TurnLoop() {
  stopping_.store(true);
  called_.kick();
  if (thread_.joinable()) thread_.join();
}

void TurnLoop::wait_for(Call& call) {
  if (runs_here() == this) return call.function(call.body);
  {
    LongWait wait("the turns of others, in a thread that ports share, to end");
    MutexGuard guard(lock_);
    calls_.push_back(call);
    called_.kick();
    while (!call.done) wait.in(done_, lock_);
  }
  if (call.thrown) std::rethrow_exception(call.thrown);
}

HostResult<> TurnLoop::add(Client& client, int fd, Kick* kick) {
  const bool watched = watch_in(epoll_.get(), fd, &client);
  if (!watched || (kick != nullptr && !watch_in(epoll_.get(), kick->fd(), &client, kIsKick))) {
    const auto error = static_cast<std::errc>(errno);
    if (watched) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    const bool too_many = error == std::errc::no_space_on_device;
    return host_fail(error, fmt::format("cannot watch it: {}{}", refusal(error),
                                        too_many ? "; see /proc/sys/fs/epoll/max_user_watches" : ""));
  }
  client.fd_ = fd;
  client.kick_ = kick;
  client.paused_ = false;
  wake(client);
  return {};
}

void TurnLoop::remove(Client& client) noexcept {
  if (client.fd_ < 0) return;
  pause(client);
  client.fd_ = -1;
  if (client.kick_ != nullptr) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, client.kick_->fd(), nullptr);
  if (client.ready_hook_.is_linked()) ready_.erase(ready_.iterator_to(client));
  if (client.due_hook_.is_linked()) due_.erase(due_.iterator_to(client));
}

void TurnLoop::wake(Client& client) noexcept {
  if (client.fd_ >= 0 && !client.ready_hook_.is_linked()) ready_.push_back(client);
}

// Taken out, as what has gone wrong with a descriptor is told of as long as it is in.
void TurnLoop::pause(Client& client) noexcept {
  if (client.fd_ < 0 || std::exchange(client.paused_, true)) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, client.fd_, nullptr);
}

bool TurnLoop::resume(Client& client) noexcept {
  if (client.fd_ < 0 || !client.paused_) return true;
  client.paused_ = !watch_in(epoll_.get(), client.fd_, &client);
  return !client.paused_;
}

void TurnLoop::loop() {
  runs_here() = this;
  while (!stopping_.load()) {
    if (wait()) run_calls();
    run_turns();
  }
}

// Rounded up: who wakes too early would only wait again.
int TurnLoop::until_due_ms() const noexcept {
  if (!ready_.empty()) return 0;
  if (due_.empty()) return -1;
  const Time due = due_.begin()->due_, now = Clock::now();
  if (due <= now) return 0;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - now);
  return static_cast<int>(std::min<int64_t>(left.count(), 60'000));
}

bool TurnLoop::wait() {
  bool called = false;
  epoll_event events[kEventsPerWait];
  const int count = ::epoll_wait(epoll_.get(), events, kEventsPerWait, until_due_ms());
  for (int i = 0; i < count; ++i) {
    auto* const client = reinterpret_cast<Client*>(static_cast<uintptr_t>(events[i].data.u64 & ~kIsKick));
    if (client == nullptr) {
      called = true;
      continue;
    }
    if ((events[i].data.u64 & kIsKick) != 0) client->kick_->clear();
    wake(*client);
  }
  if (due_.empty()) return called;
  const Time now = Clock::now();
  while (!due_.empty() && due_.begin()->due_ <= now) {
    Client& client = *due_.begin();
    due_.erase(due_.begin());
    wake(client);
  }
  return called;
}

void TurnLoop::run_calls() {
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
void TurnLoop::run_turns() noexcept {
  for (size_t left = ready_.size(); left > 0 && !ready_.empty(); --left) {
    Client& client = ready_.front();
    ready_.pop_front();
    if (client.due_hook_.is_linked()) due_.erase(due_.iterator_to(client));
    client.due_ = client.turn();
    if (client.fd_ >= 0 && client.due_ != kForever) due_.insert(client);
  }
}

}  // namespace usernic
