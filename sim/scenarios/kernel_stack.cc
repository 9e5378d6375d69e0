// SPDX-License-Identifier: Apache-2.0 OR MIT
// Drivers in kernel style on top of each other and of a card: what one takes of the promiscuity and allmulti below it,
// it gives back, and nobody is deaf meanwhile.
#include <algorithm>
#include <deque>
#include <ranges>
#include <set>

#include "core/device/device.h"
#include "kernel/names.h"
#include "sim/rx_world.h"
#include "sim/scenarios/scenarios.h"
#include "sim/scheduler.h"
#include "testing/unseen_by_clang.h"

// They look at a world that stands still meanwhile: without its locks.
USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wthread-safety")
namespace usernic::sim {

using std::chrono::seconds;

namespace {

using namespace usernic::kernel;

struct upper_priv {
  struct net_device* lower;
  unsigned taken;  // of the lower: IFF_PROMISC, IFF_ALLMULTI
};
upper_priv* upper_of(struct net_device* dev) {
  return static_cast<upper_priv*>(netdev_priv(dev));
}

// By one, which is never taken twice nor given back untaken.
void pass_down(struct net_device* dev, unsigned flag, bool on) {
  upper_priv* priv = upper_of(dev);
  point("pass-down");
  expect(((priv->taken & flag) != 0) != on, "balance", on ? "it is taken twice" : "it is given back untaken");
  priv->taken ^= flag;
  (void)(flag == IFF_PROMISC ? dev_set_promiscuity(priv->lower, on ? 1 : -1)
                             : dev_set_allmulti(priv->lower, on ? 1 : -1));
}
void upper_change_rx_flags(struct net_device* dev, int change) {
  for (const unsigned flag : {IFF_ALLMULTI, IFF_PROMISC}) {
    if (static_cast<unsigned>(change) & flag) pass_down(dev, flag, netif_get_flags(dev) & flag);
  }
}
int upper_open(struct net_device* dev) {
  for (const unsigned flag : {IFF_ALLMULTI, IFF_PROMISC}) {
    if (netif_get_flags(dev) & flag) pass_down(dev, flag, true);
  }
  netif_start_queue(dev);
  return 0;
}
int upper_stop(struct net_device* dev) {
  dev_uc_unsync(upper_of(dev)->lower, dev);
  dev_mc_unsync(upper_of(dev)->lower, dev);
  for (const unsigned flag : {IFF_ALLMULTI, IFF_PROMISC}) {
    if (netif_get_flags(dev) & flag) pass_down(dev, flag, false);
  }
  expect(upper_of(dev)->taken == 0, "balance", "a device that is down keeps what it took");
  return 0;
}
void upper_set_rx_mode(struct net_device* dev) {
  dev_uc_sync(upper_of(dev)->lower, dev);
  dev_mc_sync(upper_of(dev)->lower, dev);
}
netdev_tx_t upper_xmit(struct sk_buff* skb, struct net_device*) {
  dev_kfree_skb_any(skb);
  return NETDEV_TX_OK;
}
constexpr struct net_device_ops upper_ops = {.ndo_open = upper_open,
                                             .ndo_stop = upper_stop,
                                             .ndo_start_xmit = upper_xmit,
                                             .ndo_set_rx_mode = upper_set_rx_mode,
                                             .ndo_change_rx_flags = upper_change_rx_flags};

NetdevPtr make_upper(Net& net, NetDevice& lower) {
  NetdevPtr dev =
      *net.alloc_netdev<table_driver<&upper_ops>>({.name = "up%d", .address = RxWorld::own(1)}, sizeof(upper_priv));
  netdev_add_priv_flags(dev.get(), IFF_UNICAST_FLT);
  upper_of(dev.get())->lower = &lower;
  expect(dev->register_netdev().has_value(), "register", "an upper device cannot be registered");
  return dev;
}

Time soon() {
  return Clock::now() + seconds(20);
}
MacAddress kernel_group(uint64_t n) {
  return MacAddress::from_u64(0x0300'0002'0000 | n);
}

// A device, and what its own users have of it.
struct Floor {
  NetDevice* dev;
  Floor* below;  // null: it is the NIC
  uint32_t promiscuity = 0, allmulti = 0;

  const Wanted& wanted() const { return Device::of(*dev).engine.wanted; }
};

class Tower {
 public:
  explicit Tower(Chance& chance) : nic_(config(chance), chance.stream(10), net_) {
    floors_.push_back({.dev = &nic_.dev(), .below = nullptr});
    for (uint64_t i = chance.between(1, 4); i > 0; --i) {
      Floor& below = floors_[chance.below(floors_.size())];
      uppers_.push_back(make_upper(net_, *below.dev));
      floors_.push_back({.dev = uppers_.back().get(), .below = &below});
      if (!chance.one_in(4)) expect(uppers_.back()->open().has_value(), "open", "an upper device does not come up");
    }
  }

  void change(Chance chance, int steps) {
    const auto toggle = [](uint32_t& held, auto&& set) {
      if (held == 0) return void(held += set(1).has_value());
      --held;  // ours to give back, and nobody else's
      expect(set(-1).has_value(), "balance", "a user's reference is gone");
    };
    for (int i = 0; i < steps; ++i) {
      Floor& floor = floors_[chance.below(floors_.size())];
      RxMode& mode = floor.dev->rx_mode();
      switch (chance.below(4)) {
        case 0:
          toggle(floor.allmulti, [&](int by) { return mode.set_allmulti(by); });
          break;
        case 1:
          (void)(chance.one_in(2) ? floor.dev->mc().add(kernel_group(chance.below(3)))
                                  : floor.dev->mc().del(kernel_group(chance.below(3))));
          break;
        default:
          toggle(floor.promiscuity, [&](int by) { return mode.set_promiscuity(by); });
      }
      if (chance.one_in(4)) (void)StopToken().wait_until(Clock::now() + std::chrono::microseconds(chance.below(500)));
    }
  }
  void operate(Chance chance, int steps) {
    for (int i = 0; i < steps; ++i) {
      NetDevice& dev = *uppers_[chance.below(uppers_.size())];
      switch (chance.below(6)) {
        case 0:
          (void)dev.detach();
          break;
        case 1:
          (void)dev.attach();
          break;
        case 2:
          dev.rx_mode().card_forgot();
          break;
        default:
          (void)(dev.running() ? dev.close() : dev.open());
      }
    }
  }
  RxWorld& nic() { return nic_; }

  // Requires: nobody changes anything.
  void check() {
    for (const NetdevPtr& dev : std::ranges::reverse_view(uppers_)) {
      (void)dev->attach();
      if (dev->running()) expect(dev->rx_mode().settle(soon()).has_value(), "settle", "an upper device does not");
    }
    nic_.converge();
    const NoSwitch quiet;
    for (const Floor& floor : floors_) {
      uint32_t promiscuity = floor.promiscuity, allmulti = floor.allmulti;
      for (const Floor& above : floors_) {
        if (above.below != &floor || !above.dev->running()) continue;
        promiscuity += above.wanted().promiscuity.total() != 0;
        allmulti += above.wanted().allmulti.total() != 0;
      }
      expect(floor.wanted().promiscuity.total() == promiscuity, "balance", "promiscuity is not what is asked above");
      expect(floor.wanted().allmulti.total() == allmulti, "balance", "allmulti is not what is asked above");
    }
  }
  void take_down() {
    for (auto& dev : std::ranges::reverse_view(uppers_)) dev->unregister_netdev();
    for (const Floor& floor : floors_) {
      expect(floor.wanted().promiscuity.total() == floor.promiscuity, "balance", "promiscuity is left");
      expect(floor.wanted().allmulti.total() == floor.allmulti, "balance", "allmulti is left");
    }
    nic_.thin_out(0);
    nic_.unregister();
  }

 private:
  static RxWorldConfig config(Chance& chance) {
    RxWorldConfig config = random_world(chance);
    config.addresses = 1;
    return config;
  }
  Net net_;
  RxWorld nic_;
  std::vector<NetdevPtr> uppers_;
  std::deque<Floor> floors_;
};

}  // namespace

void play_kernel_stack(Chance chance) {
  Tower tower(chance);
  const int operations = chance.one_in(4) ? 0 : 6;
  const bool reopens = chance.one_in(3);
  for (int round = 0; round < 2; ++round) {
    const auto of = [&chance, round](int who) { return chance.stream(10 * round + who); };
    together({{"user-1", [&, c = of(1)] { tower.change(c, 10); }},
              {"user-2", [&, c = of(2)] { tower.change(c, 6); }},
              {"admin-1", [&, c = of(3)] { tower.operate(c, operations); }},
              {"admin-2", [&, c = of(4)] { tower.operate(c, operations / 2); }},
              {"admin-3", [&, c = of(5)] { tower.nic().reopen(c, reopens ? 2 : 0); }}});
    tower.check();
  }
  tower.take_down();
}

// Somebody above who heard everything asks for a few addresses instead: the card below passes them throughout.
void play_kernel_sniffer(Chance chance) {
  Net net;
  RxWorldConfig config = random_world(chance);
  config.caps.multicast_slots = 16;  // room, so that it is not promiscuous for want of it
  config.caps.shared_slots = false;
  config.temper = {};
  RxWorld nic(config, chance.stream(10), net);
  const NetdevPtr upper = make_upper(net, nic.dev());
  (void)upper->open();
  RxMode& mode = upper->rx_mode();
  std::set<MacAddress> heard;
  const Card& card = nic.card();
  const StepCheck never_deaf([&] {
    const auto deaf = std::ranges::find_if(heard, [&](const MacAddress& each) { return !card.accepts(each); });
    if (deaf != heard.end()) found("never-deaf", deaf->to_string() + " was covered, and a card below is deaf to it");
  });
  const auto narrow_down = [&](Chance c) {
    for (int i = 0; i < 4; ++i) {
      (void)mode.set_promiscuity(1);
      const bool settled = mode.settle(soon()) && nic.dev().rx_mode().settle(soon());
      const MacAddress address = kernel_group(c.below(2));
      (void)upper->mc().add(address);
      if (settled && mode.covered(address)) heard.insert(address);
      (void)mode.set_promiscuity(-1);
      if (c.one_in(2)) (void)mode.settle(soon());
      heard.clear();
      (void)upper->mc().del(address);
    }
  };
  const auto keep_busy = [&](Chance c) {
    for (int i = 0; i < 16; ++i) {
      const MacAddress address = kernel_group(2 + c.below(3));
      (void)(c.one_in(2) ? upper->mc().add(address) : upper->mc().del(address));
      if (c.one_in(3)) (void)StopToken().wait_until(Clock::now() + std::chrono::microseconds(c.below(100)));
    }
  };
  together({{"sniffer", [&, c = chance.stream(1)] { narrow_down(c); }},
            {"busy", [&, c = chance.stream(2)] { keep_busy(c); }}});
  upper->unregister_netdev();
  nic.thin_out(0);
  nic.unregister();
}

}  // namespace usernic::sim

USERNIC_UNSEEN_BY_CLANG_END
