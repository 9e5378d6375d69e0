// SPDX-License-Identifier: Apache-2.0 OR MIT
// Frames: start_xmit, poll, and what completes beside them.
#include <algorithm>

#include "drivers/rtl8150/rtl8150.h"

namespace usernic {

using namespace rtl8150;

namespace {

constexpr Duration kRepairAfter = std::chrono::milliseconds(10);

// Did the transfer end because somebody wanted it to?
bool ended(const Result<uint32_t>& result) noexcept {
  return !result && (result.error() == std::errc::operation_canceled || result.error() == std::errc::no_such_device);
}

}  // namespace

// --- Out ---

NetdevTx Rtl8150::start_xmit(Skb& skb, TxQueue& queue, bool) noexcept {
  const auto room = [this]() noexcept { return tx_room(); };
  TxSlot* slot = take_free();
  while (slot == nullptr) {
    if (queue.maybe_stop(room, 1)) return NetdevTx::kBusy;
    slot = take_free();  // one came back meanwhile
  }
  bool sent = false;
  if (skb.size() <= kFrameMax) {
    const uint32_t size = std::max(skb.size(), kFrameMin);
    std::ranges::copy(skb.bytes(), slot->frame.begin());
    std::fill(slot->frame.begin() + skb.size(), slot->frame.begin() + size, uint8_t{0});
    slot->transfer.data = std::span(slot->frame).first(size);
    slot->transfer.zero_packet = true;  // the frame's end, where it fills the last packet
    sent = device_->submit(slot->transfer).has_value();
  }
  SkbPool::free(skb);
  if (!sent) {
    put_free(*slot);
    return NetdevTx::kDropped;
  }
  queue.maybe_stop(room, 1);
  return NetdevTx::kOk;
}

Rtl8150::TxSlot* Rtl8150::take_free() noexcept {
  SpinGuard guard(tx_lock_);
  TxSlot* const slot = tx_free_;
  if (slot == nullptr) return nullptr;
  tx_free_ = slot->next;
  tx_free_count_.fetch_sub(1);
  return slot;
}

void Rtl8150::put_free(TxSlot& slot) noexcept {
  SpinGuard guard(tx_lock_);
  slot.next = tx_free_;
  tx_free_ = &slot;
  tx_free_count_.fetch_add(1);
}

void Rtl8150::on_sent(void* owner, usb::Transfer& transfer) noexcept {
  auto& slot = *static_cast<TxSlot*>(owner);
  Rtl8150& driver = slot.driver;
  const Result<uint32_t> result = transfer.result;
  driver.put_free(slot);
  if (!result) driver.tx_errors_.fetch_add(1, std::memory_order_relaxed);
  if (!result && !ended(result)) {
    driver.tx_stalled_.store(true);
    driver.lane_.queue_at(driver.repair_work_, Clock::now() + kRepairAfter);
  }
  if (!driver.started_.load()) return;  // a closed queue stays closed
  driver.dev_.tx_queue(0).maybe_wake([&driver]() noexcept { return driver.tx_room(); }, kTxTransfers / 2);
}

// --- In ---

bool Rtl8150::give_buffer(RxSlot& slot) noexcept {
  Skb* const skb = pool_.alloc();
  if (skb == nullptr) return false;
  slot.skb = skb;
  return true;
}

bool Rtl8150::submit(RxSlot& slot) noexcept {
  slot.transfer.endpoint = kBulkIn;
  slot.transfer.data = {slot.skb->data(), kRxBytes};
  return device_->submit(slot.transfer).has_value();
}

void Rtl8150::on_received(void* owner, usb::Transfer& transfer) noexcept {
  auto& slot = *static_cast<RxSlot*>(owner);
  Rtl8150& driver = slot.driver;
  if (ended(transfer.result)) return;
  {
    SpinGuard guard(driver.rx_lock_);
    slot.next = nullptr;
    (driver.done_first_ == nullptr ? driver.done_first_ : driver.done_last_->next) = &slot;
    driver.done_last_ = &slot;
  }
  driver.napi_.schedule();
}

Rtl8150::RxSlot* Rtl8150::take_done() noexcept {
  SpinGuard guard(rx_lock_);
  RxSlot* const slot = done_first_;
  if (slot != nullptr) done_first_ = slot->next;
  return slot;
}

// The frame in a slot that is done, which gets another buffer; null: there is none, or no buffer to go on with.
Skb* Rtl8150::take_frame(RxSlot& slot) noexcept {
  const uint32_t size = *slot.transfer.result;
  if (size == 0) return nullptr;  // the end of a transfer that was full
  const uint8_t* const octets = slot.skb->data();
  const bool framed = size >= kHeaderBytes + kTrailerBytes && size <= kFrameMax + kTrailerBytes;
  const bool valid = framed && ((octets[size - kTrailerBytes + 1] << 8) & kTrailerValid) != 0;
  if (!valid) return rx_errors_.fetch_add(1, std::memory_order_relaxed), nullptr;
  Skb* const frame = slot.skb;
  if (!give_buffer(slot)) {
    napi_.counters.drop(1);
    return nullptr;
  }
  frame->put(size - kTrailerBytes);
  return frame;
}

int Rtl8150::poll(Napi& napi, int budget) noexcept {
  SkbBatch frames;
  int done = 0;
  while (done < budget) {
    RxSlot* const slot = take_done();
    if (slot == nullptr) break;
    ++done;
    if (!slot->transfer.result) {
      // A stall, or an error that would come again at once.
      rx_errors_.fetch_add(1, std::memory_order_relaxed);
      SpinGuard guard(rx_lock_);
      slot->broken = true;
      lane_.queue_at(repair_work_, Clock::now() + kRepairAfter);
      continue;
    }
    if (Skb* const frame = take_frame(*slot)) frames.push_back(*frame);
    (void)submit(*slot);  // refused when the device is gone, or being closed
  }
  napi.receive(frames);
  if (done < budget) (void)napi.complete_done(done);
  return done;
}

void Rtl8150::get_stats(LinkStats& stats) const noexcept {
  stats.rx_errors += rx_errors_.load(std::memory_order_relaxed);
  stats.tx_errors += tx_errors_.load(std::memory_order_relaxed);
}

}  // namespace usernic
