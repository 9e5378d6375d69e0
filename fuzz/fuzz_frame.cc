// SPDX-License-Identifier: Apache-2.0 OR MIT
// Frames of any content and length through VLANs and macvlans: each comes out where a naive switch would send it, with
// the octets that it should have, or is counted as dropped.
#include <map>
#include <utility>
#include <vector>

#include "drivers/macvlan/macvlan.h"
#include "drivers/vlan/vlan.h"
#include "fuzz/input.h"
#include "usernic/address_list.h"
#include "usernic/port.h"

namespace usernic::fuzz {
namespace {

using Octets = std::vector<uint8_t>;

// Where frames come out: a device's port, or the wire below a NIC. They may come a little later.
class Outlet final : public DevicePort {
 public:
  void receive(SkbBatch& frames) noexcept override {
    while (Skb* const skb = frames.pop_front()) take(*skb);
  }
  void tx_wake(TxQueue&) noexcept override {}
  void carrier_changed(bool) noexcept override {}
  void take(Skb& skb) noexcept {
    const BlockingByDesign a_fuzzer_may;
    {
      SpinGuardBh guard(lock_);
      frames_.emplace_back(skb.bytes().begin(), skb.bytes().end());
    }
    SkbPool::free(skb);
    count_.fetch_add(1);
    wake_all(count_);
  }
  // What came since the last call, once there are `count` frames.
  std::vector<Octets> wait(size_t count) {
    const Time deadline = Clock::now() + std::chrono::seconds(10);
    for (uint32_t seen; (seen = count_.load()) < taken_ + count;) {
      if (!wait_on(count_, seen, deadline)) broken("a frame is lost");
    }
    SpinGuardBh guard(lock_);
    taken_ += static_cast<uint32_t>(frames_.size());
    return std::exchange(frames_, {});
  }

 private:
  static constexpr LockClass kLockClass{"fuzz_outlet"};
  SpinLock lock_{kLockClass};
  std::vector<Octets> frames_;
  Atomic<uint32_t> count_{0};
  uint32_t taken_ = 0;
};

class Nic {
 public:
  Nic(NetDevice& dev, Outlet& wire) : dev_(dev), wire_(wire) {}
  Result<> open() { return dev_.tx_queue(0).start(), Result<>(); }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept { return wire_.take(skb), NetdevTx::kOk; }

 private:
  NetDevice& dev_;
  Outlet& wire_;
};

MacAddress mac(uint64_t n) {
  return MacAddress::from_u64(0x0200'0000'0000 + n);
}
MacAddress group(uint64_t n) {
  return MacAddress::from_u64(0x0300'0000'0000 + n);
}
MacAddress address_in(const Octets& frame, size_t at) {
  return frame.size() >= at + 6 ? MacAddress::from_bytes(&frame[at]) : MacAddress{};
}

struct Device {
  Outlet port;
  NetdevPtr dev;
  void up(NetdevPtr made) {
    dev = std::move(made);
    must(dev->register_netdev() && dev->open() && dev->attach_port(port), "a device does not come up");
    dev->lane().flush();
  }
};

// vlan5 on one NIC; a and b in bridge mode and a private one on the second; a passthru on the third.
class World {
 public:
  World() {
    for (int i = 0; i < 3; ++i) nics_[i].up(*net_.alloc_netdev<Nic>({.address = mac(0x10 + i)}, wires_[i]));
    vlan_.up(*Vlan::probe(net_, {.name = "vlan5"}, *nics_[0].dev, 5));
    a_.up(*Macvlan::probe(net_, {.name = "a", .address = mac(1)}, *nics_[1].dev, MacvlanMode::kBridge));
    b_.up(*Macvlan::probe(net_, {.name = "b", .address = mac(2)}, *nics_[1].dev, MacvlanMode::kBridge));
    private_.up(*Macvlan::probe(net_, {.name = "private", .address = mac(3)}, *nics_[1].dev, MacvlanMode::kPrivate));
    through_.up(*Macvlan::probe(net_, {.name = "through"}, *nics_[2].dev, MacvlanMode::kPassthru));
    must(a_.dev->mc().add(group(1)) && b_.dev->mc().add(group(1)) && b_.dev->mc().add(group(2)), "no groups");
    must(b_.dev->uc().add(mac(4)) && private_.dev->mc().add(group(2)), "no second address");
    for (Device* each : {&a_, &b_, &private_, &through_}) each->dev->lane().flush();
  }

  void play(Input& input) {
    const uint32_t way = input.below(8);
    std::vector<Octets> frames;
    for (uint32_t i = 1 + input.below(4); i > 0; --i) frames.push_back(frame(input));
    Device* const up[] = {&vlan_, &a_, &b_, &private_, &through_};
    const uint64_t dropped = vlan_.dev->stats().tx_dropped;
    SkbBatch batch;
    for (const Octets& each : frames) {
      Skb& skb = *pool_.alloc();
      std::copy(each.begin(), each.end(), skb.put(static_cast<uint32_t>(each.size())));
      batch.push_back(skb);
      way < 3 ? receives(way, each) : sends(way - 3, each);
    }
    way < 3 ? nics_[way].dev->receive(batch) : (void)up[way - 3]->dev->xmit(up[way - 3]->dev->tx_queue(0), batch);
    for (Outlet* outlet : {&wires_[0], &wires_[1], &wires_[2], &nics_[0].port, &nics_[1].port, &nics_[2].port,
                           &vlan_.port, &a_.port, &b_.port, &private_.port, &through_.port}) {
      must(outlet->wait(expected_[outlet].size()) == expected_[outlet], "other frames come out than should");
    }
    must(vlan_.dev->stats().tx_dropped - dropped == dropped_, "a drop is not counted once");
    must(pool_.available() == kBuffers, "a buffer is lost");
    expected_.clear(), dropped_ = 0;
  }

 private:
  static constexpr uint32_t kBuffers = 8, kFrameMax = 1518;

  Octets frame(Input& input) {
    static const MacAddress known[] = {mac(1), mac(2), mac(3), mac(4), mac(0x11), group(1), group(2), kBroadcast};
    Octets octets;
    for (int i = 0; i < 2; ++i) {
      const uint32_t which = input.below(10);
      const auto raw = input.take(which < std::size(known) ? 0 : 6);
      if (which < std::size(known)) octets.insert(octets.end(), known[which].octets.begin(), known[which].octets.end());
      octets.insert(octets.end(), raw.begin(), raw.end());
    }
    const auto rest = input.take(input.below(16));
    octets.insert(octets.end(), rest.begin(), rest.end());
    if (input.below(4) == 0) octets.resize(input.number<uint16_t>() % (kFrameMax + 1));
    return octets;
  }

  void receives(uint32_t nic, Octets frame) {
    if (nic == 2) return expect(through_.port, frame);
    if (nic == 0) {
      const bool tagged = frame.size() >= 18 && frame[12] == 0x81 && frame[13] == 0 && frame[15] == 5;
      if (!tagged || (frame[14] & 0xf) != 0) return expect(nics_[0].port, frame);
      frame.erase(frame.begin() + 12, frame.begin() + 16);
      return expect(vlan_.port, frame);
    }
    const MacAddress to = address_in(frame, 0), from = address_in(frame, 6);
    if (!to.is_multicast()) return expect(station(to) != nullptr ? station(to)->port : nics_[1].port, frame);
    const bool own = from == mac(1) || from == mac(2) || from == mac(3);
    for (Device* each : {&a_, &b_, &private_}) {
      if (!own && wants(*each, to)) expect(each->port, frame);
    }
    expect(nics_[1].port, frame);
  }
  void sends(uint32_t from, Octets frame) {
    if (from == 0) {
      if (frame.size() < 12) return (void)++dropped_;
      frame.insert(frame.begin() + 12, {0x81, 0, 0, 5});
      return expect(wires_[0], frame);
    }
    const MacAddress to = address_in(frame, 0);
    Device* const sender = from == 1 ? &a_ : &b_;
    for (Device* each : {&a_, &b_}) {
      if (from > 2 || each == sender) continue;
      if (to.is_multicast() && wants(*each, to)) expect(each->port, frame);
      if (!to.is_multicast() && station(to) == each) return expect(each->port, frame);
    }
    expect(wires_[from == 4 ? 2 : 1], frame);
  }
  void expect(Outlet& outlet, const Octets& frame) { expected_[&outlet].push_back(frame); }
  Device* station(const MacAddress& to) {
    return to == mac(1) ? &a_ : to == mac(2) || to == mac(4) ? &b_ : to == mac(3) ? &private_ : nullptr;
  }
  bool wants(const Device& device, const MacAddress& to) const {
    if (to.is_broadcast()) return true;
    return (to == group(1) && &device != &private_) || (to == group(2) && &device != &a_);
  }

  Net net_;
  SkbPool pool_{kBuffers, kFrameMax};
  Outlet wires_[3];
  Device nics_[3], vlan_, a_, b_, private_, through_;
  struct ByPlace {
    bool operator()(const Outlet* a, const Outlet* b) const { return a < b; }
  };
  std::map<Outlet*, std::vector<Octets>, ByPlace> expected_;
  uint64_t dropped_ = 0;
};

}  // namespace
}  // namespace usernic::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto& world = *new usernic::fuzz::World;  // frames leave nothing behind in it
  usernic::fuzz::Input input(data, size);
  while (!input.empty()) world.play(input);
  return 0;
}
