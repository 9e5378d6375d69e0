// SPDX-License-Identifier: Apache-2.0 OR MIT
// The card's way of frames: from the wire into memory, from memory onto the wire.
#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "drivers/simnic/card.h"
#include "usernic/flow_hash.h"
#include "usernic/segments.h"

namespace usernic::simnic {
namespace {

void count(Atomic<uint64_t>& counter, uint64_t more = 1) noexcept {
  counter.fetch_add(more, std::memory_order_relaxed);
}

// How many it is on the wire, and how long the longest of them.
uint32_t frames_of(const Frame& frame) noexcept {
  return segments_of(frame.offload, static_cast<uint32_t>(frame.size()));
}
size_t longest_of(const Frame& frame) noexcept {
  const Offload& offload = frame.offload;
  return offload.superframe() ? size_t{offload.header_bytes} + offload.gso_size : frame.size();
}

const uint8_t* memory_at(uint64_t address) noexcept {
  return reinterpret_cast<const uint8_t*>(static_cast<uintptr_t>(address));
}

}  // namespace

// --- Receiving ---

bool Card::receiving() const noexcept {
  return (control_ & kControlRx) != 0 && link_.load() && !gone();
}

// How many descriptors the longest superframe may take; 0: none is taken.
uint32_t Card::superframe_descriptors() const noexcept {
  if (super_buffer_ == 0) return 0;
  const uint64_t needed = (kSuperframeMax + super_buffer_ - 1) / super_buffer_;
  const uint32_t shortest = std::ranges::min(rx_, {}, &Ring::size).size;
  return needed <= shortest / 2 ? static_cast<uint32_t>(needed) : 0;
}

uint32_t Card::superframe_max() const noexcept {
  SpinGuardBh guard(lock_);
  if (!receiving()) return std::numeric_limits<uint32_t>::max();
  return superframe_descriptors() != 0 ? kSuperframeMax : 0;
}

// Whether it makes others wait follows from its rings alone. Returns true when one has just let them go on: xon is
// owed, when the lock is free.
bool Card::look_at_rx_rings() noexcept {
  const bool pauses = config_.flow_control && receiving();
  const uint32_t enough = std::max(superframe_descriptors(), uint32_t{1});
  bool let_go = false;
  for (ReceiveRing& each : rx_) {
    const bool full = pauses && each.left() < enough;
    if (std::exchange(each.full, full) == full) continue;
    if (!full) {
      let_go = true;
      continue;
    }
    each.pause_end = Clock::now() + Duration(pause_max_ns_.load());
    count(counters_.tx_pause);
  }
  return let_go;
}

// Of the ring that has the least: nobody knows where the next frame belongs. One that has had its time does not count.
Room Card::room() noexcept {
  SpinGuardBh guard(lock_);
  if (!config_.flow_control || !receiving()) return {};
  Room room;
  for (const ReceiveRing& each : rx_) {
    if (!each.full) {
      room.frames = std::min(room.frames, each.left());
    } else if (Clock::now() < each.pause_end) {
      room.frames = 0;
      room.until = std::max(room.until, each.pause_end);
    }
  }
  if (superframe_descriptors() != 0) room.frame_bytes = static_cast<uint32_t>(super_buffer_);
  return room;
}

void Card::hear(std::span<const Frame> frames) noexcept {
  uint32_t fire = 0;  // bit i: data of queue i
  {
    SpinGuardBh guard(lock_);
    uint32_t stored = 0;
    for (const Frame& frame : frames) stored |= store_frame(frame);
    fire = stored & armed_;
    armed_ &= ~fire;
    if (stored != 0) (void)look_at_rx_rings();  // there are fewer descriptors than before
  }
  for (; fire != 0; fire &= fire - 1) raise(data_vector(static_cast<uint32_t>(std::countr_zero(fire))));
}

// The RX queue of its flow.
uint32_t Card::ring_of(const Frame& frame) const noexcept {
  return config_.rx_queues == 1 ? 0 : static_cast<uint32_t>(uint64_t{flow_hash(frame)} * config_.rx_queues >> 32);
}

// The bit of the ring that it is in; 0: in none.
uint32_t Card::store_frame(const Frame& frame) noexcept {
  const uint32_t frames = frames_of(frame);
  if (!receiving()) return count(counters_.rx_off, frames), 0u;
  if (frame.size() < kFrameMin) return count(counters_.rx_runt, frames), 0u;
  if (!filter_.accepts(frame)) return count(counters_.rx_filtered, frames), 0u;
  const bool super = frame.offload.superframe();
  if (longest_of(frame) > frame_max_ || (super && superframe_descriptors() == 0))
    return count(counters_.rx_too_long, frames), 0u;
  const uint32_t queue = ring_of(frame);
  Ring& ring = rx_[queue];
  if (ring.empty()) return count(counters_.rx_no_descriptor, frames), 0u;
  // Whatever does not fit, the descriptors stay empty.
  uint32_t parts = 0;
  size_t room = 0;
  while (room < frame.size() && parts < (super ? ring.left() : 1u)) room += ring.at(ring.head + parts++).length;
  if (room < frame.size()) return count(super ? counters_.rx_no_descriptor : counters_.rx_too_long, frames), 0u;
  std::span<const uint8_t> rest = frame;
  for (uint32_t i = 0; i < parts; ++i) {
    Descriptor& descriptor = ring.at(ring.head + i);
    const auto here = rest.first(std::min<size_t>(rest.size(), descriptor.length));
    std::memcpy(reinterpret_cast<uint8_t*>(static_cast<uintptr_t>(descriptor.address)), here.data(), here.size());
    descriptor.length = static_cast<uint32_t>(here.size());
    rest = rest.subspan(here.size());
  }
  ring.at(ring.head).offload = frame.offload;
  // The first one last: who sees it sees all.
  for (uint32_t i = parts; i-- > 0;) {
    const uint32_t more = i + 1 < parts ? kDescriptorMore : 0;
    ring.at(ring.head + i).status.store(kDescriptorDone | more, std::memory_order_release);
  }
  ring.head += parts;
  count(counters_.rx_frames, frames);
  count(counters_.rx_frames_of[queue], frames);
  if (super) count(counters_.rx_superframes);
  return uint32_t{1} << queue;
}

// --- Transmitting ---

// Returns true when this thread is to transmit; otherwise one does already, and will look again.
bool Card::start_transmitter(Transmitter& by) noexcept {
  if ((control_ & kControlTx) == 0) return false;
  if (by.transmitting.load() != 0) {
    tx_[by.index].look_again = true;
    return false;
  }
  by.transmitting.store(1);
  return true;
}

// Whoever waits: that is told one by one nowhere.
void Card::resume() noexcept {
  for (Transmitter& each : transmitters_) (void)wire_->workqueue().queue_at(each.go_on, kAtOnce);
}

// One ring of frames a run: the driver puts in more meanwhile, and others have items in the queue, too.
void Card::go_on(Transmitter& by) {
  uint32_t ring = 0;
  {
    SpinGuardBh guard(lock_);
    if (!start_transmitter(by)) return;
    ring = tx_[by.index].size;
  }
  transmit(by, ring);
}

// Until the ring is empty, somebody makes it wait, or so many descriptors were taken.
void Card::transmit(Transmitter& by, uint32_t descriptors_max) noexcept {
  Burst burst;
  burst.left = descriptors_max;
  const auto ask_the_others = [&]() noexcept {
    if (config_.offloads()) burst.superframe_max = wire_->superframe_max(*this);
  };
  for (ask_the_others(); next_burst(by, burst); ask_the_others()) send_burst(by, burst);
  const bool progress = burst.left != descriptors_max;
  if (burst.left == 0) (void)wire_->workqueue().queue_at(by.go_on, kAtOnce);
  if (burst.wait_until) (void)wire_->workqueue().queue_at(by.go_on, *burst.wait_until);
  if (!progress) return;
  bool fire = false;
  {
    SpinGuardBh guard(lock_);
    fire = disarm(by.index);
  }
  if (fire) raise(data_vector(by.index));
}

void Card::send_burst(Transmitter& by, Burst& burst) noexcept {
  if (burst.size == 0) return;
  const std::span frames(burst.frames, burst.size);
  Wire::Taken taken;
  if (config_.flow_control) {
    taken = wire_->offer(*this, frames);
  } else {
    taken = {.plugged = wire_->send(*this, frames), .frames = burst.size};
  }
  if (!taken.plugged) {
    burst.no_link = ~(burst.too_long | burst.bad);
    return;
  }
  burst.sent = taken.frames;
  for (const Frame& frame : frames.first(taken.frames)) {
    count(counters_.tx_frames, frames_of(frame));
    count(counters_.tx_frames_of[by.index], frames_of(frame));
    if (frame.offload.superframe()) count(counters_.tx_superframes);
  }
  if (taken.frames == 0) burst.wait_until = taken.until;
}

// Writes back what has gone of the burst, and takes the next one. Returns false at the end.
bool Card::next_burst(Transmitter& by, Burst& burst) noexcept {
  SpinGuardBh guard(lock_);
  SendRing& ring = tx_[by.index];
  finish_burst(ring, burst);
  const bool made_to_wait = burst.wait_until.has_value();
  if (made_to_wait && !ring.waiting) count(counters_.rx_pause);
  if (made_to_wait || burst.sent != 0) ring.waiting = made_to_wait;
  // Who let it go on before it had left has found it here.
  const bool goes_on = std::exchange(ring.look_again, false) || !made_to_wait;
  burst.size = burst.sent = burst.descriptors = burst.too_long = burst.bad = burst.no_link = 0;
  burst.partly = false;
  if (goes_on) {
    burst.wait_until.reset();
    if ((control_ & kControlTx) != 0 && !gone()) fill_burst(by, burst);
  }
  if (burst.descriptors != 0) return true;
  by.transmitting.store(0);
  if ((control_ & kControlTx) == 0) wake_all(by.transmitting);  // quiesce waits
  return false;
}

void Card::finish_burst(SendRing& ring, Burst& burst) noexcept {
  if (gone() || ring.descriptors == nullptr || ring.size == 0) return;  // the ring may have been taken away meanwhile
  uint32_t sent = burst.sent;
  for (uint32_t i = 0; i < burst.descriptors; ++i, ++ring.head, --burst.left) {
    Descriptor& descriptor = ring.at(ring.head);
    const auto is = [i](uint32_t bits) noexcept { return (bits >> i & 1) != 0; };
    const uint32_t frames = frames_of(frame_of(descriptor));
    uint32_t status = kDescriptorDone;
    if (is(burst.too_long) || is(burst.bad)) {
      count(is(burst.bad) ? counters_.tx_bad : counters_.tx_too_long, frames);
      status |= kDescriptorError;
    } else if (is(burst.no_link)) {
      count(counters_.tx_no_link, frames - std::min(frames, ring.cut_sent));
    } else {
      const uint32_t here = std::min<uint32_t>(sent, burst.frames_of[i]);
      ring.cut_sent += here;
      sent -= here;
      // It waits, and whatever is behind it.
      if (here < burst.frames_of[i] || (burst.partly && i + 1 == burst.descriptors)) return;
    }
    ring.cut_sent = 0;
    descriptor.status.store(status, std::memory_order_release);
  }
}

void Card::fill_burst(Transmitter& by, Burst& burst) noexcept {
  SendRing& ring = tx_[by.index];
  if (ring.empty()) return;
  const bool link = link_.load();
  const uint32_t most = std::min(kBurst, burst.left);
  burst.cut_room = {by.cut.get(), by.cut == nullptr ? 0 : kCutBytes};
  for (uint32_t index = ring.head; index != ring.tail && burst.descriptors < most && burst.size < kBurst; ++index) {
    const uint32_t here = burst.descriptors;
    const uint32_t before = burst.size;
    const Put put = this->put(burst, ring.at(index), index == ring.head ? ring.cut_sent : 0);
    const bool bad = put == Put::kTooLong || put == Put::kBad;
    if (!bad && !link) {
      burst.size = before;
      burst.no_link |= uint32_t{1} << here;
    } else if (put == Put::kPartly && burst.size == before) {
      return;  // the next burst has room
    } else if (bad) {
      (put == Put::kBad ? burst.bad : burst.too_long) |= uint32_t{1} << here;
    }
    burst.frames_of[here] = static_cast<uint8_t>(burst.size - before);
    ++burst.descriptors;
    burst.partly = put == Put::kPartly && link;
    if (burst.partly) return;
  }
}

Frame Card::frame_of(const Descriptor& descriptor) const noexcept {
  const std::span octets(memory_at(descriptor.address), descriptor.length);
  return config_.offloads() ? Frame(octets, descriptor.offload) : Frame(octets);
}

// Adds the frames of a descriptor, without those that were cut before: what the others take as it is, and else what the
// card makes of it, as far as there is room.
Card::Put Card::put(Burst& burst, const Descriptor& descriptor, uint32_t cut_before) noexcept {
  const Frame frame = frame_of(descriptor);
  if (frame.offload.superframe()) return put_superframe(burst, frame, cut_before);
  if (frame.size() > frame_max_) return Put::kTooLong;
  if (frame.offload.sum == FrameSum::kNeeded && burst.superframe_max == 0) {
    return frame.size() > kCutBytes ? Put::kTooLong : put_summed(burst, frame);
  }
  burst.frames[burst.size] = padded(burst, frame);
  ++burst.size;
  return Put::kWhole;
}

Card::Put Card::put_summed(Burst& burst, const Frame& frame) noexcept {
  const size_t bytes = std::max<size_t>(frame.size(), kFrameMin);
  if (bytes > burst.cut_room.size()) return Put::kPartly;
  const auto whole = burst.cut_room.first(bytes);
  std::memset(std::copy(frame.begin(), frame.end(), whole.data()), 0, bytes - frame.size());
  if (!complete_sum(whole.first(frame.size()), frame.offload)) return Put::kBad;
  burst.cut_room = burst.cut_room.subspan(bytes);
  burst.frames[burst.size++] = Frame(whole);
  return Put::kWhole;
}

Card::Put Card::put_superframe(Burst& burst, Frame super, uint32_t cut_before) noexcept {
  const bool known = config_.tso && super.size() <= kSuperframeMax;
  const auto segments = known ? Segments::of(super, static_cast<uint32_t>(super.size()), super.offload) : std::nullopt;
  if (!segments) return Put::kBad;
  if (segments->bytes_max() > frame_max_) return Put::kTooLong;
  if (super.size() <= burst.superframe_max && cut_before == 0) {
    super.offload = segments->offload();
    burst.frames[burst.size++] = super;
    return Put::kWhole;
  }
  for (uint32_t i = cut_before; i < segments->count(); ++i) {
    const auto [from, payload] = segments->payload(i);
    const size_t bytes = std::max(segments->header_bytes() + payload, kFrameMin);
    if (burst.size == kBurst || bytes > burst.cut_room.size()) return Put::kPartly;
    const auto whole = burst.cut_room.first(bytes);
    burst.cut_room = burst.cut_room.subspan(bytes);
    std::memcpy(&whole[segments->header_bytes()], &super[from], payload);
    const uint32_t end = segments->write_headers(whole.data(), i, SegmentSums::kBySegment);
    std::memset(whole.data() + end, 0, bytes - end);
    burst.frames[burst.size++] = Frame(whole);
  }
  return Put::kWhole;
}

// No runt, whatever its length.
Frame Card::padded(Burst& burst, const Frame& frame) noexcept {
  if (frame.size() >= kFrameMin) return frame;
  uint8_t* const whole = burst.padded[burst.size];
  std::memset(std::copy(frame.begin(), frame.end(), whole), 0, kFrameMin - frame.size());
  return {std::span(whole, kFrameMin), frame.offload};
}

}  // namespace usernic::simnic
