// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/long_wait.h"

#include <fmt/format.h>

#include <cstdio>
#include <new>
#include <utility>

#include "core/lock/handler_slot.h"
#include "core/lock/held_locks.h"
#include "core/lock/report.h"
#include "core/lock/say.h"
#include "usernic/contract_report.h"

namespace usernic {
namespace {

#ifdef USERNIC_SIM
constexpr Patience kDefault{Duration::max(), Duration::max()};
#else
constexpr Patience kDefault;
#endif
constinit RawAtomic<Duration::rep> first{kDefault.first.count()};
constinit RawAtomic<Duration::rep> then{kDefault.then.count()};

constexpr LockClass kHandlerClass{"long_wait_handler"};
constinit HandlerSlot<LongWaitHandler> long_wait_handler{kHandlerClass};

Time after(Time now, const RawAtomic<Duration::rep>& patience) noexcept {
  const Duration pause(patience.load(std::memory_order_relaxed));
  return pause == Duration::max() ? kForever : now + pause;
}

void tell(const LongWaitNote& note) {
  HeldLocks::Muted muted;  // the wait's locks are not the handler's
  if (const LongWaitHandler call = long_wait_handler.get()) return call(note);
  say(stderr, "usernic: {}\n", long_wait_text(note));
}

}  // namespace

std::string long_wait_text(const LongWaitNote& note) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(note.waited).count();
  return fmt::format("{}{} {} {} s for {}{}{}; entered at {}", note.device, note.device.empty() ? "somebody" : ":",
                     note.over ? "has waited" : "waits since", seconds, note.what, note.details.empty() ? "" : ": ",
                     note.details, place_text(note.where));
}

Patience set_patience(Patience patience) noexcept {
  return {Duration(first.exchange(patience.first.count())), Duration(then.exchange(patience.then.count()))};
}

LongWaitHandler set_long_wait_handler(LongWaitHandler new_handler) {
  return long_wait_handler.set(std::move(new_handler));
}

LongWait::~LongWait() {
  if (spoke_) speak(Clock::now(), true);
}

Time LongWait::speaks_at() noexcept {
  if (since_ == kForever) {
    since_ = Clock::now();
    speaks_at_ = after(since_, first);
  }
  return speaks_at_;
}

void LongWait::look() noexcept {
  if (speaks_at() == kForever) return;
  const Time now = Clock::now();
  if (now < speaks_at_) return;
  speak(now, false);
  speaks_at_ = after(now, then);
}

void LongWait::on(const Atomic<uint32_t>& word, uint32_t seen) noexcept {
  if (!wait_on(word, seen, speaks_at())) look();
}

void LongWait::speak(Time now, bool over) noexcept {
  spoke_ = true;
  try {
    tell({.what = what_,
          .device = concerned_text(),
          .details = details_ != nullptr && !over ? details_(of_) : "",
          .where = where_,
          .waited = now - since_,
          .over = over});
  } catch (const std::bad_alloc&) {  // the next one says it
  }
}

}  // namespace usernic
