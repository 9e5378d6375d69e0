// SPDX-License-Identifier: Apache-2.0 OR MIT
// A device's life: register, open, close, go away, come back, unregister.
#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "core/contract/ndo.h"
#include "core/device/device.h"
#include "core/device/device_features.h"
#include "core/device/device_op.h"
#include "core/device/net_impl.h"
#include "core/device/stop_check.h"
#include "core/device/tx_below.h"
#include "core/filter/filter_caps.h"
#include "core/lock/notice.h"
#include "usernic/contract_report.h"
#include "usernic/long_wait.h"

namespace usernic {
namespace {

// "nic%d" becomes the first free of nic0, nic1, ... Requires: rtnl, names_lock.
std::optional<std::string> free_name(const Net::Impl::Names& taken, const std::string& wish) {
  const size_t number = wish.find("%d");
  if (number == std::string::npos) return taken.contains(wish) ? std::nullopt : std::optional(wish);
  for (int i = 0;; ++i) {
    std::string name = wish.substr(0, number) + std::to_string(i) + wish.substr(number + 2);
    if (name.size() > kNameMax) return std::nullopt;
    if (!taken.contains(name)) return name;
  }
}

// Whoever is in xmit sees it through; nobody enters the driver afterwards.
void stop_queues(Device& dev) {
  for (TxQueue& queue : dev.tx_queues) {
    SpinGuardBh guard(queue.xmit_lock());
    queue.stop();
    TxBelow::drop(queue, "the device was closed before there was room below");
  }
  if (dev.ops.lltx) dev.lltx_senders.synchronize("its driver's start_xmit to end, so that it is stopped");
  if (has_ndo<Ndo::kPollController>(dev) || has_ndo<Ndo::kSelectQueue>(dev)) {
    dev.netpollers.synchronize("its driver's poll_controller or select_queue to end, so that it is stopped");
  }
}

// Requires: rtnl, IL, the lane parked. The driver's stop sees running() false.
void close_locked(Device& dev, Place where) {
  if (!dev.running_.load()) return;
  (void)notify(dev, NetdevEvent::kGoingDown);
  dev.running_.store(false);
  dev.net_ref.impl().tx_watchdog.forget(dev.watched);
  stop_queues(dev);
  dev.engine.closed();  // first: nobody must be told that something is covered that stop takes off
  call_ndo<Ndo::kStop>(dev);
  check_stopped(dev, where);
  if (kVerifierOn) Lent::look();
  dev.engine.stopped();
  (void)notify(dev, NetdevEvent::kDown);
}

// Out of sight. Requires: rtnl.
void unlist(Device& dev) {
  MutexGuard names(dev.net_ref.impl().names_lock);
  dev.net_ref.impl().names.erase(dev.name());
}

// Nobody reads the driver's statistics, nor sees its frames, from here on. Requires: rtnl.
void leave_registered(Device& dev) {
  dev.reg_state_.store(RegState::kUnregistering);
  dev.taps.close();
  SpinGuardBh readers_are_out(dev.napis_lock);
}

void destroy_priv(Device& dev) {
  if (auto* const destructor = std::exchange(dev.priv_destructor_, nullptr)) destructor(&dev);
}

// True: nobody holds a reference, and it is UNREGISTERED; or it was not on its way there.
bool is_free(Device& dev) {
  if (dev.reg_state_.load() != RegState::kUnregistering) return true;
  if (!dev.refs.await_none()) return false;
  dev.reg_state_.store(RegState::kUnregistered);
  destroy_priv(dev);  // which may free it
  return true;
}

// "nic0 is held by work item (core/work/work.cc:7)"
std::string who_holds(const void* devices) {
  std::string text;
  for (const NetDevice* dev : *static_cast<const std::span<NetDevice* const>*>(devices)) {
    text +=
        fmt::format("{}{} is held by {}", text.empty() ? "" : "; ", dev->name(), fmt::join(dev->ref_holders(), ", "));
  }
  return text;
}

// A name of its own, by which nobody finds it yet (Net::find). Requires: rtnl.
Result<> take_free_name(Device& dev) {
  Net::Impl& net = dev.net_ref.impl();
  MutexGuard names(net.names_lock);
  std::optional<std::string> name = free_name(net.names, dev.name());
  if (!name) return fail(std::errc::file_exists);
  if (dev.frames_out != nullptr) dev.frames_out->set_name(fmt::format("{} (driver {})", *name, dev.driver_name()));
  net.names.emplace(*name, &dev);  // last: what comes before may find no memory
  SpinGuard guard(dev.name_lock);
  dev.name_ = std::move(*name);
  return {};
}

Result<> take_name(Device& dev) {
  return refused_without_memory([&] { return take_free_name(dev); });
}

Result<> configure(Device& dev) {
  const RxFilterCaps caps = call_ndo<Ndo::kRxFilterCaps>(dev);
  if (const std::string wrong = caps_error(caps, dev.ops, dev.driver_); !wrong.empty()) {
    notice("{} (driver {}) is not registered: its RxFilterCaps cannot be: {}", dev.name(), dev.driver_name(), wrong);
    return fail(std::errc::invalid_argument);
  }
  if (!configure_features(dev)) return fail(std::errc::invalid_argument);
  dev.engine.configure(caps);
  return {};
}

// Makes an initialised device visible, unless its driver contradicts itself or a notifier forbids. Requires: rtnl.
Result<> show(Device& dev) {
  const Result<> configured = refused_without_memory([&] { return configure(dev); });
  if (!configured) return configured;
  dev.reg_state_.store(RegState::kRegistered);
  const Result<> allowed = notify(dev, NetdevEvent::kRegister);
  if (allowed) return {};
  leave_registered(dev);
  (void)notify(dev, NetdevEvent::kUnregister);
  return allowed;
}

bool may_register(const Device& dev, Place where) {
  if (dev.reg_state_.load() == RegState::kUninitialized) return true;
  report_contract(dev, "register-twice", "a device is registered a second time", where);
  return false;
}

// Of a device that got no further than its init there is nothing to undo. Requires: rtnl, a name of its own.
Result<> init_and_show(Device& dev) {
  Result<> result = call_ndo<Ndo::kInit>(dev);
  const bool begun = result.has_value();
  if (begun) result = show(dev);
  if (result) return result;
  unlink_all(dev);
  unlist(dev);
  if (begun) call_ndo<Ndo::kUninit>(dev);
  if (!begun) dev.priv_destructor_ = nullptr;
  return result;
}

// Failed, it is UNREGISTERING, and references are to be waited for. Requires: rtnl.
Result<> register_locked(Device& dev) {
  Result<> result = take_name(dev);
  if (!result) {
    dev.priv_destructor_ = nullptr;  // nothing of the driver was called, nor is
  } else {
    result = init_and_show(dev);
    if (result) return result;
  }
  dev.needs_free_ = false;
  const bool seen = dev.reg_state_.exchange(RegState::kUnregistering) != RegState::kUninitialized;
  if (!seen) destroy_priv(dev);
  return result;
}

void wait_until_free(NetDevice& dev, Place where) {
  NetDevice* const only[] = {&dev};
  (void)Device::wait_any_unregistered(only, where);
}

}  // namespace

Result<> NetDevice::register_netdev(Place where) {
  Device& dev = Device::of(*this);
  const ReportsOn concerned(dev);
  might_sleep(where);
  Result<> result;
  {
    MutexGuard rtnl(dev.net_ref.rtnl(), 0, where);
    if (!may_register(dev, where)) return fail(std::errc::invalid_argument);
    result = register_locked(dev);
  }
  if (!result) wait_until_free(dev, where);
  return result;
}

Result<> Device::register_netdevice(Place where) {
  Device& dev = *this;
  const ReportsOn concerned(dev);
  dev.net_ref.rtnl().assert_held(where);
  if (!may_register(dev, where)) return fail(std::errc::invalid_argument);
  return register_locked(dev);
}

size_t Device::wait_any_unregistered(std::span<NetDevice* const> devices, Place where) {
  const ReportsOn concerned(devices.front());
  might_sleep(where);
  for (NetDevice* each : devices) {
    if (each->reg_state() == RegState::kUnregistering) Device::of(*each).engine.shut_down();
  }
  WaitQueue& gone = devices.front()->net().impl().refs_gone;
  LongWait wait("the last reference on a device that is unregistered", where, who_holds, &devices);
  while (true) {
    const uint32_t seen = gone.sequence();
    for (size_t i = 0; i < devices.size(); ++i) {
      if (is_free(Device::of(*devices[i]))) return i;
    }
    if (!gone.wait_since(seen, wait.speaks_at(), where)) wait.look();
  }
}

void NetDevice::unregister_netdev(Place where) {
  if (Device::of(*this).start_unregister(where)) wait_until_free(*this, where);
}

bool Device::start_unregister(Place where) {
  Device& dev = *this;
  OpLocks locks(dev, where);
  if (dev.reg_state_.load() != RegState::kRegistered) {
    report_contract(dev, "unregister-unregistered",
                    fmt::format("a device that is {} is unregistered", reg_state_name(dev.reg_state_.load())), where);
    return false;
  }
  close_locked(dev, where);
  leave_registered(dev);
  (void)notify(dev, NetdevEvent::kUnregister);
  unlink_all(dev);
  unlist(dev);
  dev.work.cancel();  // it holds a reference
  call_ndo<Ndo::kUninit>(dev);
  return true;
}

Result<> NetDevice::open(Place where) {
  Device& dev = Device::of(*this);
  OpLocks locks(dev, where);
  if (const Result<> usable = check_usable(dev); !usable) return usable;
  if (dev.running_.load()) return {};
  (void)dev.own_addresses_.check(where);
  if (const Result<> valid = call_ndo<Ndo::kValidateAddr>(dev); !valid) return valid;
  if (const Result<> allowed = ask(dev, NetdevEvent::kPreUp); !allowed) return allowed;
  for (TxQueue& queue : dev.tx_queues) queue.stopped_at_.store(Place(), std::memory_order_relaxed);
  dev.running_.store(true);
  dev.engine.opening();
  if (const Result<> opened = call_ndo<Ndo::kOpen>(dev); !opened) {
    dev.running_.store(false);
    stop_queues(dev);
    dev.engine.stopped();
    tell_uppers(dev);  // what they gave it meanwhile waits
    return opened;
  }
  dev.net_ref.impl().tx_watchdog.watch(dev.watched);
  dev.engine.opened();
  (void)notify(dev, NetdevEvent::kUp);
  return {};
}

Result<> NetDevice::close(Place where) {
  Device& dev = Device::of(*this);
  OpLocks locks(dev, where);
  if (dev.reg_state_.load() != RegState::kRegistered) return fail(std::errc::no_such_device);
  close_locked(dev, where);
  return {};
}

Result<> NetDevice::detach(Place where) {
  Device& dev = Device::of(*this);
  LaneGuard lane(dev.lane_queue, where);
  MutexGuard il(dev.instance_lock, 0, where);
  if (dev.reg_state_.load() != RegState::kRegistered) return fail(std::errc::no_such_device);
  dev.present_.store(false);
  stop_queues(dev);
  dev.engine.forget();  // a card that is away covers nothing
  tell_uppers(dev);
  return {};
}

Result<> NetDevice::attach(Place where) {
  Device& dev = Device::of(*this);
  LaneGuard lane(dev.lane_queue, where);
  MutexGuard il(dev.instance_lock, 0, where);
  if (dev.reg_state_.load() != RegState::kRegistered) return fail(std::errc::no_such_device);
  dev.goes_away.store(false);  // what detach_soon left for the lane is done here
  if (dev.present_.exchange(true)) return {};
  if (dev.running_.load()) {
    for (TxQueue& queue : dev.tx_queues) queue.wake();
  }
  dev.engine.forget();
  tell_uppers(dev);
  if (dev.work_events.load() != 0) dev.lane_queue.queue(dev.work);
  return {};
}

void NetDevice::detach_soon() noexcept {
  Device& dev = Device::of(*this);
  dev.present_.store(false);
  for (TxQueue& queue : dev.tx_queues) queue.stop();
  dev.goes_away.store(true);
  if (dev.reg_state_.load() == RegState::kRegistered) dev.lane_queue.queue(dev.work);
}

void NetDevice::queue_work(uint32_t events) noexcept {
  Device& dev = Device::of(*this);
  dev.work_events.fetch_or(events);
  if (dev.usable()) dev.lane_queue.queue(dev.work);
}

void Device::work_off() {
  if (goes_away.exchange(false)) (void)detach();
  if (work_events.load() == 0) return;
  OpLocks locks(*this, Place::current());
  if (!usable()) return;  // attach queues it again
  call_ndo<Ndo::kWork>(*this, work_events.exchange(0));
}

}  // namespace usernic
