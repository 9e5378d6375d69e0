// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the poll thread of a Net: calls the poll of every NAPI instance that is scheduled, in turn, in BH context. Who
// sends may do so in its place (poll_here.h): one at a time.
#pragma once

#include <boost/intrusive/list.hpp>

#include "usernic/env.h"
#include "usernic/lock.h"
#include "usernic/napi.h"
#include "usernic/poll_here.h"

namespace usernic {

class LongWait;

class Softirq {
 public:
  Softirq();
  // Requires: every instance is disabled.
  ~Softirq();

  // The poll that this thread is in.
  struct Polled {
    const Napi* napi;  // null: none
    bool completed;
  };
  static Polled& polled() noexcept USERNIC_NONBLOCKING { return Local<Polled, Softirq>::get(); }

  // Puts an instance whose SCHED the caller has set behind the others. Context: any.
  void add(Napi& napi) noexcept USERNIC_NONBLOCKING;
  // Whose polls this thread will carry out itself; null: nobody's.
  static Softirq*& polls_here() noexcept USERNIC_NONBLOCKING { return Local<Softirq*, PollHere>::get(); }
  // Polls what is scheduled, unless the poll thread is polling, and leaves it the rest. Context: process, no locks.
  void poll_here() noexcept;
  // Sleeps until the poll function of an instance that nobody owns has returned: it re-arms its interrupt after it
  // gave the instance up. Context: process, not from a poll.
  void wait_out(const Napi& napi, LongWait& wait);
  // The same, until its turn is over too.
  void wait_idle(const Napi& napi, LongWait& wait);

 private:
  using List = boost::intrusive::list<
      Napi, boost::intrusive::member_hook<Napi, boost::intrusive::list_member_hook<>, &Napi::poll_hook_>>;

  static constexpr int kPollsHere = 8;  // each of a budget; more would be the poll thread's work

  void loop();
  void poll_front() noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void poll_one(Napi& napi) noexcept USERNIC_NONBLOCKING;

  static constexpr LockClass kClass{"softirq", LockUse::kAnyContext};
  SpinLock lock_{kClass};
  WaitQueue wake_;
  WaitQueue polled_;
  List scheduled_ USERNIC_GUARDED_BY(lock_);
  const Napi* polling_ USERNIC_GUARDED_BY(lock_) = nullptr;
  bool stopping_ USERNIC_GUARDED_BY(lock_) = false;
  Thread thread_;
};

}  // namespace usernic
