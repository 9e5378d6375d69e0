// SPDX-License-Identifier: Apache-2.0 OR MIT
// A device's TX queues: stopped and woken, frozen, timed out.
#include <fmt/format.h>

#include "core/contract/ndo.h"
#include "core/device/device.h"
#include "core/lock/level_guard.h"
#include "core/lock/notice.h"
#include "usernic/contract_report.h"
#include "usernic/net_device.h"

namespace usernic {

TxQueue::TxQueue(NetDevice& dev, uint16_t index) noexcept : dev_(dev), index_(index), xmit_lock_(kXmitClass) {}

// Locks of one class do not nest at one level, so not all xmit locks are held: each queue is marked under its own.
void Device::freeze_tx(Place where) noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  const ReportsOn concerned(*this);
  if (kChecksOn) internal::enter_context(Context::kBhDisabled, ScopeOf::kLock, where);
  tx_freeze_lock.lock(engine.wanted.level(), where);
  for (TxQueue& queue : tx_queues) {
    LevelGuard guard(queue.xmit_lock(), queue.level_, where);
    queue.frozen_ = true;
  }
}

void Device::thaw_tx() noexcept USERNIC_NO_THREAD_SAFETY_ANALYSIS {
  for (TxQueue& queue : tx_queues) {
    LevelGuard guard(queue.xmit_lock(), queue.level_);
    queue.frozen_ = false;
  }
  tx_freeze_lock.unlock();
  if (kChecksOn) internal::leave_context();
  // Stopped ones too: who stopped one meanwhile may start it again without a word, and a sleeper looks for himself.
  for (TxQueue& queue : tx_queues) tell_room(queue);
}

void Device::Watched::time_out(TxQueue& queue, const std::string& what) {
  const ReportsOn concerned(dev_);
  notice("{} (driver {}): TX queue {} {}, and nobody wakes it", dev_.name(), dev_.driver_name(), queue.index(), what);
  queue.timeouts_.fetch_add(1, std::memory_order_relaxed);  // who sees it can read why
  if (!recovers()) return;
  dev_.freeze_tx();
  NdoCall<Ndo::kTxTimeout>(dev_, &dev_.tx_freeze_lock)(queue);
  dev_.thaw_tx();
}

// The limit may have risen since it was looked at: then nobody else would wake.
void TxQueue::stop_by_limit() noexcept {
  stops_.fetch_add(1, std::memory_order_relaxed);
  stopped_.fetch_or(kByLimit);
  if (byte_limit_.room() >= 0) stopped_.fetch_and(static_cast<uint8_t>(~kByLimit));
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a report allocates; the process is on its way down or under test
    static void
    report_overcompleted(const TxQueue& queue, uint64_t bytes, Place where) noexcept USERNIC_NONBLOCKING {
  const BlockingByDesign allowed;
  report_contract(queue.dev(), "bql-overcompleted",
                  fmt::format("{} octets are completed on TX queue {}, which are more than were sent and not completed",
                              bytes, queue.index()),
                  where);
}
USERNIC_BLOCKING_BY_DESIGN_END

void TxQueue::completed(uint32_t frames, uint64_t bytes, Place where) noexcept {
  if (frames == 0) return;
  if (!byte_limit_.completed(bytes, Clock::now())) [[unlikely]]
    report_overcompleted(*this, bytes, where);
  if ((stopped_.load() & kByLimit) == 0 || byte_limit_.room() < 0) return;
  if (stopped_.fetch_and(static_cast<uint8_t>(~kByLimit)) != kByLimit) return;  // the driver's stop is left
  wakes_.fetch_add(1, std::memory_order_relaxed);
  Device::of(dev_).tell_room(*this);
}

void TxQueue::forget_sent() noexcept {
  byte_limit_.forget_queued();
  stopped_.fetch_and(static_cast<uint8_t>(~kByLimit));
}

void TxQueue::wake() noexcept {
  wakes_.fetch_add(1, std::memory_order_relaxed);
  start();
  Device::of(dev_).tell_room(*this);
}

void Device::tell_room(TxQueue& queue) noexcept {
  if (InPort port(*this); port) port->tx_wake(queue);
  resume_uppers(*this);
}

}  // namespace usernic
