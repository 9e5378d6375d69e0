// SPDX-License-Identifier: Apache-2.0 OR MIT
// sim: decides, from one seed, which fiber goes on at every point at which control can change hands.
//
// A *point* is an operation on an Atomic (so every lock and unlock), a wait, a wake, a thread's birth and end, a stop
// at a simulated bus. Time is virtual: it creeps at points, and jumps to the next deadline when every fiber waits.
//
//   random   at each point another fiber goes on with some probability, chosen for the run; any ready one may
//   PCT      priorities: the highest ready fiber runs, and at a few random points the running one becomes the lowest
//
// What must not happen ends the run with a Finding: no fiber can go on (deadlock, or a wake-up that was lost), too
// many steps, a contract report, or a checker's `fail`. The other fibers stay where they are, for ever.
// One run at a time in a process. Outside a run the door's functions work for one thread that never has to wait.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/fiber.h"
#include "testing/chance.h"

namespace usernic::sim {

enum class Strategy : uint8_t { kRandom, kPct };

struct Finding {
  std::string rule;  // short and stable: "deadlock", "never-deaf", ...
  std::string text;  // what happened, with every fiber's state where that helps
};

struct RunConfig {
  uint64_t seed = 1;
  std::optional<Strategy> strategy;  // the seed's choice if not said
  uint64_t steps_max = 2'000'000;
  std::function<void(const std::string& line)> trace;  // one line a step; none: no cost
};

struct RunResult {
  std::optional<Finding> finding;
  uint64_t steps = 0;
  uint64_t switches = 0;
  Time ended{};  // virtual
};

class Scheduler {
 public:
  explicit Scheduler(const RunConfig& config);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // The one that is running, or null.
  static Scheduler* current() noexcept { return current_; }

  // Runs `body` as the first fiber until it returns; by then every other fiber must have ended.
  RunResult run(std::move_only_function<void()> body);

  // Ends the run. Callable from fibers and checkers.
  [[noreturn]] void fail(std::string rule, std::string text);

  // The door's side.
  void point(const char* what, const std::source_location& where) noexcept;
  bool wait(const Atomic<uint32_t>& word, uint32_t seen, Time deadline) noexcept;
  void wake(const Atomic<uint32_t>& word, bool all) noexcept;
  void yield() noexcept;  // a busy loop: somebody else first, if there is anybody
  void spawn(std::string name, std::move_only_function<void()> body);
  bool traced() const noexcept { return config_.trace != nullptr; }
  void add_line(const std::string& text) const { config_.trace("       | " + text); }
  Time now() const noexcept { return now_; }
  uint64_t draw() noexcept { return data_.next(); }
  bool weak_exchange_fails() noexcept { return switching() && weak_.one_in(64); }

 private:
  friend class NoSwitch;
  friend class StepCheck;
  bool switching() const noexcept { return running_ && unswitched_ == 0; }
  void trace(const char* what, const std::source_location& where);
  void check();
  bool wants_to_switch() noexcept;
  Fiber& pick();
  Fiber* choose() noexcept;
  void fire_timers() noexcept;
  void hurry_a_timer() noexcept;
  bool advance() noexcept;
  void go_to(Fiber& next, bool dying = false);
  void make_ready(Fiber& fiber) noexcept;
  void finish(Fiber& fiber);
  void bury_the_dead();
  [[noreturn]] void report_stuck();
  std::string describe_fibers() const;
  static void run_fiber(Fiber& fiber);

  static Scheduler* current_;

  const RunConfig config_;
  Chance order_, data_, weak_;
  Strategy strategy_;
  uint64_t switch_one_in_ = 8;           // random: at each point
  std::vector<uint64_t> change_points_;  // PCT: steps, the last one first
  uint64_t lowest_ = 1'000;              // PCT: priorities given at change points count down from here

  Fiber home_;  // run()'s caller
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> ready_;
  std::vector<std::unique_ptr<Fiber>> dead_;
  std::vector<uint32_t> free_slots_;
  Fiber* running_fiber_ = nullptr;
  uint32_t born_ = 0;
  bool running_ = false;
  int unswitched_ = 0;
  Time now_{};
  RunResult result_;
  std::vector<std::function<void()>*> checks_;
};

// Called after every step while it lives, without a switch. It reports with `fail`.
class StepCheck {
 public:
  explicit StepCheck(std::function<void()> check);
  ~StepCheck();
  StepCheck(const StepCheck&) = delete;
  StepCheck& operator=(const StepCheck&) = delete;

 private:
  std::function<void()> check_;
};

// While one lives nothing switches: in checkers, and around code that is not ours.
class NoSwitch {
 public:
  NoSwitch() noexcept : scheduler_(Scheduler::current()) {
    if (scheduler_ != nullptr) ++scheduler_->unswitched_;
  }
  ~NoSwitch() {
    if (scheduler_ != nullptr) --scheduler_->unswitched_;
  }
  NoSwitch(const NoSwitch&) = delete;
  NoSwitch& operator=(const NoSwitch&) = delete;

 private:
  Scheduler* const scheduler_;
};

// Ends the run, if there is one, with a finding. Nothing when `holds`.
[[noreturn]] void found(std::string rule, std::string text);
inline void expect(bool holds, const char* rule, const char* text) {
  if (!holds) found(rule, text);
}

// A line of the trace that a scenario adds; `text()` makes it, and is called only while somebody looks.
template <class Text>
void note(Text&& text) {
  Scheduler* const scheduler = Scheduler::current();
  if (scheduler == nullptr || !scheduler->traced()) return;
  const NoSwitch looking_changes_nothing;
  scheduler->add_line(text());
}

// A point of a scenario's own: a bus access, a step of a simulated card.
void point(const char* what, std::source_location where = std::source_location::current()) noexcept;

}  // namespace usernic::sim
