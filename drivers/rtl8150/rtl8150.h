// SPDX-License-Identifier: Apache-2.0 OR MIT
// rtl8150: the driver of Realtek's USB 1.1 Fast Ethernet adapter.
//
//   start_xmit -> a free transfer, copied and padded -> bulk OUT      bulk IN -> done list -> NAPI schedule
//   poll: frames into a batch, fresh buffers, submitted again         interrupt IN -> link -> carrier
//   set_rx_mode_async: one control transfer a command
//   unplugged -> work: detach; then, again and again, work: is it back? set it up as it was, attach
//
// The chip has no unicast filter besides the own address; a hash of 64 buckets for multicasts.
//
// Whatever uses the registers runs on the device's lane or keeps it parked, so the works of unplug and return are never
// beside open, stop or a filter command: the device, and whether it is started, need no lock. Transfers complete in BH
// context on the bus' thread; two leaf locks guard what they share with start_xmit and poll.
#pragma once

#include <array>
#include <memory>

#include "bus/usb/port.h"
#include "drivers/rtl8150/regs.h"
#include "usernic/driver.h"
#include "usernic/napi.h"
#include "usernic/net.h"
#include "usernic/work.h"

namespace usernic {

class Rtl8150 {
 public:
  static constexpr uint32_t kMtuMax = rtl8150::kMtuMax;

  static bool takes(uint16_t vendor, uint16_t product) noexcept;
  // A device for the adapter at the port, not registered yet. Without an address it gets the adapter's own. Errors:
  // the port's; not_supported: another kind of device is there; invalid_argument: an MTU that is too large.
  // Context: process.
  static Result<NetdevPtr> probe(Net& net, NetdevConfig config, std::shared_ptr<usb::Port> port, const usb::Wait& wait);

  Rtl8150(NetDevice& dev, std::shared_ptr<usb::Port> port, std::unique_ptr<usb::Device> device);
  ~Rtl8150();
  Rtl8150(const Rtl8150&) = delete;
  Rtl8150& operator=(const Rtl8150&) = delete;

  // The netdevice ops [include/usernic/driver.h].
  Result<> init();
  void uninit();
  Result<> open();
  void stop();
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING;
  RxFilterCaps rx_filter_caps() const;
  void set_rx_mode_async(RxPlan& plan);
  uint32_t rx_hash(AddressClass address_class, const MacAddress& address) const;
  Result<> set_mac_address(const MacAddress& address);
  void get_stats(LinkStats& stats) const noexcept USERNIC_NONBLOCKING;

  // The NAPI poll [include/usernic/napi.h].
  int poll(Napi& napi, int budget) noexcept USERNIC_NONBLOCKING;

 private:
  static constexpr uint32_t kRxTransfers = 16;
  static constexpr uint32_t kTxTransfers = 8;
  static constexpr uint32_t kRxBytes = 1600;  // whole packets: what is longer than a frame still ends in a buffer
  static constexpr uint32_t kTxBytes = rtl8150::kFrameMax;
  static constexpr LockClass kRxClass{"rtl8150_rx", LockUse::kAnyContext};
  static constexpr LockClass kTxClass{"rtl8150_tx", LockUse::kAnyContext};

  struct RxSlot {
    explicit RxSlot(Rtl8150& driver) : driver(driver) {}
    Rtl8150& driver;
    Skb* skb = nullptr;
    RxSlot* next = nullptr;  // in the done list
    bool broken = false;     // waits for repair; the poll's, then the work's
    usb::Transfer transfer{&Rtl8150::on_received, this};
  };
  struct TxSlot {
    explicit TxSlot(Rtl8150& driver) : driver(driver) {}
    Rtl8150& driver;
    TxSlot* next = nullptr;  // in the free list
    std::array<uint8_t, kTxBytes> frame{};
    usb::Transfer transfer{&Rtl8150::on_sent, this};
  };

  static void on_received(void* slot, usb::Transfer& transfer) noexcept USERNIC_NONBLOCKING;
  static void on_sent(void* slot, usb::Transfer& transfer) noexcept USERNIC_NONBLOCKING;
  static void on_interrupt(void* self, usb::Transfer& transfer) noexcept USERNIC_NONBLOCKING;
  static void on_unplugged(void* self) noexcept USERNIC_NONBLOCKING;

  // Registers.
  Result<> read(uint16_t address, std::span<uint8_t> octets, const StopToken& stop);
  Result<> write(uint16_t address, std::span<const uint8_t> octets, const StopToken& stop);
  Result<> write(uint16_t address, uint8_t octet, const StopToken& stop) { return write(address, {&octet, 1}, stop); }
  Result<> reset(const StopToken& stop);
  Result<> execute(const RxCommand& command, const StopToken& stop);
  Result<> set_accepted(bool promisc, bool allmulti, const StopToken& stop);
  Result<> set_bucket(uint32_t bucket, bool on, const StopToken& stop);

  // Life.
  Result<> start(const StopToken& stop);
  Result<> submit_all();
  void quiesce(const StopToken& stop);
  void unplugged();
  void look_for_it();
  void look_later();
  void returned();
  void repair();
  void link_changed(bool up) noexcept USERNIC_NONBLOCKING;

  // Frames.
  bool give_buffer(RxSlot& slot) noexcept USERNIC_NONBLOCKING;
  RxSlot* take_done() noexcept USERNIC_NONBLOCKING;
  Skb* take_frame(RxSlot& slot) noexcept USERNIC_NONBLOCKING;
  bool submit(RxSlot& slot) noexcept USERNIC_NONBLOCKING;
  uint32_t tx_room() const noexcept USERNIC_NONBLOCKING { return tx_free_count_.load(); }
  TxSlot* take_free() noexcept USERNIC_NONBLOCKING;
  void put_free(TxSlot& slot) noexcept USERNIC_NONBLOCKING;

  // Constant.
  NetDevice& dev_;
  Workqueue& lane_;
  const std::shared_ptr<usb::Port> port_;

  // The lane's, see above.
  std::unique_ptr<usb::Device> device_;      // null while it is unplugged
  bool up_ = false;                          // between open and stop
  Atomic<bool> started_{false};              // up, and there; completions read it
  bool promisc_ = false, allmulti_ = false;  // what kRcr and kMar hold, as far as known
  std::array<uint8_t, rtl8150::kBuckets / 8> hash_{};

  Napi napi_;
  Work unplug_work_;
  Work look_work_;  // on the system workqueue
  Work return_work_;
  Work repair_work_;
  std::unique_ptr<usb::Device> found_;  // the look's, then the return's
  StopSource end_;                      // nobody looks for the device any more
  const StopToken ending_ = end_.token();
  Atomic<bool> tx_stalled_{false}, interrupt_broken_{false};
  Atomic<uint64_t> rx_errors_{0}, tx_errors_{0};

  SkbPool pool_;
  std::array<std::unique_ptr<RxSlot>, kRxTransfers> rx_;
  SpinLock rx_lock_{kRxClass};
  RxSlot* done_first_ USERNIC_GUARDED_BY(rx_lock_) = nullptr;
  RxSlot* done_last_ USERNIC_GUARDED_BY(rx_lock_) = nullptr;
  std::array<std::unique_ptr<TxSlot>, kTxTransfers> tx_;
  SpinLock tx_lock_{kTxClass};
  TxSlot* tx_free_ USERNIC_GUARDED_BY(tx_lock_) = nullptr;
  Atomic<uint32_t> tx_free_count_{0};
  std::array<uint8_t, rtl8150::kInterruptBytes> interrupt_data_{};
  usb::Transfer interrupt_{&Rtl8150::on_interrupt, this};
};

}  // namespace usernic
// Explained best by: drivers/rtl8150/rtl8150_test.cc
