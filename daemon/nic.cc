// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/nic.h"

#include <fmt/format.h>

#include <cctype>

#include "daemon/log.h"
#include "daemon/usb_ports.h"
#include "drivers/dummy/dummy.h"
#include "drivers/simnic/simnic.h"

namespace usernic::daemon {
namespace {

constexpr Duration kProbeMost = std::chrono::seconds(5);
constexpr Duration kBusyLook = std::chrono::milliseconds(50);

uint64_t in_us(Duration duration) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

MacAddress random_address() {
  MacAddress address = MacAddress::from_u64(random_u64());
  address.octets[0] = static_cast<uint8_t>((address.octets[0] & 0xfc) | 0x02);  // unicast, locally administered
  return address;
}

// As the config would name it; of a device on a bus it may have named none.
std::string shown_driver(const NicConfig& config, const NetDevice& dev) {
  if (config.driver != DriverKind::kUsb) return std::string(driver_name(config.driver));
  std::string name(dev.driver_name());
  for (char& letter : name) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return name;
}

// By the driver that the config names, or whichever takes the device.
Result<NetdevPtr> make_usb_device(Net& net, simnic::Wires& wires, const NetdevConfig& config, const NicConfig& nic) {
  const usb::Wait wait{.deadline = Clock::now() + kProbeMost};
  const std::shared_ptr<usb::Port> port = usb_port(*nic.usb, wires);
  const UsbDriver* driver = usb_driver(driver_name(nic.driver));
  if (nic.driver == DriverKind::kUsb) {
    const Result<std::unique_ptr<usb::Device>> device = port->open(wait);
    if (!device) return fail(device.error());
    driver = usb_driver_for((*device)->descriptors().vendor, (*device)->descriptors().product);
  }
  if (driver == nullptr) return fail(std::errc::not_supported);
  // A server may not have seen yet that whoever looked has let go.
  for (;;) {
    Result<NetdevPtr> made = driver->probe(net, config, port, wait);
    if (made || made.error() != std::errc::device_or_resource_busy || Clock::now() >= wait.deadline) return made;
    wait.stop.wait_until(Clock::now() + kBusyLook);
  }
}

Result<NetdevPtr> make_device(Net& net, simnic::Wires& wires, const NicConfig& nic) {
  NetdevConfig config{.name = nic.name, .address = nic.address, .mtu = nic.mtu, .mtu_min = kMtuMin, .mtu_max = kMtuMax};
  if (nic.driver == DriverKind::kDummy) return Dummy::probe(net, config);
  if (nic.usb) return make_usb_device(net, wires, config, nic);
  const MacAddress permanent = nic.address.is_zero() ? random_address() : nic.address;
  return Simnic::probe(net, config, std::make_shared<simnic::Card>(nic.simnic, permanent, wires.wire(nic.simnic.wire)));
}

std::string cannot_make(const NicConfig& config, std::errc error) {
  if (!config.usb) return fmt::format("cannot make the device: {}", errno_name(error));
  const std::string_view what = error == std::errc::no_such_device            ? "there is no such device there"
                                : error == std::errc::not_supported           ? "no driver of ours takes what is there"
                                : error == std::errc::connection_refused      ? "no USB/IP server listens there"
                                : error == std::errc::device_or_resource_busy ? "somebody else has the device"
                                                                              : errno_name(error);
  return fmt::format("cannot take the USB device at its 'bus': {}", what);
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

std::string where(const HostPortStatus& port) {
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

HostResult<std::unique_ptr<Nic>> Nic::create(Net& net, simnic::Wires& wires, const NicConfig& config,
                                             const NetNamespace& netns, std::string host) {
  const auto why = [&](std::errc error, std::string_view what) {
    return host_fail(error, fmt::format("nic '{}': {}", config.name, what));
  };
  Result<NetdevPtr> dev = make_device(net, wires, config);
  if (!dev) return why(dev.error(), cannot_make(config, dev.error()));
  std::unique_ptr<Nic> nic(new Nic(config, netns, std::move(host), *std::move(dev)));
  if (const auto registered = nic->dev_->register_netdev(); !registered) {
    return why(registered.error(), fmt::format("cannot register the device: {}", errno_name(registered.error())));
  }
  if (const auto set = nic->set_vlans(); !set) {
    return why(set.error(), fmt::format("cannot set the VLAN filter: {}", errno_name(set.error())));
  }
  auto port = nic->make_port();
  if (!port) return why(port.error().error, port.error().sentence);
  MutexGuard guard(nic->port_lock_);
  nic->port_ = *std::move(port);
  return nic;
}

Nic::~Nic() {
  MutexGuard guard(port_lock_);
  port_.reset();
}

HostResult<std::shared_ptr<HostPort>> Nic::make_port() const {
  const auto log = [](const std::string& sentence) { log_warning(sentence); };
  return HostPort::create(*dev_, netns_, {.name = config_.name, .ip_addresses = config_.addresses, .log = log});
}

std::shared_ptr<HostPort> Nic::port() const {
  MutexGuard guard(port_lock_);
  return port_;
}

HostResult<> Nic::attach() {
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
  const HostPortStatus port = this->port()->status();
  return {.name = port.interface,
          .nic = config_.name,
          .driver = shown_driver(config_, *dev_),
          .address = dev_->address(),
          .mtu = dev_->mtu(),
          .up = dev_->running(),
          .carrier = dev_->carrier_ok(),
          .host = host_,
          .where = where(port),
          .refused = report_of(port.refused),
          .rx_packets = stats.rx_packets,
          .tx_packets = stats.tx_packets,
          .rx_dropped = stats.rx_dropped + port.receive_dropped,
          .tx_dropped = stats.tx_dropped + port.oversized,
          .rx_filtered = stats.rx_filtered};
}

ctl::RxModeReport Nic::rx_mode() const {
  const RxModeStatus status = dev_->rx_mode().status();
  const HostPortStatus port = this->port()->status();
  ctl::RxModeReport report{.dev = port.interface, .address = status.own_address, .up = status.up, .where = where(port)};
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
  const HostPortStatus port = this->port()->status();
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
                 .dropped = stats.tx_dropped,
                 .errors = stats.tx_errors,
                 .pause = stats.tx_pause,
                 .oversized = port.oversized},
          .rx_mode = report_of(dev_->rx_mode().status().stats)};
}

}  // namespace usernic::daemon
