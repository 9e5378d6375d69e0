// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: all of a net_device. NetDevice is its public face and has no data.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/device/ref_tracker.h"
#include "core/device/tx_watchdog.h"
#include "core/frame/frame_account.h"
#include "core/frame/frame_limit.h"
#include "core/frame/taps.h"
#include "core/list/link.h"
#include "core/lock/lock_classes.h"
#include "core/lock/sections.h"
#include "core/rx/rx_mode_engine.h"
#include "usernic/driver.h"
#include "usernic/napi.h"
#include "usernic/net_device.h"
#include "usernic/own_addresses.h"
#include "usernic/port.h"
#include "usernic/work.h"

namespace usernic {

class Net;
class NotifierChain;
class PollThreads;
class RxHandler;
enum class NetdevEvent : uint8_t;
enum class TxFit : uint8_t;
struct NetdevConfig;
struct WireSize;

struct Device final : NetDevice {
  using NapiList = boost::intrusive::list<
      Napi, boost::intrusive::member_hook<Napi, boost::intrusive::list_member_hook<>, &Napi::device_hook_>>;

  Device(Net& net, const NetdevConfig& config, const NetDeviceOps& ops);
  ~Device() = default;

  static Device& of(NetDevice& dev) noexcept USERNIC_NONBLOCKING { return static_cast<Device&>(dev); }
  static const Device& of(const NetDevice& dev) noexcept USERNIC_NONBLOCKING { return static_cast<const Device&>(dev); }
  operator const NdoDevice&() const noexcept USERNIC_NONBLOCKING { return engine.device; }
  void drop_handle() noexcept;
  // The halves of register_netdev and unregister_netdev [usernic/porting.h].
  Result<> register_netdevice(Place where);
  bool start_unregister(Place where);
  static size_t wait_any_unregistered(std::span<NetDevice* const> devices, Place where = Place::current());

  // Constant after construction.
  Net& net_ref;
  PollThreads& poll_threads;
  const NetDeviceOps& ops;
  const uint16_t rx_queues;
  void* driver_ = nullptr;  // until free

  // Constant from registration on.
  uint32_t mtu_min_;
  uint32_t mtu_max_;

  // Written once, at registration; read in any context. Destroyed after whatever reports.
  static constexpr LockClass kNameClass{"device_name", LockUse::kAnyContext};
  mutable SpinLock name_lock{kNameClass};
  std::string name_ USERNIC_GUARDED_BY(name_lock);

  // Under rtnl, but for what a probe function does.
  OwnAddresses own_addresses_;
  std::shared_ptr<NotifierChain> notifiers;        // those of this device alone; made with the first
  void (*priv_destructor_)(NetDevice*) = nullptr;  // still to be called
  bool needs_free_ = false;

  // Own synchronisation.
  Mutex instance_lock{kInstanceClass};
  RefTracker refs;
  Taps taps;
  Workqueue lane_queue;
  RxModeEngine engine;
  std::deque<TxQueue> tx_queues;
  static constexpr LockClass kTxFreezeClass{"tx_freeze_lock"};
  SpinLock tx_freeze_lock{kTxFreezeClass};  // held while they are frozen; before an xmit lock
  Sections netpollers;                      // who is in its poll_controller or select_queue
  Sections lltx_senders;                    // of a driver that locks for itself: who is in its start_xmit
  class Watched final : public TxWatched {
   public:
    Watched(Device& dev, Duration patience) noexcept : TxWatched(patience), dev_(dev) {}
    std::deque<TxQueue>& queues() noexcept override { return dev_.tx_queues; }
    bool sends() const noexcept override { return dev_.present_.load() && dev_.carrier_.load(); }
    bool recovers() const noexcept override { return dev_.ops.tx_timeout != nullptr; }
    void time_out(TxQueue& queue, const std::string& what) override;

   private:
    Device& dev_;
  };
  Watched watched;
  Atomic<uint32_t> handles{1};
  Atomic<DevicePort*> port{nullptr};

  // Written under rtnl (and IL), read by anybody.
  Atomic<RegState> reg_state_{RegState::kUninitialized};
  Atomic<bool> running_{false};
  Atomic<bool> present_{true};
  Atomic<bool> carrier_{true};  // a driver that knows no link has one
  FrameLimit frame_limit;
  Atomic<uint32_t> features_{Features{Feature::kGso, Feature::kGro}.bits()};
  Features hw_features_;  // from registration on constant
  Atomic<uint64_t> address_;

  // Stacked devices: who is above (below: engine.wanted.lowers). Walked under this lock by who may be in an interrupt.
  static constexpr LockClass kUppersClass{"device_uppers", LockUse::kAnyContext};
  SpinLock uppers_lock{kUppersClass};
  Uppers uppers;
  Atomic<uint32_t> upper_count{0};
  // Under rtnl: devices in the longest chain downwards, this one included; and how many are above (level_guard.h).
  int chain_down = 1;
  void set_level(int level);

  bool usable() const noexcept USERNIC_NONBLOCKING {
    return reg_state_.load() == RegState::kRegistered && present_.load();
  }

  // What was gathered for `work`, and what a detach_soon has still to do; on the lane.
  void work_off();
  Atomic<uint32_t> work_events{0};
  Atomic<bool> goes_away{false};
  Work work{[this] { work_off(); }, this};

  // In between nobody is in start_xmit, of whatever queue, and none sends; BHs are disabled [usernic/porting.h].
  void freeze_tx(Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  void thaw_tx() noexcept USERNIC_NONBLOCKING;

  // Frames that the driver took, and did not drop.
  struct Sent {
    uint32_t packets = 0;
    uint64_t bytes = 0;
    bool refused = false;  // kBusy ended the batch
  };
  Sent send(TxQueue& queue, SkbBatch& frames, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;
  // The same for who must not wait. False: somebody holds the queue. Context: hard irqs disabled.
  bool try_send(TxQueue& queue, SkbBatch& frames, Sent& sent, Place where) noexcept USERNIC_NONBLOCKING;
  // NetDevice::xmit with what is left: each on its queue.
  uint32_t send_each(SkbBatch& frames, std::span<SkbBatch> left, std::optional<uint16_t> flow, Place where) noexcept
      USERNIC_NONBLOCKING;
  // Which one a frame goes to: the driver's select_queue, or the one of its flow, which is a hash where it is not
  // known. Context: BH, or hard irqs disabled.
  TxQueue& queue_for(const Skb& skb, std::optional<uint16_t> flow, Place where) noexcept USERNIC_NONBLOCKING;
  void unsendable(TxQueue& queue, Skb& skb, TxFit fit, Place where) noexcept USERNIC_NONBLOCKING;
  // The next one that the driver can take; others are cut, or dropped and counted. Null: none, or none for now.
  Skb* next_to_give(TxQueue& queue, SkbBatch& frames, WireSize& wire, Place where) noexcept USERNIC_NONBLOCKING;
  // The queue's frames to the driver, one by one. `gathers`: alone, under the xmit lock.
  Sent give(TxQueue& queue, SkbBatch& frames, bool gathers, Place where) noexcept USERNIC_NONBLOCKING;
  // There is room in the queue again: for the port, and for uppers. Context: any.
  void tell_room(TxQueue& queue) noexcept USERNIC_NONBLOCKING;
  // What waits in our queues for room below goes on (core/device/tx_below.cc), on the Net's own queue: a lane may be
  // busy with its card.
  void resume_below();
  Work resume_{[this] { resume_below(); }, this};

  // Received frames: to the handlers, then to the port; what is left is freed. Context: BH.
  // By an RX queue; `offloaded`: something is left to do on one.
  void deliver(uint16_t queue, SkbBatch& frames, bool offloaded) noexcept USERNIC_NONBLOCKING;
  Atomic<RxHandler*> rx_handlers[2]{};  // by RxStage; written under rtnl

  const FrameAccount::Owner frames_out = kChecksOn ? FrameAccount::open() : nullptr;

  // Napi instances come and go with the driver.
  static constexpr LockClass kNapisClass{"device_napis"};
  mutable SpinLock napis_lock;
  NapiList napis USERNIC_GUARDED_BY(napis_lock);
  LinkStats napis_gone USERNIC_GUARDED_BY(napis_lock);  // what freed instances had counted

  // What the poll thread writes with every batch, on lines of its own: a transmitter reads what is around.
  struct alignas(64) Receiving {
    Atomic<uint32_t> port_users{0};
    Sections sections;
    QueueCounters counters;  // by NetDevice::receive
  };
  Receiving receiving;
  static_assert(alignof(Receiving) == 64 && sizeof(Receiving) % 64 == 0);
};

// Tells whoever hears of all devices, then whoever hears of this one; stops at the first refusal of an event that may
// be refused. Requires: rtnl. core/device/notifier.cc
Result<> call_notifiers(NetdevEvent event, Device& dev);

// Stacked devices, core/stack/lower_link.cc.
// Something happened to `dev` that its uppers care about. Context: any.
void tell_uppers(Device& dev) noexcept USERNIC_NONBLOCKING;
// Those uppers go on that wait for room in a queue of `dev`. Context: any.
void resume_uppers(Device& dev) noexcept USERNIC_NONBLOCKING;
// `dev` goes away: nothing is above or below it any more / nobody handles its frames. Requires: rtnl.
void unlink_all(Device& dev);
void unregister_rx_handlers(Device& dev);  // core/device/rx_handler.cc

// In the port for a scope: detach_port waits for these to end.
class InPort {
 public:
  explicit InPort(Device& dev) noexcept USERNIC_NONBLOCKING : dev_(dev) {
    if (dev_.port.load() == nullptr) return;  // passers-by must not keep detach_port waiting
    dev_.receiving.port_users.fetch_add(1);
    counted_ = true;
    port_ = dev_.port.load();
  }
  ~InPort() USERNIC_NONBLOCKING {
    if (!counted_) return;
    if (dev_.receiving.port_users.fetch_sub(1) == 1 && dev_.port.load() == nullptr) wake_all(dev_.receiving.port_users);
  }
  DevicePort* operator->() const noexcept { return port_; }
  explicit operator bool() const noexcept { return port_ != nullptr; }

 private:
  Device& dev_;
  DevicePort* port_ = nullptr;
  bool counted_ = false;
};

}  // namespace usernic
