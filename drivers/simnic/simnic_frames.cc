// SPDX-License-Identifier: Apache-2.0 OR MIT
// The driver's way of frames: start_xmit, the interrupt, the poll.
#include "drivers/simnic/simnic.h"

namespace usernic {

using simnic::Reg;
using simnic::Vector;

namespace {
constexpr Duration kRefillRetry = std::chrono::milliseconds(1);
}  // namespace

NetdevTx Simnic::start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept {
  Queue& own = queues_[queue.index()];
  simnic::TxRing& ring = *own.tx;
  const auto room = [&ring]() noexcept { return ring.room(); };
  if (room() == 0) [[unlikely]] {
    queue.stop();  // somebody woke it too early; the poll that makes room wakes it again
    if (room() == 0) return NetdevTx::kBusy;
    queue.start();
  }
  const uint32_t bytes = skb.size();
  ring.put(skb);
  const bool last = byte_limits() ? queue.sent(bytes, more) : !more;
  const bool stopped = queue.maybe_stop(room, 1);
  if (last || stopped) card_->write(own.reg(Reg::kTxTail), ring.tail());
  return NetdevTx::kOk;
}

void Simnic::on_irq(void* self, Vector vector) noexcept {
  auto& driver = *static_cast<Simnic*>(self);
  if (vector == Vector::kEvent) {
    driver.on_event(driver.card_->read(Reg::kEventCause));
  } else {
    driver.queues_[simnic::queue_of(vector)].napi.schedule();
  }
}

int Simnic::poll(Napi& napi, int budget) noexcept {
  Queue& queue = queues_[napi.queue()];
  if (queue.tx != nullptr) reclaim(queue);
  if (budget == 0) return 0;
  const int done = queue.rx == nullptr ? 0 : receive(queue, budget);
  if (done == budget) return done;
  // Nothing of the driver may be touched once the poll is completed: what was seen is noted before.
  const Reg arm = queue.reg(Reg::kInterruptArm);
  const uint64_t seen = queue.seen();
  if (napi.complete_done(done)) card_->write(arm, seen);
  return done;
}

void Simnic::reclaim(Queue& queue) noexcept {
  simnic::TxRing& ring = *queue.tx;
  TxQueue& tx = dev_.tx_queue(queue.napi.queue());
  const auto [out, bytes] = ring.reclaim();
  if (byte_limits()) tx.completed(out, bytes);
  tx.maybe_wake([&ring]() noexcept { return ring.room(); }, ring.size() / 4);
}

int Simnic::receive(Queue& queue, int budget) noexcept {
  simnic::RxRing& ring = *queue.rx;
  SkbBatch frames;
  const int done = ring.receive(frames, budget);
  impossible_.fetch_add(static_cast<uint64_t>(done) - frames.size(), std::memory_order_relaxed);
  queue.napi.receive(frames);
  if (ring.refill(*queue.pool)) card_->write(queue.reg(Reg::kRxTail), ring.tail());
  // Without a single buffer nothing arrives, so nothing would schedule the poll that refills.
  if (ring.starved()) workqueue_.queue_at(queue.refill, Clock::now() + kRefillRetry);
  return done;
}

void Simnic::get_stats(LinkStats& stats) const noexcept {
  const simnic::CardCounters& card = card_->counters();
  const auto sum = [](const auto&... counters) noexcept { return (counters.load(std::memory_order_relaxed) + ...); };
  stats.rx_dropped += sum(card.rx_no_descriptor, rx_discarded_);
  stats.rx_missed += sum(card.rx_no_descriptor);
  stats.rx_too_long += sum(card.rx_too_long);
  stats.rx_errors += sum(card.rx_runt, card.rx_too_long, impossible_);
  stats.rx_filtered += sum(card.rx_filtered);
  stats.rx_off += sum(card.rx_off);
  stats.rx_pause += sum(card.rx_pause);
  stats.tx_too_long += sum(card.tx_too_long);
  stats.tx_off += sum(card.tx_no_link);
  stats.tx_errors += sum(card.tx_too_long, card.tx_no_link, card.tx_bad, tx_discarded_);
  stats.tx_pause += sum(card.tx_pause);
}

}  // namespace usernic
