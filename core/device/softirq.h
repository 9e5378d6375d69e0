// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: one poll thread: calls the poll of every NAPI instance of its own that is scheduled, in turn, and BH items, in
// BH context. Who sends may poll in its place (poll_here.h): one at a time. Who must not wait for it polls an instance
// that nobody is in with no budget, beside it (netpoll.h).
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <optional>
#include <string>

#include "usernic/bh_work.h"
#include "usernic/env.h"
#include "usernic/lock.h"
#include "usernic/napi.h"
#include "usernic/thread.h"

namespace usernic {

class LongWait;

class Softirq {
 public:
  // `cpu`: the one that it runs on; none: wherever it may.
  Softirq(const std::string& name, std::optional<int> cpu);
  // Requires: every instance is disabled, no item waits.
  ~Softirq();

  // The poll that this thread is in.
  struct Polled {
    const Napi* napi;  // null: none
    bool completed;
    bool without_budget = false;
  };
  static Polled& polled() noexcept USERNIC_NONBLOCKING { return Local<Polled, Softirq>::get(); }

  // Puts an instance whose SCHED the caller has set behind the others. `here`: this thread polls it itself, at the end
  // of its PollHere. Context: any.
  void add(Napi& napi, bool here) noexcept USERNIC_NONBLOCKING;
  // Polls what is scheduled, unless the poll thread is polling, and leaves it the rest. Context: process, no locks.
  void poll_here() noexcept;
  // Wakes the poll thread for what was scheduled while somebody polled in its place: that woke nobody.
  void wake_if_owed() noexcept;
  // For netpoll: nobody else gets into the instance's poll. False: it is disabled, or somebody is in it, or it cannot
  // be said without waiting. Then polls it with budget 0, and lets go. Context: any, hard irqs disabled.
  static bool claim(Napi& napi) noexcept USERNIC_NONBLOCKING;
  static void poll_claimed(Napi& napi) noexcept USERNIC_NONBLOCKING;
  // Sleeps until the poll function of an instance that nobody owns has returned: it re-arms its interrupt after it
  // gave the instance up. Context: process, not from a poll.
  void wait_out(const Napi& napi, LongWait& wait);
  // The same, until its turn is over too.
  void wait_idle(const Napi& napi, LongWait& wait);

  // BhWork's own, of one that is at home here.
  bool add(BhWork& item, Time due) noexcept USERNIC_NONBLOCKING;
  bool take_back(BhWork& item) noexcept USERNIC_NONBLOCKING;
  void wait_out(const BhWork& item, LongWait& wait);
  // The item that this thread runs; null: none.
  static const BhWork*& item_run_here() noexcept USERNIC_NONBLOCKING { return Local<const BhWork*, BhWork>::get(); }

 private:
  using Napis = boost::intrusive::list<
      Napi, boost::intrusive::member_hook<Napi, boost::intrusive::list_member_hook<>, &Napi::poll_hook_>>;
  struct Earlier {
    bool operator()(const BhWork& a, const BhWork& b) const noexcept { return a.due_ < b.due_; }
  };
  using Items = boost::intrusive::multiset<
      BhWork, boost::intrusive::compare<Earlier>,
      boost::intrusive::member_hook<BhWork, boost::intrusive::set_member_hook<>, &BhWork::hook_>>;

  static constexpr int kPollsHere = 8;  // each of a budget; more would be the poll thread's work

  void loop(std::optional<int> cpu);
  Napi* next_napi() noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void poll(Napi& napi) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void poll_one(Napi& napi) noexcept USERNIC_NONBLOCKING;
  bool run_due_item() noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);

  static constexpr LockClass kClass{"softirq", LockUse::kAnyContext};
  SpinLock lock_{kClass};
  WaitQueue wake_;
  WaitQueue over_;  // a poll, or an item's run
  Napis scheduled_ USERNIC_GUARDED_BY(lock_);
  Items items_ USERNIC_GUARDED_BY(lock_);
  const BhWork* running_ USERNIC_GUARDED_BY(lock_) = nullptr;
  bool polling_ USERNIC_GUARDED_BY(lock_) = false;  // the thread, or who sends in its place
  bool stopping_ USERNIC_GUARDED_BY(lock_) = false;
  Thread thread_;
};

}  // namespace usernic
