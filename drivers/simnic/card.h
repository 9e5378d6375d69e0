// SPDX-License-Identifier: Apache-2.0 OR MIT
// simnic: the card. It knows registers, descriptors, messages and frames, and nothing of a net_device.
//
//   wire --hear--> [filter] --> the flow's ring --> next empty descriptor --> written back --> data interrupt, if armed
//   kTxTail written --> descriptors up to there, a burst at a time --> wire --> done --> data interrupt, if armed
//   begin (sleeps the latency) --> execute, execute, ... --> [filter]          reset, link, unplug --> event interrupt
//
// The card works in the context of whoever moves it. A doorbell transmits before it returns; an interrupt handler runs
// in the thread that caused it, in hard irq context, with no lock of this card held. The card's lock is never held
// while the wire is used, so frames between two cards nest only the wire's lock.
//
// Offloads: a card that has them writes sums and cuts superframes, into memory of its own, for who on the wire does not
// take them as they are; one that was told of buffers for them takes them whole.
//
// Flow control: a receiver without an empty descriptor in one of its rings makes the others on the wire wait, until the
// ring gets one, the receiver is switched off, or the ring's time is over; from then on that ring drops. A card that is
// made to wait leaves its frames in the rings, and goes on in items of the wire's workqueue, the one thing that it does
// in nobody's context.
//
// The first half of the class is what a driver reaches, the second is the hand of fate: tests and demos pull the
// cable, break commands and look into the filter.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "drivers/simnic/config.h"
#include "drivers/simnic/fault.h"
#include "drivers/simnic/filter.h"
#include "drivers/simnic/regs.h"
#include "drivers/simnic/wire.h"
#include "usernic/annotations.h"
#include "usernic/env.h"
#include "usernic/error.h"
#include "usernic/lock.h"
#include "usernic/work.h"

namespace usernic::simnic {

// What happened to every frame and command. A frame is in exactly one of the first six rx_*, or the first four tx_*; a
// superframe counts as its segments.
struct CardCounters {
  Atomic<uint64_t> rx_frames{0};         // written into memory
  Atomic<uint64_t> rx_filtered{0};       // not for us: no drop
  Atomic<uint64_t> rx_no_descriptor{0};  // dropped
  Atomic<uint64_t> rx_runt{0};           // dropped: shorter than kFrameMin
  Atomic<uint64_t> rx_too_long{0};       // dropped: longer than kFrameMax or the buffer
  Atomic<uint64_t> rx_off{0};            // the receiver or the link was off
  Atomic<uint64_t> rx_superframes{0};    // written into memory whole
  Atomic<uint64_t> rx_pause{0};          // times that its transmitter had to wait
  Atomic<uint64_t> tx_frames{0};
  Atomic<uint64_t> tx_too_long{0};
  Atomic<uint64_t> tx_no_link{0};
  Atomic<uint64_t> tx_bad{0};          // the frame is not what its descriptor says
  Atomic<uint64_t> tx_superframes{0};  // sent whole
  Atomic<uint64_t> tx_pause{0};        // times that one of its rings began to make others wait
  Atomic<uint64_t> tx_doorbells{0};
  Atomic<uint64_t> data_interrupts{0};
  Atomic<uint64_t> commands{0};
  std::array<Atomic<uint64_t>, kSimnicQueuesMax> rx_frames_of{}, tx_frames_of{};  // of rx_frames, tx_frames: a queue's
};

class Card final : public WireEnd {
 public:
  // Plugged into `wire`, with the link up. Requires: config_error(config) is empty. The Net of the wire's workqueue
  // outlives the card.
  Card(const SimnicConfig& config, const MacAddress& permanent, std::shared_ptr<Wire> wire);
  // Requires: no interrupt handler is connected.
  ~Card();
  Card(const Card&) = delete;
  Card& operator=(const Card&) = delete;

  // --- The driver's side ---
  const SimnicConfig& capabilities() const noexcept USERNIC_NONBLOCKING { return config_; }
  const CardCounters& counters() const noexcept USERNIC_NONBLOCKING { return counters_; }

  // Context: any. Writing kTxTail transmits.
  uint64_t read(Reg reg) noexcept USERNIC_NONBLOCKING USERNIC_EXCLUDES(lock_);
  void write(Reg reg, uint64_t value) noexcept USERNIC_NONBLOCKING USERNIC_EXCLUDES(lock_);
  // Switches receiver and transmitter off and sleeps until the card touches no memory any more. Context: process.
  void quiesce() USERNIC_EXCLUDES(lock_);

  struct IrqHandler {
    void (*call)(void* user, Vector vector) noexcept USERNIC_NONBLOCKING;
    void* user;
  };
  // An event that is pending already is reported at once. `handler` lives until disconnect_irq. Context: process.
  // [kernel: request_irq]
  void connect_irq(const IrqHandler& handler);
  // Returns when no handler runs any more. Context: process. [kernel: free_irq]
  void disconnect_irq();

  // Opens the mailbox for one transaction: sleeps the command latency. ECANCELED: asked to stop. ENODEV: the card is
  // gone. Context: process. The driver has one transaction open at a time.
  Result<> begin(const StopToken& stop) USERNIC_EXCLUDES(lock_);
  // One message. EIO: the card was reset and nobody has acknowledged that. ENODEV, and what Filter::execute returns.
  Result<> execute(const Message& message) noexcept USERNIC_EXCLUDES(lock_);

  // --- The hand of fate --- Context of all: process.
  void set_link(bool up);
  void reset() USERNIC_EXCLUDES(lock_);   // firmware restart: the filter is lost, rings and link go on
  void unplug() USERNIC_EXCLUDES(lock_);  // for good
  Result<> inject(const Fault& fault) noexcept USERNIC_EXCLUDES(lock_);
  void clear_faults() noexcept USERNIC_EXCLUDES(lock_);
  void limit_slots(Table table, uint32_t slots) noexcept USERNIC_EXCLUDES(lock_);
  void set_command_latency(Duration latency) noexcept { latency_ns_.store(latency.count()); }
  // How long it makes others wait, from now on, when it has no descriptor and gets none.
  void set_pause_max(Duration longest) noexcept { pause_max_ns_.store(longest.count()); }

  FilterImage filter() const USERNIC_EXCLUDES(lock_);
  bool accepts(const MacAddress& destination) const noexcept USERNIC_EXCLUDES(lock_);
  bool accepts(Frame frame) const noexcept USERNIC_EXCLUDES(lock_);
  uint32_t transactions() const noexcept USERNIC_NONBLOCKING { return transactions_.load(); }
  // Sleeps until so many transactions were begun in all. Returns false at the deadline.
  bool wait_transactions(uint32_t count, Time deadline) const;

  // The wire's.
  Room room() noexcept USERNIC_NONBLOCKING override USERNIC_EXCLUDES(lock_);
  uint32_t superframe_max() const noexcept USERNIC_NONBLOCKING override USERNIC_EXCLUDES(lock_);
  void resume() noexcept USERNIC_NONBLOCKING override;
  void hear(std::span<const Frame> frames) noexcept USERNIC_NONBLOCKING override USERNIC_EXCLUDES(lock_);

 private:
  // The silicon's, not the driver's: a register may be touched in any context.
  static constexpr LockClass kLockClass{"simnic_card", LockUse::kAnyContext};
  static constexpr uint32_t kBurst = 32;                   // frames that go on the wire at once
  static constexpr size_t kCutBytes = 2 * kSuperframeMax;  // for what it makes of frames
  static constexpr Duration kPauseMax = std::chrono::seconds(1);

  struct Ring {
    Descriptor* descriptors = nullptr;
    uint32_t size = 0;
    uint32_t head = 0;  // the next one the card works on
    uint32_t tail = 0;  // where the driver's end
    Descriptor& at(uint32_t index) const noexcept { return descriptors[index & (size - 1)]; }
    // A tail further away than the ring is long is none: the card would go round and round.
    bool empty() const noexcept { return descriptors == nullptr || head == tail || tail - head > size; }
    uint32_t left() const noexcept { return empty() ? 0 : tail - head; }
  };
  struct ReceiveRing : Ring {
    bool full = false;  // makes others wait, until `pause_end` at the latest
    Time pause_end{};
  };
  struct SendRing : Ring {
    uint32_t cut_sent = 0;    // segments of the one at `head` that are on the wire
    bool waiting = false;     // is made to wait
    bool look_again = false;  // for who is in transmit(): more to send, or nobody waits
  };
  struct Transmitter {
    Transmitter(Card& card, uint32_t index);
    const uint32_t index;                  // of its queue
    const std::unique_ptr<uint8_t[]> cut;  // kCutBytes, of who is in transmit()
    Atomic<uint32_t> transmitting{0};      // 1: somebody is in transmit(); changes under the lock
    Work go_on;
  };
  struct Burst {
    Frame frames[kBurst];
    uint32_t size = 0;          // frames
    uint32_t sent = 0;          // of them: the first so many
    uint32_t descriptors = 0;   // that they came from
    uint8_t frames_of[kBurst];  // how many came from the i-th; some hold no frame to send:
    uint32_t too_long = 0;      // bit i: the i-th
    uint32_t bad = 0;
    uint32_t no_link = 0;
    bool partly = false;                // the last descriptor has more
    uint32_t superframe_max = 0;        // of those who hear it
    std::span<uint8_t> cut_room;        // what is left of the transmitter's
    uint32_t left = 0;                  // descriptors that this transmitter may take yet
    std::optional<Time> wait_until;     // it is made to wait
    uint8_t padded[kBurst][kFrameMin];  // room for short frames
  };

  bool gone() const noexcept USERNIC_NONBLOCKING { return gone_.load(); }
  bool receiving() const noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  bool look_at_rx_rings() noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void ring_tx_doorbell(Transmitter& by, uint32_t tail) noexcept USERNIC_NONBLOCKING USERNIC_EXCLUDES(lock_);
  void go_on(Transmitter& by);
  void transmit(Transmitter& by, uint32_t descriptors_max) noexcept USERNIC_NONBLOCKING USERNIC_EXCLUDES(lock_);
  bool start_transmitter(Transmitter& by) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void send_burst(Transmitter& by, Burst& burst) noexcept USERNIC_NONBLOCKING USERNIC_EXCLUDES(lock_);
  bool next_burst(Transmitter& by, Burst& burst) noexcept USERNIC_NONBLOCKING USERNIC_EXCLUDES(lock_);
  void finish_burst(SendRing& ring, Burst& burst) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void fill_burst(Transmitter& by, Burst& burst) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  enum class Put : uint8_t { kWhole, kPartly, kTooLong, kBad };
  Put put(Burst& burst, const Descriptor& descriptor, uint32_t cut_before) noexcept
      USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  Put put_superframe(Burst& burst, Frame super, uint32_t cut_before) noexcept
      USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  static Put put_summed(Burst& burst, const Frame& frame) noexcept USERNIC_NONBLOCKING;
  Frame frame_of(const Descriptor& descriptor) const noexcept USERNIC_NONBLOCKING;
  static Frame padded(Burst& burst, const Frame& frame) noexcept USERNIC_NONBLOCKING;
  uint32_t superframe_descriptors() const noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  uint32_t ring_of(const Frame& frame) const noexcept USERNIC_NONBLOCKING;
  uint32_t store_frame(const Frame& frame) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  uint32_t vectors() const noexcept USERNIC_NONBLOCKING { return std::max(config_.rx_queues, config_.tx_queues); }
  bool arm(uint32_t queue, uint64_t indexes) noexcept USERNIC_NONBLOCKING USERNIC_EXCLUDES(lock_);
  bool disarm(uint32_t queue) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void write_ring(uint32_t queue, Reg reg, uint64_t value) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void write_locked(Reg reg, uint64_t value) noexcept USERNIC_NONBLOCKING USERNIC_REQUIRES(lock_);
  void post_event(uint64_t cause) noexcept USERNIC_NONBLOCKING;
  void raise(Vector vector) noexcept USERNIC_NONBLOCKING;

  // Constant.
  const SimnicConfig config_;
  const MacAddress permanent_;
  const std::shared_ptr<Wire> wire_;

  // Their own synchronisation.
  CardCounters counters_;
  Atomic<bool> gone_{false};
  Atomic<bool> link_{true};
  Atomic<uint64_t> events_{0};
  Atomic<int64_t> latency_ns_;
  Atomic<int64_t> pause_max_ns_{kPauseMax.count()};
  Atomic<uint32_t> transactions_{0};
  Atomic<const IrqHandler*> handler_{nullptr};
  Atomic<uint32_t> handlers_running_{0};

  mutable SpinLock lock_{kLockClass};
  Filter filter_ USERNIC_GUARDED_BY(lock_);
  Faults faults_ USERNIC_GUARDED_BY(lock_);
  std::vector<ReceiveRing> rx_ USERNIC_GUARDED_BY(lock_);
  std::vector<SendRing> tx_ USERNIC_GUARDED_BY(lock_);
  uint64_t control_ USERNIC_GUARDED_BY(lock_) = 0;
  uint64_t frame_max_ USERNIC_GUARDED_BY(lock_) = kFrameMaxReset;
  uint64_t super_buffer_ USERNIC_GUARDED_BY(lock_) = 0;
  uint32_t armed_ USERNIC_GUARDED_BY(lock_) = 0;  // bit i: data of queue i
  bool reset_pending_ USERNIC_GUARDED_BY(lock_) = false;

  std::deque<Transmitter> transmitters_;  // one a TX queue; constant, but for what synchronises itself
};

}  // namespace usernic::simnic
// Explained best by: drivers/simnic/card_test.cc
