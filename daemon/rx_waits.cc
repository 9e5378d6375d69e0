// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/rx_waits.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "usernic/address_list.h"
#include "usernic/lower_link.h"
#include "usernic/net.h"
#include "usernic/rx_mode.h"

namespace usernic::daemon {
namespace {

using std::chrono::milliseconds;

constexpr Duration kLookAgain = milliseconds(1);     // for what nobody announces
constexpr Duration kStopWithin = milliseconds(100);  // the core's waits know no stop token
constexpr uint64_t kBurstAddresses = 10'000;
// Locally administered groups that no protocol uses.
constexpr uint64_t kBurstFirstAddress = 0x0300'6275'0000;

uint64_t us_of(Time time) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count());
}

// Repeats a wait of the core in slices until it is done, fails before its slice is over, or there is no time left.
template <class Wait>
Result<> wait_in_slices(Time deadline, const StopToken& stop, Wait&& wait) {
  for (;;) {
    const Time slice = std::min(deadline, Clock::now() + kStopWithin);
    const Result<> result = wait(slice);
    if (result || Clock::now() < slice || slice == deadline || stop.stop_requested()) return result;
  }
}

Whereabouts whereabouts_of(const HostPort* port) {
  return port != nullptr ? port->status().whereabouts : Whereabouts::kHome;
}

// What a device's frames come through. Of several the idle ones may be down.
std::vector<DeviceHandle> in_use_below(const NetDevice& dev) {
  std::vector<DeviceHandle> lowers;
  {
    MutexGuard rtnl(dev.net().rtnl());
    lowers = lowers_of(dev);
  }
  if (lowers.size() > 1) std::erase_if(lowers, [](const DeviceHandle& each) { return !each->running(); });
  return lowers;
}

// The device, then what is below it: what it wants has been passed on by then. `at`: the one that is not settled.
Result<> settle_stack(const DeviceHandle& dev, Time deadline, DeviceHandle& at) {
  at = dev;
  if (const Result<> settled = dev->rx_mode().settle(deadline); !settled) return settled;
  for (const DeviceHandle& lower : in_use_below(*dev)) {
    if (const Result<> settled = settle_stack(lower, deadline, at); !settled) return settled;
  }
  return {};
}

// Why a device is not settled; `missing` addresses are listed beside it.
std::string reason(const NetDevice& dev, const HostPort* port, size_t missing, std::errc error,
                   std::string_view otherwise) {
  const Whereabouts whereabouts = whereabouts_of(port);
  if (whereabouts == Whereabouts::kGone) return "its interface was deleted; 'usernic attach' makes it again";
  if (whereabouts == Whereabouts::kOutOfReach) return "its interface was moved to where it cannot be followed";
  if (error == std::errc::no_such_device) return "the device is gone";
  if (!dev.running()) return "the device is down";
  if (missing > 0) return fmt::format("{} {} not covered", missing, missing == 1 ? "address is" : "addresses are");
  return std::string(otherwise);
}

double percentile_us(const std::vector<uint32_t>& sorted_ns, double part) {
  if (sorted_ns.empty()) return 0;
  const auto index = static_cast<size_t>(part * static_cast<double>(sorted_ns.size() - 1));
  return static_cast<double>(sorted_ns[index]) / 1000;
}

}  // namespace

ctl::WaitReport wait_covered(NetDevice& dev, HostPort* port, Time as_of, Time deadline, const StopToken& stop) {
  const auto not_covered = [&](std::errc error, std::string_view otherwise) {
    ctl::WaitReport report{.missing = dev.rx_mode().status().uncovered};
    report.reason = reason(dev, port, report.missing.size(), error, otherwise);
    return report;
  };
  if (deadline > as_of && port != nullptr) {
    const auto known = wait_in_slices(deadline, stop, [&](Time slice) { return port->wait_known(as_of, slice); });
    if (!known) return not_covered(known.error(), "what the kernel wants has not reached the device yet");
  }
  for (;;) {
    DeviceHandle at;
    const Result<> settled =
        wait_in_slices(deadline, stop, [&](Time slice) { return settle_stack(DeviceHandle(dev), slice, at); });
    if (settled) return {.covered = true};
    const bool may_come_up = settled.error() == std::errc::network_down && whereabouts_of(port) != Whereabouts::kGone;
    if (!may_come_up || Clock::now() >= deadline ||
        stop.wait_until(std::min(deadline, Clock::now() + 10 * kLookAgain))) {
      if (at.get() == &dev) return not_covered(settled.error(), "the card has not answered yet");
      return {.missing = at->rx_mode().status().uncovered,
              .reason = fmt::format("{}, below it, {}", at->name(),
                                    settled.error() == std::errc::network_down ? "is down" : "has not answered yet")};
    }
  }
}

ctl::AddressReport wait_address(NetDevice& dev, const MacAddress& address, Time deadline, const StopToken& stop) {
  const AddressList& list = address.is_multicast() ? dev.mc() : dev.uc();
  const auto mode = [&](const RxModeStatus& status) {
    return std::string(filter_mode_name(address.is_multicast() ? status.multicast_mode : status.unicast_mode));
  };
  while (!list.contains(address)) {
    if (dev.rx_mode().covered(address)) {
      const RxModeStatus status = dev.rx_mode().status();
      const uint64_t now_us = us_of(Clock::now());
      if (status.programmed_promisc) {
        return {.covered = true, .wanted_at_us = now_us, .covered_at_us = now_us, .mode = mode(status)};
      }
    }
    if (Clock::now() >= deadline) return {.error = "nobody wanted it in time"};
    if (stop.wait_until(Clock::now() + kLookAgain)) return {.error = "stopped"};
  }
  ctl::AddressReport report{.wanted_at_us = us_of(Clock::now())};
  const RxTicket ticket = dev.rx_mode().ticket(address);
  const Result<> waited = wait_in_slices(deadline, stop, [&](Time slice) { return dev.rx_mode().wait(ticket, slice); });
  report.covered = waited.has_value();
  report.covered_at_us = us_of(Clock::now());
  report.mode = mode(dev.rx_mode().status());
  if (!waited) report.error = errno_name(waited.error());
  return report;
}

ctl::BurstReport burst(NetDevice& dev, uint64_t changes, Time deadline, const StopToken& stop) {
  const uint64_t driver_calls_before = dev.rx_mode().status().stats.driver_calls;
  std::vector<uint32_t> costs_ns;
  costs_ns.reserve(changes);
  std::vector<bool> held(kBurstAddresses);
  const Time start = Clock::now();
  Time before = start;
  for (uint64_t i = 0; i < changes && !stop.stop_requested(); ++i) {
    const uint64_t which = i % kBurstAddresses;
    const MacAddress address = MacAddress::from_u64(kBurstFirstAddress + which);
    const Result<> changed = held[which] ? dev.mc().del(address) : dev.mc().add(address);
    const Time after = Clock::now();
    if (changed) held[which] = !held[which], costs_ns.push_back(static_cast<uint32_t>((after - before).count()));
    before = after;
  }
  for (uint64_t which = 0; which < kBurstAddresses; ++which) {
    if (held[which]) dev.mc().del(MacAddress::from_u64(kBurstFirstAddress + which));
  }
  const Result<> settled = wait_in_slices(deadline, stop, [&](Time slice) { return dev.rx_mode().settle(slice); });
  const Time end = Clock::now();
  std::ranges::sort(costs_ns);
  return {.changes = costs_ns.size(),
          .driver_calls = dev.rx_mode().status().stats.driver_calls - driver_calls_before,
          .change_p50_us = percentile_us(costs_ns, 0.50),
          .change_p99_us = percentile_us(costs_ns, 0.99),
          .change_max_us = percentile_us(costs_ns, 1),
          .settled_us = us_of(end) - us_of(start),
          .settled = settled.has_value()};
}

}  // namespace usernic::daemon
