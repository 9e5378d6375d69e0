// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/host_loop.h"

#include "host/netns_watch.h"

namespace usernic {

HostResult<std::unique_ptr<HostLoop>> HostLoop::create(const HostLoopConfig& config) {
  auto turns = TurnLoop::create("usernic-host");
  if (!turns) return std::unexpected(turns.error());
  auto readers = Readers::create(config.readers, config.reader_cpus);
  if (!readers) return std::unexpected(readers.error());
  return std::unique_ptr<HostLoop>(new HostLoop(config.audit, *std::move(turns), *std::move(readers)));
}

HostResult<std::shared_ptr<NetnsWatch>> HostLoop::watch(const NetNamespace& netns) {
  std::weak_ptr<NetnsWatch>& known = watches_[netns.id()];
  if (std::shared_ptr<NetnsWatch> watch = known.lock()) return watch;
  HostResult<std::shared_ptr<NetnsWatch>> opened = NetnsWatch::open(*this, netns, audit_);
  if (opened) known = *opened;
  std::erase_if(watches_, [](const auto& each) { return each.second.expired(); });
  return opened;
}

}  // namespace usernic
