// SPDX-License-Identifier: Apache-2.0 OR MIT
// usbnet: what every driver of a USB network adapter does the same: transfers in flight, stalls, unplug and return.
//
//   start_xmit -> packed into a free block -> bulk OUT      bulk IN -> done list -> NAPI schedule
//   poll: unpacked into a batch, submitted again            interrupt IN -> the adapter's `interrupt`
//   unplugged -> work: detach; then, again and again, work: is it back? set it up as it was, attach
//
// Whatever uses the device runs on the netdevice's lane or keeps it parked, so the works of unplug and return are never
// beside open, stop or a filter command: the device, and whether it is started, need no lock there; `off_lane` reads
// the device elsewhere, for which the pointer changes under a mutex. Transfers complete in BH context on the bus'
// thread; two leaf locks guard what they share with start_xmit and poll. [kernel: usbnet.c]
#pragma once

#include <memory>
#include <vector>

#include "bus/usb/port.h"
#include "usernic/napi.h"
#include "usernic/net.h"
#include "usernic/offload.h"
#include "usernic/work.h"

namespace usernic::usb {

// What one transfer out holds.
struct TxBlock {
  std::span<uint8_t> room;
  uint32_t size = 0;
  uint32_t frames = 0;
};

// Where the frames of a transfer in go.
class RxFrames {
 public:
  // Copies it; `sum`: what the adapter knows of its checksum. A frame that is longer than the adapter's `frame_max` or
  // shorter than an Ethernet header is an error; one without a buffer is dropped.
  virtual void add(std::span<const uint8_t> frame, FrameSum sum = FrameSum::kNone) noexcept USERNIC_NONBLOCKING = 0;

 protected:
  ~RxFrames() = default;
};

// What differs from adapter to adapter: the driver's half. Context, where not said: process, on the lane.
class Adapter {
 public:
  struct Pipes {
    uint8_t bulk_in = 0, bulk_out = 0;
    uint8_t interrupt_in = 0;       // 0: none
    uint16_t interrupt_packet = 0;  // its longest packet: a transfer is one, as a full packet does not end a longer one
  };

  // Is it this adapter, or its like? Context: process, any.
  virtual bool takes(const Device& device) const = 0;
  // From power on, or from whatever state, to one in which `enable` is all that is missing; says the link.
  virtual Result<> set_up(Device& device, const StopToken& stop) = 0;
  virtual Pipes pipes() const = 0;  // after a set_up
  // From here on it receives own address and broadcast, and transmits; until `disable`.
  virtual Result<> enable(Device& device, const StopToken& stop) = 0;
  virtual void disable(Device& device, const StopToken& stop) = 0;
  // Somebody called `call_later`.
  virtual void later(Device&, const StopToken&) {}

  // False: no room. A frame goes into an empty block, or into none. Context: BH, xmit lock held.
  virtual bool pack(TxBlock& block, std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING = 0;
  // Before the block goes out; true: with an empty packet behind it where it fills its last one.
  virtual bool seal(TxBlock& block) noexcept USERNIC_NONBLOCKING = 0;
  // What came, as the device sent it. False: something in it is not as it has to be. Context: BH.
  virtual bool unpack(std::span<const uint8_t> octets, RxFrames& frames) noexcept USERNIC_NONBLOCKING = 0;
  virtual void interrupt(std::span<const uint8_t> octets) noexcept USERNIC_NONBLOCKING = 0;

 protected:
  ~Adapter() = default;
};

class Usbnet {
 public:
  struct Sizes {
    uint32_t rx_bytes;      // of a transfer in: whole packets, longer than what the adapter sends at once
    uint32_t tx_bytes;      // of a block
    uint32_t frame_max;     // without FCS
    uint32_t frames = 128;  // of the pool
  };

  // The adapter outlives it.
  Usbnet(NetDevice& dev, Adapter& adapter, std::shared_ptr<Port> port, std::unique_ptr<Device> device,
         const Sizes& sizes);
  ~Usbnet();
  Usbnet(const Usbnet&) = delete;
  Usbnet& operator=(const Usbnet&) = delete;

  // The netdevice ops [include/usernic/driver.h].
  Result<> init();
  void uninit();
  Result<> open();
  void stop();
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING;
  void get_stats(LinkStats& stats) const noexcept USERNIC_NONBLOCKING;
  int poll(Napi& napi, int budget) noexcept USERNIC_NONBLOCKING;

  // Up, and there. Context: any.
  bool started() const noexcept USERNIC_NONBLOCKING { return started_.load(); }
  // The device; null while it is unplugged. Context: process, on the lane.
  Device* device() const noexcept { return device_.get(); }
  void link_changed(bool up) noexcept USERNIC_NONBLOCKING;
  // Calls `ask` with the device, which stays until it returns. no_such_device: it is unplugged. Others use the device
  // meanwhile: `ask` is one transfer. Context: process, not on the lane.
  template <class Ask>
  Result<> off_lane(Ask&& ask) {
    MutexGuard guard(device_lock_);
    return device_ == nullptr ? fail(std::errc::no_such_device) : ask(*device_);
  }
  // The adapter's `later` is called on the lane, unless it is not started then. Context: any.
  void call_later(Duration after = Duration::zero()) noexcept USERNIC_NONBLOCKING;

 private:
  static constexpr uint32_t kRxTransfers = 16;
  static constexpr uint32_t kTxTransfers = 8;
  static constexpr uint32_t kInterruptBytes = 64;
  static constexpr LockClass kRxClass{"usbnet_rx", LockUse::kAnyContext};
  static constexpr LockClass kTxClass{"usbnet_tx", LockUse::kAnyContext};
  static constexpr LockClass kDeviceClass{"usbnet_device"};

  struct RxSlot {
    RxSlot(Usbnet& net, uint32_t bytes) : net(net), octets(bytes) {}
    Usbnet& net;
    std::vector<uint8_t> octets;
    RxSlot* next = nullptr;  // in the done list
    bool broken = false;     // waits for repair; the poll's, then the work's
    Transfer transfer{&Usbnet::on_received, this};
  };
  struct TxSlot {
    TxSlot(Usbnet& net, uint32_t bytes) : net(net), octets(bytes) {}
    Usbnet& net;
    std::vector<uint8_t> octets;
    TxSlot* next = nullptr;  // in the free list
    TxBlock block{};
    Transfer transfer{&Usbnet::on_sent, this};
  };
  class Unpacked;

  static void on_received(void* slot, Transfer& transfer) noexcept USERNIC_NONBLOCKING;
  static void on_sent(void* slot, Transfer& transfer) noexcept USERNIC_NONBLOCKING;
  static void on_interrupt(void* self, Transfer& transfer) noexcept USERNIC_NONBLOCKING;
  static void on_unplugged(void* self) noexcept USERNIC_NONBLOCKING;

  // Life.
  Result<> start(const StopToken& stop);
  Result<> submit_all();
  void quiesce(const StopToken& stop);
  void unplugged();
  void look_for_it();
  void look_later();
  void replace_device(std::unique_ptr<Device> with);
  void returned();
  void repair();
  bool repair_rx(const Wait& wait);
  void repair_soon() noexcept USERNIC_NONBLOCKING;

  // Frames.
  RxSlot* take_done() noexcept USERNIC_NONBLOCKING;
  bool submit(RxSlot& slot) noexcept USERNIC_NONBLOCKING;
  uint32_t tx_room() const noexcept USERNIC_NONBLOCKING { return tx_free_count_.load(); }
  bool begin_block(TxQueue& queue) noexcept USERNIC_NONBLOCKING;
  bool send_block() noexcept USERNIC_NONBLOCKING;
  TxSlot* take_free() noexcept USERNIC_NONBLOCKING;
  void put_free(TxSlot& slot) noexcept USERNIC_NONBLOCKING;

  // Constant.
  NetDevice& dev_;
  Adapter& adapter_;
  Workqueue& lane_;
  const std::shared_ptr<Port> port_;
  const Sizes sizes_;

  Mutex device_lock_{kDeviceClass};  // held when the pointer changes, and by who reads it off the lane
  // The lane's, see above.
  std::unique_ptr<Device> device_;  // null while it is unplugged
  Adapter::Pipes pipes_;
  bool up_ = false;              // between open and stop
  Atomic<bool> started_{false};  // up, and there; completions read it

  Napi napi_;
  Work unplug_work_;
  Work look_work_;  // on the system workqueue
  Work return_work_;
  Work repair_work_;
  Work later_work_;
  std::unique_ptr<Device> found_;  // the look's, then the return's
  StopSource end_;                 // nobody looks for the device any more
  const StopToken ending_ = end_.token();
  Atomic<bool> tx_stalled_{false}, interrupt_broken_{false};
  Atomic<uint64_t> rx_errors_{0}, tx_errors_{0};

  SkbPool pool_;
  std::vector<std::unique_ptr<RxSlot>> rx_;
  SpinLock rx_lock_{kRxClass};
  RxSlot* done_first_ USERNIC_GUARDED_BY(rx_lock_) = nullptr;
  RxSlot* done_last_ USERNIC_GUARDED_BY(rx_lock_) = nullptr;
  std::vector<std::unique_ptr<TxSlot>> tx_;
  TxSlot* filling_ = nullptr;  // start_xmit's, which the xmit lock makes one at a time
  SpinLock tx_lock_{kTxClass};
  TxSlot* tx_free_ USERNIC_GUARDED_BY(tx_lock_) = nullptr;
  Atomic<uint32_t> tx_free_count_{0};
  uint8_t interrupt_octets_[kInterruptBytes] = {};
  Transfer interrupt_{&Usbnet::on_interrupt, this};
};

}  // namespace usernic::usb
// Explained best by: drivers/rtl8150/rtl8150_test.cc
