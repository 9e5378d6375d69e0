// SPDX-License-Identifier: Apache-2.0 OR MIT
// The rx-mode engine's figures. Every row visits its addresses in a fresh shuffle each round, because a learned order
// flatters any index; a second thread lives throughout, so that no lock is elided.
//
//   add, del, lookup / N     ns an operation, N addresses in the list, and the list's memory by N
//   tree_list_* / N          the same on an rb-tree and a list, the shape of the kernel's
//   hand_off / N             ns that addr_list_lock is held for drain + commit of one random address among N
//   run / N                  one change and a whole run with a card that answers at once
//   stacked / L / N          ns a change on top of L stacked devices above a NIC, each list N addresses long, until the
//                            lowest knows it
//   burst                    10,000 changes while a driver call takes 10 ms: what a changer waits, how often the driver
//                            is called
// USERNIC_BENCH_SMOKE=1: a moment of each. USERNIC_BENCH_FULL=1: ten times longer.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/rows.h"
#include "core/device/device.h"
#include "core/filter/card_class.h"
#include "testing/plain_driver.h"
#include "usernic/lower_link.h"
#include "usernic/net.h"
#include "usernic/thread.h"

namespace usernic {
namespace {

struct Shuffler {
  uint64_t state = 42;
  uint64_t next() {
    uint64_t z = (state += 0x9e37'79b9'7f4a'7c15);
    z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ z >> 27) * 0x94d0'49bb'1331'11eb;
    return z ^ z >> 31;
  }
  template <class T>
  void shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[next() % i]);
  }
};

std::vector<MacAddress> addresses(size_t count) {
  Shuffler random;
  std::vector<MacAddress> all;
  for (size_t i = 0; i < count; ++i) {
    all.push_back(MacAddress::from_u64(0x0300'0000'0000 | (random.next() & 0xff'0000'0000) | i));
  }
  return all;
}

// A driver that has room for everything and answers at once: the engine's own time.
struct Nothing : PlainDriver {
  explicit Nothing(NetDevice& dev, Duration call_time = {}) : PlainDriver(dev), call_time_(call_time) {}
  RxFilterCaps rx_filter_caps() const { return {.unicast_slots = 1u << 20, .multicast_slots = 1u << 20}; }
  void set_rx_mode_async(RxPlan& plan) {
    if (call_time_ > Duration::zero()) (void)plan.stop().wait_until(Clock::now() + call_time_);
    while (RxCommand* command = plan.next()) plan.answer(*command, {});
  }
  const Duration call_time_;
};

struct Bed {
  Net net;
  NetdevPtr dev;
  explicit Bed(Duration call_time = {}) : dev(*net.alloc_netdev<Nothing>({.name = "b0"}, call_time)) {
    (void)dev->register_netdev();
  }
};

Duration since(Time begin) {
  return Clock::now() - begin;
}
// What reading the clock costs, to be taken off what is measured with it.
Duration clock_cost() {
  static const Duration cost = [] {
    std::vector<Duration> all;
    for (int i = 0; i < 10'000; ++i) {
      const Time begin = Clock::now();
      all.push_back(since(begin));
    }
    std::nth_element(all.begin(), all.begin() + all.size() / 2, all.end());
    return all[all.size() / 2];
  }();
  return cost;
}

// The peer: an rb-tree over addresses plus a list in order of arrival, allocated nodes with reference counts, one lock:
// the shape of the kernel's address lists.
class TreeList {
 public:
  Result<> add(const MacAddress& address) {
    SpinGuardBh guard(lock_);
    const auto [it, fresh] = tree_.try_emplace(address);
    if (fresh) it->second.where = order_.insert(order_.end(), &it->first);
    ++it->second.references;
    return {};
  }
  Result<> del(const MacAddress& address) {
    SpinGuardBh guard(lock_);
    const auto it = tree_.find(address);
    if (it == tree_.end()) return fail(std::errc::no_such_file_or_directory);
    if (--it->second.references != 0) return {};
    order_.erase(it->second.where);
    tree_.erase(it);
    return {};
  }
  bool contains(const MacAddress& address) {
    SpinGuardBh guard(lock_);
    return tree_.contains(address);
  }

 private:
  struct Node {
    std::list<const MacAddress*>::iterator where;
    uint32_t references = 0;
  };
  static constexpr LockClass kClass{"tree_list"};
  SpinLock lock_{kClass};
  std::map<MacAddress, Node> tree_;
  std::list<const MacAddress*> order_;
};

enum class Op { kAdd, kDel, kLookup };

// Adds and dels come in rounds of all N; only the timed half counts.
template <class List>
void list_operation(benchmark::State& state, Op op, List& list) {
  const auto n = static_cast<size_t>(state.range(0));
  // Small lists go round many times, so that reading the clock does not count.
  const size_t rounds = std::max<size_t>(1, 1'000 / n);
  std::vector<std::vector<MacAddress>> all(rounds, addresses(n));
  Shuffler random;
  const auto add_all = [&](auto& each) {
    for (const MacAddress& address : each) benchmark::DoNotOptimize(list.add(address));
  };
  const auto del_all = [&](auto& each) {
    for (const MacAddress& address : each) benchmark::DoNotOptimize(list.del(address));
  };
  if (op == Op::kLookup) add_all(all[0]);
  while (state.KeepRunningBatch(static_cast<int64_t>(n * rounds))) {
    Duration timed{};
    for (auto& each : all) {
      random.shuffle(each);
      if (op == Op::kDel) add_all(each);
      random.shuffle(each);
      const Time begin = Clock::now();
      if (op == Op::kAdd) add_all(each);
      if (op == Op::kDel) del_all(each);
      if (op == Op::kLookup) {
        for (const MacAddress& address : each) benchmark::DoNotOptimize(list.contains(address));
      }
      timed += since(begin) - clock_cost();
      random.shuffle(each);
      if (op == Op::kAdd) del_all(each);
    }
    state.SetIterationTime(std::chrono::duration<double>(timed).count());
  }
}

void ours(benchmark::State& state, Op op) {
  Bed bed;
  list_operation(state, op, bed.dev->mc());
  const Wanted& wanted = Device::of(*bed.dev).engine.wanted;
  ListGuard guard(wanted.lock, wanted.level());
  const size_t bytes = wanted.pool.bytes();
  state.counters["bytes_an_address"] = static_cast<double>(bytes) / static_cast<double>(state.range(0));
}
void tree_and_list(benchmark::State& state, Op op) {
  TreeList list;
  list_operation(state, op, list);
}

// A run, with a clock around the two parts that hold addr_list_lock.
Duration timed_hand_off(RxRun& run) {
  run.begin();
  const Time begin = Clock::now();
  const bool drained = run.sample();
  Duration held = since(begin);
  run.take_in(drained);
  run.decide();
  run.call();
  const Time end = Clock::now();
  run.commit();
  held += since(end);
  run.publish();
  return held - 2 * clock_cost();
}

// An open device with N multicast addresses on the card, its lane parked: the runs are the caller's.
struct QuietBed : Bed {
  std::vector<MacAddress> all;
  RxModeEngine& engine = Device::of(*dev).engine;
  explicit QuietBed(size_t n) : all(addresses(n)) {
    for (const MacAddress& each : all) (void)dev->mc().add(each);
    (void)dev->open();
    (void)engine.settle(Clock::now() + std::chrono::seconds(60));
    lane.emplace(dev->lane());
  }

  // An address picked at random goes; with the next call it comes back.
  void change_one() {
    if (gone == nullptr) {
      gone = &all[random.next() % all.size()];
      (void)dev->mc().del(*gone);
    } else {
      (void)dev->mc().add(*std::exchange(gone, nullptr));
    }
    written.exchange(true);  // what the changer wrote is out: it is no part of the hold of another thread
  }
  Shuffler random;
  const MacAddress* gone = nullptr;
  Atomic<bool> written{false};
  std::optional<LaneGuard> lane;
};

// One address of N, picked at random, goes and comes back: the holds of both hand-offs are rows of their own.
void hand_off(benchmark::State& state) {
  QuietBed bed(static_cast<size_t>(state.range(0)));
  MutexGuard instance_lock(Device::of(*bed.dev).instance_lock);  // which a run takes by itself
  std::vector<double> holds;
  holds.reserve(10'000'000);
  for (auto _ : state) {
    bed.change_one();
    const double seconds = std::max(1e-9, std::chrono::duration<double>(timed_hand_off(bed.engine.run)).count());
    if (holds.size() < holds.capacity()) holds.push_back(seconds * 1e9);
    state.SetIterationTime(seconds);
  }
  std::sort(holds.begin(), holds.end());
  state.counters["p50_ns"] = holds[holds.size() / 2];
  state.counters["p99_ns"] = holds[holds.size() * 99 / 100];
}

void run(benchmark::State& state) {
  QuietBed bed(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    bed.change_one();
    bed.engine.run.run();
  }
}

// The smallest upper device: what it wants goes down.
struct Above {
  Above(NetDevice& dev, NetDevice& lower)
      : dev_(dev), lower_(lower), changed_([] {}, &dev), link_(dev, dev.lane(), changed_) {}
  ~Above() { changed_.cancel_sync(); }
  Result<> init() { return link_.link(lower_); }
  Result<> open() {
    link_.activate();
    return {};
  }
  void stop() { link_.deactivate(); }
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  NetDevice& dev_;
  NetDevice& lower_;
  Work changed_;
  LowerLink link_;
};

// `levels` uppers above a NIC, all lists equal and in effect, all lanes parked: what is measured is the caller's time.
struct StackedBed : Bed {
  std::vector<NetdevPtr> uppers;
  std::vector<MacAddress> all;
  StackedBed(int64_t levels, size_t n) : all(addresses(n)) {
    (void)dev->open();
    for (int64_t i = 0; i < levels; ++i) {
      NetDevice& below = top();
      uppers.push_back(*net.alloc_netdev<Above>({.name = "up%d", .address = dev->address()}, below));
      (void)top().register_netdev();
      (void)top().open();
    }
    for (const MacAddress& each : all) (void)top().mc().add(each);
    for_each([](NetDevice& each) {
      (void)each.rx_mode().settle(Clock::now() + std::chrono::seconds(60));
      each.lane().park();
    });
  }
  ~StackedBed() {
    for_each([](NetDevice& each) { each.lane().unpark(); });
    while (!uppers.empty()) uppers.pop_back();
  }
  NetDevice& top() { return uppers.empty() ? *dev : *uppers.back(); }
  template <class Do>
  void for_each(Do&& does) {
    does(*dev);
    for (NetdevPtr& each : uppers) does(*each);
  }
};

// Rounds: some addresses go in random order, then they come back in another.
void stacked(benchmark::State& state, int64_t levels) {
  const auto n = static_cast<size_t>(state.range(0));
  StackedBed bed(levels, n);
  if (bed.dev->mc().size() != n) return state.SkipWithError("the lowest device does not know every address");
  const size_t some = std::clamp<size_t>(n / 2, 1, 500);
  Shuffler random;
  std::vector<MacAddress> chosen(some);
  while (state.KeepRunningBatch(static_cast<int64_t>(2 * some))) {
    for (size_t i = 0; i < some; ++i) std::swap(bed.all[i], bed.all[i + random.next() % (n - i)]);
    std::copy_n(bed.all.begin(), some, chosen.begin());
    const Time del = Clock::now();
    for (const MacAddress& each : chosen) benchmark::DoNotOptimize(bed.top().mc().del(each));
    Duration timed = since(del);
    random.shuffle(chosen);
    const Time add = Clock::now();
    for (const MacAddress& each : chosen) benchmark::DoNotOptimize(bed.top().mc().add(each));
    timed += since(add) - 2 * clock_cost();
    state.SetIterationTime(std::chrono::duration<double>(timed).count());
    if (bed.dev->mc().size() != n) return state.SkipWithError("the lowest device did not hear of every change");
  }
}

void burst(benchmark::State& state) {
  constexpr size_t kChanges = 10'000;
  constexpr Duration kCall = std::chrono::milliseconds(10);
  std::vector<double> waits;
  double calls = 0;
  double settled_ms = 0;
  for (auto _ : state) {
    Bed bed(kCall);
    std::vector<MacAddress> all = addresses(kChanges);
    (void)bed.dev->open();
    RxMode& mode = bed.dev->rx_mode();
    (void)mode.settle(Clock::now() + std::chrono::seconds(60));
    const uint64_t calls_before = mode.status().stats.driver_calls;
    waits.clear();
    const Time begin = Clock::now();
    for (const MacAddress& each : all) {
      const Time change = Clock::now();
      (void)bed.dev->mc().add(each);
      waits.push_back(static_cast<double>((since(change) - clock_cost()).count()));
    }
    (void)mode.settle(Clock::now() + std::chrono::seconds(60));
    settled_ms = std::chrono::duration<double, std::milli>(since(begin)).count();
    calls = static_cast<double>(mode.status().stats.driver_calls - calls_before);
    state.SetIterationTime(settled_ms / 1e3);
  }
  std::sort(waits.begin(), waits.end());
  state.counters["change_p50_ns"] = waits[waits.size() / 2];
  state.counters["change_p99_ns"] = waits[waits.size() * 99 / 100];
  state.counters["change_max_ns"] = waits.back();
  state.counters["driver_calls"] = calls;
  state.counters["driver_calls_max"] = std::floor(settled_ms / 10) + 1;
}

void register_rows() {
  const auto sizes = [](benchmark::internal::Benchmark* row) {
    for (int64_t n : {10, 100, 1'000, 10'000, 100'000}) row->Arg(n);
    row->UseManualTime();
  };
  for (const auto& [name, op] : {std::pair{"add", Op::kAdd}, {"del", Op::kDel}, {"lookup", Op::kLookup}}) {
    sizes(benchmark::RegisterBenchmark(name, [op = op](benchmark::State& state) { ours(state, op); }));
    sizes(benchmark::RegisterBenchmark((std::string("tree_list_") + name).c_str(),
                                       [op = op](benchmark::State& state) { tree_and_list(state, op); }));
  }
  sizes(benchmark::RegisterBenchmark("hand_off", hand_off));
  for (int64_t n : {10, 1'000, 100'000}) benchmark::RegisterBenchmark("run", run)->Arg(n);
  for (int64_t levels : {1, 4}) {
    sizes(benchmark::RegisterBenchmark(("stacked/" + std::to_string(levels)).c_str(),
                                       [levels](benchmark::State& state) { stacked(state, levels); }));
  }
  benchmark::RegisterBenchmark("burst", burst)->UseManualTime()->Iterations(3)->Unit(benchmark::kMillisecond);
}

}  // namespace
}  // namespace usernic

int main(int argc, char** argv) {
  // glibc elides locks in a process of one thread: keep a second one.
  usernic::StopSource end;
  usernic::Thread other("bench-other", [&end] { (void)end.token().wait_until(usernic::kForever); });
  usernic::register_rows();
  std::vector<char*> arguments(argv, argv + argc);
  const bool full = std::getenv("USERNIC_BENCH_FULL") != nullptr;
  const bool smoke = std::getenv("USERNIC_BENCH_SMOKE") != nullptr;
  std::string time = std::string("--benchmark_min_time=") + (smoke ? "0.001" : full ? "1" : "0.1");
  arguments.insert(arguments.begin() + 1, time.data());  // before the caller's, which win
  const int result = usernic::run_rows(static_cast<int>(arguments.size()), arguments.data());
  end.request_stop();
  return result;
}
