// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: a thread that serves many.
//
// A client has a descriptor that the loop watches, and a `turn` that the loop runs when it is readable, when somebody
// kicked it, when it is due, or when another client woke it. Nothing in a turn may wait for a card, and for rtnl only
// where it must: whoever is slow holds up all others. What belongs to the loop's thread needs no locks; others come in
// through `run`.
//
// Locks: one for the calls of others, held for moments. Errors: HostError, with a sentence.
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "host/host_error.h"
#include "host/kick.h"
#include "usernic/env.h"
#include "usernic/lock.h"
#include "usernic/thread.h"
#include "usernic/unique_fd.h"

namespace usernic {

class TurnLoop {
 public:
  class Client {
   public:
    Client() = default;
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

   protected:
    ~Client() = default;  // Requires: removed

   private:
    friend class TurnLoop;
    // Returns when the next one is due: in the past for soon, kForever for never.
    virtual Time turn() noexcept = 0;

    int fd_ = -1;
    Kick* kick_ = nullptr;
    bool paused_ = false;
    Time due_ = kForever;
    boost::intrusive::list_member_hook<> ready_hook_;
    boost::intrusive::set_member_hook<> due_hook_;
  };

  // Its thread is called `name`, and runs on `cpu` if it may. Fails where there is no descriptor or thread left.
  static HostResult<std::unique_ptr<TurnLoop>> create(std::string name, std::optional<int> cpu = std::nullopt);
  // Requires: no clients.
  ~TurnLoop();
  TurnLoop(const TurnLoop&) = delete;
  TurnLoop& operator=(const TurnLoop&) = delete;

  // Runs `body` in the loop's thread, and sleeps until it is done. What it throws is thrown here. Context: process, no
  // locks.
  template <class Body>
  void run(Body&& body) {
    Call call{.body = &body, .function = [](void* which) { (*static_cast<std::remove_reference_t<Body>*>(which))(); }};
    wait_for(call);
  }

  // The rest is for the loop's thread. The first turn comes at once. `kick`, if any, outlives it, and is cleared before
  // the turn that it brings.
  HostResult<> add(Client& client, int fd, Kick* kick = nullptr);
  // No turn comes any more. One that was not added, or removed already: nothing.
  void remove(Client& client) noexcept;
  // A turn comes soon.
  void wake(Client& client) noexcept;
  // Its descriptor brings no turn until it is resumed. Once more: nothing.
  void pause(Client& client) noexcept;
  // False: the machine has no memory for that. Not paused: nothing.
  bool resume(Client& client) noexcept;

 private:
  struct Call {
    void* body;
    void (*function)(void*);
    std::exception_ptr thrown = nullptr;
    bool done = false;
    boost::intrusive::list_member_hook<> hook = {};
  };
  struct Earlier {
    bool operator()(const Client& a, const Client& b) const noexcept { return a.due_ < b.due_; }
  };
  using Calls =
      boost::intrusive::list<Call,
                             boost::intrusive::member_hook<Call, boost::intrusive::list_member_hook<>, &Call::hook>>;
  using Ready = boost::intrusive::list<
      Client, boost::intrusive::member_hook<Client, boost::intrusive::list_member_hook<>, &Client::ready_hook_>>;
  using Due = boost::intrusive::multiset<
      Client, boost::intrusive::member_hook<Client, boost::intrusive::set_member_hook<>, &Client::due_hook_>,
      boost::intrusive::compare<Earlier>>;

  TurnLoop(UniqueFd epoll, Kick called) noexcept : epoll_(std::move(epoll)), called_(std::move(called)) {}
  void wait_for(Call& call) USERNIC_EXCLUDES(lock_);
  void loop();
  bool wait();  // has somebody called?
  static TurnLoop*& runs_here() noexcept { return Local<TurnLoop*, TurnLoop>::get(); }
  int until_due_ms() const noexcept;
  void run_calls() USERNIC_EXCLUDES(lock_);
  void run_turns() noexcept;

  const UniqueFd epoll_;
  Kick called_;
  static constexpr LockClass kClass{"turn_loop_calls"};
  Mutex lock_{kClass};
  WaitQueue done_;
  Calls calls_ USERNIC_GUARDED_BY(lock_);
  Atomic<bool> stopping_{false};

  // The loop's thread's.
  Ready ready_;
  Due due_;
  Thread thread_;
};

}  // namespace usernic
// Explained best by: host/turn_loop_test.cc
