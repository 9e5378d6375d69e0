// SPDX-License-Identifier: Apache-2.0
// What a stuck NIC costs its neighbour: B's operations alone, and beside A whose driver call hangs while A's close,
// MTU change, reset, detach and unregister are asked for, all at once.
//
// Each row is one operation of B in PAIRS paired runs, alone and beside by turns; `ratio_p50` and `ratio_p99` are the
// medians of the pairs' ratios, `alone_*` and `beside_*` those of the runs, in ns. `nics` devices live beside B, one of
// them stuck. The process stays on one CPU: which one a woken thread comes to decides about more than a neighbour does.
// USERNIC_BENCH_SMOKE=1: a moment of each. USERNIC_BENCH_FULL=1: ten times longer.
#include <benchmark/benchmark.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "usernic/net.h"
#include "usernic/rx_mode.h"

namespace usernic {
namespace {

constexpr size_t kPairs = 5;

size_t samples_a_run() {
  if (std::getenv("USERNIC_BENCH_SMOKE") != nullptr) return 20;
  return std::getenv("USERNIC_BENCH_FULL") != nullptr ? 20'000 : 2'000;
}

// A word that turns once from 0 to 1.
struct Once {
  Atomic<uint32_t> word{0};
  void set() {
    word.store(1);
    wake_all(word);
  }
  void wait() {
    while (word.load() == 0) wait_on(word, 0);
  }
};

// Answers at once, but for a call that hangs until it is freed, whoever asks it to stop.
class Driver {
 public:
  explicit Driver(NetDevice&) {}
  Result<> open() { return {}; }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  RxFilterCaps rx_filter_caps() const { return {.unicast_slots = 16, .multicast_slots = 16}; }
  void set_rx_mode_async(RxPlan& plan) {
    if (hang.load()) {
      hanging.set();
      freed.wait();
    }
    while (RxCommand* command = plan.next()) plan.answer(*command, {});
  }
  Result<> change_mtu(uint32_t) { return {}; }

  Atomic<bool> hang{false};
  Once hanging, freed;
};

const MacAddress kGroup = MacAddress::from_u64(0x0100'5e00'0001);

NetdevPtr make(Net& net) {
  NetdevPtr dev = *net.alloc_netdev<Driver>({.name = "b%d"});
  (void)dev->register_netdev();
  (void)dev->open();
  (void)dev->rx_mode().settle(kForever);
  return dev;
}

// A, stuck, and everybody who waits for it.
class Stuck {
 public:
  explicit Stuck(NetDevice& dev) : driver_(*static_cast<Driver*>(dev.driver())) {
    driver_.hang.store(true);
    (void)dev.mc().add(kGroup);
    driver_.hanging.wait();
    threads_.emplace_back("mtu", [&dev] { (void)dev.change_mtu(1400); });
    threads_.emplace_back("reset", [&dev] { dev.rx_mode().card_forgot(); });
    threads_.emplace_back("detach", [&dev] { (void)dev.detach(); });
    threads_.emplace_back("close", [&dev] { (void)dev.close(); });
    threads_.emplace_back("unregister", [&dev] { dev.unregister_netdev(); });
  }
  ~Stuck() {
    driver_.hang.store(false);
    driver_.freed.set();
  }

 private:
  Driver& driver_;
  std::vector<Thread> threads_;
};

using Operation = void (*)(Net& net, NetDevice& b);

void life(Net& net, NetDevice&) {
  NetdevPtr dev = make(net);
  (void)dev->close();
  dev->unregister_netdev();
}
void open_close(Net&, NetDevice& b) {
  (void)b.close();
  (void)b.open();
  (void)b.rx_mode().settle(kForever);
}
void filter(Net&, NetDevice& b) {
  RxMode& mode = b.rx_mode();
  (void)b.mc().add(kGroup);
  (void)mode.wait(mode.ticket(kGroup), kForever);
  (void)b.mc().del(kGroup);
  (void)mode.settle(kForever);
}
void change(Net&, NetDevice& b) {
  (void)b.uc().add(MacAddress::from_u64(0x0200'0000'0007));
  (void)b.uc().del(MacAddress::from_u64(0x0200'0000'0007));
}
void mtu(Net&, NetDevice& b) {
  (void)b.change_mtu(b.mtu() == 1400 ? 1500 : 1400);
}
void statistics(Net&, NetDevice& b) {
  benchmark::DoNotOptimize(b.stats());
  benchmark::DoNotOptimize(b.rx_mode().status());
}

struct Quantiles {
  double p50, p99;
};

Quantiles measure(Operation operation, size_t nics, bool stuck) {
  Net net;
  std::vector<NetdevPtr> others;
  for (size_t i = 0; i < nics; ++i) others.push_back(make(net));
  NetdevPtr b = make(net);
  std::vector<double> samples;
  {
    std::unique_ptr<Stuck> a;
    if (stuck) a = std::make_unique<Stuck>(*others[0]);
    for (size_t i = 0; i < samples_a_run(); ++i) {
      const Time begin = Clock::now();
      operation(net, *b);
      samples.push_back(static_cast<double>((Clock::now() - begin).count()));
    }
  }
  others.push_back(std::move(b));
  for (NetdevPtr& dev : others) {
    if (dev->reg_state() == RegState::kRegistered) dev->unregister_netdev();
  }
  std::sort(samples.begin(), samples.end());
  return {samples[samples.size() / 2], samples[samples.size() * 99 / 100]};
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void row(benchmark::State& state, Operation operation) {
  const auto nics = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    std::vector<double> columns[6];
    for (size_t pair = 0; pair < kPairs; ++pair) {
      const bool beside_first = pair % 2 != 0;
      const Quantiles first = measure(operation, nics, beside_first);
      const Quantiles second = measure(operation, nics, !beside_first);
      const Quantiles& alone = beside_first ? second : first;
      const Quantiles& beside = beside_first ? first : second;
      const double values[] = {
          alone.p50, alone.p99, beside.p50, beside.p99, beside.p50 / alone.p50, beside.p99 / alone.p99};
      for (size_t i = 0; i < std::size(values); ++i) columns[i].push_back(values[i]);
    }
    const char* const names[] = {"alone_p50", "alone_p99", "beside_p50", "beside_p99", "ratio_p50", "ratio_p99"};
    for (size_t i = 0; i < std::size(names); ++i) state.counters[names[i]] = median(columns[i]);
    state.SetIterationTime(state.counters["beside_p50"] / 1e9);
  }
}

void register_rows() {
  for (const auto& [name, operation] : {std::pair<const char*, Operation>{"life", life},
                                        {"open_close", open_close},
                                        {"filter", filter},
                                        {"change", change},
                                        {"mtu", mtu},
                                        {"statistics", statistics}}) {
    benchmark::RegisterBenchmark(name, [operation = operation](benchmark::State& state) { row(state, operation); })
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
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
