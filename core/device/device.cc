// SPDX-License-Identifier: Apache-2.0 OR MIT
// What anybody may ask of a device. Its frames are in device_frames.cc, its life in lifecycle.cc.
#include "core/device/device.h"

#include "core/contract/ndo.h"
#include "usernic/long_wait.h"
#include "usernic/net_device.h"

namespace usernic {

std::string_view reg_state_name(RegState state) noexcept {
  switch (state) {
    case RegState::kUninitialized:
      return "UNINITIALIZED";
    case RegState::kRegistered:
      return "REGISTERED";
    case RegState::kUnregistering:
      return "UNREGISTERING";
    case RegState::kUnregistered:
      return "UNREGISTERED";
    case RegState::kReleased:
      return "RELEASED";
  }
  return "unknown";
}

Net& NetDevice::net() const noexcept {
  return Device::of(*this).net_ref;
}
RegState NetDevice::reg_state() const noexcept {
  return Device::of(*this).reg_state_.load();
}
bool NetDevice::running() const noexcept {
  return Device::of(*this).running_.load();
}
bool NetDevice::present() const noexcept {
  return Device::of(*this).present_.load();
}
bool NetDevice::carrier_ok() const noexcept {
  return Device::of(*this).carrier_.load();
}
uint32_t NetDevice::mtu() const noexcept {
  return Device::of(*this).frame_limit.mtu();
}
uint32_t NetDevice::frame_bytes_max() const noexcept {
  return Device::of(*this).frame_limit.frame_bytes_max();
}
uint32_t NetDevice::mtu_min() const noexcept {
  return Device::of(*this).mtu_min_;
}
uint32_t NetDevice::mtu_max() const noexcept {
  return Device::of(*this).mtu_max_;
}
MacAddress NetDevice::address() const noexcept {
  return MacAddress::from_u64(Device::of(*this).address_.load());
}
void* NetDevice::driver() const noexcept {
  return Device::of(*this).driver_;
}

std::string_view NetDevice::driver_name() const noexcept {
  return Device::of(*this).ops.driver;
}

std::string NetDevice::name() const {
  const Device& dev = Device::of(*this);
  SpinGuard guard(dev.name_lock);
  return dev.name_;
}

OwnAddresses& NetDevice::own_addresses() noexcept {
  return Device::of(*this).own_addresses_;
}
AddressList& NetDevice::uc() noexcept {
  return Device::of(*this).engine.wanted.uc;
}
AddressList& NetDevice::mc() noexcept {
  return Device::of(*this).engine.wanted.mc;
}
RxMode& NetDevice::rx_mode() noexcept {
  return Device::of(*this).engine;
}
const RxMode& NetDevice::rx_mode() const noexcept {
  return Device::of(*this).engine;
}
Workqueue& NetDevice::lane() noexcept {
  return Device::of(*this).lane_queue;
}
uint16_t NetDevice::tx_queue_count() const noexcept {
  return static_cast<uint16_t>(Device::of(*this).tx_queues.size());
}
TxQueue& NetDevice::tx_queue(uint16_t index) noexcept {
  return Device::of(*this).tx_queues[index];
}
std::vector<std::string> NetDevice::ref_holders() const {
  return Device::of(*this).refs.holders();
}

Features NetDevice::hw_features() const noexcept {
  return Device::of(*this).hw_features_;
}
Features NetDevice::features() const noexcept {
  return Features::from_bits(Device::of(*this).features_.load(std::memory_order_relaxed));
}

LinkStats NetDevice::stats() const {
  const Device& dev = Device::of(*this);
  LinkStats sum;
  for (const TxQueue& queue : dev.tx_queues) {
    sum.tx_packets += queue.counters.packets.load(std::memory_order_relaxed);
    sum.tx_bytes += queue.counters.bytes.load(std::memory_order_relaxed);
    sum.tx_dropped += queue.counters.dropped.load(std::memory_order_relaxed);
    sum.tx_too_long += queue.counters.too_long.load(std::memory_order_relaxed);
    sum.tx_off += queue.counters.off.load(std::memory_order_relaxed);
    sum.tx_timeouts += queue.timeouts_.load(std::memory_order_relaxed);
  }
  sum.rx_packets += dev.receiving.counters.packets.load(std::memory_order_relaxed);
  sum.rx_bytes += dev.receiving.counters.bytes.load(std::memory_order_relaxed);
  sum.rx_dropped += dev.receiving.counters.dropped.load(std::memory_order_relaxed);
  sum.rx_too_long += dev.receiving.counters.too_long.load(std::memory_order_relaxed);
  SpinGuardBh guard(dev.napis_lock);
  sum.rx_packets += dev.napis_gone.rx_packets;
  sum.rx_bytes += dev.napis_gone.rx_bytes;
  sum.rx_dropped += dev.napis_gone.rx_dropped;
  sum.rx_too_long += dev.napis_gone.rx_too_long;
  for (const Napi& napi : dev.napis) {
    sum.rx_packets += napi.counters.packets.load(std::memory_order_relaxed);
    sum.rx_bytes += napi.counters.bytes.load(std::memory_order_relaxed);
    sum.rx_dropped += napi.counters.dropped.load(std::memory_order_relaxed);
    sum.rx_too_long += napi.counters.too_long.load(std::memory_order_relaxed);
  }
  // Registered, the driver lives: unregistering waits for whoever read that under this lock.
  if (has_ndo<Ndo::kGetStats>(dev) && dev.reg_state_.load() == RegState::kRegistered)
    call_ndo<Ndo::kGetStats>(dev, sum);
  return sum;
}

QueueStats NetDevice::queue_stats() const {
  const Device& dev = Device::of(*this);
  const auto add = [](QueueStats::Queue& to, const QueueCounters& counters) {
    to.packets += counters.packets.load(std::memory_order_relaxed);
    to.bytes += counters.bytes.load(std::memory_order_relaxed);
    to.dropped += counters.dropped.load(std::memory_order_relaxed);
  };
  QueueStats each;
  for (const TxQueue& queue : dev.tx_queues) add(each.tx.emplace_back(), queue.counters);
  each.rx.resize(dev.rx_queues);
  add(each.rx.front(), dev.receiving.counters);
  SpinGuardBh guard(dev.napis_lock);
  for (const Napi& napi : dev.napis) {
    if (napi.queue() < each.rx.size()) add(each.rx[napi.queue()], napi.counters);
  }
  return each;
}

namespace {

void set_carrier(Device& dev, bool on) noexcept USERNIC_NONBLOCKING {
  if (dev.carrier_.exchange(on) == on) return;
  // Of two who race the later one must not tell the older state.
  if (InPort port(dev); port) port->carrier_changed(dev.carrier_.load());
  tell_uppers(dev);
}

}  // namespace

void NetDevice::carrier_on() noexcept {
  set_carrier(Device::of(*this), true);
}
void NetDevice::carrier_off() noexcept {
  set_carrier(Device::of(*this), false);
}

Result<> NetDevice::attach_port(DevicePort& port) {
  Device& dev = Device::of(*this);
  if (dev.reg_state_.load() != RegState::kRegistered) return fail(std::errc::no_such_device);
  DevicePort* none = nullptr;
  if (!dev.port.compare_exchange_strong(none, &port)) return fail(std::errc::device_or_resource_busy);
  return {};
}

void NetDevice::detach_port() {
  Device& dev = Device::of(*this);
  const ReportsOn concerned(dev);
  might_sleep();
  dev.port.store(nullptr);
  LongWait wait("a port's last call to end, so that it is detached");
  for (uint32_t users = dev.receiving.port_users.load(); users != 0; users = dev.receiving.port_users.load()) {
    wait.on(dev.receiving.port_users, users);
  }
}

}  // namespace usernic
