// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: one nic of the config, running: a device, its driver, and the host port that shows it.
//
// Made in this order: card, device, registration, lower devices, VLAN ids, host port. Destroyed in the opposite one;
// the kernel's interface goes first. One that is not shown to the kernel is open as long as it is there.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "ctl/messages.h"
#include "ctl/outcome.h"
#include "daemon/config.h"
#include "drivers/simnic/wire.h"
#include "host/host_loop.h"
#include "host/host_port.h"
#include "usernic/features.h"
#include "usernic/net.h"

namespace usernic::daemon {

class Nic {
 public:
  // Where it is made. Over `lowers`; shown by `loop` in `netns`, which the reports call `host`; null: to nobody. All
  // but `lowers` outlive it.
  struct Site {
    Net& net;
    HostLoop& loop;
    simnic::Wires& wires;
    std::span<NetDevice* const> lowers = {};
    const NetNamespace* netns = nullptr;
    std::string host = "";
  };
  // EBUSY: the interface's name is in use there. Context: process, no locks.
  static HostResult<std::unique_ptr<Nic>> create(const Site& site, const NicConfig& config);
  ~Nic();
  Nic(const Nic&) = delete;
  Nic& operator=(const Nic&) = delete;

  NetDevice& dev() const noexcept { return *dev_; }
  // Null: it has no interface. It stays while somebody holds it, also when `attach` has put another in its place.
  std::shared_ptr<HostPort> port() const;
  // Of the port; of none where there is none.
  HostPortStatus port_status() const;
  // What the kernel calls it at this moment; without an interface: what the config does.
  std::string name_now() const;
  const NicConfig& config() const noexcept { return config_; }
  const std::string& host() const noexcept { return host_; }

  // Makes the interface again where it was made first, as the config says, when it is not there any more: deleted, or
  // moved elsewhere, where it then goes. EEXIST: it is there. ENODEV: it is to have none. Context: process, no locks;
  // takes the kernel's time.
  HostResult<> attach();

  // None of these waits for a card.
  ctl::LinkRow link() const;
  ctl::RxModeReport rx_mode() const;
  ctl::StatsReport stats() const;
  // Waits for the driver, and for what its card does now. Context: process, no locks.
  ctl::EthtoolReport ethtool() const;
  ctl::Outcome<> set_features(const std::vector<ctl::FeatureWish>& wishes);

 private:
  Nic(const NicConfig& config, const Site& site, const Driver& driver, NetdevPtr dev);
  HostResult<> start(std::span<NetDevice* const> lowers);
  Result<> set_vlans();
  void open();
  HostResult<std::shared_ptr<HostPort>> make_port() const;

  const NicConfig config_;
  const Driver& driver_;
  HostLoop& loop_;
  const NetNamespace* const netns_;  // null: it is not shown
  const std::string host_;
  const NetdevPtr dev_;
  Work open_;  // of one that is not shown; on its lane: a card may take its time
  static constexpr LockClass kAttachClass{"nic_attach"};
  static constexpr LockClass kFeaturesClass{"nic_features"};
  Mutex attach_lock_{kAttachClass};
  // What is wanted of its features: what goes only with another is on again with that. [kernel: wanted_features]
  Mutex features_lock_{kFeaturesClass};
  std::optional<Features> wanted_features_ USERNIC_GUARDED_BY(features_lock_);
  static constexpr LockClass kPortClass{"nic_port"};
  mutable Mutex port_lock_{kPortClass};
  std::shared_ptr<HostPort> port_ USERNIC_GUARDED_BY(port_lock_);  // on top of the device, gone before it
};

}  // namespace usernic::daemon
// Explained best by: tests/e2e
