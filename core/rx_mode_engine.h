// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the rx-mode work of one device: brings the card to what is wanted.
//
// A run, top to bottom (rx_mode_run.cc):
//   sample   addr_list_lock   target generation, scalars and the first chunk behind the card's cursors, in one hold
//   take in  -                what was drained goes where it belongs; what is left to drain follows, a chunk a hold
//   place    -                who gets a slot, how wide each class must be
//   plan     -                ordered commands: widen, add, set, del, add, evict, clear, narrow
//   tell     lane + IL        change_rx_flags, if promiscuity or allmulti went on or off (rx_flags.cc)
//   call     lane + IL        one driver call, if there is anything to do
//   commit   addr_list_lock   results, 64 commands a hold (rx_mode_commit.cc)
//   publish  addr_list_lock   the generation that is in effect; another run is owed when something moved meanwhile
// Readers (rx_mode.cc) see what commit and publish wrote. Rule numbers (R1 ..) are those of docs/rx-mode.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/card_class.h"
#include "core/kernel_lists.h"
#include "core/lag_histogram.h"
#include "core/put_off_syncs.h"
#include "core/rx_image_pair.h"
#include "core/wanted.h"
#include "usernic/driver.h"
#include "usernic/rx_mode.h"
#include "usernic/work.h"

namespace usernic {

struct Device;

class RxModeEngine final : public RxMode, private RxTarget {
 public:
  RxModeEngine(Device& dev, Duration retry_first);
  ~RxModeEngine();

  Wanted wanted;
  PutOffSyncs put_off_syncs;  // under addr_list_lock

  // From the device's life. Requires: rtnl, IL, the lane parked (configure: before registration is visible).
  void configure(const RxFilterCaps& caps);
  void opening();  // the driver's open is called next
  void opened();
  void closed();
  void stopped();  // its stop has returned, or its open has failed
  void own_changed(const MacAddress& address);
  // No more changes from here on; sleeps until no run is left. Requires: the lane not parked by this thread.
  void shut_down();

  // Something changed: a run is owed. Context: any.
  void owe_run() noexcept USERNIC_NONBLOCKING;
  // The same in two steps, for who holds locks: when `claim_run` returns true, `queue_run` must follow.
  bool claim_run() noexcept USERNIC_NONBLOCKING;
  void queue_run() noexcept USERNIC_NONBLOCKING;
  // The devices below have to hear more than a changer tells them / hear it now. Context: any / process, no locks.
  void owe_serve() noexcept USERNIC_NONBLOCKING;
  void serve_lowers();
  bool serve_once();  // about a chunk; false: there is more
  void forget() noexcept USERNIC_NONBLOCKING;
  // The next run calls the driver even if nothing changed; a plan, which would be empty, excepted. Context: any.
  void ask_call() noexcept USERNIC_NONBLOCKING;
  // Everything that waits for its retry is due.
  void retry_now() noexcept USERNIC_NONBLOCKING;

  // For styles other than the plan; see rx_lists.h, rx_image.h. Requires: addr_list_lock.
  RxLists lists() const noexcept USERNIC_NONBLOCKING;
  RxImagePair* image() const noexcept USERNIC_NONBLOCKING { return image_.get(); }
  // The lists of the kernel's signature. Requires: in this device's rx-mode call, or nobody else can be.
  HwAddrList& hw_list(AddressClass address_class, Place where);
  RxFlags flags() const noexcept USERNIC_NONBLOCKING;
  void schedule_retry() noexcept USERNIC_NONBLOCKING;
  void cancel_retry() noexcept USERNIC_NONBLOCKING;
  bool in_driver_call() const noexcept USERNIC_NONBLOCKING;

  // Readers; see rx_mode.h.
  bool covers(const MacAddress& address) const;
  Result<bool> ticket_state(const RxTicket& ticket) const;  // true: done; false: pending
  Result<> wait_ticket(const RxTicket& ticket, Time deadline, Place where) const;
  Result<> wait_settled(Time deadline, Place where) const;
  void check_may_wait(Place where) const;
  void fill(RxModeStatus& status) const;
  void fill_addresses(AddressClass address_class, RxModeStatus& status) const;

 private:
  friend struct RxModeBench;  // bench/bench_rx_mode.cc takes a run apart
  friend class RxModeSight;   // sim/checkers.cc compares it with the card
  struct Flag {
    bool sure = false;   // under addr_list_lock
    bool maybe = false;  // under addr_list_lock
    bool refused = false;
    bool target = false;
    uint32_t attempts = 0;
    Time due{};
  };
  // Why a VLAN filter that is asked for is to be open all the same.
  enum class VlansUnfit : uint8_t { kNo, kNoSlots, kTooMany, kRefused };
  // What a run works towards, sampled in one lock hold (R1).
  struct Target {
    uint64_t generation = 0;  // written under addr_list_lock
    bool promisc = false;
    bool allmulti = false;
    bool vlan_filter = false;
    VlanSet vlans;
    MacAddress own;
    AddressEntry* own_entry = nullptr;  // only where the own address uses a slot
    size_t filtered_vlans() const noexcept { return vlan_filter ? vlans.count() : 0; }
  };

  // rx_mode_run.cc
  void run();
  bool may_call() const noexcept;
  void call_driver();

  // rx_flags.cc
  RxFlags asked() const noexcept;
  void tell_flags();
  bool leaves_wide() const noexcept;

  // rx_mode_style.cc
  bool whole_call() const noexcept { return image_ != nullptr; }  // one result for the whole plan
  RxFilterCaps caps_of_style(const RxFilterCaps& caps) const noexcept;
  void wake_for_retry();
  bool owes_call() noexcept;
  RxLists lists_of_call(bool narrow) const noexcept;
  void call_image(RxPlan& plan);
  bool prepare_image(bool narrow, Result<>& prepared);
  void answer_image(RxPlan& plan, bool narrow, Result<> prepared, Result<> written);
  void call_failed(bool failed) noexcept;
  void ask_refused_image_again() noexcept;
  bool keep_wide(Result<> result) noexcept;
  void call_legacy(RxPlan& plan);
  void call_kernel(RxPlan& plan);
  void answer_kernel(RxPlan& plan, bool narrow, int error);
  void program_anew(AddressClass address_class, const MacAddress& address);
  bool holds_back_narrowing() const noexcept;
  void check_epoch(bool in_call = false);
  bool sample_and_drain();
  bool drain_more();
  void take_in(bool drained);
  void place();
  void settle_evictions(CardClass& each);
  void place_own(int64_t& available);
  void place_trying(CardClass& each, int64_t& available);
  void promote(CardClass& each, int64_t& available);
  bool evict_one(CardClass& from);
  bool has_cover(const CardClass& each) const noexcept;
  void decide_levels();
  VlansUnfit vlans_unfit() const noexcept;
  void plan();
  void plan_widen();
  void plan_addresses();
  void plan_buckets(CardClass& each);
  void plan_vlans();
  void plan_narrow();
  bool stays_on(const Flag& flag) const noexcept;
  bool narrowing_deafens(const Flag& flag) const noexcept;
  void command(RxCommandKind kind, RxObject object, AddressEntry* entry, bool destructive = false);
  Flag& flag_of(RxObject object) noexcept;
  CardClass& class_of(RxObject object) noexcept { return object == RxObject::kMulticast ? mc_ : uc_; }

  // rx_mode_commit.cc
  void commit();
  bool own_waits() const noexcept;
  bool was_stopped(std::errc error) const noexcept;
  void check_taken();
  void commit_one(RxCommand& command);
  void commit_add(RxCommand& command);
  void commit_del(RxCommand& command);
  void commit_bucket(RxCommand& command);
  void commit_flag(RxCommand& command);
  void commit_vlan(RxCommand& command);
  void commit_forgotten(const RxCommand& command);
  void publish();
  void arm_retry();
  bool in_effect() const noexcept;
  uint32_t uncovered() const noexcept;
  bool narrow_deferred() const noexcept;

  // rx_mode.cc: what readers work out; under addr_list_lock.
  bool valid() const noexcept;
  bool covers_entry(AddressClass address_class, bool sure, uint32_t bucket) const noexcept;
  FilterMode mode_of(AddressClass address_class) const noexcept;
  std::string reason() const;
  std::string vlan_reason() const;
  const CardClass& class_wanting(const MacAddress& address) const noexcept;

  // RxTarget
  bool promisc() const noexcept override { return promisc_.target; }
  bool allmulti() const noexcept override { return allmulti_.target; }
  MacAddress own_address() const noexcept override { return target_.own; }
  void for_each(AddressClass address_class, Visit visit, void* user) const override;

  Device& dev_;
  Work work_;   // a run
  Work retry_;  // a run at the time of the next retry
  Work serve_;  // serve_lowers
  Atomic<bool> owed_{false};
  Atomic<uint64_t> card_epoch_{1};
  mutable WaitQueue published_;

  // Constant while registered.
  const Duration retry_first_;
  RxFilterCaps caps_;

  // The work's own.
  SlotTable tables_[2];
  CardClass uc_;
  CardClass mc_;
  Flag promisc_, allmulti_, vlan_unfiltered_;
  Target target_;
  std::vector<RxCommand> commands_;
  std::vector<std::pair<RxObject, uint32_t>> clear_later_;  // buckets to clear once everything else worked
  VlanSet vlans_maybe_;
  VlanSet shown_vlans_;              // in the lists of the driver's call
  size_t vlans_refused_ = SIZE_MAX;  // so many ids, or more, and the card has no room
  bool vlans_in_use_ = false;        // filtering, or some id may be on the card
  uint32_t vlan_attempts_ = 0;
  Time vlan_due_{};
  Time now_{};                     // of this run; read again after the driver call
  bool stopped_ = false;           // the driver call was asked to stop
  bool again_ = false;             // another run is owed by this one
  Time oldest_change_ = kForever;  // not yet in effect

  std::optional<RxFlags> told_;  // what the driver knows to be asked for, from its open to its stop

  // Of styles other than the plan.
  std::unique_ptr<RxImagePair> image_;
  KernelLists kernel_lists_;
  std::optional<RxLists> in_call_;  // what the call that runs is to bring about
  Atomic<bool> call_asked_{false};
  Atomic<bool> retry_asked_{false};
  Atomic<bool> retry_scheduled_{false};  // by the driver, since its last call began
  Atomic<uint32_t> retries_scheduled_{0};
  Atomic<Time> retry_at_{kForever};                      // the call that the driver asked for
  bool asked_now_ = false;                               // the driver is called by this run, whatever changed
  bool stays_promisc_ = false, stays_allmulti_ = false;  // without it there was no room
  uint32_t refused_with_ = 0;                            // so many addresses were too many for an image; 0: none were
  uint32_t call_attempts_ = 0;                           // a call that failed as a whole
  Time call_due_{};

  // Written by the work under addr_list_lock; read under it.
  struct Committed {
    bool up = false;
    uint64_t epoch = 0;
    uint64_t generation = 0;
    FilterLevel level[2] = {FilterLevel::kExact, FilterLevel::kExact};
    uint32_t outside[2] = {0, 0};
    uint32_t wanted[2] = {0, 0};
    bool narrow_deferred = false;
    bool image_full = false;  // it stays wide because without it there was no room
    bool in_effect = false;   // what the last run aimed at is done, addresses that failed excepted
    uint32_t uncovered = 0;   // wanted addresses that failed or found no way in
    uint32_t parked = 0;      // failed addresses that wait for their time
    VlanSet vlans;            // sure
    VlansUnfit vlans_unfit = VlansUnfit::kNo;
    size_t vlans_wanted = 0;
    uint64_t runs = 0, driver_calls = 0, retries = 0, failures = 0;
    uint64_t coalesced = 0;  // changes that another one's run took along
    LagHistogram lag;
  } committed_;
};

}  // namespace usernic
