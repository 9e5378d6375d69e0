// SPDX-License-Identifier: Apache-2.0 OR MIT
// The driver's way of frames: start_xmit, the poll; and what is counted.
#include <sys/epoll.h>

#include "drivers/packet/packet.h"

namespace usernic {
namespace {

constexpr Duration kRefillRetry = std::chrono::milliseconds(1);

}  // namespace

NetdevTx PacketNic::start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept {
  SpinGuard guard(tx_lock_);
  if (tx_.size() >= kTxRing) [[unlikely]] {
    queue.stop();  // somebody woke it too early; the poll that makes room wakes it again
    return NetdevTx::kBusy;
  }
  tx_.push_back(skb);
  if (!more || tx_.size() % kDoorbell == 0) flush();
  tx_count_.store(tx_.size());
  queue.maybe_stop([this]() noexcept { return tx_room(); }, 1);
  return NetdevTx::kOk;
}

// What finds no room in the socket waits until that is writable.
void PacketNic::flush() noexcept {
  if (tx_waits_.load()) return;
  SkbBatch refused;
  if (!writer_.write(tx_, refused)) {
    tx_waits_.store(true);
    arm();
  }
  if (!refused.empty()) [[unlikely]]
    note_drops(dev_, refused, FrameWay::kOut, "the kernel does not send it");
  if (writer_.refuses_udp_superframes() && !told_uso_.exchange(true)) lane_.queue(look_work_);
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // the kernel's mutex of one epoll is held for as long as such a call takes
    void
    PacketNic::arm() noexcept {
  const BlockingByDesign allowed;
  epoll_event wanted{.events = EPOLLONESHOT | (starved_.load() ? 0u : EPOLLIN) | (tx_waits_.load() ? EPOLLOUT : 0u),
                     .data = {.fd = socket_.fd()}};
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, socket_.fd(), &wanted);
}
USERNIC_BLOCKING_BY_DESIGN_END

int PacketNic::poll(Napi& napi, int budget) noexcept {
  if (tx_waits_.load()) {
    SpinGuard guard(tx_lock_);
    tx_waits_.store(false);
    flush();
    tx_count_.store(tx_.size());
  }
  dev_.tx_queue(0).maybe_wake([this]() noexcept { return tx_room(); }, kTxRing / 2);
  if (budget == 0) return 0;

  SkbBatch frames;
  uint32_t taken = 0;
  const PacketReader::End end =
      reader_.read(frames_, superframes_, dev_.frame_bytes_max(), static_cast<uint32_t>(budget), frames, taken);
  sort_out(frames);
  napi.receive(frames);
  const auto done = static_cast<int>(taken);
  if (done >= budget) return budget;
  // Frames wait, and nobody says when a buffer is back.
  const bool starved = end == PacketReader::End::kNoBuffers;
  starved_.store(starved);
  if (starved) dev_.net().system_workqueue().queue_at(refill_work_, Clock::now() + kRefillRetry);
  if (napi.complete_done(done)) {
    SpinGuard guard(tx_lock_);
    arm();
  }
  return done;
}

void PacketNic::sort_out(SkbBatch& frames) noexcept {
  SkbBatch all(std::move(frames)), unwanted;
  uint64_t count = 0;
  {
    SpinGuard guard(filter_lock_);
    while (Skb* const skb = all.pop_front()) {
      const bool passes = accepted_->passes(skb->bytes());
      if (!passes) count += segments_of(skb->offload(), skb->size());
      (passes ? frames : unwanted).push_back(*skb);
    }
  }
  if (count == 0) return;
  filtered_.fetch_add(count, std::memory_order_relaxed);
  SkbPool::free(unwanted);
}

Features PacketNic::fix_features(Features wanted) const {
  const Features possible = writer_.refuses_udp_superframes() ? wanted.without({Feature::kUso}) : wanted;
  return possible | Features{Feature::kGroHw};  // what the interface merged has no other form
}

void PacketNic::get_stats(LinkStats& stats) const noexcept {
  const auto load = [](const Atomic<uint64_t>& counter) noexcept { return counter.load(std::memory_order_relaxed); };
  missed_.fetch_add(socket_.take_drops(), std::memory_order_relaxed);
  stats.rx_dropped += load(missed_);
  stats.rx_missed += load(missed_);
  stats.rx_too_long += reader_.oversized();
  stats.rx_errors += reader_.oversized() + reader_.unknown();
  stats.rx_filtered += load(filtered_);
  stats.rx_off += load(unread_);
  stats.tx_errors += writer_.refused() + load(tx_discarded_);
}

Result<> PacketNic::get_drvinfo(DriverInfo& info) {
  info.bus = name_;
  return {};
}

Result<> PacketNic::get_ringparam(RingParam& rings) {
  rings.tx = rings.tx_max = kTxRing;
  return {};
}

Result<> PacketNic::get_ethtool_stats(std::vector<NamedCounter>& counters) {
  counters.push_back({"rx_superframes", reader_.superframes()});
  counters.push_back({"rx_calls", reader_.calls()});
  counters.push_back({"tx_superframes", writer_.superframes()});
  counters.push_back({"tx_calls", writer_.calls()});
  return {};
}

}  // namespace usernic
