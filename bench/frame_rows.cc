// SPDX-License-Identifier: Apache-2.0 OR MIT
// Rows of bench_data_path that need no second program: 60 octets into a TAP and out of one, as the host port does it
// and with a system call a frame, and the core alone between two ports that do nothing (64 octets, as testpmd's). Of
// one thread: mops_per_cpu_s is by its CPU time. But for the last ones, of several queues with a poll thread each,
// which have mpps beside it.
#include <benchmark/benchmark.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>

#include "bench/rows.h"
#include "host/kick.h"
#include "host/tap.h"
#include "host/tap_reader.h"
#include "host/tap_writer.h"
#include "testing/plain_driver.h"
#include "usernic/napi.h"
#include "usernic/net.h"
#include "usernic/port.h"

namespace usernic {
namespace {

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "frame_rows: %s\n", what.c_str());
  std::exit(1);
}

void count(benchmark::State& state, uint64_t frames) {
  const auto number = static_cast<double>(frames);
  state.counters["mops_per_cpu_s"] = benchmark::Counter(number * 1e-6, benchmark::Counter::kIsRate);
}

// --- A TAP, and a socket on the kernel's side of it ---

constexpr uint32_t kFrameBytes = 60, kFrameMax = 1518, kBatch = 64, kQueued = 256;

class TapBench {
 public:
  TapBench() {
    auto netns = NetNamespace::create();
    if (!netns) give_up(netns.error().sentence);
    auto tap = Tap::create(*netns, "tap0");
    if (!tap) give_up(tap.error().sentence);
    tap_ = std::make_unique<Tap>(*std::move(tap));
    (void)tap_->set_carrier(true);
    (void)netns->run([&] {
      ifreq request{};
      std::strcpy(request.ifr_name, "tap0");
      const UniqueFd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      request.ifr_flags = IFF_UP;
      if (::ioctl(any.get(), SIOCSIFFLAGS, &request) != 0) give_up("tap0 cannot be set up");
      to_tap_.reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
      sockaddr_ll own{.sll_family = AF_PACKET, .sll_ifindex = static_cast<int>(::if_nametoindex("tap0"))};
      if (::bind(to_tap_.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) give_up("no socket on tap0");
    });
    const uint8_t head[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 0x88, 0xb5};
    std::ranges::copy(head, frame_.begin());
  }
  Tap& tap() { return *tap_; }
  std::span<const uint8_t> frame() const { return frame_; }
  void kernel_sends(uint32_t frames) {
    for (uint32_t i = 0; i < frames; ++i) (void)!::send(to_tap_.get(), frame_.data(), frame_.size(), 0);
  }

 private:
  std::unique_ptr<Tap> tap_;
  UniqueFd to_tap_;
  std::array<uint8_t, kFrameBytes> frame_{};
};

void tap_in(benchmark::State& state) {
  TapBench bench;
  FramePools pools(kFrameMax);
  TapReader reader(bench.tap().queue(0));
  SkbBatch frames;
  uint64_t came = 0;
  for (auto _ : state) {
    state.PauseTiming();
    bench.kernel_sends(kQueued);
    state.ResumeTiming();
    do {
      SkbPool::free(frames);
      (void)reader.read(pools, kFrameMax, frames);
      came += frames.size();
    } while (!frames.empty());
  }
  count(state, came);
}

void tap_in_by_calls(benchmark::State& state) {
  TapBench bench;
  std::array<uint8_t, kFrameMax> buffer;
  uint64_t came = 0;
  for (auto _ : state) {
    state.PauseTiming();
    bench.kernel_sends(kQueued);
    state.ResumeTiming();
    while (bench.tap().queue(0).read(buffer)) ++came;
  }
  count(state, came);
}

void tap_out(benchmark::State& state) {
  TapBench bench;
  SkbPool pool(kBatch, kFrameMax);
  auto kick = make_kick();
  if (!kick) give_up(kick.error().sentence);
  TapWriter writer(bench.tap().queue(0), *kick);
  SkbBatch frames;
  pool.alloc(frames, kBatch);
  for (Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*skb))
    std::ranges::copy(bench.frame(), skb->put(kFrameBytes));
  (void)writer.write(frames);
  writer.make_ring();
  for (auto _ : state) {
    if (writer.write(frames) != 0) give_up("the kernel does not take frames");
  }
  count(state, static_cast<uint64_t>(state.iterations()) * kBatch);
}

void tap_out_by_calls(benchmark::State& state) {
  TapBench bench;
  for (auto _ : state) {
    for (uint32_t i = 0; i < kBatch; ++i) (void)bench.tap().queue(0).write(bench.frame());
  }
  count(state, static_cast<uint64_t>(state.iterations()) * kBatch);
}

// --- The core alone ---

constexpr uint32_t kSmallest = 64, kBurst = 32;

// Gives frames back a burst at a time.
struct NullDriver : PlainDriver {
  using PlainDriver::PlainDriver;
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool more) noexcept USERNIC_NONBLOCKING {
    sent_.push_back(skb);
    if (!more) SkbPool::free(sent_);
    return NetdevTx::kOk;
  }
  SkbBatch sent_;
};

// Sends what one device receives by the other one.
struct Forward final : DevicePort {
  Forward(NetDevice& other, bool with_addresses) : to(other), addresses(with_addresses) {}
  void receive(SkbBatch& frames) noexcept override {
    if (addresses) {
      const uint8_t both[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
      for (Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*skb)) std::ranges::copy(both, skb->data());
    }
    to.xmit(to.tx_queue(0), frames);
  }
  void tx_wake(TxQueue&) noexcept override {}
  void carrier_changed(bool) noexcept override {}
  NetDevice& to;
  const bool addresses;
};

void forward(benchmark::State& state, bool with_addresses) {
  Net net;
  SkbPool pool(4 * kBurst, kFrameMax);
  NetdevPtr from = *net.alloc_netdev<NullDriver>({.name = "from"}), to = *net.alloc_netdev<NullDriver>({.name = "to"});
  Forward port(*to, with_addresses);
  for (NetDevice* dev : {from.get(), to.get()}) {
    if (!dev->register_netdev() || !dev->open()) give_up("the device does not open");
  }
  if (!from->attach_port(port)) give_up("the device has a port");
  for (auto _ : state) {
    SkbBatch frames;
    pool.alloc(frames, kBurst);
    for (Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*skb)) skb->put(kSmallest);
    from->receive(frames);
  }
  from->detach_port();
  if (to->stats().tx_packets != static_cast<uint64_t>(state.iterations()) * kBurst)
    give_up("not every frame was forwarded");
  count(state, static_cast<uint64_t>(state.iterations()) * kBurst);
}

// --- Several queues: a poll thread each, from NAPI to start_xmit ---

// Each of its queues receives as many bursts as it is granted; what is sent on one is freed.
struct QueuesDriver {
  struct alignas(64) Queue {
    Queue(QueuesDriver& driver, uint16_t index) : napi(driver.dev_, driver, Napi::kWeight, index) {}
    Napi napi;
    SkbPool pool{4 * kBurst, kFrameMax};
    SkbBatch sent;
    alignas(64) Atomic<uint32_t> granted{0};
  };
  explicit QueuesDriver(NetDevice& dev) : dev_(dev) {
    for (uint16_t i = 0; i < dev.tx_queue_count(); ++i) queues_.emplace_back(*this, i);
  }
  Result<> open() {
    for (Queue& each : queues_) {
      each.napi.enable();
      dev_.tx_queue(each.napi.queue()).start();
    }
    return {};
  }
  void stop() {
    for (Queue& each : queues_) each.napi.disable();
  }
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING {
    SkbBatch& sent = queues_[queue.index()].sent;
    sent.push_back(skb);
    if (!more) SkbPool::free(sent);
    return NetdevTx::kOk;
  }
  int poll(Napi& napi, int budget) noexcept USERNIC_NONBLOCKING {
    Queue& queue = queues_[napi.queue()];
    if (queue.granted.load() == 0) {
      napi.complete_done(0);
      return 0;
    }
    SkbBatch frames;
    queue.pool.alloc(frames, static_cast<uint32_t>(budget));
    for (Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*skb)) skb->put(kSmallest);
    napi.receive(frames);
    if (queue.granted.fetch_sub(1) == 1) wake_all(queue.granted);
    return budget;
  }
  void carry(uint32_t bursts) {
    for (Queue& each : queues_) {
      each.granted.store(bursts);
      each.napi.schedule();
    }
    for (Queue& each : queues_) {
      for (uint32_t left; (left = each.granted.load()) != 0;) wait_on(each.granted, left);
    }
  }

 private:
  NetDevice& dev_;
  std::deque<Queue> queues_;
};

struct ForwardByQueue final : DevicePort {
  explicit ForwardByQueue(NetDevice& other) : to(other) {}
  void receive(SkbBatch&) noexcept override {}
  void receive_from(uint16_t queue, SkbBatch& frames) noexcept override { to.xmit(to.tx_queue(queue), frames); }
  void tx_wake(TxQueue&) noexcept override {}
  void carrier_changed(bool) noexcept override {}
  NetDevice& to;
};

double process_cpu_s() {
  rusage used{};
  (void)::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

void forward_by_queues(benchmark::State& state, uint16_t queues) {
  constexpr uint32_t kBursts = 20'000;  // of a queue, an iteration
  Net net({.poll_threads = queues});
  const NetdevConfig config{.name = "null%d", .tx_queues = queues, .rx_queues = queues};
  NetdevPtr from = *net.alloc_netdev<QueuesDriver>(config), to = *net.alloc_netdev<QueuesDriver>(config);
  ForwardByQueue port(*to);
  for (NetDevice* dev : {from.get(), to.get()}) {
    if (!dev->register_netdev() || !dev->open()) give_up("the device does not open");
  }
  if (!from->attach_port(port)) give_up("the device has a port");
  const double before = process_cpu_s();
  for (auto _ : state) static_cast<QueuesDriver*>(from->driver())->carry(kBursts);
  const double cpu_s = process_cpu_s() - before;
  const auto frames = static_cast<double>(static_cast<uint64_t>(state.iterations()) * kBursts * queues * Napi::kWeight);
  from->detach_port();
  if (static_cast<double>(to->stats().tx_packets) != frames) give_up("not every frame was forwarded");
  state.counters["mops_per_cpu_s"] = frames * 1e-6 / cpu_s;
  state.counters["mpps"] = benchmark::Counter(frames * 1e-6, benchmark::Counter::kIsRate);
}

BENCHMARK(tap_in)->Name("pps/tap-in");
BENCHMARK(tap_in_by_calls)->Name("pps/tap-in-by-calls");
BENCHMARK(tap_out)->Name("pps/tap-out");
BENCHMARK(tap_out_by_calls)->Name("pps/tap-out-by-calls");
BENCHMARK_CAPTURE(forward, null_io, false)->Name("forward/null-io");
BENCHMARK_CAPTURE(forward, null_mac, true)->Name("forward/null-mac");
BENCHMARK_CAPTURE(forward_by_queues, one, 1)->Name("forward/queues-1")->UseRealTime();
BENCHMARK_CAPTURE(forward_by_queues, two, 2)->Name("forward/queues-2")->UseRealTime();

}  // namespace
}  // namespace usernic

int main(int argc, char** argv) {
  return usernic::run_rows(argc, argv);
}
