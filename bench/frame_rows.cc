// SPDX-License-Identifier: Apache-2.0 OR MIT
// Rows of bench_data_path that need no second program: 60 octets into a TAP and out of one, as the host port does it
// and with a system call a frame, and the core alone between two ports that do nothing (64 octets, as testpmd's). Of
// one thread: mops_per_cpu_s is by its CPU time.
#include <benchmark/benchmark.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "bench/rows.h"
#include "host/kick.h"
#include "host/tap.h"
#include "host/tap_reader.h"
#include "host/tap_writer.h"
#include "testing/plain_driver.h"
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
    while (bench.tap().read(buffer)) ++came;
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
    for (uint32_t i = 0; i < kBatch; ++i) (void)bench.tap().write(bench.frame());
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

BENCHMARK(tap_in)->Name("pps/tap-in");
BENCHMARK(tap_in_by_calls)->Name("pps/tap-in-by-calls");
BENCHMARK(tap_out)->Name("pps/tap-out");
BENCHMARK(tap_out_by_calls)->Name("pps/tap-out-by-calls");
BENCHMARK_CAPTURE(forward, null_io, false)->Name("forward/null-io");
BENCHMARK_CAPTURE(forward, null_mac, true)->Name("forward/null-mac");

}  // namespace
}  // namespace usernic

int main(int argc, char** argv) {
  return usernic::run_rows(argc, argv);
}
