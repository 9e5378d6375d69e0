// SPDX-License-Identifier: Apache-2.0 OR MIT
// Life, link and filter of the driver. Frames are in simnic_frames.cc.
#include "drivers/simnic/simnic.h"

#include <bit>
#include <new>
#include <utility>

#include "usernic/rx_mode.h"

namespace usernic {

using simnic::Card;
using simnic::Message;
using simnic::Op;
using simnic::Reg;
using simnic::Table;
using simnic::Vector;

namespace {

// Buffers a descriptor: one in the ring, and one that a receiver of frames still holds.
constexpr uint32_t kPoolFactor = 2;
// So that a superframe is in not too many.
constexpr uint32_t kSuperBufferMin = 2048;
// A descriptor of a superframe, in segments that a receiver takes instead: enough for a ring of an MSS of 500 octets.
constexpr uint32_t kSegmentFactor = 4;

// The longest frame of an MTU: header and one VLAN tag are not counted in it.
uint32_t frame_bytes(uint32_t mtu) noexcept {
  return mtu + simnic::kHeaderBytes + simnic::kVlanTagBytes;
}

Table table_of(RxObject object) noexcept {
  switch (object) {
    case RxObject::kUnicast:
      return Table::kUnicast;
    case RxObject::kMulticast:
      return Table::kMulticast;
    case RxObject::kVlan:
      return Table::kVlan;
    case RxObject::kPromisc:
      return Table::kPromisc;
    case RxObject::kAllmulti:
      return Table::kAllmulti;
    case RxObject::kVlanUnfiltered:
      return Table::kVlanOpen;
  }
  std::unreachable();
}

Op op_of(RxCommandKind kind) noexcept {
  switch (kind) {
    case RxCommandKind::kWiden:
      return Op::kOn;
    case RxCommandKind::kAdd:
      return Op::kAdd;
    case RxCommandKind::kSetBucket:
      return Op::kSetBucket;
    case RxCommandKind::kDel:
      return Op::kDel;
    case RxCommandKind::kClearBucket:
      return Op::kClearBucket;
    case RxCommandKind::kNarrow:
      return Op::kOff;
  }
  std::unreachable();
}

Message message_of(const RxCommand& command) noexcept {
  return {op_of(command.kind), table_of(command.object), command.vlan, command.bucket, command.address};
}

}  // namespace

Result<NetdevPtr> Simnic::probe(Net& net, NetdevConfig config, std::shared_ptr<Card> card) {
  const uint64_t permanent = card->read(Reg::kPermanent);
  if (permanent == simnic::kGone) return fail(std::errc::no_such_device);
  if (config.address.is_zero()) config.address = MacAddress::from_u64(permanent);
  return net.alloc_netdev<Simnic>(config, std::move(card));
}

Simnic::Simnic(NetDevice& dev, std::shared_ptr<Card> card)
    : dev_(dev),
      workqueue_(dev.net().system_workqueue()),
      card_(std::move(card)),
      napi_(dev, *this),
      reset_work_([this] { recover_from_reset(); }, &dev),
      unplug_work_([this] { (void)dev_.detach(); }, &dev),
      refill_work_([this] { napi_.schedule(); }, &dev) {}

Result<> Simnic::init() {
  dev_.carrier_off();
  card_->connect_irq(irq_handler_);
  return {};
}

void Simnic::uninit() {
  card_->disconnect_irq();
}

// --- Open and stop ---

Result<> Simnic::open() {
  if (card_->read(Reg::kStatus) == simnic::kGone) return fail(std::errc::no_such_device);
  if (Result<> allocated = allocate_rings(); !allocated) return allocated;
  {
    MutexGuard guard(mailbox_);
    own_address_ = dev_.address();
    card_->write(Reg::kFilterClear, 1);
    card_->write(Reg::kOwnAddress, own_address_.to_u64());
  }
  card_->write(Reg::kTxRing, tx_->address());
  card_->write(Reg::kTxSize, tx_->size());
  program_receiver();
  go();
  dev_.tx_queue(0).start();
  {
    SpinGuardIrq guard(link_lock_);
    up_ = true;
  }
  link_changed();
  return {};
}

Result<> Simnic::allocate_rings() {
  const SimnicConfig& capabilities = card_->capabilities();
  pool_ = pool_for(dev_.mtu());
  if (pool_ == nullptr) return fail(std::errc::not_enough_memory);
  try {
    rx_ = std::make_unique<simnic::RxRing>(capabilities.rx_descriptors);
    tx_ = std::make_unique<simnic::TxRing>(capabilities.tx_descriptors);
  } catch (const std::bad_alloc&) {
    rx_.reset();
    return fail(std::errc::not_enough_memory);
  }
  frame_max_ = frame_bytes(dev_.mtu());
  return {};
}

// Gives the card an RX ring full of buffers of the current pool. Requires: the receiver is off, nobody polls.
void Simnic::program_receiver() noexcept {
  rx_discarded_.fetch_add(rx_->drop_buffers(), std::memory_order_relaxed);
  card_->write(Reg::kFrameMax, frame_max_);
  card_->write(Reg::kSuperBuffer, super_buffer(dev_.features()));
  card_->write(Reg::kRxRing, rx_->address());
  card_->write(Reg::kRxSize, rx_->size());
  rx_->refill(*pool_);
  card_->write(Reg::kRxTail, rx_->tail());
}

void Simnic::go() {
  // Once NAPI is enabled the RX ring is the poll's: look at it before.
  const uint64_t seen = simnic::arm_value(rx_->next(), tx_->clean());
  napi_.enable();
  card_->write(Reg::kControl, control());
  card_->write(Reg::kInterruptArm, seen);
}

uint64_t Simnic::super_buffer(Features features) const noexcept {
  return features.has(Feature::kGroHw) ? buffer_bytes_ : 0;
}

uint64_t Simnic::control() const noexcept {
  return held_down_.load() ? simnic::kControlTx : simnic::kControlRx | simnic::kControlTx;
}

void Simnic::stop() {
  {
    SpinGuardIrq guard(link_lock_);
    up_ = false;
    dev_.carrier_off();
  }
  card_->quiesce();
  napi_.disable();  // a refill that still waits for its time finds it so, and is kept until it is enabled
  rx_discarded_.fetch_add(rx_->drop_buffers(), std::memory_order_relaxed);
  (void)tx_->reclaim();
  dev_.tx_queue(0).forget_sent();
  tx_discarded_.fetch_add(tx_->unsent(), std::memory_order_relaxed);
  rx_.reset();
  tx_.reset();
}

// The pool that serves this MTU; null without memory. Its buffers come in few sizes, so that few pools are made.
SkbPool* Simnic::pool_for(uint32_t mtu) {
  const SimnicConfig& card = card_->capabilities();
  const uint32_t bytes = std::max(std::bit_ceil(frame_bytes(mtu)), card.tso ? kSuperBufferMin : 0);
  if (!pools_.empty() && bytes <= buffer_bytes_) return pools_.back().get();
  try {
    // As long as the frames of any MTU: what is not used takes no memory.
    if (card.tso && segments_ == nullptr) {
      segments_ = std::make_unique<SkbPool>(kSegmentFactor * card.rx_descriptors, frame_bytes(dev_.mtu_max()));
    }
    pools_.push_back(std::make_unique<SkbPool>(kPoolFactor * card.rx_descriptors, bytes, segments_.get()));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  buffer_bytes_ = bytes;
  return pools_.back().get();
}

Result<> Simnic::change_mtu(uint32_t mtu) {
  if (rx_ == nullptr) return {};  // open reads the MTU
  SkbPool* const pool = pool_for(mtu);
  if (pool == nullptr) return fail(std::errc::not_enough_memory);
  frame_max_ = frame_bytes(mtu);
  if (pool == pool_) {
    card_->write(Reg::kFrameMax, frame_max_);
    return {};
  }
  // The receiver pauses while its buffers are exchanged; the transmitter goes on, and is reclaimed afterwards.
  card_->write(Reg::kControl, simnic::kControlTx);
  napi_.disable();
  pool_ = pool;
  program_receiver();
  go();
  return {};
}

// --- Filter ---

RxFilterCaps Simnic::rx_filter_caps() const {
  const SimnicConfig& card = card_->capabilities();
  return {.unicast_slots = card.unicast_slots,
          .multicast_slots = card.multicast_slots,
          .shared_slots = card.shared_slots,
          .own_address_uses_slot = false,
          .unicast_hash_buckets = card.unicast_hash_bits,
          .multicast_hash_buckets = card.multicast_hash_bits,
          .promisc = card.promisc,
          .allmulti = card.allmulti,
          .vlan_slots = card.vlan_slots};
}

void Simnic::set_rx_mode_async(RxPlan& plan) {
  RxCommand* command = plan.next();
  if (command == nullptr) return;
  MutexGuard guard(mailbox_);
  const Result<> opened = card_->begin(plan.stop());
  for (; command != nullptr; command = plan.next()) {
    plan.answer(*command, opened ? card_->execute(message_of(*command)) : opened);
  }
}

uint32_t Simnic::rx_hash(AddressClass address_class, const MacAddress& address) const {
  const SimnicConfig& card = card_->capabilities();
  const bool unicast = address_class == AddressClass::kUnicast;
  return simnic::bucket_of(address, unicast ? card.unicast_hash_bits : card.multicast_hash_bits);
}

Result<> Simnic::set_mac_address(const MacAddress& address) {
  MutexGuard guard(mailbox_);
  if (card_->read(Reg::kStatus) == simnic::kGone) return fail(std::errc::no_such_device);
  own_address_ = address;
  card_->write(Reg::kOwnAddress, address.to_u64());
  return {};
}

Result<> Simnic::change_carrier(bool on) {
  held_down_.store(!on);
  if (rx_ != nullptr) card_->write(Reg::kControl, control());
  link_changed();
  return {};
}

// --- Offloads ---

Features Simnic::hw_features() const {
  constexpr Features kSums{Feature::kTxSum};
  if (card_->capabilities().tso) return kSums | kSegmentation | Features{Feature::kGroHw};
  return card_->capabilities().checksum ? kSums : Features();
}

// Of what it sends the card learns with each frame.
Result<> Simnic::set_features(Features features) {
  if (card_->read(Reg::kStatus) == simnic::kGone) return fail(std::errc::no_such_device);
  card_->write(Reg::kSuperBuffer, rx_ == nullptr ? 0 : super_buffer(features));
  return {};
}

// --- Events ---

void Simnic::on_event(uint64_t cause) noexcept {
  if (cause == simnic::kGone) {
    link_changed();
    workqueue_.queue(unplug_work_);
    return;
  }
  if ((cause & simnic::kEventReset) != 0) workqueue_.queue(reset_work_);
  if ((cause & simnic::kEventLink) != 0) link_changed();
}

void Simnic::link_changed() noexcept {
  SpinGuardIrq guard(link_lock_);  // the card's interrupt comes here too
  const uint64_t status = card_->read(Reg::kStatus);
  const bool link = status != simnic::kGone && (status & simnic::kStatusLink) != 0;
  if (up_ && link && !held_down_.load()) {
    dev_.carrier_on();
  } else {
    dev_.carrier_off();
  }
}

// Until the acknowledgement every filter command fails, and until the core knows none is sent: that is the mutex.
void Simnic::recover_from_reset() {
  MutexGuard guard(mailbox_);
  card_->write(Reg::kResetAck, 1);
  if (!own_address_.is_zero()) card_->write(Reg::kOwnAddress, own_address_.to_u64());
  dev_.rx_mode().card_forgot();
}

}  // namespace usernic
