// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/topology.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <set>

#include "ctl/did_you_mean.h"
#include "host/kick.h"
#include "usernic/notifier.h"
#include "usernic/refusal.h"

namespace usernic::daemon {
namespace {

constexpr LockClass kUpClass{"topology_up"};

// "there is no nic 'x'; did you mean ..." with the names that there are.
std::string no_such(std::string_view what, std::string_view name, const std::vector<std::string>& names) {
  const std::vector<std::string_view> known(names.begin(), names.end());
  return fmt::format("there is no {} '{}'{}", what, ctl::shortened(name), ctl::suggestion(name, known));
}

// What asked for it, for an error that the file cannot be blamed for.
std::string at(const Config& config, int line) {
  return fmt::format("{}:{}: ", config.file, line);
}

// Somebody else's namespace, which we may enter.
HostResult<NetNamespace> open_to_us(const std::string& name) {
  HostResult<NetNamespace> netns = NetNamespace::open(name);
  if (!netns) return netns;
  if (const HostResult<> entered = netns->run([] {}); !entered) {
    const std::errc error = entered.error().error;
    return host_fail(error, fmt::format("cannot enter the network namespace \"{}\": {}{}", name,
                                        std::strerror(static_cast<int>(error)),
                                        error == std::errc::operation_not_permitted ? "; that needs root" : ""));
  }
  return netns;
}

// The CPUs of those that poll come first.
std::vector<int> cpus_behind(const PollConfig& poll) {
  std::vector<int> cpus = poll.cpus;
  if (!cpus.empty()) std::ranges::rotate(cpus, cpus.begin() + poll.threads % static_cast<int>(cpus.size()));
  return cpus;
}

}  // namespace

ctl::Outcome<bool> Topology::build(const Config& config, bool own_namespaces,
                                   const std::function<bool()>& interrupted) {
  HostResult<std::unique_ptr<HostLoop>> loop =
      HostLoop::create({.readers = config.poll.threads, .reader_cpus = cpus_behind(config.poll)});
  if (!loop) return ctl::refuse(loop.error().sentence);
  loop_ = *std::move(loop);
  for (const HostConfig& host : config.hosts) {
    if (interrupted()) return false;
    if (auto added = add_host(host); !added) {
      return ctl::refuse((host.netns.empty() ? "" : at(config, host.netns_line)) + added.error().sentence);
    }
  }
  for (const NicConfig& nic : config.nics) {
    if (interrupted()) return false;
    if (auto added = add_nic(nic, own_namespaces); !added) {
      const bool in_use = added.error().error == std::errc::device_or_resource_busy;
      return ctl::refuse((in_use ? at(config, nic.line) : "") + added.error().sentence);
    }
  }
  if (config.netconsole) netconsole_.emplace(*net_.find(config.netconsole->nic), *config.netconsole);
  return true;
}

Topology::~Topology() {
  netconsole_.reset();  // before its nic
  try {
    std::vector<std::shared_ptr<HostPort>> ports;
    for (const auto& nic : nics_) {
      if (auto port = nic->port()) ports.push_back(std::move(port));
    }
    HostPort::close_all(ports);
  } catch (const std::bad_alloc&) {  // they go one by one
  }
  while (!nics_.empty()) nics_.pop_back();
}

HostResult<> Topology::add_host(const HostConfig& config) {
  auto netns = config.netns.empty() ? NetNamespace::create() : open_to_us(config.netns);
  if (!netns) return host_fail(netns.error().error, fmt::format("host '{}': {}", config.name, netns.error().sentence));
  hosts_.push_back(std::make_unique<Host>(config.name, *std::move(netns)));
  return {};
}

// Where a nic is shown.
HostResult<const Topology::Host*> Topology::host_of(const NicConfig& config, bool own_namespaces) {
  const std::string name = !config.host.empty() ? config.host : own_namespaces ? config.name : "";
  if (find_host(name) == nullptr && !name.empty()) {
    if (auto added = add_host({.name = name}); !added) return std::unexpected(added.error());
  } else if (find_host(name) == nullptr) {
    auto here = NetNamespace::current();
    if (!here) return std::unexpected(here.error());
    hosts_.push_back(std::make_unique<Host>("", *std::move(here)));
  }
  return find_host(name);
}

HostResult<> Topology::add_nic(const NicConfig& config, bool own_namespaces) {
  std::vector<NetDevice*> lowers;
  for (const std::string& name : config.over) lowers.push_back(net_.find(name).get());
  Nic::Site site{.net = net_, .loop = *loop_, .wires = wires_, .lowers = lowers};
  if (config.interface) {
    const HostResult<const Host*> host = host_of(config, own_namespaces);
    if (!host) return std::unexpected(host.error());
    site.netns = &(*host)->netns;
    site.host = (*host)->name;
  }
  auto nic = Nic::create(site, config);
  if (!nic) return std::unexpected(nic.error());
  nics_.push_back(*std::move(nic));
  return {};
}

ctl::Outcome<Topology::Up> Topology::wait_up(Time deadline, int interrupt_fd) {
  HostResult<Kick> made = make_kick();
  if (!made) return ctl::refuse(made.error().sentence);
  Kick& changed = *made;
  // A device that is still opening is running already, and may fail: only the event says that it is up.
  Mutex lock{kUpClass};
  std::set<std::string> up;  // by name
  const Notifier notifier(net_, [&](NetdevEvent event, NetDevice& dev) -> Result<> {
    if (event != NetdevEvent::kUp) return {};
    {
      MutexGuard guard(lock);
      up.insert(dev.name());
    }
    changed.kick();
    return {};
  });
  const auto is_up = [&](const auto& nic) {
    MutexGuard guard(lock);
    return up.contains(nic->dev().name());
  };
  for (auto waited_for = nics_.begin();;) {
    changed.clear();
    waited_for = std::find_if_not(waited_for, nics_.end(), is_up);
    if (waited_for == nics_.end()) return Up::kAll;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return Up::kNotAll;
    pollfd fds[2] = {{changed.fd(), POLLIN, 0}, {interrupt_fd, POLLIN, 0}};
    ::poll(fds, 2, static_cast<int>(left));
    if (fds[1].revents != 0) return Up::kInterrupted;
  }
}

Topology::Host* Topology::find_host(std::string_view name) {
  const auto found = std::ranges::find_if(hosts_, [&](const auto& host) { return host->name == name; });
  return found == hosts_.end() ? nullptr : found->get();
}

// A name that was just given to another is found out: the kernel is asked about each that is about to be answered for,
// and about all when nobody seems to have it.
std::vector<Nic*> Topology::called(std::string_view host, std::string_view name) const {
  const auto find = [&](bool ask) {
    std::vector<Nic*> found;
    for (const auto& nic : nics_) {
      if (!host.empty() && nic->host() != host) continue;
      if ((ask ? nic->name_now() : nic->port_status().interface) == name) found.push_back(nic.get());
    }
    return found;
  };
  std::vector<Nic*> found = find(false);
  const bool still = std::ranges::all_of(found, [&](Nic* nic) { return nic->name_now() == name; });
  return found.empty() || !still ? find(true) : found;
}

ctl::Outcome<Nic*> Topology::nic(std::string_view asked) const {
  if (asked.empty()) return ctl::refuse("the request names no nic");
  const size_t slash = asked.find('/');
  const std::string_view host = slash == asked.npos ? "" : asked.substr(0, slash);
  const std::string_view name = slash == asked.npos ? asked : asked.substr(slash + 1);
  const std::vector<Nic*> found = called(host, name);
  if (found.size() == 1) return found.front();
  if (found.size() > 1) {
    return ctl::refuse(fmt::format("{} nics are called '{}'; say {}/{} or {}/{}", found.size(), name, found[0]->host(),
                                   name, found[1]->host(), name));
  }
  std::vector<std::string> names;
  for (const auto& nic : nics_) {
    if (nic->config().name == name && (host.empty() || nic->host() == host)) return nic.get();
    names.push_back(nic->port_status().interface);
  }
  return ctl::refuse(no_such("nic", asked, names));
}

std::vector<std::string> Topology::host_names() const {
  std::vector<std::string> names;
  for (const auto& host : hosts_) {
    if (!host->name.empty()) names.push_back(host->name);
  }
  return names;
}

ctl::Outcome<std::vector<UniqueFd>> Topology::namespaces_of(std::string_view name) const {
  const auto found = std::ranges::find_if(hosts_, [&](const auto& host) { return host->name == name; });
  if (name.empty()) return ctl::refuse("the request names no host");
  if (found == hosts_.end()) return ctl::refuse(no_such("host", name, host_names()));
  std::vector<UniqueFd> fds;
  fds.emplace_back(::open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC));
  fds.emplace_back(::fcntl((*found)->netns.fd(), F_DUPFD_CLOEXEC, 0));
  if (!fds[0] || !fds[1]) {
    return ctl::refuse("cannot open the host's namespaces: " + refusal(static_cast<std::errc>(errno)));
  }
  return fds;
}

}  // namespace usernic::daemon
