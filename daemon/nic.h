// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: one nic of the config, running: a device, its driver, and the host port that shows it.
//
// Made in this order: card, device, registration, VLAN ids, host port. Destroyed in the opposite one; the kernel's
// interface goes first.
#pragma once

#include <memory>
#include <string>

#include "ctl/messages.h"
#include "ctl/outcome.h"
#include "daemon/config.h"
#include "drivers/simnic/wire.h"
#include "host/host_loop.h"
#include "host/host_port.h"
#include "usernic/net.h"

namespace usernic::daemon {

class Nic {
 public:
  // Shown by `loop` in `netns`, which the reports call `host`. They outlive it. EBUSY: the interface's name is in use
  // there.
  // Context: process, no locks.
  static HostResult<std::unique_ptr<Nic>> create(Net& net, HostLoop& loop, simnic::Wires& wires,
                                                 const NicConfig& config, const NetNamespace& netns, std::string host);
  ~Nic();
  Nic(const Nic&) = delete;
  Nic& operator=(const Nic&) = delete;

  NetDevice& dev() const noexcept { return *dev_; }
  // It stays while somebody holds it, also when `attach` has put another in its place.
  std::shared_ptr<HostPort> port() const;
  const NicConfig& config() const noexcept { return config_; }
  const std::string& host() const noexcept { return host_; }

  // Makes the interface again where it was made first, as the config says, when it is not there any more: deleted, or
  // moved elsewhere, where it then goes. EEXIST: it is there. Context: process, no locks; takes the kernel's time.
  HostResult<> attach();

  // None of these waits for a card.
  ctl::LinkRow link() const;
  ctl::RxModeReport rx_mode() const;
  ctl::StatsReport stats() const;

 private:
  Nic(const NicConfig& config, HostLoop& loop, const NetNamespace& netns, std::string host, const Driver& driver,
      NetdevPtr dev)
      : config_(config), driver_(driver), loop_(loop), netns_(netns), host_(std::move(host)), dev_(std::move(dev)) {}
  Result<> set_vlans();
  HostResult<std::shared_ptr<HostPort>> make_port() const;

  const NicConfig config_;
  const Driver& driver_;
  HostLoop& loop_;
  const NetNamespace& netns_;
  const std::string host_;
  const NetdevPtr dev_;
  static constexpr LockClass kAttachClass{"nic_attach"};
  Mutex attach_lock_{kAttachClass};
  static constexpr LockClass kPortClass{"nic_port"};
  mutable Mutex port_lock_{kPortClass};
  std::shared_ptr<HostPort> port_ USERNIC_GUARDED_BY(port_lock_);  // on top of the device, gone before it
};

}  // namespace usernic::daemon
// Explained best by: tests/e2e
