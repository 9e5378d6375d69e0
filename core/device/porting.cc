// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/porting.h"

#include "core/device/device.h"
#include "core/lock/level_guard.h"
#include "core/work/worker_pool.h"

namespace usernic {

Result<> Porting::register_netdevice(NetDevice& dev, Place where) {
  return Device::of(dev).register_netdevice(where);
}
bool Porting::start_unregister(NetDevice& dev, Place where) {
  return Device::of(dev).start_unregister(where);
}
size_t Porting::wait_any_unregistered(std::span<NetDevice* const> devices, Place where) {
  return Device::wait_any_unregistered(devices, where);
}
void Porting::set_priv_destructor(NetDevice& dev, void (*destructor)(NetDevice*)) noexcept {
  Device::of(dev).priv_destructor_ = destructor;
}
void Porting::set_needs_free(NetDevice& dev, bool on) noexcept {
  Device::of(dev).needs_free_ = on;
}
bool Porting::needs_free(const NetDevice& dev) noexcept {
  return Device::of(dev).needs_free_;
}

void Porting::lock_xmit(TxQueue& queue, Place where) noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  const ReportsOn concerned(queue.dev_);
  if (kChecksOn) internal::enter_context(Context::kBhDisabled, ScopeOf::kLock, where);
  lock_at(queue.xmit_lock_, queue.level_, where);
}
bool Porting::try_lock_xmit(TxQueue& queue, Place where) noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  if (kChecksOn) internal::enter_context(Context::kBhDisabled, ScopeOf::kLock, where);
  if (queue.xmit_lock_.try_lock(where)) return true;
  if (kChecksOn) internal::leave_context();
  return false;
}
void Porting::unlock_xmit(TxQueue& queue) noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  queue.xmit_lock_.unlock();
  if (kChecksOn) internal::leave_context();
}

void Porting::freeze_tx(NetDevice& device, Place where) noexcept {
  Device::of(device).freeze_tx(where);
}
void Porting::thaw_tx(NetDevice& device) noexcept {
  Device::of(device).thaw_tx();
}

Result<> Porting::switch_flags(RxMode& mode, RxFlags on) {
  return RxModeEngine::of(mode).wanted.switch_flags(on);
}
RxFlags Porting::switched(const RxMode& mode) {
  return RxModeEngine::of(mode).wanted.switched();
}
void Porting::schedule_retry(RxMode& mode) noexcept {
  RxModeEngine::of(mode).schedule_retry();
}
void Porting::cancel_retry(RxMode& mode) noexcept {
  RxModeEngine::of(mode).requests.cancel();
}
void Porting::lock_lists(RxMode& mode, Place where) noexcept {
  RxModeEngine::of(mode).wanted.hold(where);
}
void Porting::unlock_lists(RxMode& mode) noexcept {
  RxModeEngine::of(mode).wanted.let_go();
}
RxLists Porting::lists(const RxMode& mode, Place where) noexcept {
  return RxModeEngine::of(mode).shown(where);
}
HwAddrList& Porting::hw_list(RxMode& mode, AddressClass address_class, Place where) {
  return RxModeEngine::of(mode).hw_list(address_class, where);
}

bool Porting::hurry(Work& work) noexcept {
  WorkerPool* const pool = work.pool_.load();
  return pool != nullptr && pool->hurry(work);
}
bool Porting::queue_unless_pending(Workqueue& queue, Work& work, Time due) noexcept {
  return queue.pool_.queue_unless_pending(queue, work, due);
}

}  // namespace usernic
