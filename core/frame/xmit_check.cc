// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/frame/xmit_check.h"

#include <cstring>

#include "usernic/contract_report.h"

namespace usernic {

XmitCheck::XmitCheck(FrameAccount& account, const TxQueue& queue, Skb& skb, Place sent_at) noexcept
    : queue_(queue),
      skb_(skb),
      sent_at_(sent_at),
      life_(skb.watch().life.load(std::memory_order_relaxed)),
      data_(skb.data_),
      size_(skb.size_),
      offload_(skb.offload_),
      fingerprint_(fingerprint()),
      stops_(queue.stops_.load(std::memory_order_relaxed)),
      wakes_(queue.wakes_.load(std::memory_order_relaxed)) {
  account.enter(skb_.watch().account);
}

// Of all octets: a header written in place is a change, too.
uint64_t XmitCheck::fingerprint() const noexcept {
  uint64_t sum = size_;
  const uint8_t* from = data_;
  for (uint32_t left = size_; left != 0;) {
    const uint32_t step = left < sizeof sum ? left : uint32_t{sizeof sum};
    uint64_t word = 0;
    std::memcpy(&word, from, step);
    sum = (sum ^ word) * 0x9e37'79b9'7f4a'7c15;
    sum ^= sum >> 29;
    from += step, left -= step;
  }
  return sum;
}

NetdevTx XmitCheck::judge(NetdevTx answer) noexcept {
  if (answer == NetdevTx::kLocked) {
    end(skb_);
    say("xmit-locked",
        "start_xmit answers kLocked, as drivers once did whose own lock was taken; the sender tries again: wait for "
        "the "
        "lock, which is held for moments");
    return NetdevTx::kBusy;
  }
  if (answer == NetdevTx::kBusy) return judge_busy();
  if (answer == NetdevTx::kDropped && skb_.watch().life.load(std::memory_order_relaxed) == life_) {
    say("xmit-dropped-kept",
        "start_xmit answers kDropped of a frame that it has not freed: free it first, or answer kOk and keep it");
  }
  return answer;
}

NetdevTx XmitCheck::judge_busy() noexcept {
  if (skb_.watch().life.load(std::memory_order_relaxed) != life_) {
    say("xmit-busy-freed",
        "start_xmit answers kBusy of a frame that it has freed: kOk of a frame that was taken, kDropped of one that "
        "was "
        "freed unsent");
    return NetdevTx::kDropped;
  }
  if (skb_.at_ != Skb::At::kHands) {
    say("xmit-busy-kept",
        "start_xmit answers kBusy of a frame that it keeps in a batch of its own: kBusy leaves the frame with the "
        "caller");
    return NetdevTx::kDropped;
  }
  end(skb_);
  const bool moved = skb_.data_ != data_ || skb_.size_ != size_ || skb_.offload_ != offload_;
  skb_.data_ = data_;
  skb_.size_ = size_;
  skb_.offload_ = offload_;
  if (moved || fingerprint() != fingerprint_) {
    say("xmit-busy-changed",
        "start_xmit answers kBusy of a frame that it has changed: look for room first, then touch the frame");
  }
  // A queue that was stopped in this call and woken since is no mistake.
  const bool woken = queue_.stops_.load(std::memory_order_relaxed) != stops_ &&
                     queue_.wakes_.load(std::memory_order_relaxed) != wakes_;
  if (!queue_.stopped() && !woken) {
    say("xmit-busy-running",
        "start_xmit answers kBusy and leaves its queue running, so nobody wakes who waits: stop the queue before the "
        "ring is full, with maybe_stop");
  }
  return NetdevTx::kBusy;
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a report allocates; the process is on its way down or under test
    void
    XmitCheck::say(const char* rule, const char* text) const noexcept {
  const BlockingByDesign allowed;
  report_contract(rule, text, sent_at_);
}
USERNIC_BLOCKING_BY_DESIGN_END

}  // namespace usernic
