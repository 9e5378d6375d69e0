// SPDX-License-Identifier: Apache-2.0 OR MIT
// simnic: what the tests of the card share.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

#include "drivers/simnic/card.h"
#include "drivers/simnic/tap.h"
#include "drivers/simnic/test_frames.h"
#include "usernic/net.h"

namespace usernic::simnic {

inline std::errc error_of(const Result<>& result) {
  return result ? std::errc{} : result.error();
}

inline Message add(const MacAddress& a) {
  return {Op::kAdd, a.is_multicast() ? Table::kMulticast : Table::kUnicast, 0, 0, a};
}
inline Message del(const MacAddress& a) {
  return {Op::kDel, a.is_multicast() ? Table::kMulticast : Table::kUnicast, 0, 0, a};
}
// The least that drives a card: rings of fixed buffers, and interrupts that are only counted.
class CardTest : public ::testing::Test {
 public:
  static constexpr uint32_t kDescriptors = 8;
  static constexpr uint32_t kBuffer = 2048;

  explicit CardTest(const SimnicConfig& config = {}) : card(config, kOwnA, wire) {
    for (uint32_t i = 0; i < kDescriptors; ++i) {
      rx[i].address = reinterpret_cast<uintptr_t>(buffers[i].data());
      rx[i].length = kBuffer;
    }
    card.write(Reg::kRxRing, reinterpret_cast<uintptr_t>(rx.data()));
    card.write(Reg::kRxSize, kDescriptors);
    card.write(Reg::kRxTail, kDescriptors);
    card.write(Reg::kTxRing, reinterpret_cast<uintptr_t>(tx.data()));
    card.write(Reg::kTxSize, kDescriptors);
    card.write(Reg::kControl, kControlRx | kControlTx);
    card.connect_irq(handler);
  }
  ~CardTest() override { card.disconnect_irq(); }

  void queue(const std::vector<uint8_t>& frame) {
    Descriptor& descriptor = tx[tx_tail++ % kDescriptors];
    descriptor.status.store(0);
    descriptor.address = reinterpret_cast<uintptr_t>(frame.data());
    descriptor.length = static_cast<uint32_t>(frame.size());
  }
  void doorbell() { card.write(Reg::kTxTail, tx_tail); }
  void arm(uint32_t rx_index, uint32_t tx_index) { card.write(Reg::kInterruptArm, arm_value(rx_index, tx_index)); }
  // Gives the descriptor back as an empty buffer.
  void refill(uint32_t index) {
    rx[index % kDescriptors].status.store(0);
    rx[index % kDescriptors].length = kBuffer;
    card.write(Reg::kRxTail, index + 1 + kDescriptors);
  }
  uint32_t status(const std::array<Descriptor, kDescriptors>& ring, uint32_t index) const {
    return ring[index % kDescriptors].status.load();
  }

  static void on_irq(void* self, Vector vector) noexcept USERNIC_NONBLOCKING {
    auto& test = *static_cast<CardTest*>(self);
    test.context = current_context();
    (vector == Vector::kData ? test.data_irqs : test.event_irqs).fetch_add(1);
    if (test.hook != nullptr) test.hook(test);
  }

  Net net;
  std::shared_ptr<Wire> wire = std::make_shared<Wire>("w", net.system_workqueue());
  WireTap tap{wire, 64};
  Card card;
  std::array<Descriptor, kDescriptors> rx, tx;
  std::array<std::array<uint8_t, kBuffer>, kDescriptors> buffers{};
  uint32_t tx_tail = 0;
  Atomic<uint32_t> data_irqs{0}, event_irqs{0};
  Context context = Context::kProcess;
  void (*hook)(CardTest&) noexcept USERNIC_NONBLOCKING = nullptr;
  const Card::IrqHandler handler{&CardTest::on_irq, this};
};

}  // namespace usernic::simnic
