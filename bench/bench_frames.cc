// SPDX-License-Identifier: Apache-2.0 OR MIT
// What the core itself costs a frame: out of a pool, through a device and back into its pool, by batches; one thread,
// and a driver and a port that do nothing else. Items are frames.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>

#include "bench/rows.h"
#include "capture/frame_ring.h"
#include "testing/plain_driver.h"
#include "usernic/net.h"
#include "usernic/port.h"

namespace usernic {
namespace {

constexpr uint32_t kFrameBytes = 1514;

struct Port final : DevicePort {
  void receive(SkbBatch&) noexcept override {}  // the core frees them
  void tx_wake(TxQueue&) noexcept override {}
  void carrier_changed(bool) noexcept override {}
};

struct Path {
  Net net;
  SkbPool pool{256, kFrameBytes};
  Port port;
  NetdevPtr dev = *net.alloc_netdev<PlainDriver>({.name = "b%d"});

  Path() {
    if (dev->register_netdev() && dev->attach_port(port) && dev->open()) return;
    std::fputs("bench_frames: the device does not open\n", stderr);
    std::abort();
  }
  ~Path() { dev->detach_port(); }
  void fill(SkbBatch& frames, uint32_t count) {
    pool.alloc(frames, count);
    for (Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*skb)) skb->put(kFrameBytes);
  }
};

void xmit(benchmark::State& state) {
  Path path;
  const auto count = static_cast<uint32_t>(state.range(0));
  for (auto _ : state) {
    SkbBatch frames;
    path.fill(frames, count);
    path.dev->xmit(path.dev->tx_queue(0), frames);
  }
  state.SetItemsProcessed(state.iterations() * count);
}

void receive(benchmark::State& state) {
  Path path;
  const auto count = static_cast<uint32_t>(state.range(0));
  for (auto _ : state) {
    SkbBatch frames;
    path.fill(frames, count);
    path.dev->receive(frames);
  }
  state.SetItemsProcessed(state.iterations() * count);
}

// With a capture, of which a thread that has nothing else to do would take the frames.
void captured(benchmark::State& state) {
  Path path;
  Kick kick = *Kick::make();
  FrameRing ring(1 << 20, static_cast<uint32_t>(state.range(1)), kick);
  if (!attach_tap(*path.dev, ring)) std::abort();
  const auto count = static_cast<uint32_t>(state.range(0));
  for (auto _ : state) {
    SkbBatch frames;
    path.fill(frames, count);
    path.dev->xmit(path.dev->tx_queue(0), frames);
    FrameRing::Frame frame;
    for (; ring.front(frame); ring.pop()) benchmark::DoNotOptimize(frame);
  }
  detach_tap(*path.dev, ring);
  state.SetItemsProcessed(state.iterations() * count);
}

void pool(benchmark::State& state) {
  SkbPool pool(256, kFrameBytes);
  for (auto _ : state) SkbPool::free(*pool.alloc());
  state.SetItemsProcessed(state.iterations());
}

// USERNIC_BENCH_ITERATIONS=N: so many of each, for who counts instructions.
void fixed(benchmark::internal::Benchmark* row) {
  if (const char* count = std::getenv("USERNIC_BENCH_ITERATIONS")) row->Iterations(std::atoll(count));
}

BENCHMARK(xmit)->Arg(1)->Arg(32)->Apply(fixed);
BENCHMARK(receive)->Arg(1)->Arg(32)->Apply(fixed);
BENCHMARK(captured)->Args({32, 96})->Args({32, 262'144})->Apply(fixed);
BENCHMARK(pool)->Apply(fixed);

}  // namespace
}  // namespace usernic

int main(int argc, char** argv) {
  return usernic::run_rows(argc, argv);
}
