// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: the one thread that does the kernel's side of every port, and those that read for them.
//
// Ports that are shown in one network namespace share what listens and looks there: its watch, which is opened by the
// first and goes with the last.
//
// Locks: as a TurnLoop. Errors: HostError, with a sentence.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "host/netns.h"
#include "host/readers.h"
#include "host/turn_loop.h"

namespace usernic {

class NetnsWatch;

struct HostLoopConfig {
  Duration audit = std::chrono::milliseconds(250);  // from one audit (netns_watch.h) to the next, at least
  uint16_t readers = 1;                             // threads that read what the kernel sends; at least one
  std::vector<int> reader_cpus = {};                // they run on these, in turn; empty: wherever they may
};

class HostLoop {
 public:
  using Client = TurnLoop::Client;

  // Fails where there is no descriptor or thread left.
  static HostResult<std::unique_ptr<HostLoop>> create(const HostLoopConfig& config = {});
  // Requires: no clients.
  ~HostLoop() = default;
  HostLoop(const HostLoop&) = delete;
  HostLoop& operator=(const HostLoop&) = delete;

  TurnLoop& turns() noexcept { return *turns_; }
  Readers& readers() noexcept { return *readers_; }
  // The watch of that namespace, opened if there is none. The loop's thread.
  HostResult<std::shared_ptr<NetnsWatch>> watch(const NetNamespace& netns);

 private:
  HostLoop(Duration audit, std::unique_ptr<TurnLoop> turns, std::unique_ptr<Readers> readers) noexcept
      : audit_(audit), turns_(std::move(turns)), readers_(std::move(readers)) {}

  const Duration audit_;
  const std::unique_ptr<TurnLoop> turns_;
  const std::unique_ptr<Readers> readers_;
  std::map<uint64_t, std::weak_ptr<NetnsWatch>> watches_;  // by NetNamespace::id(); the loop's thread's
};

}  // namespace usernic
// Explained best by: host/netns_watch_test.cc
