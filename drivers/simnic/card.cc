// SPDX-License-Identifier: Apache-2.0 OR MIT
// The driver's side of the card: registers, mailbox, interrupts; and the hand of fate. Frames are in card_frames.cc.
#include "drivers/simnic/card.h"

#include <limits>
#include <optional>
#include <utility>

namespace usernic::simnic {

Card::Card(const SimnicConfig& config, const MacAddress& permanent, std::shared_ptr<Wire> wire)
    : config_(config),
      permanent_(permanent),
      wire_(std::move(wire)),
      latency_ns_(static_cast<int64_t>(config.command_latency_us) * 1000),
      filter_(config),
      rx_(config.rx_queues),
      tx_(config.tx_queues) {
  for (uint32_t i = 0; i < config.tx_queues; ++i) transmitters_.emplace_back(*this, i);
  {
    SpinGuardBh guard(lock_);
    filter_.set_own_address(permanent_);
  }
  wire_->plug(*this);
}

Card::Transmitter::Transmitter(Card& card, uint32_t queue)
    : index(queue),
      cut(card.config_.offloads() ? new uint8_t[kCutBytes] : nullptr),
      go_on([&card, this] { card.go_on(*this); }) {}

Card::~Card() {
  wire_->unplug(*this);
  for (Transmitter& each : transmitters_) each.go_on.cancel_sync();
}

namespace {

// Of a register in a queue's block: whose it is, and its name.
struct QueueReg {
  uint32_t queue;
  Reg reg;
};
std::optional<QueueReg> queue_reg(Reg reg) noexcept USERNIC_NONBLOCKING {
  const auto at = static_cast<uint32_t>(reg), first = static_cast<uint32_t>(Reg::kRxRing);
  if (at < first) return std::nullopt;
  const uint32_t queue = (at - first) / kQueueStride;
  return QueueReg{queue, static_cast<Reg>(at - queue * kQueueStride)};
}

}  // namespace

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
  const std::optional<QueueReg> in_block = queue_reg(reg);
  if (in_block && in_block->reg == Reg::kTxTail) {
    if (in_block->queue < config_.tx_queues) {
      ring_tx_doorbell(transmitters_[in_block->queue], static_cast<uint32_t>(value));
    }
    return;
  }
  if (in_block && in_block->reg == Reg::kInterruptArm) {
    if (in_block->queue < vectors() && arm(in_block->queue, value)) raise(data_vector(in_block->queue));
    return;
  }
  bool let_go = false;
  {
    SpinGuardBh guard(lock_);
    if (in_block) {
      write_ring(in_block->queue, in_block->reg, value);
    } else {
      write_locked(reg, value);
    }
    let_go = look_at_rx_rings();
  }
  if (let_go) wire_->xon();
}

void Card::ring_tx_doorbell(Transmitter& by, uint32_t tail) noexcept {
  counters_.tx_doorbells.fetch_add(1, std::memory_order_relaxed);
  bool mine = false;
  {
    SpinGuardBh guard(lock_);
    tx_[by.index].tail = tail;
    mine = start_transmitter(by);
  }
  if (mine) transmit(by, std::numeric_limits<uint32_t>::max());
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
      return;  // read-only or reserved
  }
}

void Card::write_ring(uint32_t queue, Reg reg, uint64_t value) noexcept {
  const bool tx = reg >= Reg::kTxRing;
  if (queue >= (tx ? tx_.size() : rx_.size())) return;  // there is none
  Ring& ring = tx ? static_cast<Ring&>(tx_[queue]) : rx_[queue];
  switch (reg) {
    case Reg::kRxRing:
    case Reg::kTxRing:
      ring.descriptors = reinterpret_cast<Descriptor*>(static_cast<uintptr_t>(value));
      ring.head = ring.tail = 0;
      if (tx) tx_[queue].cut_sent = 0;
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
bool Card::arm(uint32_t queue, uint64_t indexes) noexcept {
  SpinGuardBh guard(lock_);
  const uint32_t rx = queue < rx_.size() ? rx_[queue].head : 0, tx = queue < tx_.size() ? tx_[queue].head : 0;
  const bool behind = arm_value(rx, tx) != indexes;
  armed_ = behind ? armed_ & ~(uint32_t{1} << queue) : armed_ | uint32_t{1} << queue;
  return behind;
}

// Returns true when the interrupt is due.
bool Card::disarm(uint32_t queue) noexcept {
  const uint32_t bit = uint32_t{1} << queue;
  return (std::exchange(armed_, armed_ & ~bit) & bit) != 0;
}

void Card::quiesce() {
  might_sleep();
  bool let_go = false;
  {
    SpinGuardBh guard(lock_);
    control_ = 0;
    armed_ = 0;
    let_go = look_at_rx_rings();
  }
  if (let_go) wire_->xon();
  for (Transmitter& each : transmitters_) {
    while (each.transmitting.load() != 0) wait_on(each.transmitting, 1);
  }
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
    if (vector != Vector::kEvent) counters_.data_interrupts.fetch_add(1, std::memory_order_relaxed);
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
    let_go = look_at_rx_rings();
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
    armed_ = 0;
    (void)look_at_rx_rings();  // and the wire lets the others go on
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
