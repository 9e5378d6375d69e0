// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/nic.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "daemon/drivers.h"
#include "daemon/feature_names.h"
#include "daemon/log.h"
#include "daemon/usb_ports.h"
#include "usernic/ethtool.h"
#include "usernic/features.h"
#include "usernic/rx_mode.h"

namespace usernic::daemon {
namespace {

uint64_t in_us(Duration duration) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

// Why there is no device; the errno for who asks by program.
struct NotMade {
  std::errc error;
  std::string why;
};

// `driver`: null as long as none is known.
NotMade not_made(const NicConfig& config, const Driver* driver, std::errc error) {
  if (driver != nullptr && driver->why_not != nullptr) return {error, driver->why_not(config, error)};
  if (!config.usb) return {error, fmt::format("cannot make the device: {}", errno_name(error))};
  const std::string_view what = error == std::errc::no_such_device       ? "there is no such device there"
                                : error == std::errc::not_supported      ? "no driver of ours takes what is there"
                                : error == std::errc::connection_refused ? "no USB/IP server listens there"
                                : error == std::errc::network_unreachable
                                    ? "no network leads there; an ordinary user's usernic has one of its own"
                                : error == std::errc::device_or_resource_busy ? "somebody else has the device"
                                : error == std::errc::function_not_supported  ? "this machine has no USB"
                                : error == std::errc::permission_denied || error == std::errc::operation_not_permitted
                                    ? "it may not be opened, or not be taken from the kernel's driver; root may"
                                    : errno_name(error);
  return {error, fmt::format("cannot take the USB device at its 'bus': {}", what)};
}

struct Made {
  NetdevPtr dev;
  const Driver* driver;
};

// By the driver that the config names, or whichever takes the device at its place.
std::expected<Made, NotMade> make_device(const Nic::Site& at, const NicConfig& nic) {
  const NetdevConfig config{
      .name = nic.name, .address = nic.address, .mtu = nic.mtu, .mtu_min = kMtuMin, .mtu_max = kMtuMax};
  std::shared_ptr<usb::Port> port;
  std::unique_ptr<usb::Device> card;
  const Driver* driver = nic.driver;
  if (nic.usb) {
    port = usb_port(*nic.usb, at.wires);
    auto opened = open_when_free(*port);
    if (!opened) return std::unexpected(not_made(nic, driver, opened.error()));
    card = *std::move(opened);
    if (driver == nullptr) driver = usb_driver_for(identity_of(card->descriptors()));
    if (driver == nullptr) return std::unexpected(not_made(nic, driver, std::errc::not_supported));
  }
  if (nic.mtu > driver->mtu_max) {
    return std::unexpected(
        NotMade{std::errc::invalid_argument, fmt::format("its 'mtu' must be at most {} with the driver {}, not {}",
                                                         driver->mtu_max, driver->name, nic.mtu)});
  }
  Result<NetdevPtr> dev = driver->probe({at.net, at.wires, nic, std::move(port), card, at.lowers}, config);
  if (!dev) return std::unexpected(not_made(nic, driver, dev.error()));
  return Made{*std::move(dev), driver};
}

ctl::RxModeReport::Stats report_of(const RxModeStatus::Stats& stats) {
  return {.changes = stats.changes,
          .runs = stats.runs,
          .driver_calls = stats.driver_calls,
          .coalesced = stats.coalesced,
          .retries = stats.retries,
          .failures = stats.failures,
          .lag_us = {in_us(stats.lag_p50), in_us(stats.lag_p99), in_us(stats.lag_max)}};
}

std::optional<ctl::RefusedWish> report_of(const std::optional<RefusedWish>& refused) {
  if (!refused) return std::nullopt;
  return ctl::RefusedWish{refused->wish, std::string(errno_name(refused->answer)), in_us(refused->when - Time())};
}

std::vector<ctl::StatsReport::Queue> report_of(const std::vector<QueueStats::Queue>& queues) {
  std::vector<ctl::StatsReport::Queue> all;
  for (const QueueStats::Queue& each : queues) all.push_back({each.packets, each.bytes, each.dropped});
  return all;
}

ctl::Drops drops_of(const LinkStats& stats, const HostPortStatus& port) {
  return {.filter = stats.rx_filtered,
          .ring_full = stats.rx_missed,
          .too_long = stats.rx_too_long + stats.tx_too_long + port.oversized,
          .no_carrier = stats.rx_off + stats.tx_off,
          .refused = port.receive_dropped,
          .overrun = port.overrun};
}

std::string where(const HostPortStatus& port, bool shown) {
  if (!shown) return "none";
  switch (port.whereabouts) {
    case Whereabouts::kHome:
      return "home";
    case Whereabouts::kElsewhere:
      return fmt::format("net:[{}]", port.netns);
    case Whereabouts::kOutOfReach:
      return "out-of-reach";
    case Whereabouts::kGone:
      return "gone";
  }
  return "";
}

}  // namespace

HostResult<std::unique_ptr<Nic>> Nic::create(const Site& site, const NicConfig& config) {
  const auto why = [&](const HostError& error) {
    return host_fail(error.error, fmt::format("nic '{}': {}", config.name, error.sentence));
  };
  auto made = make_device(site, config);
  if (!made) return why({made.error().error, made.error().why});
  std::unique_ptr<Nic> nic(new Nic(config, site, *made->driver, std::move(made->dev)));
  if (const HostResult<> started = nic->start(site.lowers); !started) return why(started.error());
  return nic;
}

Nic::Nic(const NicConfig& config, const Site& site, const Driver& driver, NetdevPtr dev)
    : config_(config),
      driver_(driver),
      loop_(site.loop),
      netns_(site.netns),
      host_(site.host),
      dev_(std::move(dev)),
      open_([this] { open(); }, dev_.get()) {}

HostResult<> Nic::start(std::span<NetDevice* const> lowers) {
  const auto why = [](std::errc error, std::string_view what) {
    return host_fail(error, fmt::format("{}: {}", what, errno_name(error)));
  };
  if (const auto registered = dev_->register_netdev(); !registered) {
    return why(registered.error(), "cannot register the device");
  }
  for (NetDevice* const lower : lowers) {
    if (driver_.add_lower == nullptr) break;
    if (const auto added = driver_.add_lower(config_, *dev_, *lower); !added) {
      return why(added.error(), fmt::format("cannot be put over '{}'", lower->name()));
    }
  }
  if (const auto set = set_vlans(); !set) return why(set.error(), "cannot set the VLAN filter");
  if (netns_ == nullptr) {
    dev_->lane().queue(open_);
    return {};
  }
  auto port = make_port();
  if (!port) return std::unexpected(port.error());
  MutexGuard guard(port_lock_);
  port_ = *std::move(port);
  return {};
}

Nic::~Nic() {
  open_.cancel_sync();
  MutexGuard guard(port_lock_);
  port_.reset();
}

void Nic::open() {
  if (const Result<> opened = dev_->open(); !opened) {
    log_warning(fmt::format("nic '{}': cannot open the device: {}", config_.name, errno_name(opened.error())));
  }
}

HostResult<std::shared_ptr<HostPort>> Nic::make_port() const {
  const auto log = [](const std::string& sentence) { log_warning(sentence); };
  return HostPort::create(loop_, *dev_, *netns_,
                          {.name = config_.name, .kind = config_.port, .ip_addresses = config_.addresses, .log = log});
}

std::shared_ptr<HostPort> Nic::port() const {
  MutexGuard guard(port_lock_);
  return port_;
}

HostPortStatus Nic::port_status() const {
  const std::shared_ptr<HostPort> port = this->port();
  return port != nullptr ? port->status() : HostPortStatus{.interface = config_.name};
}

std::string Nic::name_now() const {
  const std::shared_ptr<HostPort> port = this->port();
  return port != nullptr ? port->name_now() : config_.name;
}

HostResult<> Nic::attach() {
  if (netns_ == nullptr) {
    return host_fail(
        ENODEV, fmt::format("nic '{}' is to have no interface; the config can say interface = true", config_.name));
  }
  MutexGuard guard(attach_lock_);
  const std::shared_ptr<HostPort> old = port();
  if (old->status().whereabouts == Whereabouts::kHome) {
    return host_fail(EEXIST, fmt::format("nic '{}' has its interface", config_.name));
  }
  old->close();
  auto fresh = make_port();
  if (!fresh) return std::unexpected(fresh.error());
  MutexGuard port_guard(port_lock_);
  port_ = *std::move(fresh);
  return {};
}

Result<> Nic::set_vlans() {
  if (!config_.vlans) return {};
  for (const uint16_t id : *config_.vlans) {
    if (auto added = dev_->rx_mode().vlan_add(id); !added) return added;
  }
  return dev_->rx_mode().set_vlan_filter(true);
}

ctl::LinkRow Nic::link() const {
  const LinkStats stats = dev_->stats();
  const QueueStats queues = dev_->queue_stats();
  const HostPortStatus port = port_status();
  return {.name = port.interface,
          .nic = config_.name,
          .driver = std::string(driver_.name),
          .address = dev_->address(),
          .mtu = dev_->mtu(),
          .up = dev_->running(),
          .carrier = dev_->carrier_ok(),
          .host = host_,
          .where = where(port, netns_ != nullptr),
          .port = port.kind,
          .io = port.io,
          .rx_queues = queues.rx.size(),
          .tx_queues = queues.tx.size(),
          .refused = report_of(port.refused),
          .rx_packets = stats.rx_packets,
          .tx_packets = stats.tx_packets,
          .rx_dropped = stats.rx_dropped + port.receive_dropped,
          .tx_dropped = stats.tx_dropped + port.oversized + port.overrun,
          .rx_filtered = stats.rx_filtered,
          .drops = drops_of(stats, port)};
}

ctl::RxModeReport Nic::rx_mode() const {
  const RxModeStatus status = dev_->rx_mode().status();
  const HostPortStatus port = port_status();
  ctl::RxModeReport report{
      .dev = port.interface, .address = status.own_address, .up = status.up, .where = where(port, netns_ != nullptr)};
  report.generation = {status.generation_wanted, status.generation_programmed};
  report.mode = {std::string(filter_mode_name(status.unicast_mode)),
                 std::string(filter_mode_name(status.multicast_mode)), status.reason};
  report.wanted = {status.wanted_unicast,
                   status.wanted_multicast,
                   status.promiscuity,
                   status.allmulti,
                   {status.wanted_vlans.begin(), status.wanted_vlans.end()}};
  report.programmed = {status.programmed_unicast,
                       status.programmed_multicast,
                       status.programmed_promisc,
                       status.programmed_allmulti,
                       {status.programmed_vlans.begin(), status.programmed_vlans.end()}};
  for (const RxModeStatus::Failed& failed : status.failed) {
    report.failed.push_back(
        {failed.address, std::string(errno_name(failed.error)), failed.attempts, in_us(failed.next_retry) / 1000});
  }
  report.stats = report_of(status.stats);
  return report;
}

ctl::StatsReport Nic::stats() const {
  const LinkStats stats = dev_->stats();
  const QueueStats queues = dev_->queue_stats();
  const HostPortStatus port = port_status();
  return {.dev = port.interface,
          .rx = {.packets = stats.rx_packets,
                 .bytes = stats.rx_bytes,
                 .dropped = stats.rx_dropped,
                 .errors = stats.rx_errors,
                 .filtered = stats.rx_filtered,
                 .off = stats.rx_off,
                 .pause = stats.rx_pause,
                 .refused = port.receive_dropped},
          .tx = {.packets = stats.tx_packets,
                 .bytes = stats.tx_bytes,
                 .dropped = stats.tx_dropped + port.overrun,
                 .errors = stats.tx_errors,
                 .pause = stats.tx_pause,
                 .oversized = port.oversized,
                 .timeouts = stats.tx_timeouts},
          .rx_queues = report_of(queues.rx),
          .tx_queues = report_of(queues.tx),
          .drops = drops_of(stats, port),
          .rx_mode = report_of(dev_->rx_mode().status().stats)};
}

ctl::Outcome<> Nic::set_features(const std::vector<ctl::FeatureWish>& wishes) {
  NetDevice& dev = *dev_;
  const std::string name = port_status().interface;
  const Features hw = dev.hw_features();
  MutexGuard guard(features_lock_);
  const ctl::Outcome<Features> wanted = with_wishes(name, wanted_features_.value_or(dev.features()), hw, wishes);
  if (!wanted) return ctl::refuse(wanted.error());
  if (const Result<> changed = dev.change_features(*wanted); !changed)
    return ctl::refuse(fmt::format("{} refused its features: {}", name, errno_name(changed.error())));
  wanted_features_ = *wanted;
  if (const std::string kept = unfulfilled(name, dev.features(), *wanted, wishes); !kept.empty())
    return ctl::refuse(kept);
  return {};
}

ctl::EthtoolReport Nic::ethtool() const {
  NetDevice& dev = *dev_;
  ctl::EthtoolReport report{.dev = port_status().interface, .driver = std::string(driver_.name)};
  if (const Result<DriverInfo> info = driver_info(dev)) {
    report.version = info->version, report.firmware = info->firmware, report.bus = info->bus;
  }
  report.features = feature_rows(dev.features(), dev.hw_features());
  if (const Result<LinkSettings> link = link_settings(dev)) {
    const char* const duplex = link->duplex == Duplex::kFull   ? "full"
                               : link->duplex == Duplex::kHalf ? "half"
                                                               : "unknown";
    report.link = {link->speed_mbps, duplex, link->autoneg, link->port};
  }
  if (const Result<RingParam> rings = ring_param(dev)) {
    report.rings = {rings->rx, rings->tx, rings->rx_max, rings->tx_max};
  }
  if (const Result<Coalesce> wait = coalesce(dev)) {
    report.coalesce = {wait->rx_usecs, wait->rx_frames, wait->tx_usecs, wait->tx_frames};
  }
  if (const auto counters = named_counters(dev)) {
    for (auto& into = report.counters.emplace(); const NamedCounter& each : *counters)
      into.push_back({each.name, each.value});
  }
  if (const auto registers = register_dump(dev)) {
    for (auto& into = report.registers.emplace(); const RegisterValue& each : *registers)
      into.push_back({each.name, each.offset, each.value});
  }
  return report;
}

}  // namespace usernic::daemon
