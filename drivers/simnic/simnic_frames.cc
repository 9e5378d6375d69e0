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
  const auto room = [this]() noexcept { return tx_->room(); };
  if (room() == 0) [[unlikely]] {
    queue.stop();  // somebody woke it too early; the poll that makes room wakes it again
    if (room() == 0) return NetdevTx::kBusy;
    queue.start();
  }
  const uint32_t bytes = skb.size();
  tx_->put(skb);
  const bool last = byte_limits() ? queue.sent(bytes, more) : !more;
  const bool stopped = queue.maybe_stop(room, 1);
  if (last || stopped) card_->write(Reg::kTxTail, tx_->tail());
  return NetdevTx::kOk;
}

void Simnic::on_irq(void* self, Vector vector) noexcept {
  auto& driver = *static_cast<Simnic*>(self);
  if (vector == Vector::kData) {
    driver.napi_.schedule();
  } else {
    driver.on_event(driver.card_->read(Reg::kEventCause));
  }
}

int Simnic::poll(Napi& napi, int budget) noexcept {
  const auto [out, bytes] = tx_->reclaim();
  if (byte_limits()) dev_.tx_queue(0).completed(out, bytes);
  dev_.tx_queue(0).maybe_wake([this]() noexcept { return tx_->room(); }, tx_->size() / 4);
  if (budget == 0) return 0;

  SkbBatch frames;
  const int done = rx_->receive(frames, budget);
  impossible_.fetch_add(static_cast<uint64_t>(done) - frames.size(), std::memory_order_relaxed);
  napi.receive(frames);
  if (rx_->refill(*pool_)) card_->write(Reg::kRxTail, rx_->tail());
  // Without a single buffer nothing arrives, so nothing would schedule the poll that refills.
  if (rx_->starved()) workqueue_.queue_at(refill_work_, Clock::now() + kRefillRetry);

  if (done == budget) return done;
  // Nothing of the driver may be touched once the poll is completed: what was seen is noted before.
  const uint64_t seen = simnic::arm_value(rx_->next(), tx_->clean());
  if (napi.complete_done(done)) card_->write(Reg::kInterruptArm, seen);
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
