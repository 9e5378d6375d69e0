// SPDX-License-Identifier: Apache-2.0 OR MIT
// The driver's side of the card: registers, mailbox, interrupts; and the hand of fate. Frames are in card_frames.cc.
#include "drivers/simnic/card.h"

#include <limits>
#include <utility>

namespace usernic::simnic {

Card::Card(const SimnicConfig& config, const MacAddress& permanent, std::shared_ptr<Wire> wire)
    : config_(config),
      permanent_(permanent),
      wire_(std::move(wire)),
      cut_(config.offloads() ? new uint8_t[kCutBytes] : nullptr),
      latency_ns_(static_cast<int64_t>(config.command_latency_us) * 1000),
      filter_(config) {
  {
    SpinGuardBh guard(lock_);
    filter_.set_own_address(permanent_);
  }
  wire_->plug(*this);
}

Card::~Card() {
  wire_->unplug(*this);
  go_on_.cancel_sync();
}

uint64_t Card::read(Reg reg) noexcept {
  if (gone()) return kGone;
  switch (reg) {
    case Reg::kStatus:
      return link_.load() ? kStatusLink : 0;
    case Reg::kEventCause:
      return events_.exchange(0);
    case Reg::kPermanent:
      return permanent_.to_u64();
    default:
      break;
  }
  SpinGuardBh guard(lock_);
  switch (reg) {
    case Reg::kControl:
      return control_;
    case Reg::kOwnAddress:
      return filter_.own_address().to_u64();
    case Reg::kFrameMax:
      return frame_max_;
    case Reg::kSuperBuffer:
      return super_buffer_;
    default:
      return 0;  // write-only
  }
}

void Card::write(Reg reg, uint64_t value) noexcept {
  if (gone()) return;
  if (reg == Reg::kTxTail) return ring_tx_doorbell(static_cast<uint32_t>(value));
  if (reg == Reg::kInterruptArm) {
    if (arm(value)) raise(Vector::kData);
    return;
  }
  bool let_go = false;
  {
    SpinGuardBh guard(lock_);
    write_locked(reg, value);
    let_go = look_at_rx_ring();
  }
  if (let_go) wire_->xon();
}

void Card::ring_tx_doorbell(uint32_t tail) noexcept {
  counters_.tx_doorbells.fetch_add(1, std::memory_order_relaxed);
  bool mine = false;
  {
    SpinGuardBh guard(lock_);
    tx_.tail = tail;
    mine = start_transmitter();
  }
  if (mine) transmit(std::numeric_limits<uint32_t>::max());
}

void Card::write_locked(Reg reg, uint64_t value) noexcept {
  switch (reg) {
    case Reg::kControl:
      control_ = value & (kControlRx | kControlTx);
      return;
    case Reg::kResetAck:
      reset_pending_ = reset_pending_ && value == 0;
      return;
    case Reg::kFilterClear:
      return filter_.clear();
    case Reg::kOwnAddress:
      return filter_.set_own_address(MacAddress::from_u64(value));
    case Reg::kFrameMax:
      frame_max_ = value;
      return;
    case Reg::kSuperBuffer:
      super_buffer_ = config_.tso ? std::min<uint64_t>(value, UINT32_MAX) : 0;
      return;
    default:
      return write_ring(reg, value);
  }
}

void Card::write_ring(Reg reg, uint64_t value) noexcept {
  Ring& ring = reg < Reg::kTxRing ? rx_ : tx_;
  switch (reg) {
    case Reg::kRxRing:
    case Reg::kTxRing:
      ring.descriptors = reinterpret_cast<Descriptor*>(static_cast<uintptr_t>(value));
      ring.head = ring.tail = 0;
      if (reg == Reg::kTxRing) cut_sent_ = 0;
      return;
    case Reg::kRxSize:
    case Reg::kTxSize:
      ring.size = static_cast<uint32_t>(value);
      return;
    case Reg::kRxTail:
      ring.tail = static_cast<uint32_t>(value);
      return;
    default:
      return;  // read-only or reserved
  }
}

// Returns true when the interrupt is due at once: the card has passed what the driver looks at next.
bool Card::arm(uint64_t indexes) noexcept {
  SpinGuardBh guard(lock_);
  const bool behind = arm_value(rx_.head, tx_.head) != indexes;
  armed_ = !behind;
  return behind;
}

void Card::quiesce() {
  might_sleep();
  bool let_go = false;
  {
    SpinGuardBh guard(lock_);
    control_ = 0;
    armed_ = false;
    let_go = look_at_rx_ring();
  }
  if (let_go) wire_->xon();
  while (transmitting_.load() != 0) wait_on(transmitting_, 1);
}

void Card::connect_irq(const IrqHandler& handler) {
  handler_.store(&handler);
  if (gone() || events_.load() != 0) raise(Vector::kEvent);
}

void Card::disconnect_irq() {
  might_sleep();
  handler_.store(nullptr);
  for (uint32_t running; (running = handlers_running_.load()) != 0;) wait_on(handlers_running_, running);
}

void Card::raise(Vector vector) noexcept {
  handlers_running_.fetch_add(1);
  if (const IrqHandler* handler = handler_.load()) {
    if (vector == Vector::kData) counters_.data_interrupts.fetch_add(1, std::memory_order_relaxed);
    HardIrqScope irq;
    handler->call(handler->user, vector);
  }
  handlers_running_.fetch_sub(1);
  if (handler_.load() == nullptr) wake_all(handlers_running_);
}

void Card::post_event(uint64_t cause) noexcept {
  events_.fetch_or(cause);
  raise(Vector::kEvent);
}

Result<> Card::begin(const StopToken& stop) {
  might_sleep();
  transactions_.fetch_add(1);
  wake_all(transactions_);
  if (gone()) return fail(std::errc::no_such_device);
  const Duration latency(latency_ns_.load());
  if (stop.stop_requested()) return fail(std::errc::operation_canceled);
  if (latency > Duration::zero() && stop.wait_until(Clock::now() + latency)) {
    return fail(std::errc::operation_canceled);
  }
  return {};
}

Result<> Card::execute(const Message& message) noexcept {
  counters_.commands.fetch_add(1, std::memory_order_relaxed);
  SpinGuardBh guard(lock_);
  if (gone()) return fail(std::errc::no_such_device);
  if (reset_pending_) return fail(std::errc::io_error);
  const std::optional<Fault> fault = faults_.take(message);
  if (fault && !fault->applied) return fail(fault->error);
  const Result<> result = filter_.execute(message);
  return fault ? fail(fault->error) : result;
}

bool Card::wait_transactions(uint32_t count, Time deadline) const {
  might_sleep();
  for (;;) {
    const uint32_t seen = transactions_.load();
    if (seen >= count) return true;
    if (!wait_on(transactions_, seen, deadline)) return transactions_.load() >= count;
  }
}

void Card::set_link(bool up) {
  if (link_.exchange(up) == up) return;
  bool let_go = false;
  {
    SpinGuardBh guard(lock_);
    let_go = look_at_rx_ring();
  }
  if (let_go) wire_->xon();
  resume();  // without a link nobody makes it wait
  post_event(kEventLink);
}

void Card::reset() {
  {
    SpinGuardBh guard(lock_);
    filter_.clear();
    filter_.set_own_address(permanent_);
    reset_pending_ = true;
  }
  post_event(kEventReset);
}

void Card::unplug() {
  {
    SpinGuardBh guard(lock_);  // what is in flight under the lock still finds the card
    gone_.store(true);
    control_ = 0;
    armed_ = false;
    (void)look_at_rx_ring();  // and the wire lets the others go on
  }
  wire_->unplug(*this);
  raise(Vector::kEvent);
}

Result<> Card::inject(const Fault& fault) noexcept {
  SpinGuardBh guard(lock_);
  return faults_.add(fault);
}

void Card::clear_faults() noexcept {
  SpinGuardBh guard(lock_);
  faults_.clear();
}

void Card::limit_slots(Table table, uint32_t slots) noexcept {
  SpinGuardBh guard(lock_);
  filter_.limit_slots(table, slots);
}

FilterImage Card::filter() const {
  FilterImage image = Filter(config_).empty_image();  // allocated before the lock is taken
  SpinGuardBh guard(lock_);
  filter_.read(image);
  return image;
}

bool Card::accepts(const MacAddress& destination) const noexcept {
  SpinGuardBh guard(lock_);
  return filter_.accepts(destination);
}

bool Card::accepts(Frame frame) const noexcept {
  SpinGuardBh guard(lock_);
  return filter_.accepts(frame);
}

}  // namespace usernic::simnic
