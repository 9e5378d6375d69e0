// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: frame taps, by which somebody sees a device's frames without taking them: a capture.
//
//   xmit --> cut and summed as the driver takes it --> [see] --> start_xmit --> [settle]
//   Napi::receive, NetDevice::receive --> [see, settle] --> RX handlers --> merged for the port --> port
//
// What is sent is seen as the driver gets it: a superframe whole where the card cuts it, a frame without its sum where
// the card writes it. What is received is seen as it came. A frame that goes no further is seen where it is dropped,
// with the reason, where it is at hand there: once more, if it was seen before.
// [kernel: dev_add_pack of ETH_P_ALL, dev_queue_xmit_nit, kfree_skb_reason]
#pragma once

#include <cstddef>
#include <cstdint>

#include "usernic/annotations.h"
#include "usernic/context.h"
#include "usernic/error.h"

namespace usernic {

struct NetDevice;
struct Skb;
class SkbBatch;
struct TxQueue;
enum class NetdevTx : uint8_t;

enum class FrameWay : uint8_t { kIn, kOut };

// kNotTaken: the driver had no room (kBusy); the frame is seen again when it is sent again.
enum class FrameFate : uint8_t { kWentOn, kDropped, kNotTaken };

// Why a frame was dropped, in a few words: a literal, so that it is there for as long as somebody reads it.
class DropReason {
 public:
  constexpr DropReason() noexcept = default;  // none
  template <size_t size>
  consteval DropReason(const char (&literal)[size]) noexcept : text_(literal) {}
  constexpr const char* text() const noexcept { return text_; }  // null: none

 private:
  const char* text_ = nullptr;
};

// What is called of one frame is called by one thread; those of different frames may overlap.
class FrameTap {
 public:
  // The frame, which is another's: what is wanted of it is copied. `settle` follows soon, with what `see` returned; in
  // between other frames may be seen. Context: BH, or hard irqs disabled.
  virtual uint64_t see(const Skb& skb, FrameWay way) noexcept USERNIC_NONBLOCKING = 0;
  virtual void settle(uint64_t seen, FrameFate fate, DropReason why) noexcept USERNIC_NONBLOCKING = 0;
  // What the card's filter does may have changed: RxMode::status says what it does now. Context: process, the device's
  // instance lock held; must not wait for the device.
  virtual void rx_mode_changed() noexcept {}
  // The device is unregistered, and the tap off it. Context: process, rtnl held; must not detach.
  virtual void gone() noexcept {}

 protected:
  ~FrameTap() = default;
};

// Context of both: process, neither rtnl nor the device's instance lock held.
// EBUSY: it has kFrameTapsMax. ENODEV: it is not registered.
inline constexpr uint32_t kFrameTapsMax = 16;  // of a device
Result<> attach_tap(NetDevice& dev, FrameTap& tap);
// Returns when no call of it runs any more. Nothing when it is off already. Requires: the device's memory is there
// (DeviceHandle).
void detach_tap(NetDevice& dev, FrameTap& tap, Place where = Place::current());

// For who drops a frame of the device's, a port, a driver: before it is freed, it is seen with the reason. Costs one
// look while there is no tap. Context: any.
void note_drop(NetDevice& dev, const Skb& skb, FrameWay way, DropReason why) noexcept USERNIC_NONBLOCKING;
// Of each; returns how many they are on the wire, to be counted.
uint64_t note_drops(NetDevice& dev, SkbBatch& frames, FrameWay way, DropReason why) noexcept USERNIC_NONBLOCKING;

// For start_xmit, of the frame that it was given: frees it, and returns kDropped, to be answered. Taps, which see the
// frame then, are told why; of a driver that answers kDropped by itself they know no more than that.
[[nodiscard]] NetdevTx drop_in_xmit(Skb& skb, TxQueue& queue, DropReason why, Place where = Place::current()) noexcept
    USERNIC_NONBLOCKING;

}  // namespace usernic
// Explained best by: core/device/frame_tap_test.cc
