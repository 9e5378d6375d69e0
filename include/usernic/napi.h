// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: NAPI, interrupt mitigation by polling.
//
// An interrupt only schedules the instance. A poll thread of the Net, its home, then calls the driver's `poll` in BH
// context, until a poll does less than its budget and completes, which re-arms the interrupt:
//
//   irq -> schedule() -> [SCHED] -> poll ... poll -> complete_done() -> true: re-arm | false: polled again (MISSED)
//
// Whoever set SCHED owns the instance; there is one owner at a time. A disabled instance has SCHED set and no owner:
// `schedule` only marks it MISSED. A poll returns how much it did. Its whole budget means "call me again". A budget of
// 0 is netpoll's (netpoll.h): TX completion only, without complete_done, because somebody else is the owner.
//
//   struct Receiver {
//     explicit Receiver(NetDevice& dev) : napi_(dev, *this) {}
//     Result<> open() { return napi_.enable(), Result<>(); }
//     void stop() { napi_.disable(); }
//     void interrupt() noexcept USERNIC_NONBLOCKING { mask_irq(), napi_.schedule(); }  // context: hard irq
//     int poll(Napi& napi, int budget) noexcept USERNIC_NONBLOCKING {
//       SkbBatch frames;
//       const int work = take_received(frames, budget);
//       napi.receive(frames);
//       if (work < budget && napi.complete_done(work)) unmask_irq();
//       return work;
//     }
//     void mask_irq() noexcept USERNIC_NONBLOCKING, unmask_irq() noexcept USERNIC_NONBLOCKING;
//     int take_received(SkbBatch& to, int most) noexcept USERNIC_NONBLOCKING;
//     Napi napi_;
//   };
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "usernic/annotations.h"
#include "usernic/context.h"
#include "usernic/env.h"
#include "usernic/skb.h"
#include "usernic/stats.h"

namespace usernic {

struct NdoDevice;
struct NetDevice;
class Softirq;

// It has cache lines of its own: the poll thread writes it with every poll, and what stands beside it in a driver is
// read by a transmitter.
class alignas(64) Napi {
 public:
  static constexpr int kWeight = 64;  // frames a poll [kernel: NAPI_POLL_WEIGHT]

  // An instance of `driver`, whose member `int poll(Napi&, int budget) noexcept USERNIC_NONBLOCKING` serves it.
  // `queue`: the RX queue that it receives from. Context: process, before the device is open.
  template <class Driver>
  Napi(NetDevice& dev, Driver& driver, int weight = kWeight, uint16_t queue = 0)
      : Napi(dev, &driver, weight, queue, [](void* d, Napi& napi, int budget) noexcept USERNIC_NONBLOCKING {
          return static_cast<Driver*>(d)->poll(napi, budget);
        }) {}
  // Requires: disabled.
  ~Napi();
  Napi(const Napi&) = delete;
  Napi& operator=(const Napi&) = delete;

  // Context: process. `disable` sleeps until no poll owns the instance; nothing polls it afterwards. Enabling an
  // enabled instance and disabling a disabled one are contract reports.
  void enable(Place where = Place::current());
  void disable(Place where = Place::current());

  // Asks for a poll. False: somebody owns the instance, which is MISSED now and polled again if it is enabled.
  // Context: any.
  bool schedule() noexcept USERNIC_NONBLOCKING;
  bool enabled() const noexcept USERNIC_NONBLOCKING { return enabled_.load(); }
  // Sleeps until no poll runs or waits for its turn. Context: process, not from a poll. [kernel: napi_synchronize]
  void synchronize(Place where = Place::current());
  // Ends polling. True: the interrupt is to be re-armed. Requires: called from poll, which returns `work_done` <
  // budget.
  bool complete_done(int work_done, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;

  // Counts received frames and hands them up: to the RX handlers, then to the port. Requires: called from poll.
  void receive(SkbBatch& frames, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;

  NetDevice& dev() const noexcept { return dev_; }
  uint16_t queue() const noexcept USERNIC_NONBLOCKING { return queue_; }
  QueueCounters counters;

 private:
  friend class Softirq;
  friend struct Device;
  friend struct Porting;
  using Poll = int (*)(void*, Napi&, int) noexcept USERNIC_NONBLOCKING;
  Napi(NetDevice& dev, void* driver, int weight, uint16_t queue, Poll poll);

  enum : uint32_t { kSched = 1, kMissed = 2, kDisable = 4 };
  bool give_up() noexcept USERNIC_NONBLOCKING;
  bool schedule_prep() noexcept USERNIC_NONBLOCKING;  // true: `schedule_prepared` is owed
  void schedule_prepared() noexcept USERNIC_NONBLOCKING;
  void yield_to_disable() noexcept USERNIC_NONBLOCKING;
  void report(const char* rule, const char* text, Place where) const noexcept USERNIC_NONBLOCKING;

  NetDevice& dev_;
  void* const driver_;
  const int weight_;
  const uint16_t queue_;
  const Poll poll_;
  const NdoDevice& ndo_;  // the device, as its poll is called
  Softirq& home_;
  Atomic<uint32_t> state_{kSched};  // disabled: SCHED set, and nobody polls
  Atomic<bool> enabled_{false};
  boost::intrusive::list_member_hook<> poll_hook_;    // in the home's list
  bool in_poll_ = false;                              // both guarded by the home's lock
  boost::intrusive::list_member_hook<> device_hook_;  // in the device's list
};
static_assert(alignof(Napi) == 64 && sizeof(Napi) % 64 == 0);

}  // namespace usernic
// Explained best by: core/device/napi_test.cc
