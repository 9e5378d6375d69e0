// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/net.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "core/device/device.h"
#include "core/device/net_impl.h"
#include "core/lock/site_class.h"
#include "usernic/contract_report.h"

namespace usernic {
namespace {

// A name is taken before the device's init runs.
bool is_visible(const Device& dev) {
  return dev.reg_state_.load() != RegState::kUninitialized;
}

}  // namespace

bool is_device_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > kNameMax || name == "." || name == "..") return false;
  const size_t percent = name.find('%');
  if (percent != name.npos && (name.substr(percent, 2) != "%d" || name.rfind('%') != percent)) return false;
  return std::none_of(name.begin(), name.end(), [](unsigned char c) { return c <= ' ' || c == '/' || c == ':'; });
}

Net::Net(const NetConfig& config) : impl_(new Impl(config)) {}

Net::~Net() {
  if (impl_->allocated.load() == 0) return;
  report_contract("net-freed", "a Net is destroyed before its devices and the handles of them", Place::current());
}

Result<NetdevPtr> Net::alloc(const NetdevConfig& config, const NetDeviceOps& ops) {
  const bool mtu_ok = config.mtu_min <= config.mtu && config.mtu <= config.mtu_max;
  const bool address_ok = config.address.is_zero() || config.address.is_valid_own();
  if (!is_device_name(config.name) || !mtu_ok || !address_ok || config.tx_queues == 0) {
    return fail(std::errc::invalid_argument);
  }
  try {
    NetdevConfig complete = config;
    if (complete.address.is_zero() && !config.address_later) complete.address = MacAddress::generate();
    NetdevPtr dev(new Device(*this, complete, ops));
    impl_->allocated.fetch_add(1);
    return dev;
  } catch (const std::bad_alloc&) {
    return fail(std::errc::not_enough_memory);
  }
}

SkbPool& Net::shared_pool(uint32_t frame_bytes_max) {
  MutexGuard guard(impl_->pools_lock);
  return impl_->pools.try_emplace(frame_bytes_max, Impl::kSharedFrames, frame_bytes_max).first->second;
}

Result<NetdevPtr> Net::alloc_netdev_with(const NetdevConfig& config, const NetDeviceOps& ops, void* driver) {
  const int styles = (ops.set_rx_mode_async != nullptr) + (ops.write_rx_mode != nullptr) +
                     (ops.set_rx_mode != nullptr) + (ops.set_rx_mode_kernel != nullptr);
  const bool half = (ops.prepare_rx_mode == nullptr) != (ops.write_rx_mode == nullptr) ||
                    (ops.prepare_rx_mode == nullptr) != (ops.rx_image == nullptr) ||
                    (ops.vlan_rx_add_vid == nullptr) != (ops.vlan_rx_kill_vid == nullptr);
  const bool vlans_twice =
      ops.vlan_rx_add_vid != nullptr && ops.set_rx_mode == nullptr && ops.set_rx_mode_kernel == nullptr;
  const bool required = ops.open != nullptr && ops.stop != nullptr && ops.start_xmit != nullptr;
  if (!required || styles > 1 || half || vlans_twice || driver == nullptr) return fail(std::errc::invalid_argument);
  Result<NetdevPtr> dev = alloc(config, ops);
  if (dev) set_driver(**dev, driver);
  return dev;
}

void Net::set_driver(NetDevice& dev, void* driver) {
  Device::of(dev).driver_ = driver;
}

DeviceHandle Net::find(std::string_view name) const {
  MutexGuard guard(impl_->names_lock);
  const auto it = impl_->names.find(name);
  return it != impl_->names.end() && is_visible(*it->second) ? DeviceHandle(*it->second) : DeviceHandle();
}

std::vector<DeviceHandle> Net::devices() const {
  std::vector<DeviceHandle> all;
  MutexGuard guard(impl_->names_lock);
  for (const auto& [name, dev] : impl_->names) {
    if (is_visible(*dev)) all.emplace_back(*dev);
  }
  return all;
}

Mutex& Net::rtnl() noexcept {
  return impl_->rtnl;
}
Workqueue& Net::system_workqueue() noexcept {
  return impl_->system;
}

Workqueue::Workqueue(Net& net, std::string name, int max_active, Place where)
    : Workqueue(net.impl().workers, name, max_active,
                class_of_site("queue " + name.substr(0, name.find_first_of("0123456789")), nullptr, where)) {}

Device::Device(Net& net, const NetdevConfig& config, const NetDeviceOps& the_ops)
    : net_ref(net),
      poll_threads(net.impl().poll_threads),
      ops(the_ops),
      rx_queues(std::max<uint16_t>(config.rx_queues, 1)),
      mtu_min_(config.mtu_min),
      mtu_max_(config.mtu_max),
      name_(config.name),
      own_addresses_(*this, config.address),
      refs(net.impl().refs_gone),
      lane_queue(net.impl().workers, "lane", Workqueue::kOrdered, &kLaneClass, this),
      engine({{*this, ops, driver_, net.rtnl(), instance_lock, lane_queue},
              net.impl().stacks,
              reg_state_,
              running_,
              present_,
              taps},
             config.rx_retry),
      watched(*this, config.watchdog),
      frame_limit(config.mtu, taps),
      address_(config.address.to_u64()),
      napis_lock(kNapisClass) {
  engine.wanted.own = config.address;  // before anybody looks; OwnAddresses says when it changes
  for (uint16_t i = 0; i < config.tx_queues; ++i) tx_queues.emplace_back(*this, i);
}

void Device::drop_handle() noexcept {
  if (handles.fetch_sub(1) != 1) return;
  Net::Impl& net = net_ref.impl();
  delete this;
  net.allocated.fetch_sub(1);
}

void FreeNetdev::operator()(NetDevice* dev) const {
  Device& device = Device::of(*dev);
  const ReportsOn concerned(device);
  if (device.reg_state_.load() == RegState::kRegistered) device.unregister_netdev();
  (void)Device::wait_any_unregistered({&dev, 1});
  device.reg_state_.store(RegState::kReleased);
  device.work.disable_sync();
  device.engine.shut_down();
  void* const driver = std::exchange(device.driver_, nullptr);
  if (driver != nullptr && device.ops.destroy != nullptr) device.ops.destroy(driver);
  device.drop_handle();
}

}  // namespace usernic
