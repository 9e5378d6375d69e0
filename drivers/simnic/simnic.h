// SPDX-License-Identifier: Apache-2.0 OR MIT
// simnic: the driver, written as one would for silicon.
//
//   start_xmit -> TX ring -> doorbell                     card -> data interrupt -> NAPI schedule
//   poll: reclaim TX, receive RX into a batch, refill, complete_done, re-arm with what was seen
//   A queue is a pair of rings with a vector and a NAPI instance of its own; where there are more of the one kind, the
//   last queues have one ring. Queues share the filter, the link, and nothing on the way of a frame.
//   set_rx_mode_async: one mailbox transaction a plan, one message a command
//   change_carrier: a switch at this end of the cable: off, nothing comes in, and there is no carrier whatever the wire
//                   says; it stays as it is when the device is closed and opened
//   event interrupt: link -> carrier; reset -> work: acknowledge, put the own address back, tell the core;
//                    card gone -> work: detach
//
// Locks of its own: the mailbox mutex (IL, then mailbox) makes "acknowledge the reset" and "tell the core" one step
// that no filter command can fall into (rx-mode-rules R8), and guards the own address. The link spinlock makes "read
// the link" and "set the carrier" one step. The rings need none, see their headers.
//
// Buffers come from a pool, of each RX ring, that lives as long as the driver, because a frame may be out when the
// device is closed. A larger MTU takes pools of larger buffers; those before are kept until the end.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "drivers/simnic/card.h"
#include "drivers/simnic/rx_ring.h"
#include "drivers/simnic/tx_ring.h"
#include "usernic/driver.h"
#include "usernic/napi.h"
#include "usernic/net.h"
#include "usernic/work.h"

namespace usernic {

class Simnic {
 public:
  // A device for the card, not registered yet. Without an address it gets the card's own. Context: process.
  static Result<NetdevPtr> probe(Net& net, NetdevConfig config, std::shared_ptr<simnic::Card> card);

  Simnic(NetDevice& dev, std::shared_ptr<simnic::Card> card);
  Simnic(const Simnic&) = delete;
  Simnic& operator=(const Simnic&) = delete;

  // The netdevice ops [include/usernic/driver.h].
  Result<> init();
  void uninit();
  Result<> open();
  void stop();
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING;
  RxFilterCaps rx_filter_caps() const;
  void set_rx_mode_async(RxPlan& plan);
  uint32_t rx_hash(AddressClass address_class, const MacAddress& address) const;
  Result<> change_mtu(uint32_t mtu);
  Result<> set_mac_address(const MacAddress& address);
  Result<> change_carrier(bool on);
  Features hw_features() const;
  Result<> set_features(Features features);
  void get_stats(LinkStats& stats) const noexcept USERNIC_NONBLOCKING;
  Result<> get_drvinfo(DriverInfo& info);
  Result<> get_link_settings(LinkSettings& link);
  Result<> get_ringparam(RingParam& rings);
  Result<> get_ethtool_stats(std::vector<NamedCounter>& counters);
  Result<> get_regs(std::vector<RegisterValue>& registers);

  // The NAPI poll [include/usernic/napi.h].
  int poll(Napi& napi, int budget) noexcept USERNIC_NONBLOCKING;

 private:
  static constexpr LockClass kMailboxClass{"simnic_mailbox"};
  static constexpr LockClass kLinkClass{"simnic_link"};

  struct Queue {
    Queue(Simnic& driver, uint16_t index);
    simnic::Reg reg(simnic::Reg of_first) const noexcept USERNIC_NONBLOCKING {
      return simnic::of_queue(of_first, napi.queue());
    }
    // For kInterruptArm: how far the driver has looked.
    uint64_t seen() const noexcept USERNIC_NONBLOCKING;

    Napi napi;
    Work refill;
    // Changed by open, stop and change_mtu, while nobody polls and nobody sends.
    std::vector<std::unique_ptr<SkbPool>> pools;
    SkbPool* pool = nullptr;             // the one that serves
    std::unique_ptr<simnic::RxRing> rx;  // null: closed, or it has none
    std::unique_ptr<simnic::TxRing> tx;
  };

  static void on_irq(void* self, simnic::Vector vector) noexcept USERNIC_NONBLOCKING;
  void on_event(uint64_t cause) noexcept USERNIC_NONBLOCKING;
  void link_changed() noexcept USERNIC_NONBLOCKING;
  void recover_from_reset();
  bool is_open() const noexcept USERNIC_NONBLOCKING { return queues_.front().rx != nullptr; }
  bool make_pools(uint32_t mtu);
  Result<> allocate_rings();
  void program_receiver() noexcept;
  uint64_t control() const noexcept;
  uint64_t super_buffer(Features features) const noexcept;
  bool byte_limits() const noexcept USERNIC_NONBLOCKING { return card_->capabilities().byte_limits; }
  void go();
  void discard_received(simnic::RxRing& ring) noexcept;
  void free_rings() noexcept;
  void reclaim(Queue& queue) noexcept USERNIC_NONBLOCKING;
  int receive(Queue& queue, int budget) noexcept USERNIC_NONBLOCKING;

  // Constant.
  NetDevice& dev_;
  Workqueue& workqueue_;  // the Net's
  const std::shared_ptr<simnic::Card> card_;
  const simnic::Card::IrqHandler irq_handler_{&Simnic::on_irq, this};

  std::unique_ptr<SkbPool> segments_;  // what superframes that were received are cut into; once open, constant
  std::deque<Queue> queues_;
  Work reset_work_;
  Work unplug_work_;

  Mutex mailbox_{kMailboxClass};
  MacAddress own_address_ USERNIC_GUARDED_BY(mailbox_);

  Atomic<uint64_t> impossible_{0};    // frames longer than their buffers, as the card said
  Atomic<uint64_t> rx_discarded_{0};  // received, and not polled when the receiver was stopped
  Atomic<uint64_t> tx_discarded_{0};  // not sent when the transmitter was stopped

  SpinLock link_lock_{kLinkClass};
  bool up_ USERNIC_GUARDED_BY(link_lock_) = false;
  Atomic<bool> held_down_{false};  // by change_carrier; written under IL, and then the link is looked at

  // Changed by open and change_mtu.
  uint32_t buffer_bytes_ = 0;  // of the pools that serve
  uint32_t frame_max_ = 0;
};

}  // namespace usernic
// Explained best by: drivers/simnic/simnic_test.cc
