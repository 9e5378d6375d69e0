// SPDX-License-Identifier: Apache-2.0 OR MIT
// macvlans that come, go, open, close and change their addresses over a device that does the same: what they want is
// wanted below exactly, and every frame is at its receiver, on the wire, or among the drops.
#include <fmt/format.h>

#include <array>
#include <map>
#include <memory>
#include <set>

#include "core/device/device.h"
#include "sim/scenarios/macvlan_ways.h"
#include "sim/scenarios/scenarios.h"
#include "testing/unseen_by_clang.h"

// They look at a world that stands still meanwhile: without its locks.
USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wthread-safety")
namespace usernic::sim {
namespace {

constexpr MacAddress kOutside = MacAddress::from_u64(0x0200'0000'0999);
constexpr uint16_t kIds = 4;

// Own addresses of macvlans; the last one may be the lower device's.
MacAddress station(uint64_t n) {
  return n == 3 ? RxWorld::own(1) : MacAddress::from_u64(0x0200'0000'0200 + n);
}

using Shared = Seats::value_type;

class Row {
 public:
  explicit Row(Chance chance)
      : lower_(random_world(chance), chance.stream(20), net_),
        passthru_(chance.one_in(4)),
        unicasts_only_(chance.one_in(2)),
        seats_(passthru_ ? 1 : chance.between(2, 3)) {
    expect(lower_.dev().attach_port(port_).has_value(), "port", "no port can be attached");
    for (const MacAddress& address : lower_.addresses()) {
      if (chance.one_in(3) && lower_.list_of(address).add(address)) users_.insert(address);
    }
    promiscuity_ = chance.one_in(6) && lower_.dev().rx_mode().set_promiscuity(1);
    (void)lower_.dev().rx_mode().set_vlan_filter(chance.one_in(2));
    (void)lower_.dev().rx_mode().vlan_add(1);
    for (Shared& seat : seats_) seat = make(chance);
    let_everything_happen();
  }

  // --- Users: each does `steps` things at random ---

  void change(Chance chance, int steps) {
    for (int i = 0; i < steps; ++i, rest(chance)) {
      const Shared seat = any(chance);
      if (seat != nullptr) change_one(*seat, chance);
    }
  }
  void send(Chance chance, int steps) {
    for (int i = 0; i < steps; ++i, rest(chance)) {
      const Shared seat = any(chance);
      if (seat == nullptr) continue;
      seat->sent += traffic_.send(*seat->dev, chance.stream(i), 1,
                                  [&] { return Header{.to = destination(chance), .from = seat->dev->address()}; });
    }
  }
  void receive(Chance chance, int steps) {
    for (int i = 0; i < steps; ++i, rest(chance)) {
      const MacAddress from = chance.one_in(4) ? station(chance.below(4)) : kOutside;
      (void)traffic_.receive_one(lower_.dev(), {.to = destination(chance), .from = from});
    }
  }
  void operate(Chance chance, int steps) {
    for (int i = 0; i < steps; ++i, rest(chance)) {
      const Shared seat = any(chance);
      if (seat == nullptr) continue;
      if (chance.one_in(4)) {
        (void)seat->dev->set_mac_address(station(chance.below(4)));
      } else if (chance.one_in(2)) {
        seat->port.closed = seat->dev->close().has_value();
      } else {
        seat->port.closed = false;
        (void)seat->dev->open();
      }
    }
  }
  void operate_lower(Chance chance, int steps) {
    for (int i = 0; i < steps; ++i, rest(chance)) {
      switch (chance.below(4)) {
        case 0:
          lower_.reopen(chance.stream(i), 1);
          break;
        case 1:
          lower_.change_own(chance.stream(i), 1);
          break;
        case 2:
          (void)lower_.dev().change_mtu(chance.one_in(2) ? 1400 : 1500);
          break;
        case 3:
          chance.one_in(2) ? lower_.dev().carrier_on() : lower_.dev().carrier_off();
          break;
      }
    }
  }
  void rebuild(Chance chance, int steps) {
    for (int i = 0; i < steps; ++i, rest(chance)) {
      Shared& place = seats_[chance.below(seats_.size())];
      if (const Shared old = std::exchange(place, nullptr); old != nullptr) leave(*old);
      place = make(chance);
    }
  }
  void remove_lower() {
    lower_there_ = false;
    lower_.dev().unregister_netdev();
    lower_.card().unregistered = true;
  }

  // --- When all is quiet ---

  void check() {
    let_everything_happen();
    if (lower_there_) {
      lower_.dev().carrier_on();
      lower_.converge();
    }
    for (const Shared& seat : seats_) {
      if (seat == nullptr) continue;
      seat->dev->lane().flush();
      if (seat->dev->running()) expect(seat->dev->rx_mode().settle(kForever).has_value(), "settle", "settle gives up");
    }
    check_counts();
    for (const Shared& seat : seats_) {
      if (seat != nullptr) check_seat(*seat);
    }
    if (!lower_there_) return;
    check_lists();
    check_scalars();
    check_ways();
  }
  // All go: the lower device is as it was before them.
  void check_removed() {
    for (Shared& place : seats_) {
      if (const Shared old = std::exchange(place, nullptr); old != nullptr) leave(*old);
    }
    lower_.dev().detach_port();
    if (!lower_there_) return;
    check_lists();
    check_scalars();
    lower_.unregister();
  }

 private:
  Shared any(Chance& chance) const { return seats_[chance.below(seats_.size())]; }

  // Null: it could not be registered.
  Shared make(Chance& chance) {
    static constexpr MacvlanMode kModes[] = {MacvlanMode::kBridge, MacvlanMode::kBridge, MacvlanMode::kPrivate};
    const MacvlanMode mode = passthru_ ? MacvlanMode::kPassthru : kModes[chance.below(3)];
    const auto seat = std::make_shared<Seat>(net_, lower_.dev(), mode, station(chance.below(4)));
    if (!seat->dev->register_netdev()) return nullptr;
    expect(seat->dev->attach_port(seat->port).has_value(), "port", "no port can be attached");
    if (!chance.one_in(4)) (void)seat->dev->open();
    return seat;
  }
  void leave(Seat& seat) {
    removed_ = true;
    seat.dev->unregister_netdev();
    seat.port.closed = true;
    expect(seat.dev->ref_holders().empty(), "references", "somebody holds a reference after unregister");
  }

  MacAddress destination(Chance& chance) const {
    const bool group = !unicasts_only_ && chance.one_in(3);
    if (group && chance.one_in(3)) return kBroadcast;
    const Shared seat = any(chance);
    if (!group && seat != nullptr && chance.one_in(2)) return seat->dev->address();
    if (chance.one_in(4)) return kOutside;
    if (!group && chance.one_in(3)) return station(chance.below(4));
    const std::vector<MacAddress>& all = lower_.addresses();  // unicasts, as many multicasts, own ones
    const size_t half = (all.size() - 3) / 2;
    return group ? all[half + chance.below(half)] : all[chance.below(half)];
  }

  void change_one(Seat& seat, Chance& chance) {
    NetDevice& dev = *seat.dev;
    RxMode& mode = dev.rx_mode();
    const auto toggle = [](uint32_t& held, auto&& set) {
      const int by = held == 0 ? 1 : -1;
      if (set(by)) held += by;
    };
    const MacAddress address = lower_.addresses()[chance.below(lower_.addresses().size())];  // its own ones, too
    AddressList& list = address.is_multicast() ? dev.mc() : dev.uc();
    const auto id = static_cast<uint16_t>(chance.below(kIds));
    switch (chance.below(8)) {
      case 0:
        return toggle(seat.promiscuity, [&](int by) { return mode.set_promiscuity(by).has_value(); });
      case 1:
        return toggle(seat.allmulti, [&](int by) { return mode.set_allmulti(by).has_value(); });
      case 2:
        return (void)mode.vlan_add(id);
      case 3:
        return (void)mode.vlan_del(id);
      default:
        (void)(list.contains(address) && chance.one_in(2) ? list.del(address) : list.add(address));
    }
  }

  // Unicasts in are unicasts out and drops; the sums of a macvlan that is gone lack what only its driver had counted.
  void check_counts() {
    const LinkStats below = lower_.dev().stats();
    uint64_t sent = 0, out = below.tx_packets + below.rx_dropped + port_.frames;
    for (const Shared& seat : seats_) {
      if (seat == nullptr) continue;
      const LinkStats stats = seat->dev->stats();
      sent += seat->sent;
      out += stats.tx_dropped + stats.rx_packets + stats.rx_dropped;
      expect(stats.rx_packets == seat->port.frames, "frames", "a macvlan counts other frames than it hands up");
      traffic_.check(*seat->dev, seat->sent);
    }
    if (!removed_ && (unicasts_only_ || passthru_)) {
      if (sent + traffic_.received == out) return;
      found("frames",
            fmt::format("{} frames sent and {} received are {} packets and drops", sent, traffic_.received, out));
    }
  }

  void check_seat(const Seat& seat) {
    const NetDevice& below = lower_.dev();
    const RxModeStatus status = seat.dev->rx_mode().status();
    const uint32_t promiscuity = seat.promiscuity + (passthru_ && seat.dev->running());
    expect(status.promiscuity == promiscuity && status.allmulti == seat.allmulti, "promiscuity",
           "a macvlan has another promiscuity or allmulti than its users asked for");
    const bool carrier = lower_there_ && seat.dev->running();
    expect(seat.dev->carrier_ok() == carrier, "carrier", "a macvlan has another carrier than its lower device");
    expect(!lower_there_ || seat.dev->mtu() <= below.mtu(), "mtu", "a macvlan has a larger MTU than its lower device");
    const bool same = seat.dev->address() == below.address();
    expect(!lower_there_ || !passthru_ || same, "address", "a passthru macvlan has an address of its own");
  }

  std::vector<Seat*> seats_up() const {
    std::vector<Seat*> all;
    for (const Shared& seat : seats_) {
      if (seat != nullptr && seat->dev->running()) all.push_back(seat.get());
    }
    return all;
  }

  // What is wanted of the lower device is what its own users and the macvlans that are up want.
  void check_lists() {
    NetDevice& below = lower_.dev();
    std::map<MacAddress, uint32_t> expected;
    for (const MacAddress& address : users_) ++expected[address];
    for (const Seat* seat : seats_up()) {
      const RxModeStatus above = seat->dev->rx_mode().status();
      for (const MacAddress& address : above.wanted_unicast) ++expected[address];
      for (const MacAddress& address : above.wanted_multicast) ++expected[address];
      if (seat->dev->address() != below.address()) ++expected[seat->dev->address()];
    }
    for (const auto& [address, count] : expected) {
      const uint32_t there = lower_.list_of(address).references(address);
      if (there == count) continue;
      found("stack", fmt::format("{} has {} references in the lower device; users and macvlans have {}",
                                 address.to_string(), there, count));
    }
    const RxModeStatus status = below.rx_mode().status();
    const size_t listed = status.wanted_unicast.size() + status.wanted_multicast.size();
    expect(listed == expected.size(), "stack", "a lower device has addresses that nobody wants");
    if (!below.running()) return;
    for (const auto& [address, count] : expected) {
      const bool is_own = address == below.address() && !lower_.card().caps.own_address_uses_slot;
      expect(is_own || lower_.card().accepts(address), "stack", "a card is deaf to what is wanted above");
    }
  }
  void check_scalars() {
    uint32_t promiscuity = promiscuity_, allmulti = 0;
    std::array<uint32_t, kVlanIds> vlans{};
    vlans[1] = VlanRefs::kUser;
    for (const Seat* seat : seats_up()) {
      const RxModeStatus above = seat->dev->rx_mode().status();
      promiscuity += above.promiscuity != 0;
      allmulti += above.allmulti != 0;
      for (const uint16_t id : above.wanted_vlans) vlans[id] += VlanRefs::kUpper;
    }
    NetDevice& below = lower_.dev();
    const RxModeStatus status = below.rx_mode().status();
    expect(status.promiscuity == promiscuity && status.allmulti == allmulti, "stack",
           "promiscuity or allmulti is not what users and macvlans want");
    expect(Device::of(below).engine.wanted.vlan_refs == vlans, "stack",
           "VLAN ids are not what users and macvlans want");
    const Card& card = lower_.card();
    const auto passes = [&](uint16_t id) { return card.vlan_open || card.vlans.contains(id); };
    expect(!below.running() || std::ranges::all_of(status.wanted_vlans, passes), "stack",
           "a card is deaf to a VLAN that is wanted above");
  }

  // What `happens` adds to who has received.
  template <class Happens>
  void check_way(const char* what, const Header& header, const Way& expected, bool from_wire, Happens&& happens) {
    const auto below = [&] { return from_wire ? port_.frames : lower_.dev().stats().tx_packets; };
    std::vector<uint64_t> before;
    for (const Shared& seat : seats_) before.push_back(seat != nullptr ? seat->port.frames : 0);
    const uint64_t below_before = below();
    happens();
    let_everything_happen();
    Way way;
    for (size_t i = 0; i < seats_.size(); ++i) {
      if (seats_[i] == nullptr) continue;
      for (uint64_t n = seats_[i]->port.frames - before[i]; n > 0; --n) way.seats.insert(i);
    }
    way.beyond = below() != below_before;
    if (way == expected) return;
    found("way", fmt::format("a frame {} to {} reaches {} macvlans{}, and should reach {}{}", what,
                             header.to.to_string(), way.seats.size(), way.beyond ? " and goes on" : "",
                             expected.seats.size(), expected.beyond ? " and go on" : ""));
  }
  void check_ways() {
    std::vector<MacAddress> all = lower_.addresses();
    for (uint64_t n = 0; n < 3; ++n) all.push_back(station(n));
    all.insert(all.end(), {kOutside, kBroadcast});
    const MacvlanWays ways(seats_, lower_.dev(), passthru_);
    for (const MacAddress& to : all) {
      for (const MacAddress& from : {kOutside, station(0)}) {
        const Header header{.to = to, .from = from};
        check_way("from outside", header, ways.from_wire(header), true,
                  [&] { (void)traffic_.receive_one(lower_.dev(), header); });
      }
      for (size_t i = 0; i < seats_.size(); ++i) {
        if (!ways.up(i)) continue;
        const Header header{.to = to, .from = seats_[i]->dev->address()};
        check_way("of a macvlan", header, ways.from_seat(i, header), false, [&] { send_one(*seats_[i], header); });
      }
    }
  }
  void send_one(Seat& seat, const Header& header) {
    SkbBatch batch;
    if (Skb* const skb = traffic_.frame(header)) batch.push_back(*skb);
    seat.sent += batch.size();
    (void)seat.dev->xmit(seat.dev->tx_queue(0), batch);
  }

  Traffic traffic_;
  Net net_;
  RxWorld lower_;
  CountingPort port_;
  const bool passthru_;
  const bool unicasts_only_;  // which can be counted: a multicast is copied
  bool lower_there_ = true;
  bool removed_ = false;  // some macvlan
  std::multiset<MacAddress> users_;
  bool promiscuity_ = false;
  Seats seats_;
};

}  // namespace

void play_macvlan(Chance chance) {
  Row row(chance.stream(10));
  const bool rebuilds = chance.one_in(2), goes = chance.one_in(4), operates = chance.one_in(2);
  together({{"user", [&, c = chance.stream(1)] { row.change(c, 10); }},
            {"sender-1", [&, c = chance.stream(2)] { row.send(c, 5); }},
            {"sender-2", [&, c = chance.stream(3)] { row.send(c, 5); }},
            {"wire", [&, c = chance.stream(4)] { row.receive(c, 8); }},
            {"admin", [&, c = chance.stream(5)] { row.operate(c, 5); }},
            {"lower", [&, c = chance.stream(6)] { row.operate_lower(c, operates ? 4 : 0); }},
            {"builder", [&, c = chance.stream(7)] { row.rebuild(c, rebuilds ? 3 : 0); }},
            {"remover", [&, c = chance.stream(8)]() mutable {
               rest(c);
               if (goes) row.remove_lower();
             }}});
  row.check();
  row.check_removed();
}

}  // namespace usernic::sim

USERNIC_UNSEEN_BY_CLANG_END
