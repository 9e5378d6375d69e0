// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the rx-mode work of one device: brings the card to what is wanted. It takes every lock that there is to take.
//
//   sample   addr_list_lock   target generation, scalars and the first chunk behind the card's cursors, in one hold
//   take in  -                what was drained goes where it belongs; what is left to drain follows, a chunk a hold
//   decide   -                who gets a slot, how wide each class must be; ordered commands
//   tell     lane + IL        change_rx_flags, if promiscuity or allmulti went on or off
//   call     lane + IL        one driver call, if there is anything to do
//   commit   addr_list_lock   results, 64 commands a hold
//   publish  addr_list_lock   the generation that is in effect; another run is owed when something moved meanwhile
//
// Readers see what commit and publish wrote: rx_status.h.
#pragma once

#include <span>

#include "core/list/owed_run.h"
#include "core/rx/rx_call.h"
#include "core/rx/rx_status.h"
#include "core/rx/told_flags.h"

namespace usernic {

class RxRun {
 public:
  RxRun(const RxCall::Bed& bed, RxCall& call, RxStatus& status, ToldFlags& told);

  OwedRun owed;
  Work work;   // a run
  Work retry;  // a run at the time of the next retry

  // The card is empty, and up. Requires: rtnl, IL, the lane parked.
  void opened();
  // Nothing is on it any more: in chunks; `close`: nor wanted by anybody that it knows of.
  void empty(bool close);

  // The stages of a run, in their order. Requires: lane, IL.
  void begin();
  bool sample();  // returns true when nothing is left to drain
  void take_in(bool drained);
  void decide();
  void tell();
  bool owes_call() { return call_.owed(steps_, now_); }
  void call();
  void commit();
  void publish();
  void run();

 private:
  void check_epoch(bool in_call);
  void arm();

  const RxDevice& device_;
  Wanted& wanted_;
  CardFilter& filter_;
  CallRequests& requests_;
  KernelLists& lists_;
  RxCall& call_;
  RxStatus& status_;
  ToldFlags& told_;

  FilterTarget target_;
  VlanSet vlans_;  // of the target
  std::span<RxStep> steps_;
  Time now_{};                     // of this run; read again after the driver call
  uint64_t epoch_ = 0;             // of the card, as committed
  bool stopped_ = false;           // the driver call was asked to stop
  bool called_ = false;            // this run made one
  bool again_ = false;             // another run is owed by this one
  Time oldest_change_ = kForever;  // not yet in effect
};

}  // namespace usernic
