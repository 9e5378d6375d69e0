// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a stuck NIC costs its neighbour: B's operations alone, and beside A, whose driver call hangs and heeds no stop
// while everything that can be asked of a device is asked of A: by threads of their own, and by its host port.
//
// Alone and beside take turns, ten each, of one Net and one B; nobody looks at B before every requester of A is seen to
// wait for A's lane. That is a paired run. `ratio_p50` and `ratio_p99` are the medians of PAIRS runs' ratios, `alone_*`
// and `beside_*` those of the runs, in ns. `nics` devices live beside B, one of them A; alone, A is gone. The process
// stays on one CPU: which one a woken thread comes to decides about more than a neighbour does. What goes wrong on
// either side ends the program with a sentence.
// USERNIC_BENCH_SMOKE=1: a moment of each. USERNIC_BENCH_FULL=1: ten times longer.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "bench/rows.h"
#include "host/device_wishes.h"
#include "testing/plain_driver.h"
#include "usernic/kick.h"
#include "usernic/net.h"
#include "usernic/rx_mode.h"
#include "usernic/thread.h"

namespace usernic {
namespace {

constexpr size_t kPairs = 5;
constexpr size_t kTurns = 10;  // of each side, in a paired run
constexpr const char* kAskedOfA =
    "reset, and waiting: MTU, own address, detach, close, unregister, each by a thread; own address, MTU, down by the "
    "host port";

// `quick`: what is over in less than a microsecond. A turn has to be long beside a worker that is woken in it.
size_t samples_a_turn(bool quick) {
  if (std::getenv("USERNIC_BENCH_SMOKE") != nullptr) return 5;
  return (std::getenv("USERNIC_BENCH_FULL") != nullptr ? 10 : 1) * (quick ? 50'000 : 1'000);
}

void must(bool ok, std::string_view what) {
  if (ok) return;
  fmt::print(stderr, "bench_isolation: not so: {}\n", what);
  std::abort();
}
void must(const Result<>& result, std::string_view what) {
  if (!result) must(false, fmt::format("{} ({})", what, errno_name(result.error())));
}

// What happened so many times.
struct Count {
  Atomic<uint32_t> word{0};
  void add() {
    word.fetch_add(1);
    wake_all(word);
  }
  void wait(uint32_t times = 1) {
    for (uint32_t seen = word.load(); seen < times; seen = word.load()) wait_on(word, seen);
  }
};

// Answers at once, but for a call that hangs until it is freed, whoever asks it to stop.
class Driver : public PlainDriver {
 public:
  using PlainDriver::PlainDriver;
  RxFilterCaps rx_filter_caps() const { return {.unicast_slots = 16, .multicast_slots = 16}; }
  void set_rx_mode_async(RxPlan& plan) {
    if (hang.load()) {
      hanging.add();
      freed.wait();
      asked_to_stop.store(plan.stop().stop_requested());
    }
    while (RxCommand* command = plan.next()) plan.answer(*command, {});
  }
  Result<> change_mtu(uint32_t) { return {}; }
  Result<> set_mac_address(const MacAddress&) { return {}; }

  Atomic<bool> hang{false}, asked_to_stop{false};
  Count hanging, freed;
};

const MacAddress kGroup = MacAddress::from_u64(0x0100'5e00'0001);

NetdevPtr make(Net& net) {
  NetdevPtr dev = *net.alloc_netdev<Driver>({.name = "b%d"});
  must(dev->register_netdev(), "a device registers");
  must(dev->open(), "a device opens");
  must(dev->rx_mode().settle(kForever), "a device receives what is wanted");
  return dev;
}

// A, stuck, and everybody who waits for it: nobody returns from the constructor before all of them do.
class Stuck {
 public:
  explicit Stuck(Net& net) : dev_(make(net)), driver_(*static_cast<Driver*>(dev_->driver())) {
    driver_.hang.store(true);
    must(dev_->mc().add(kGroup), "A's list changes");
    driver_.hanging.wait();
    ask("mtu", [this] { ends("MTU", dev_->change_mtu(1400)); });
    ask("address", [this] { ends("own address", dev_->set_mac_address(kOther)); });
    ask("detach", [this] { ends("detach", dev_->detach()); });
    ask("close", [this] { ends("close", dev_->close()); });
    ask("unregister", [this] { dev_->unregister_netdev(); });
    const int waiting = static_cast<int>(threads_.size()) + 1;  // the port's item
    ask("reset", [this] {
      dev_->rx_mode().card_forgot();
      reset_.add();
    });
    wishes_.wish_address(kOther);
    wishes_.wish_mtu(1300);
    wishes_.wish_up(false);
    at_once_.add();
    reset_.wait();
    const StopToken never;
    while (dev_->lane().parks() != waiting) (void)never.wait_until(Clock::now() + std::chrono::milliseconds(1));
  }
  ~Stuck() {
    must(dev_->lane().parks() == static_cast<int>(threads_.size()), "all of A's requesters have waited to the end");
    must(dev_->reg_state() == RegState::kRegistered, "none of A's requesters had its way");
    driver_.hang.store(false);
    driver_.freed.add();
    threads_.clear();
    for (pollfd kicked{kick_.fd(), POLLIN, 0}; !wishes_.answered(); kick_.clear()) ::poll(&kicked, 1, -1);
    wishes_.stop();
    must(driver_.asked_to_stop.load(), "A's driver call was asked to stop");
    must(dev_->reg_state() == RegState::kUnregistered, "A is unregistered");
  }

 private:
  static constexpr MacAddress kOther = MacAddress::from_u64(0x0200'0000'0a0a);

  template <class Request>
  void ask(const char* name, Request request) {
    threads_.emplace_back(name, [this, request] {
      at_once_.wait();
      request();
    });
  }
  // Who comes after the unregistering, or the detach, finds no device.
  static void ends(const char* what, const Result<>& result) {
    if (!result && result.error() == std::errc::no_such_device) return;
    must(result, fmt::format("A's {} ends well, or finds no device", what));
  }
  static void port_says(const std::string& sentence) { must(sentence.ends_with(": ENODEV"), sentence); }

  const NetdevPtr dev_;
  Driver& driver_;
  Count at_once_, reset_;
  Kick kick_ = *Kick::make();
  const std::function<void(const std::string&)> log_{port_says};
  DeviceWishes wishes_{*dev_, kick_, log_};
  std::vector<Thread> threads_;
};

struct Operation {
  const char* name;
  void (*run)(Net& net, NetDevice& b);
  bool quick = false;
};

void register_unregister(Net& net, NetDevice&) {
  NetdevPtr dev = *net.alloc_netdev<Driver>({.name = "c%d"});
  must(dev->register_netdev(), "a device registers");
  dev->unregister_netdev();
}
void open_close(Net&, NetDevice& b) {
  must(b.close(), "B closes");
  must(b.open(), "B opens");
  must(b.rx_mode().settle(kForever), "B receives what is wanted");
}
void filter(Net&, NetDevice& b) {
  RxMode& mode = b.rx_mode();
  must(b.mc().add(kGroup), "B's list changes");
  must(mode.wait(mode.ticket(kGroup), kForever), "B receives the group");
  must(b.mc().del(kGroup), "B's list changes back");
  must(mode.settle(kForever), "B has forgotten the group");
}
void change(Net&, NetDevice& b) {
  must(b.uc().add(MacAddress::from_u64(0x0200'0000'0007)), "B's list changes");
  must(b.uc().del(MacAddress::from_u64(0x0200'0000'0007)), "B's list changes back");
}
void mtu(Net&, NetDevice& b) {
  must(b.change_mtu(b.mtu() == 1400 ? 1500 : 1400), "B's MTU changes");
}
void statistics(Net&, NetDevice& b) {
  benchmark::DoNotOptimize(b.stats());
  must(b.rx_mode().status().up, "B is up");
}

struct Quantiles {
  double p50, p99;
};
using Samples = std::vector<double>;

Quantiles quantiles(Samples& samples) {
  std::ranges::sort(samples);
  return {samples[samples.size() / 2], samples[samples.size() * 99 / 100]};
}

// One turn. Beside or alone, A was made and asked the same; alone, all of that is over.
void take(Samples& samples, const Operation& operation, Net& net, NetDevice& b, bool beside) {
  auto a = std::make_unique<Stuck>(net);
  if (!beside) a.reset();
  operation.run(net, b);  // what the other turn left cold is not measured
  for (size_t i = 0; i < samples_a_turn(operation.quick); ++i) {
    const Time begin = Clock::now();
    operation.run(net, b);
    samples.push_back(static_cast<double>((Clock::now() - begin).count()));
  }
}

struct Pair {
  Quantiles alone, beside;
};
Pair paired_run(const Operation& operation, Net& net, NetDevice& b, bool beside_first) {
  Samples alone, beside;
  for (size_t turn = 0; turn < 2 * kTurns; ++turn) {
    const bool is_beside = (turn % 2 == 0) == beside_first;
    take(is_beside ? beside : alone, operation, net, b, is_beside);
  }
  return {quantiles(alone), quantiles(beside)};
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void row(benchmark::State& state, const Operation& operation) {
  for (auto _ : state) {
    Net net;
    std::vector<NetdevPtr> devices;  // B, and those beside it but for A
    for (int64_t i = 0; i < state.range(0); ++i) devices.push_back(make(net));
    std::vector<double> columns[6];
    for (size_t pair = 0; pair < kPairs; ++pair) {
      const auto [alone, beside] = paired_run(operation, net, *devices[0], pair % 2 != 0);
      const double values[] = {
          alone.p50, alone.p99, beside.p50, beside.p99, beside.p50 / alone.p50, beside.p99 / alone.p99};
      for (size_t i = 0; i < std::size(values); ++i) columns[i].push_back(values[i]);
    }
    const char* const names[] = {"alone_p50", "alone_p99", "beside_p50", "beside_p99", "ratio_p50", "ratio_p99"};
    for (size_t i = 0; i < std::size(names); ++i) state.counters[names[i]] = median(columns[i]);
    state.SetIterationTime(state.counters["beside_p50"] / 1e9);
  }
}

constexpr Operation kOperations[] = {
    {"register", register_unregister}, {"open", open_close}, {"filter", filter},
    {"change", change, true},          {"mtu", mtu, true},   {"statistics", statistics, true}};

void register_rows() {
  for (const Operation& operation : kOperations) {
    benchmark::RegisterBenchmark(operation.name, [&operation](benchmark::State& state) { row(state, operation); })
        ->ArgName("nics")
        ->Arg(1)
        ->Arg(200)
        ->Iterations(1)
        ->UseManualTime();
  }
}

}  // namespace
}  // namespace usernic

int main(int argc, char** argv) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(::sched_getcpu(), &one);
  ::sched_setaffinity(0, sizeof one, &one);
  usernic::register_rows();
  benchmark::AddCustomContext("asked of A", usernic::kAskedOfA);
  return usernic::run_rows(argc, argv);
}
