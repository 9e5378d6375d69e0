// SPDX-License-Identifier: Apache-2.0 OR MIT
// The simulated card against a driver that writes any register and any descriptor, while frames come and faults
// happen: it stays inside the memory that it was given, every frame is counted once, and a doorbell is soon over. What
// it says it has room for is not lost for want of a descriptor, and it sends nothing to who has no room. Whatever was
// done to it, a driver that sets it up anew has a card that works.
#include <array>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "drivers/simnic/card.h"
#include "fuzz/input.h"
#include "usernic/net.h"

namespace usernic::simnic {
namespace {

using fuzz::must;

constexpr uint32_t kSlots = 8, kQueues = 2, kBufferMax = 0x1fff;
constexpr Reg kRegisters[] = {Reg::kStatus,   Reg::kEventCause,  Reg::kControl,    Reg::kInterruptArm,
                              Reg::kResetAck, Reg::kFilterClear, Reg::kOwnAddress, Reg::kPermanent,
                              Reg::kFrameMax, Reg::kSuperBuffer, Reg::kRxRing,     Reg::kRxSize,
                              Reg::kRxTail,   Reg::kTxRing,      Reg::kTxSize,     Reg::kTxTail};
const SimnicConfig kConfig{.unicast_slots = 2,
                           .multicast_slots = 2,
                           .multicast_hash_bits = 16,
                           .vlan_slots = 2,
                           .rx_queues = kQueues,
                           .tx_queues = kQueues,
                           .tso = true};

uint32_t segments_in(const Frame& frame) {
  return segments_of(frame.offload, static_cast<uint32_t>(frame.size()));
}

// The other end of the wire.
struct Ear final : WireEnd {
  Ear(Card& the_card, Wire& the_wire) : card(the_card), wire(the_wire) { wire.plug(*this); }
  ~Ear() { wire.unplug(*this); }
  uint32_t superframe_max() const noexcept override { return whole ? kSuperframeMax : 0; }
  Room room() noexcept override { return full ? Room{.frames = 0, .until = kForever} : Room{}; }
  void hear(std::span<const Frame> frames) noexcept override {
    must(!full, "a frame is sent to who has no room");
    for (const Frame& frame : frames) {
      must(whole || !frame.offload.any(), "something is left to do on a frame, for who cannot");
      heard += segments_in(frame);
      octets += std::accumulate(frame.begin(), frame.end(), uint64_t{0});
    }
    if (const auto write = std::exchange(then, std::nullopt)) card.write(write->first, write->second);
  }
  Card& card;
  Wire& wire;
  uint64_t heard = 0, octets = 0;
  bool full = false, whole = false;
  std::optional<std::pair<Reg, uint64_t>> then;
};

class Bench {
 public:
  Bench() {
    card_.connect_irq(handler_);
    card_.set_pause_max(std::chrono::hours(1));
  }
  ~Bench() { card_.disconnect_irq(); }

  // As a driver does that is in its right mind: from here an input goes wrong later, and further.
  void set_up() {
    for (uint32_t queue = 0; queue < kQueues; ++queue) {
      for (uint32_t i = 0; i < kSlots; ++i) {
        Descriptor &rx = rx_[queue][i], &tx = tx_[queue][i];
        rx.address = tx.address = reinterpret_cast<uintptr_t>(memory_.data()) + i * kBufferMax / kSlots;
        rx.length = kBufferMax, tx.length = 60 + i;
      }
      card_.write(of_queue(Reg::kRxRing, queue), reinterpret_cast<uintptr_t>(rx_[queue].data()));
      card_.write(of_queue(Reg::kTxRing, queue), reinterpret_cast<uintptr_t>(tx_[queue].data()));
      for (const Reg size : {Reg::kRxSize, Reg::kTxSize}) card_.write(of_queue(size, queue), kSlots);
    }
    card_.write(Reg::kControl, kControlRx | kControlTx);
    for (uint32_t queue = 0; queue < kQueues; ++queue) card_.write(of_queue(Reg::kRxTail, queue), kSlots / 2);
  }
  void write(fuzz::Input& input) {
    const auto [reg, value] = any_write(input);
    const uint64_t before = sent();
    card_.write(reg, value);
    must(sent() - before <= 2 * kSlots * kBufferMax, "a doorbell sends more than the rings hold");
  }
  // The same by another thread, while the next frame is on the wire.
  void write_meanwhile(fuzz::Input& input) { ear_.then = any_write(input); }
  void scribble(fuzz::Input& input) {
    const bool rx = input.below(2) != 0;
    Descriptor& descriptor = (rx ? rx_ : tx_)[input.below(kQueues)][input.below(kSlots)];
    descriptor.address = reinterpret_cast<uintptr_t>(memory_.data()) + input.number<uint16_t>() % (kBufferMax + 1);
    descriptor.length = rx ? input.number<uint16_t>() % (kBufferMax + 1) : input.number<uint32_t>();
    descriptor.status.store(input.number());
    descriptor.offload = any_offload(input);
    if (!rx && descriptor.offload.superframe()) {
      descriptor.length %= kBufferMax + 1;
      // Some are what they say.
      if (input.below(2) != 0) put_headers(reinterpret_cast<uint8_t*>(descriptor.address), descriptor.offload);
    }
  }
  void say(fuzz::Input& input) {
    // Most are as frames are; some are anything.
    const uint32_t kind = input.below(4);
    std::vector<uint8_t> frame(kind != 0 ? 60 + input.number() : input.number<uint16_t>() % (2 * kBufferMax));
    if (kind == 1) std::fill_n(frame.begin(), 6, 0xff);
    const auto head = input.take(kind == 1 ? 0 : std::min<size_t>(frame.size(), input.below(32)));
    std::copy(head.begin(), head.end(), frame.begin());
    const bool passes = card_.accepts(Frame(frame));
    const uint64_t before = card_.counters().rx_frames.load();
    const Frame octets(frame, any_offload(input));
    const uint32_t segments = segments_in(octets);
    if (input.below(2) != 0) {
      wire_->send(ear_, {&octets, 1});
      said_ += card_.read(Reg::kControl) != kGone ? segments : 0;
    } else {
      const uint64_t lost = card_.counters().rx_no_descriptor.load();
      const bool deaf = (card_.read(Reg::kControl) & kControlRx) == 0;
      const uint32_t taken = wire_->offer(ear_, {&octets, 1}).frames;
      must(taken == 1 || !deaf, "a card that does not receive makes others wait");
      said_ += taken != 0 && card_.read(Reg::kControl) != kGone ? segments : 0;
      // Over how many buffers a superframe goes is the driver's word.
      must(octets.offload.superframe() || card_.counters().rx_no_descriptor.load() == lost,
           "a frame is lost that there was room for");
    }
    must(passes || card_.counters().rx_frames.load() == before, "a frame passes that the filter does not accept");
  }
  void command(fuzz::Input& input) {
    // A few more than there are, of each; half of them fill a table.
    const uint32_t any = input.below(16);
    const Op op = any < 8 ? static_cast<Op>(any) : Op::kAdd;
    const auto table = static_cast<Table>(input.below(8));
    const uint64_t which = input.number();
    const Message message{op, table, static_cast<uint16_t>(which << input.below(8)), static_cast<uint32_t>(which),
                          MacAddress::from_u64(which << input.below(48))};
    (void)card_.execute(message);
  }
  void fate(fuzz::Input& input) {
    const uint32_t what = input.below(6);
    if (what == 0) card_.reset();
    if (what == 1) card_.set_link(input.below(2) != 0);
    if (what == 2) card_.limit_slots(static_cast<Table>(input.below(8)), input.number());
    if (what == 3) (void)card_.inject({.count = input.number(), .applied = input.below(2) != 0});
    if (what == 4) card_.clear_faults();
    if (what == 5 && input.number() == 0xff) card_.unplug();
  }
  void read(fuzz::Input& input) { (void)card_.read(static_cast<Reg>(input.number())); }
  void change_room(fuzz::Input&) {
    ear_.full = !ear_.full;
    ear_.whole = ear_.full != ear_.whole;
    if (!ear_.full) wire_->xon();
  }
  // What the card does in nobody's context is done before the next step.
  static void let_it_happen() { net().system_workqueue().flush(); }

  void check() {
    const CardCounters& c = card_.counters();
    if (std::exchange(ear_.full, false)) wire_->xon();
    let_it_happen();
    must(c.rx_frames.load() + c.rx_filtered.load() + c.rx_no_descriptor.load() + c.rx_runt.load() +
                 c.rx_too_long.load() + c.rx_off.load() ==
             said_,
         "a frame that came is not counted once");
    must(c.tx_frames.load() == ear_.heard, "a frame that was sent is not counted once");
    const FilterImage filter = card_.filter();
    must(filter.unicast.size() + filter.multicast.size() <= kConfig.unicast_slots + kConfig.multicast_slots &&
             filter.vlans.size() <= kConfig.vlan_slots,
         "the filter holds more than it has slots");
  }

  void expect_that_it_works_anew() {
    if (card_.read(Reg::kStatus) == kGone) return;
    card_.quiesce();
    card_.clear_faults();
    card_.set_link(true);
    card_.limit_slots(Table::kVlan, kConfig.vlan_slots);
    for (const Reg reg : {Reg::kResetAck, Reg::kFilterClear}) card_.write(reg, 1);
    card_.write(Reg::kFrameMax, kBufferMax);

    for (uint16_t vlan = 1; vlan <= kConfig.vlan_slots + 1; ++vlan) {
      must(card_.execute({Op::kAdd, Table::kVlan, vlan}).has_value() == (vlan <= kConfig.vlan_slots),
           "as many VLANs fit as there are slots");
    }

    set_up();
    const uint64_t heard = ear_.heard;
    ear_.then = {Reg::kTxTail, kSlots};
    send_from_start(kSlots / 2);
    must(ear_.heard - heard == kSlots, "what a doorbell says while frames are on their way is lost");
    const uint64_t no_link = card_.counters().tx_no_link.load();
    card_.set_link(false);
    send_from_start(kSlots);
    for (const Descriptor& each : tx_[0]) must(each.status.load() == kDescriptorDone, "frames stay that have no link");
    must(ear_.heard - heard == kSlots, "frames are sent without a link");
    must(card_.counters().tx_no_link.load() - no_link == kSlots, "a frame without a link is not counted once");

    card_.set_link(true);
    const std::vector<uint8_t> frame(60, 0xff);
    const Frame octets(frame);
    const uint64_t came = card_.counters().rx_frames.load();
    must(wire_->offer(ear_, {&octets, 1}).frames == 1 && card_.counters().rx_frames.load() == came + 1,
         "a frame for all is not received");
  }

 private:
  void send_from_start(uint32_t tail) {
    for (Descriptor& each : tx_[0]) {
      each.status.store(0);
      each.offload = {};
    }
    card_.write(Reg::kTxRing, reinterpret_cast<uintptr_t>(tx_[0].data()));
    card_.write(Reg::kTxTail, tail);
    let_it_happen();
  }
  uint64_t sent() const {
    const CardCounters& c = card_.counters();
    return c.tx_frames.load() + c.tx_too_long.load() + c.tx_no_link.load() + c.tx_bad.load();
  }
  static Offload any_offload(fuzz::Input& input) {
    if (input.below(2) != 0) return {};
    return {.sum = static_cast<FrameSum>(input.below(3)),
            .gso = static_cast<Gso>(input.below(4)),
            .sum_offset = static_cast<uint8_t>(input.number()),
            .sum_start = static_cast<uint16_t>(input.below(64)),
            .gso_size = static_cast<uint16_t>(input.number()),
            .header_bytes = static_cast<uint16_t>(input.below(64))};
  }
  // Of a packet that can be cut so.
  static void put_headers(uint8_t* frame, const Offload& offload) {
    const bool v6 = offload.gso == Gso::kTcp6, udp = offload.gso == Gso::kUdp;
    frame[12] = v6 ? 0x86 : 0x08, frame[13] = v6 ? 0xdd : 0x00;
    frame[14] = v6 ? 0x60 : 0x45;
    frame[20] = udp ? 17 : 6;  // of IPv6: no fragment otherwise
    frame[21] = 0;
    if (!v6) frame[20] = 0, frame[23] = udp ? 17 : 6;
    frame[v6 ? 66 : 46] = 0x50;
  }
  // Any register and value, of a queue that there is or is not; of what the card cannot know, what is true of this
  // memory.
  std::pair<Reg, uint64_t> any_write(fuzz::Input& input) {
    const Reg reg = kRegisters[input.below(std::size(kRegisters))];
    const uint32_t queue = reg < Reg::kRxRing ? 0 : input.below(kQueues + 1);
    uint64_t value = input.number<uint64_t>();
    if (reg == Reg::kRxRing || reg == Reg::kTxRing) {
      auto& rings = reg == Reg::kRxRing ? rx_ : tx_;
      value = value % 2 == 0 ? 0 : reinterpret_cast<uintptr_t>(rings[queue % kQueues].data());
    } else if (reg == Reg::kRxSize || reg == Reg::kTxSize) {
      value %= kSlots + 1;
    } else if (reg == Reg::kFrameMax) {
      value %= kBufferMax + 1;
    }
    return {of_queue(reg, queue), value};
  }
  static Net& net() {
    static Net one;  // for every input: it has threads
    return one;
  }
  static void on_irq(void*, Vector) noexcept USERNIC_NONBLOCKING {}

  // The card may be at work until it is gone.
  std::array<std::array<Descriptor, kSlots>, kQueues> rx_, tx_;
  std::vector<uint8_t> memory_ = std::vector<uint8_t>(2 * kBufferMax);
  std::shared_ptr<Wire> wire_ = std::make_shared<Wire>("w", net().system_workqueue());
  Card card_{kConfig, MacAddress::from_u64(0x0200'0000'0001), wire_};
  Ear ear_{card_, *wire_};
  uint64_t said_ = 0;
  const Card::IrqHandler handler_{&Bench::on_irq, this};
};

}  // namespace
}  // namespace usernic::simnic

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using usernic::simnic::Bench;
  using Op = void (Bench::*)(usernic::fuzz::Input&);
  constexpr Op kOps[] = {&Bench::write, &Bench::write_meanwhile, &Bench::scribble,
                         &Bench::say,   &Bench::command,         &Bench::fate,
                         &Bench::read,  &Bench::change_room};
  usernic::fuzz::Input input(data, size);
  Bench bench;
  if (input.below(2) != 0) bench.set_up();
  const bool looked_at = input.below(2) != 0;  // the others end in the middle of it
  while (!input.empty()) {
    (bench.*kOps[input.below(std::size(kOps))])(input);
    Bench::let_it_happen();
  }
  if (looked_at) {
    bench.check();
    bench.expect_that_it_works_anew();
  }
  return 0;
}
