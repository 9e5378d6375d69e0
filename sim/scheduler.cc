// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "sim/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "core/lock/held_locks.h"
#include "core/lock/lock_graph.h"
#include "usernic/context.h"
#include "usernic/contract_report.h"

namespace usernic {

namespace internal {
constinit FiberId fiber_id{0, 1};  // of whoever runs outside a run

void switch_point(const char* what, const std::source_location& where) noexcept {
  if (sim::Scheduler* scheduler = sim::Scheduler::current()) scheduler->point(what, where);
}
bool weak_exchange_fails() noexcept {
  sim::Scheduler* const scheduler = sim::Scheduler::current();
  return scheduler != nullptr && scheduler->weak_exchange_fails();
}
}  // namespace internal

namespace sim {
namespace {

constexpr Duration kStepTime{50};
constexpr Duration kHurryMax = std::chrono::milliseconds(10);  // a timer this near may come before others go on
constexpr uint64_t kHurryOneIn = 64;
constexpr uint64_t kSpuriousOneIn = 64;
constexpr uint64_t kPctPriorities = uint64_t{1} << 32;

std::string_view base_name(std::string_view path) {
  return path.substr(path.find_last_of('/') + 1);
}

// Once: a run that was given up may have left the handler's lock taken.
void end_runs_at_reports() {
  static const bool once = [] {
    (void)set_report_handler([](const ContractReport& report) {
      const std::string place = fmt::format("{}:{}", base_name(report.here.file_name()), report.here.line());
      Scheduler::current()->fail("contract: " + report.rule,
                                 report.text + " at " + place + (report.device.empty() ? "" : ", " + report.device));
    });
    return true;
  }();
  (void)once;
}

uint64_t next_unique = 2;  // never used again, in this process

}  // namespace

Scheduler* Scheduler::current_ = nullptr;

Scheduler::Scheduler(const RunConfig& config)
    : config_(config),
      order_(Chance(config.seed).stream(1)),
      data_(Chance(config.seed).stream(2)),
      weak_(Chance(config.seed).stream(3)) {
  strategy_ = config.strategy.value_or(order_.one_in(2) ? Strategy::kPct : Strategy::kRandom);
  switch_one_in_ = uint64_t{1} << order_.between(1, 7);
  // PCT wants to know how long a run is; a run of any length gets some change points within its first part.
  const uint64_t length = uint64_t{8} << order_.below(13);
  const uint64_t depth = order_.between(1, 5);
  for (uint64_t i = 0; i < depth; ++i) change_points_.push_back(order_.below(length));
  std::sort(change_points_.rbegin(), change_points_.rend());
  for (uint32_t slot = internal::kFibersMax; slot-- > 1;) free_slots_.push_back(slot);
}

Scheduler::~Scheduler() {
  // Fibers that were given up keep their stacks: what these hold was never destroyed.
  for (auto& fiber : fibers_) {
    fiber->abandon_stack();
    (void)fiber.release();
  }
}

RunResult Scheduler::run(std::move_only_function<void()> body) {
  end_runs_at_reports();
  LockGraph::instance().forget_all();  // what an earlier run taught is not this seed's
  current_ = this;
  const internal::FiberId outside = internal::fiber_id;
  spawn("main", std::move(body));
  Fiber& first = *ready_.front();
  running_fiber_ = &first;
  internal::fiber_id = {first.slot, first.unique};
  running_ = true;
  Fiber::change(home_, first);
  running_ = false;
  bury_the_dead();
  internal::fiber_id = outside;
  current_ = nullptr;
  result_.ended = now_;
  return std::move(result_);
}

void Scheduler::fail(std::string rule, std::string text) {
  if (!result_.finding) result_.finding = Finding{std::move(rule), std::move(text)};
  running_ = false;
  Fiber::change(*running_fiber_, home_);
  std::abort();  // nobody comes back
}

void Scheduler::point(const char* what, const std::source_location& where) noexcept {
  if (!switching()) return;
  ++result_.steps;
  now_ += kStepTime;
  running_fiber_->doing = what;
  running_fiber_->where = where;
  if (config_.trace) trace(what, where);
  check();
  if (result_.steps > config_.steps_max) fail("livelock", "the run does not end\n" + describe_fibers());
  if (Fiber::exception_in_flight() || !wants_to_switch()) return;
  fire_timers();
  if (order_.one_in(kHurryOneIn)) hurry_a_timer();
  go_to(*choose());
}

void Scheduler::trace(const char* what, const std::source_location& where) {
  const NoSwitch quiet;
  const std::string held = HeldLocks::mine().names();
  config_.trace(fmt::format("{:>6} {:>12} {:<18} {:<9} {}:{}{}{}", result_.steps, now_.time_since_epoch().count(),
                            running_fiber_->name, what, base_name(where.file_name()), where.line(),
                            held.empty() ? "" : " under ", held));
}

void Scheduler::check() {
  const NoSwitch quiet;
  for (const auto* check : checks_) (*check)();
}

bool Scheduler::wants_to_switch() noexcept {
  if (strategy_ == Strategy::kRandom) return order_.one_in(switch_one_in_);
  if (!change_points_.empty() && result_.steps >= change_points_.back()) {
    change_points_.pop_back();
    running_fiber_->priority = --lowest_;
  }
  return true;  // somebody higher may have become ready
}

// Requires: somebody is ready.
Fiber* Scheduler::choose() noexcept {
  if (strategy_ == Strategy::kRandom) return ready_[order_.below(ready_.size())];
  return *std::max_element(ready_.begin(), ready_.end(),
                           [](const Fiber* a, const Fiber* b) { return a->priority < b->priority; });
}

// Who goes on when the running fiber cannot.
Fiber& Scheduler::pick() {
  fire_timers();
  if (ready_.empty() && !advance()) report_stuck();
  return *choose();
}

void Scheduler::make_ready(Fiber& fiber) noexcept {
  fiber.state = Fiber::State::kReady;
  fiber.word = nullptr;
  ready_.push_back(&fiber);
}

void Scheduler::fire_timers() noexcept {
  for (const auto& fiber : fibers_) {
    if (fiber->state != Fiber::State::kWaiting || fiber->deadline > now_) continue;
    fiber->timed_out = true;
    make_ready(*fiber);
  }
}

// Time passes although somebody could go on: a thread may be kept from running for a while.
void Scheduler::hurry_a_timer() noexcept {
  Time next = now_ + kHurryMax;
  for (const auto& fiber : fibers_) {
    if (fiber->state == Fiber::State::kWaiting) next = std::min(next, fiber->deadline);
  }
  if (next == now_ + kHurryMax) return;
  now_ = next;
  fire_timers();
}

// Everybody waits: to the next deadline. Returns false when there is none.
bool Scheduler::advance() noexcept {
  Time next = kForever;
  for (const auto& fiber : fibers_) {
    if (fiber->state == Fiber::State::kWaiting) next = std::min(next, fiber->deadline);
  }
  if (next == kForever) return false;
  now_ = std::max(now_, next);
  fire_timers();
  return true;
}

void Scheduler::go_to(Fiber& next, bool dying) {
  if (&next == running_fiber_) return;
  ++result_.switches;
  Fiber& from = *running_fiber_;
  running_fiber_ = &next;
  internal::fiber_id = {next.slot, next.unique};
  Fiber::change(from, next, dying);
  bury_the_dead();
}

bool Scheduler::wait(const Atomic<uint32_t>& word, uint32_t seen, Time deadline) noexcept {
  static constexpr auto kHere = std::source_location::current();
  point("wait", kHere);
  if (!running_) return true;
  if (unswitched_ != 0) fail("waits-in-checker", "something that must not switch waits\n" + describe_fibers());
  {
    const NoSwitch quiet;
    if (word.load() != seen || order_.one_in(kSpuriousOneIn)) return true;
  }
  if (deadline <= now_) return false;
  Fiber& me = *running_fiber_;
  me.state = Fiber::State::kWaiting;
  me.word = &word;
  me.seen = seen;
  me.deadline = deadline;
  me.timed_out = false;
  me.doing = "waits";
  ready_.erase(std::find(ready_.begin(), ready_.end(), &me));
  go_to(pick());
  return !me.timed_out;
}

void Scheduler::wake(const Atomic<uint32_t>& word, bool all) noexcept {
  static constexpr auto kHere = std::source_location::current();
  point("wake", kHere);
  if (!running_) return;
  std::vector<Fiber*> sleepers;
  for (const auto& fiber : fibers_) {
    if (fiber->state == Fiber::State::kWaiting && fiber->word == &word) sleepers.push_back(fiber.get());
  }
  if (sleepers.empty()) return;
  if (!all) sleepers = {sleepers[order_.below(sleepers.size())]};
  for (Fiber* sleeper : sleepers) make_ready(*sleeper);
}

void Scheduler::yield() noexcept {
  static constexpr auto kHere = std::source_location::current();
  if (!switching()) return;
  running_fiber_->priority = --lowest_;
  point("pause", kHere);
}

void Scheduler::spawn(std::string name, std::move_only_function<void()> body) {
  if (free_slots_.empty()) fail("too-many-fibers", "more threads than the simulator has room for");
  auto fiber = std::make_unique<Fiber>(born_, fmt::format("{}#{}", name, born_), std::move(body));
  ++born_;
  fiber->slot = free_slots_.back();
  free_slots_.pop_back();
  fiber->unique = next_unique++;
  fiber->priority = lowest_ + 1 + order_.below(kPctPriorities);
  fiber->on_start = &Scheduler::run_fiber;
  ready_.push_back(fiber.get());
  fibers_.push_back(std::move(fiber));
}

void Scheduler::run_fiber(Fiber& fiber) {
  Scheduler& scheduler = *current_;
  scheduler.bury_the_dead();
  fiber.body();
  fiber.body = nullptr;
  scheduler.finish(fiber);
}

void Scheduler::finish(Fiber& fiber) {
  fiber.state = Fiber::State::kDone;
  ready_.erase(std::find(ready_.begin(), ready_.end(), &fiber));
  free_slots_.push_back(fiber.slot);
  const auto at = std::find_if(fibers_.begin(), fibers_.end(), [&](const auto& each) { return each.get() == &fiber; });
  dead_.push_back(std::move(*at));
  fibers_.erase(at);
  if (fiber.number == 0) {  // the first one: that was the run
    if (!fibers_.empty()) result_.finding = Finding{"thread-left", "a thread outlives the run\n" + describe_fibers()};
    running_ = false;
    Fiber::change(fiber, home_, true);
  }
  go_to(pick(), true);
}

// Stacks of fibers that ended: free as soon as nobody runs on them.
void Scheduler::bury_the_dead() {
  dead_.clear();
}

std::string Scheduler::describe_fibers() const {
  std::string text;
  for (const auto& fiber : fibers_) {
    const char* state = fiber->state == Fiber::State::kReady ? "ready" : "waits";
    text += fmt::format("  {:<18} {}: {} at {}:{}", fiber->name, state, fiber->doing,
                        base_name(fiber->where.file_name()), fiber->where.line());
    if (fiber->state == Fiber::State::kWaiting) {
      const NoSwitch quiet;
      const uint32_t value = fiber->word->load();
      text += value == fiber->seen ? fmt::format(", for a word to change from {}", value)
                                   : fmt::format(", although its word changed from {} to {}", fiber->seen, value);
    }
    const internal::FiberId me = internal::fiber_id;
    internal::fiber_id = {fiber->slot, fiber->unique};
    const std::string held = HeldLocks::mine().names();
    internal::fiber_id = me;
    text += held.empty() ? "\n" : fmt::format("; holds {}\n", held);
  }
  return text;
}

void Scheduler::report_stuck() {
  const NoSwitch quiet;
  const bool lost = std::ranges::any_of(fibers_, [](const auto& each) { return each->word->load() != each->seen; });
  fail(lost ? "lost-wake-up" : "deadlock", "nobody can go on\n" + describe_fibers());
}

StepCheck::StepCheck(std::function<void()> check) : check_(std::move(check)) {
  Scheduler::current()->checks_.push_back(&check_);
}
StepCheck::~StepCheck() {
  std::erase(Scheduler::current()->checks_, &check_);
}

void found(std::string rule, std::string text) {
  Scheduler::current()->fail(std::move(rule), std::move(text));
}

void point(const char* what, std::source_location where) noexcept {
  if (Scheduler* scheduler = Scheduler::current()) scheduler->point(what, where);
}

}  // namespace sim
}  // namespace usernic
