// SPDX-License-Identifier: Apache-2.0 OR MIT
// Frames: start_xmit, poll, and what completes beside them.
#include <algorithm>
#include <utility>

#include "bus/usbnet/usbnet.h"
#include "usernic/frame_tap.h"

namespace usernic::usb {
namespace {

constexpr uint32_t kHeaderBytes = 14;

// Did the transfer end because somebody wanted it to?
bool ended(const Result<uint32_t>& result) noexcept {
  return !result && (result.error() == std::errc::operation_canceled || result.error() == std::errc::no_such_device);
}

void count(Atomic<uint64_t>& counter, uint64_t more = 1) noexcept {
  counter.fetch_add(more, std::memory_order_relaxed);
}

}  // namespace

// --- Out ---

NetdevTx Usbnet::start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept {
  if (filling_ == nullptr && !begin_block(queue)) return NetdevTx::kBusy;
  bool packed = adapter_.pack(filling_->block, skb.bytes());
  if (!packed && filling_->block.frames > 0) {
    (void)send_block();
    if (!begin_block(queue)) return NetdevTx::kBusy;
    packed = adapter_.pack(filling_->block, skb.bytes());
  }
  const bool last = queue.maybe_stop([this]() noexcept { return tx_room(); }, 1) || !more;
  const bool sent = !last || send_block();
  if (!packed) return drop_in_xmit(skb, queue, "it is longer than a transfer");
  if (!sent) return drop_in_xmit(skb, queue, "the device does not take the transfer that it was in");
  SkbPool::free(skb);
  return NetdevTx::kOk;
}

// False: all blocks are in flight, and the queue is stopped.
bool Usbnet::begin_block(TxQueue& queue) noexcept {
  TxSlot* slot = take_free();
  while (slot == nullptr) {
    if (queue.maybe_stop([this]() noexcept { return tx_room(); }, 1)) return false;
    slot = take_free();  // one came back meanwhile
  }
  slot->block = {.room = slot->octets};
  filling_ = slot;
  return true;
}

// False: it does not go out. An empty one has nothing to go.
bool Usbnet::send_block() noexcept {
  TxSlot& slot = *std::exchange(filling_, nullptr);
  if (slot.block.frames == 0) return put_free(slot), true;
  slot.transfer.zero_packet = adapter_.seal(slot.block);
  slot.transfer.data = slot.block.room.first(slot.block.size);
  if (device_->submit(slot.transfer)) return true;
  count(tx_errors_, slot.block.frames);
  put_free(slot);
  return false;
}

Usbnet::TxSlot* Usbnet::take_free() noexcept {
  SpinGuard guard(tx_lock_);
  TxSlot* const slot = tx_free_;
  if (slot == nullptr) return nullptr;
  tx_free_ = slot->next;
  tx_free_count_.fetch_sub(1);
  return slot;
}

void Usbnet::put_free(TxSlot& slot) noexcept {
  SpinGuard guard(tx_lock_);
  slot.next = tx_free_;
  tx_free_ = &slot;
  tx_free_count_.fetch_add(1);
}

void Usbnet::on_sent(void* owner, Transfer& transfer) noexcept {
  auto& slot = *static_cast<TxSlot*>(owner);
  Usbnet& net = slot.net;
  const Result<uint32_t> result = transfer.result;
  const uint32_t frames = slot.block.frames;
  net.put_free(slot);
  if (!result) count(net.tx_errors_, frames);
  if (!result && !ended(result)) {
    net.tx_stalled_.store(true);
    net.repair_soon();
  }
  if (!net.started_.load()) return;  // a closed queue stays closed
  net.dev_.tx_queue(0).maybe_wake([&net]() noexcept { return net.tx_room(); }, kTxTransfers / 2);
}

// --- In ---

bool Usbnet::submit(RxSlot& slot) noexcept {
  return device_->submit(slot.transfer).has_value();
}

void Usbnet::on_received(void* owner, Transfer& transfer) noexcept {
  auto& slot = *static_cast<RxSlot*>(owner);
  Usbnet& net = slot.net;
  if (ended(transfer.result)) return;
  {
    SpinGuard guard(net.rx_lock_);
    slot.next = nullptr;
    (net.done_first_ == nullptr ? net.done_first_ : net.done_last_->next) = &slot;
    net.done_last_ = &slot;
  }
  net.napi_.schedule();
}

Usbnet::RxSlot* Usbnet::take_done() noexcept {
  SpinGuard guard(rx_lock_);
  RxSlot* const slot = done_first_;
  if (slot != nullptr) done_first_ = slot->next;
  return slot;
}

class Usbnet::Unpacked final : public RxFrames {
 public:
  Unpacked(Usbnet& net, Napi& napi) : net_(net), napi_(napi) {}
  void add(std::span<const uint8_t> frame, FrameSum sum) noexcept USERNIC_NONBLOCKING override {
    if (frame.size() < kHeaderBytes || frame.size() > net_.sizes_.frame_max) return count(net_.rx_errors_);
    Skb* skb = net_.pool_.alloc();
    if (skb == nullptr) {
      napi_.receive(batch);  // who takes them gives their buffers back
      skb = net_.pool_.alloc();
    }
    if (skb == nullptr) return napi_.counters.drop(1);
    std::ranges::copy(frame, skb->put(static_cast<uint32_t>(frame.size())));
    if (sum != FrameSum::kNone) skb->set_offload({.sum = sum});
    batch.push_back(*skb);
  }
  SkbBatch batch;

 private:
  Usbnet& net_;
  Napi& napi_;
};

int Usbnet::poll(Napi& napi, int budget) noexcept {
  Unpacked frames(*this, napi);
  int done = 0;
  while (done < budget) {
    RxSlot* const slot = take_done();
    if (slot == nullptr) break;
    ++done;
    if (!slot->transfer.result) {
      // A stall, or an error that would come again at once.
      count(rx_errors_);
      SpinGuard guard(rx_lock_);
      slot->broken = true;
      repair_soon();
      continue;
    }
    // An empty one is the end of a transfer that was full.
    const std::span<const uint8_t> octets = std::span(slot->octets).first(*slot->transfer.result);
    if (!octets.empty() && !adapter_.unpack(octets, frames)) count(rx_errors_);
    (void)submit(*slot);  // refused when the device is gone, or being closed
  }
  napi.receive(frames.batch);
  if (done < budget) (void)napi.complete_done(done);
  return done;
}

void Usbnet::get_stats(LinkStats& stats) const noexcept {
  stats.rx_errors += rx_errors_.load(std::memory_order_relaxed);
  stats.tx_errors += tx_errors_.load(std::memory_order_relaxed);
}

}  // namespace usernic::usb
