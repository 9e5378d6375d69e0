// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/device/device.h"
#include "core/frame/given_frame.h"
#include "core/frame/tx_offload.h"
#include "usernic/frame_tap.h"

namespace usernic {

Result<> attach_tap(NetDevice& dev, FrameTap& tap) {
  const ReportsOn concerned(dev);
  might_sleep();
  if (dev.reg_state() != RegState::kRegistered) return fail(std::errc::no_such_device);
  return Device::of(dev).taps.add(tap);
}

void detach_tap(NetDevice& dev, FrameTap& tap, Place where) {
  const ReportsOn concerned(dev);
  might_sleep();
  Device::of(dev).taps.remove(tap, where);
}

void note_drop(NetDevice& dev, const Skb& skb, FrameWay way, DropReason why) noexcept {
  Device::of(dev).taps.dropped(skb, way, why);
}

uint64_t note_drops(NetDevice& dev, SkbBatch& frames, FrameWay way, DropReason why) noexcept {
  Device::of(dev).taps.dropped(frames, way, why);
  return wire_of(frames).frames;
}

NetdevTx drop_in_xmit(Skb& skb, TxQueue& queue, DropReason why, Place where) noexcept {
  GivenFrame::say(Device::of(queue.dev()).taps, why);
  SkbPool::free(skb, where);
  return NetdevTx::kDropped;
}

}  // namespace usernic
