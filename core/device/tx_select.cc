// SPDX-License-Identifier: Apache-2.0 OR MIT
// Which of a device's TX queues a frame goes to.
#include "usernic/tx_select.h"

#include <fmt/format.h>

#include <array>
#include <optional>

#include "core/contract/ndo.h"
#include "core/device/device.h"
#include "usernic/contract_report.h"
#include "usernic/flow_hash.h"

namespace usernic {
namespace {

constexpr size_t kChosenAtOnce = 64;

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a report allocates; the process is on its way down or under test
    void
    report_range(const Device& dev, uint16_t answer, Place where) noexcept USERNIC_NONBLOCKING {
  const BlockingByDesign allowed;
  report_contract(
      dev, "select-queue-range",
      fmt::format("select_queue answers {}, of {} TX queues; queue 0 is taken", answer, dev.tx_queues.size()), where);
}
USERNIC_BLOCKING_BY_DESIGN_END

// The first frames of a batch, each with its queue.
struct Chosen {
  std::array<Skb*, kChosenAtOnce> frames;
  std::array<uint16_t, kChosenAtOnce> queues;
  size_t count = 0;

  // `flow`: of all of them; none: of each it is a hash.
  Chosen(Device& dev, SkbBatch& from, std::optional<uint16_t> flow, Place where) noexcept USERNIC_NONBLOCKING {
    const BhScope bh(where);
    for (; count < kChosenAtOnce && !from.empty(); ++count) {
      frames[count] = from.pop_front();
      queues[count] = dev.queue_for(*frames[count], flow, where).index();
    }
  }
  // Those that go where the one at `first` does, in their order.
  void take(size_t first, SkbBatch& to) noexcept USERNIC_NONBLOCKING {
    for (size_t i = first; i < count; ++i) {
      if (frames[i] == nullptr || queues[i] != queues[first]) continue;
      to.push_back(*std::exchange(frames[i], nullptr));
    }
  }
};

}  // namespace

bool selects_queue(const NetDevice& dev) noexcept {
  return has_ndo<Ndo::kSelectQueue>(Device::of(dev));
}

TxQueue& Device::queue_for(const Skb& skb, std::optional<uint16_t> known, Place where) noexcept {
  const auto count = static_cast<uint32_t>(tx_queues.size());
  if (count == 1) [[likely]]
    return tx_queues.front();
  const auto flow = known ? *known : static_cast<uint16_t>(uint64_t{flow_hash(skb.bytes())} * count >> 32);
  if (!has_ndo<Ndo::kSelectQueue>(*this)) return tx_queues[flow];
  const uint32_t section = netpollers.enter();  // whoever stops the driver waits
  const uint16_t answer = running_.load() ? call_ndo<Ndo::kSelectQueue>(*this, skb, flow) : flow;
  netpollers.leave(section);
  if (answer < count) [[likely]]
    return tx_queues[answer];
  if (kChecksOn) report_range(*this, answer, where);
  return tx_queues.front();
}

// Once something is left, what comes later stays behind it: else a queue that is woken meanwhile would send it first.
uint32_t NetDevice::xmit(SkbBatch& frames, Place where) noexcept {
  Device& dev = Device::of(*this);
  if (dev.tx_queues.size() == 1) [[likely]]
    return xmit(dev.tx_queues.front(), frames, where);
  uint32_t sent = 0;
  SkbBatch left;
  while (!frames.empty() && left.empty()) {
    Chosen chosen(dev, frames, std::nullopt, where);
    for (size_t i = 0; i < chosen.count; ++i) {
      if (chosen.frames[i] == nullptr) continue;
      SkbBatch one;
      chosen.take(i, one);
      sent += xmit(dev.tx_queues[chosen.queues[i]], one, where);
      left.splice(one);
    }
  }
  frames.splice_front(left);
  return sent;
}

uint32_t NetDevice::xmit(SkbBatch& frames, std::span<SkbBatch> left, Place where) noexcept {
  return Device::of(*this).send_each(frames, left, std::nullopt, where);
}
uint32_t NetDevice::xmit(SkbBatch& frames, std::span<SkbBatch> left, uint16_t flow, Place where) noexcept {
  return Device::of(*this).send_each(frames, left, flow, where);
}

uint32_t Device::send_each(SkbBatch& frames, std::span<SkbBatch> left, std::optional<uint16_t> flow,
                           Place where) noexcept {
  uint32_t sent = 0;
  if (flow) flow = static_cast<uint16_t>(*flow % tx_queues.size());
  for (size_t i = 0; i < left.size(); ++i) {
    if (!left[i].empty()) sent += xmit(tx_queues[i], left[i], where);
  }
  if (left.size() == 1 || (flow && !has_ndo<Ndo::kSelectQueue>(*this))) [[likely]] {
    const size_t only = left.size() == 1 ? 0 : *flow;
    const bool is_first = left[only].empty() && !frames.empty();
    left[only].splice(frames);
    return is_first ? sent + xmit(tx_queues[only], left[only], where) : sent;
  }
  while (!frames.empty()) {
    Chosen chosen(*this, frames, flow, where);
    for (size_t i = 0; i < chosen.count; ++i) {
      if (chosen.frames[i] == nullptr) continue;
      SkbBatch& waits = left[chosen.queues[i]];
      const bool is_first = waits.empty();
      chosen.take(i, waits);
      if (is_first) sent += xmit(tx_queues[chosen.queues[i]], waits, where);
    }
  }
  return sent;
}

}  // namespace usernic
