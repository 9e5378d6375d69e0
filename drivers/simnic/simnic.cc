// SPDX-License-Identifier: Apache-2.0 OR MIT
// Life, link and filter of the driver. Frames are in simnic_frames.cc.
#include "drivers/simnic/simnic.h"

#include <algorithm>
#include <array>
#include <bit>
#include <climits>
#include <new>
#include <utility>

#include "usernic/frame_tap.h"
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
  config.tx_queues = static_cast<uint16_t>(card->capabilities().tx_queues);
  config.rx_queues = static_cast<uint16_t>(card->capabilities().rx_queues);
  return net.alloc_netdev<Simnic>(config, std::move(card));
}

Simnic::Simnic(NetDevice& dev, std::shared_ptr<Card> card)
    : dev_(dev),
      workqueue_(dev.net().system_workqueue()),
      card_(std::move(card)),
      reset_work_([this] { recover_from_reset(); }, &dev),
      unplug_work_([this] { (void)dev_.detach(); }, &dev) {
  const SimnicConfig& card_has = card_->capabilities();
  const uint32_t queues = std::max(card_has.rx_queues, card_has.tx_queues);
  for (uint32_t i = 0; i < queues; ++i) queues_.emplace_back(*this, static_cast<uint16_t>(i));
}

Simnic::Queue::Queue(Simnic& driver, uint16_t index)
    : napi(driver.dev_, driver, Napi::kWeight, index), refill([this] { napi.schedule(); }, &driver.dev_) {}

uint64_t Simnic::Queue::seen() const noexcept {
  return simnic::arm_value(rx == nullptr ? 0 : rx->next(), tx == nullptr ? 0 : tx->clean());
}

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
  for (Queue& each : queues_) {
    if (each.tx == nullptr) continue;
    card_->write(each.reg(Reg::kTxRing), each.tx->address());
    card_->write(each.reg(Reg::kTxSize), each.tx->size());
  }
  program_receiver();
  go();
  for (uint16_t i = 0; i < dev_.tx_queue_count(); ++i) dev_.tx_queue(i).start();
  {
    SpinGuardIrq guard(link_lock_);
    up_ = true;
  }
  link_changed();
  return {};
}

Result<> Simnic::allocate_rings() {
  const SimnicConfig& capabilities = card_->capabilities();
  if (!make_pools(dev_.mtu())) return fail(std::errc::not_enough_memory);
  try {
    for (Queue& each : queues_) {
      if (each.napi.queue() < capabilities.rx_queues) {
        each.rx = std::make_unique<simnic::RxRing>(capabilities.rx_descriptors);
      }
      if (each.napi.queue() < capabilities.tx_queues) {
        each.tx = std::make_unique<simnic::TxRing>(capabilities.tx_descriptors);
      }
    }
  } catch (const std::bad_alloc&) {
    free_rings();
    return fail(std::errc::not_enough_memory);
  }
  frame_max_ = frame_bytes(dev_.mtu());
  return {};
}

void Simnic::free_rings() noexcept {
  for (Queue& each : queues_) {
    each.rx.reset();
    each.tx.reset();
  }
}

void Simnic::discard_received(simnic::RxRing& ring) noexcept {
  SkbBatch frames;
  const int done = ring.receive(frames, INT_MAX);
  impossible_.fetch_add(static_cast<uint64_t>(done) - frames.size(), std::memory_order_relaxed);
  rx_discarded_.fetch_add(note_drops(dev_, frames, FrameWay::kIn, "nobody polled it before its ring went"),
                          std::memory_order_relaxed);
  ring.drop_buffers();
}

// Gives the card RX rings full of buffers of the newest pools. Requires: the receiver is off, nobody polls.
void Simnic::program_receiver() noexcept {
  card_->write(Reg::kFrameMax, frame_max_);
  card_->write(Reg::kSuperBuffer, super_buffer(dev_.features()));
  for (Queue& each : queues_) {
    if (each.rx == nullptr) continue;
    discard_received(*each.rx);
    card_->write(each.reg(Reg::kRxRing), each.rx->address());
    card_->write(each.reg(Reg::kRxSize), each.rx->size());
    each.pool = each.pools.back().get();
    each.rx->refill(*each.pool);
    card_->write(each.reg(Reg::kRxTail), each.rx->tail());
  }
}

void Simnic::go() {
  // Once NAPI is enabled the RX ring is the poll's: look at it before.
  std::array<uint64_t, kSimnicQueuesMax> seen{};
  for (Queue& each : queues_) {
    seen[each.napi.queue()] = each.seen();
    each.napi.enable();
  }
  card_->write(Reg::kControl, control());
  for (Queue& each : queues_) card_->write(each.reg(Reg::kInterruptArm), seen[each.napi.queue()]);
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
  // A refill that still waits for its time finds them so, and is kept until they are enabled.
  for (Queue& each : queues_) each.napi.disable();
  for (Queue& each : queues_) {
    if (each.rx != nullptr) discard_received(*each.rx);
    if (each.tx == nullptr) continue;
    (void)each.tx->reclaim();
    dev_.tx_queue(each.napi.queue()).forget_sent();
    SkbBatch unsent;
    each.tx->take_unsent(unsent);
    tx_discarded_.fetch_add(note_drops(dev_, unsent, FrameWay::kOut, "the device was closed before the card sent it"),
                            std::memory_order_relaxed);
  }
  free_rings();
}

// Makes pools for this MTU where the newest ones are too small. False without memory: there are none of them. Buffers
// come in few sizes, so that few pools are made.
bool Simnic::make_pools(uint32_t mtu) {
  const SimnicConfig& card = card_->capabilities();
  const uint32_t bytes = std::max(std::bit_ceil(frame_bytes(mtu)), card.tso ? kSuperBufferMin : 0);
  if (bytes <= buffer_bytes_) return true;
  std::array<std::unique_ptr<SkbPool>, kSimnicQueuesMax> made;
  try {
    // As long as the frames of any MTU: what is not used takes no memory.
    if (card.tso && segments_ == nullptr) {
      segments_ =
          std::make_unique<SkbPool>(kSegmentFactor * card.rx_descriptors * card.rx_queues, frame_bytes(dev_.mtu_max()));
    }
    for (uint32_t i = 0; i < card.rx_queues; ++i) {
      made[i] = std::make_unique<SkbPool>(kPoolFactor * card.rx_descriptors, bytes, segments_.get());
      queues_[i].pools.reserve(queues_[i].pools.size() + 1);
    }
  } catch (const std::bad_alloc&) {
    return false;
  }
  for (uint32_t i = 0; i < card.rx_queues; ++i) queues_[i].pools.push_back(std::move(made[i]));
  buffer_bytes_ = bytes;
  return true;
}

Result<> Simnic::change_mtu(uint32_t mtu) {
  if (!is_open()) return {};  // open reads the MTU
  if (!make_pools(mtu)) return fail(std::errc::not_enough_memory);
  frame_max_ = frame_bytes(mtu);
  const Queue& first = queues_.front();
  if (first.pool == first.pools.back().get()) {
    card_->write(Reg::kFrameMax, frame_max_);
    return {};
  }
  // The receiver pauses while its buffers are exchanged; the transmitter goes on, and is reclaimed afterwards.
  card_->write(Reg::kControl, simnic::kControlTx);
  for (Queue& each : queues_) each.napi.disable();
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
  if (is_open()) card_->write(Reg::kControl, control());
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
  card_->write(Reg::kSuperBuffer, is_open() ? super_buffer(features) : 0);
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
