// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what start_xmit does with a frame and a queue, looked at while checks are on.
//
// One on the stack around a call. The frame is the driver's meanwhile; after kBusy it is the caller's again, as it was.
#pragma once

#include "core/frame/frame_account.h"
#include "usernic/tx_queue.h"

namespace usernic {

class XmitCheck {
 public:
  XmitCheck(FrameAccount& account, const TxQueue& queue, Skb& skb, Place sent_at) noexcept USERNIC_NONBLOCKING;
  // Reports what the answer does not allow. Returns the one to act on: a frame that is not there stays with whoever has
  // it, and counts as dropped.
  NetdevTx judge(NetdevTx answer) noexcept USERNIC_NONBLOCKING;

  // Frames that the driver has passed on.
  static void end(Skb& skb) noexcept USERNIC_NONBLOCKING { skb.leave_account(); }
  static void end(SkbBatch& frames) noexcept USERNIC_NONBLOCKING {
    for (Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*skb)) end(*skb);
  }

 private:
  uint64_t fingerprint() const noexcept USERNIC_NONBLOCKING;
  NetdevTx judge_busy() noexcept USERNIC_NONBLOCKING;
  void say(const char* rule, const char* text) const noexcept USERNIC_NONBLOCKING;

  const TxQueue& queue_;
  Skb& skb_;
  const Place sent_at_;
  const uint32_t life_;
  uint8_t* const data_;
  const uint32_t size_;
  const Offload offload_;
  const uint64_t fingerprint_;
  const uint32_t stops_, wakes_;
};

}  // namespace usernic
