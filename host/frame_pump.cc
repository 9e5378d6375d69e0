// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/frame_pump.h"

#include <utility>

#include "usernic/refusal.h"

namespace usernic {

namespace {

constexpr Duration kFramesBackWait = std::chrono::seconds(5);

std::string why_not_attached(std::errc error) {
  if (error == std::errc::no_such_device) return "it is not registered";
  if (error == std::errc::device_or_resource_busy) return "something sits on it already";
  return refusal(error);
}

}  // namespace

FramePump::FramePump(NetDevice& dev, KernelEnd& end, Readers& readers, Kick& changed, std::vector<Kick> woken,
                     const std::function<void(const std::string&)>& log)
    : dev_(dev), end_(end), changed_(changed) {
  for (Kick& each : woken) {
    const auto index = static_cast<uint16_t>(pumps_.size());
    std::function<void()> each_turn = [] {};
    if (index == 0) each_turn = [this] { follow_features(); };
    pumps_.emplace_back(dev, end, readers, index, std::move(each), std::move(each_turn), log);
  }
}

FramePump::~FramePump() {
  stop();
  const Time deadline = Clock::now() + kFramesBackWait;  // of all of them
  for (QueuePump& each : pumps_) each.wait_for_frames(deadline);
}

HostResult<> FramePump::start() {
  asked_for_ = taken_ = end_.take_superframes(kSegmentation);
  if (const Result<> attached = dev_.attach_port(*this); !attached) {
    end_.take_nothing_offloaded();
    return host_fail(attached.error(), why_not_attached(attached.error()));
  }
  attached_ = true;
  for (QueuePump& each : pumps_) {
    if (const HostResult<> started = each.start(); !started) return started;
  }
  return {};
}

void FramePump::stop() {
  if (!std::exchange(attached_, false)) return;
  dev_.detach_port();
  for (QueuePump& each : pumps_) each.stop();
  end_.take_nothing_offloaded();  // a persistent interface is left as it was
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // non-blocking writes to the kernel
    void
    FramePump::receive_from(uint16_t queue, SkbBatch& frames) noexcept {
  const BlockingByDesign allowed;
  const uint64_t dropped = pumps_[queue % pumps_.size()].write(frames);
  if (dropped != 0) receive_dropped_.fetch_add(dropped);
}
USERNIC_BLOCKING_BY_DESIGN_END

void FramePump::tx_wake(TxQueue& queue) noexcept {
  for (size_t i = 0; i < pumps_.size(); ++i) {
    if (i == queue.index() || pumps_[i].strays()) pumps_[i].look_again();
  }
}
void FramePump::carrier_changed(bool) noexcept {
  look_again();
  changed_.kick();
}
void FramePump::look_again() noexcept {
  for (QueuePump& each : pumps_) each.look_again();
}

uint64_t FramePump::oversized() const noexcept {
  uint64_t all = 0;
  for (const QueuePump& each : pumps_) all += each.queue().oversized();
  return all;
}

uint64_t FramePump::overrun() const noexcept {
  uint64_t all = 0;
  for (const QueuePump& each : pumps_) all += each.queue().overrun();
  return all;
}

// What the device takes, or, with kGso, what the core cuts for it.
void FramePump::follow_features() noexcept {
  const Features features = dev_.features();
  const Features kinds = taken_ & (features.has(Feature::kGso) ? kSegmentation : features);
  if (asked_for_ != kinds) (void)end_.take_superframes(kinds);
  asked_for_ = kinds;
}

}  // namespace usernic
