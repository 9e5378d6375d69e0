// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/rx_handler.h"

#include <utility>

#include "core/device/device.h"
#include "core/device/net_impl.h"
#include "core/frame/coalesce.h"
#include "core/frame/tx_offload.h"
#include "core/frame/xmit_check.h"

namespace usernic {
namespace {

Atomic<RxHandler*>& slot(Device& dev, RxStage stage) noexcept {
  return dev.rx_handlers[static_cast<size_t>(stage)];
}

void fit(Device& dev, SkbBatch& frames, Features kinds) noexcept USERNIC_NONBLOCKING {
  if (const uint32_t dropped = fit_to_port(frames, kinds, dev.taps); dropped != 0) [[unlikely]]
    dev.receiving.counters.drop(dropped);
}

// What every handler takes.
Features superframes_above(const Device& dev) noexcept USERNIC_NONBLOCKING {
  Features kinds = kSegmentation;
  for (const Atomic<RxHandler*>& each : dev.rx_handlers) {
    if (const RxHandler* const handler = each.load(); handler != nullptr) kinds = kinds & handler->superframes();
  }
  return kinds;
}

}  // namespace

Result<> register_rx_handler(NetDevice& dev, RxStage stage, RxHandler& handler) {
  const ReportsOn concerned(dev);
  dev.net().rtnl().assert_held();
  if (dev.reg_state() != RegState::kRegistered) return fail(std::errc::no_such_device);
  RxHandler* none = nullptr;
  if (!slot(Device::of(dev), stage).compare_exchange_strong(none, &handler)) {
    return fail(std::errc::device_or_resource_busy);
  }
  return {};
}

void unregister_rx_handler(NetDevice& dev, RxStage stage, RxHandler& handler) {
  const ReportsOn concerned(dev);
  dev.net().rtnl().assert_held();
  RxHandler* mine = &handler;
  if (slot(Device::of(dev), stage).compare_exchange_strong(mine, nullptr)) synchronize_rx(dev);
}

RxHandler* rx_handler(const NetDevice& dev, RxStage stage) noexcept {
  return Device::of(dev).rx_handlers[static_cast<size_t>(stage)].load();
}

void synchronize_rx(NetDevice& dev, Place where) {
  const ReportsOn concerned(dev);
  might_sleep();
  dev.net().rtnl().assert_held();
  Device::of(dev).receiving.sections.synchronize("whoever receives its frames to be done with them", where);
}

void unregister_rx_handlers(Device& dev) {
  for (Atomic<RxHandler*>& handler : dev.rx_handlers) handler.store(nullptr);
  synchronize_rx(dev);
}

RxSection::RxSection(NetDevice& dev) noexcept : dev_(dev), phase_(Device::of(dev).receiving.sections.enter()) {}
RxSection::~RxSection() noexcept {
  Device::of(dev_).receiving.sections.leave(phase_);
}

void Device::deliver(uint16_t queue, SkbBatch& frames, bool offloaded) noexcept {
  if (kChecksOn) XmitCheck::end(frames);
  if (!taps.none()) [[unlikely]]
    taps.received(frames);
  if (rx_handlers[0].load() != nullptr || rx_handlers[1].load() != nullptr) {
    RxSection section(*this);
    if (offloaded) fit(*this, frames, superframes_above(*this));
    for (Atomic<RxHandler*>& each : rx_handlers) {
      if (RxHandler* const handler = each.load(); handler != nullptr) handler->receive(frames);
    }
    if (frames.empty()) return;
  }
  if (InPort in(*this); in) {
    const Features kinds = in->superframes();
    if (offloaded) fit(*this, frames, kinds);
    if (frames.size() > 1 && !kinds.none() && features().has(Feature::kGro)) Coalescer(kinds).merge(frames);
    in->receive_from(queue, frames);
  } else if (!taps.none()) [[unlikely]] {
    taps.dropped(frames, FrameWay::kIn, "the device has no port");
  }
  SkbPool::free(frames);
}

void NetDevice::receive(SkbBatch& frames, Place where) noexcept {
  Device& dev = Device::of(*this);
  BhScope bh;
  if (!dev.running_.load()) {
    dev.receiving.counters.drop(wire_of(frames).frames);
    dev.taps.dropped(frames, FrameWay::kIn, "the device is down");
    return SkbPool::free(frames);
  }
  const bool offloaded = dev.frame_limit.receive(dev.receiving.counters, frames, FrameLimit::From::kBelow, where);
  dev.deliver(0, frames, offloaded);
}

}  // namespace usernic
