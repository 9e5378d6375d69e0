// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: a config, running: hosts, wires and nics.
//
// A nic that is over others is made after them and ends before them. A host is a network namespace that only
// descriptors hold, so it ends with the process, however that ends; a host with `netns` is somebody else's namespace,
// which stays. A nic without `host` is shown where usernic was started by somebody who may administer the network
// there; otherwise in a host that has the nic's name, made if the config has none of that name.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/netconsole.h"
#include "daemon/nic.h"
#include "usernic/unique_fd.h"

namespace usernic::daemon {

class Topology {
 public:
  explicit Topology(const NetConfig& net = {}) : net_(net) {}
  ~Topology();
  Topology(const Topology&) = delete;
  Topology& operator=(const Topology&) = delete;

  // Once. Asks before each host and nic whether it is interrupted; then the answer is false, and what is there goes
  // with the topology, as after an error. `own_namespaces`: the process has moved into namespaces of its own.
  // Context: process, no locks.
  ctl::Outcome<bool> build(const Config& config, bool own_namespaces, const std::function<bool()>& interrupted);

  // Sleeps until each interface was up on both sides, until the deadline, or until `interrupt_fd` is readable.
  // Context: process.
  enum class Up : uint8_t { kAll, kNotAll, kInterrupted };
  ctl::Outcome<Up> wait_up(Time deadline, int interrupt_fd);

  Net& net() noexcept { return net_; }
  const std::vector<std::unique_ptr<Nic>>& nics() const noexcept { return nics_; }
  // The nic that the kernel calls so at this moment, in whatever host; else the one that the config calls so. Or the
  // sentence for who asked for it. "HOST/NAME" where two hosts have one of the name.
  ctl::Outcome<Nic*> nic(std::string_view name) const;
  std::vector<std::string> host_names() const;
  // Descriptors for whoever wants to enter a host: its user namespace, its network namespace.
  ctl::Outcome<std::vector<UniqueFd>> namespaces_of(std::string_view host) const;

 private:
  struct Host {
    std::string name;  // "": where usernic was started
    NetNamespace netns;
  };
  HostResult<> add_host(const HostConfig& config);
  HostResult<const Host*> host_of(const NicConfig& config, bool own_namespaces);
  HostResult<> add_nic(const NicConfig& config, bool own_namespaces);
  Host* find_host(std::string_view name);
  std::vector<Nic*> called(std::string_view host, std::string_view name) const;

  std::vector<std::unique_ptr<Host>> hosts_;
  std::unique_ptr<HostLoop> loop_;
  Net net_;
  simnic::Wires wires_{net_.system_workqueue()};
  std::vector<std::unique_ptr<Nic>> nics_;
  std::optional<Netconsole> netconsole_;
};

}  // namespace usernic::daemon
// Explained best by: tests/e2e
