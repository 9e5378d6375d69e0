// SPDX-License-Identifier: Apache-2.0
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
#include "host/host_port.h"
#include "usernic/net.h"

namespace usernic::daemon {

class Nic {
 public:
  // Shown in `netns`, which the reports call `host`. EBUSY: the interface's name is in use there. Context: process, no
  // locks.
  static HostResult<std::unique_ptr<Nic>> create(Net& net, simnic::Wires& wires, const NicConfig& config,
                                                 const NetNamespace& netns, std::string host);
  ~Nic();
  Nic(const Nic&) = delete;
  Nic& operator=(const Nic&) = delete;

  NetDevice& dev() const noexcept { return *dev_; }
  HostPort& port() const noexcept { return *port_; }
  const NicConfig& config() const noexcept { return config_; }

  // None of these waits for a card.
  ctl::LinkRow link() const;
  ctl::RxModeReport rx_mode() const;
  ctl::StatsReport stats() const;

 private:
  Nic(const NicConfig& config, std::string host, NetdevPtr dev)
      : config_(config), host_(std::move(host)), dev_(std::move(dev)) {}
  Result<> set_vlans();

  const NicConfig config_;
  const std::string host_;
  const NetdevPtr dev_;
  std::unique_ptr<HostPort> port_;  // on top of the device, gone before it
};

}  // namespace usernic::daemon
// Explained best by: tests/e2e
