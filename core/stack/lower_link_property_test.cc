// SPDX-License-Identifier: Apache-2.0 OR MIT
// Random stacks on real threads: lists and counters change, devices open, close, are linked, unlinked, removed and made
// anew, all at once. Afterwards every list is what its own users and the uppers of active links want, and nothing else;
// and when all is unlinked, nothing of anybody else is left. The lock levels are checked all along.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <map>
#include <set>

#include "core/device/device.h"
#include "testing/card.h"
#include "testing/chance.h"
#include "testing/unseen_by_clang.h"
#include "testing/upper.h"
#include "usernic/thread.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wthread-safety")
namespace usernic {
namespace {

constexpr int kNics = 3;
constexpr int kDevices = 11;  // the first kNics are NICs, the others uppers
constexpr uint32_t kSteps = 400;
constexpr uint32_t kChangesAStep = 2, kOperationsAStep = 1;
constexpr int kAddresses = 150;
constexpr uint16_t kVlans = 100;             // more than a hold tells
constexpr uint64_t kOwn = 0x0200'0000'1000;  // and the next few: own addresses, and in lists too

// One device, and what its users want of it.
struct Storey {
  TestCard card;
  NetdevPtr dev;
  Mutex mutex{kClass};
  std::multiset<MacAddress> wanted USERNIC_GUARDED_BY(mutex);
  uint32_t promiscuity USERNIC_GUARDED_BY(mutex) = 0;
  uint32_t allmulti USERNIC_GUARDED_BY(mutex) = 0;
  std::multiset<uint16_t> vlans USERNIC_GUARDED_BY(mutex);

  Storey(Net& net, int index) {
    const NetdevConfig config{.name = "s%d", .address = MacAddress::from_u64(kOwn + index / 2)};
    if (index < kNics) {
      dev = *net.alloc_netdev<TestDriver>(config, card);
    } else {
      const VlanIds vlan_ids = index % 3 == 0 ? VlanIds::kInner : VlanIds::kPassed;
      dev = index % 2 == 0 ? *net.alloc_netdev<TestUpper>(config, vlan_ids)
                           : *net.alloc_netdev<SlotUpper>(config, vlan_ids);
    }
    (void)dev->register_netdev();
    (void)dev->open();
  }
  AddressList& list(const MacAddress& address) { return address.is_multicast() ? dev->mc() : dev->uc(); }

 private:
  static constexpr LockClass kClass{"storey"};
};

using Shared = std::shared_ptr<Storey>;

class House {
 public:
  explicit House(uint64_t seed) {
    for (int i = 0; i < kDevices; ++i) storeys_[i] = std::make_shared<Storey>(net_, i);
    Thread threads[] = {
        Thread("change-1", [this, seed] { change(seed + 1); }), Thread("change-2", [this, seed] { change(seed + 2); }),
        Thread("build", [this, seed] { build(seed + 3); }), Thread("operate", [this, seed] { operate(seed + 4); })};
  }

  void check() {
    for (int round = 0; round < kStackMax; ++round) {  // what a changer left goes down a device at a time
      for (const Shared& each : storeys_) each->dev->lane().flush();
    }
    MutexGuard rtnl(net_.rtnl());
    for (const Shared& each : storeys_) check_one(*each);
  }

  void check_unlinked() {
    {
      MutexGuard rtnl(net_.rtnl());
      for (const Shared& each : storeys_) unlink_all(Device::of(*each->dev));
    }
    check();
    for (const Shared& each : storeys_) {
      MutexGuard guard(each->mutex);
      while (!each->wanted.empty()) {
        const MacAddress address = *each->wanted.begin();
        RC_ASSERT(each->list(address).del(address) == Result<>());
        each->wanted.erase(each->wanted.begin());
      }
      RC_ASSERT(each->dev->uc().snapshot().size() + each->dev->mc().snapshot().size() == 0u);
      for (const uint16_t id : std::exchange(each->vlans, {})) {
        RC_ASSERT(each->dev->rx_mode().vlan_del(id) == Result<>());
      }
      RC_ASSERT(each->dev->rx_mode().status().wanted_vlans.empty());
    }
  }

 private:
  Shared pick(Chance& chance) {
    MutexGuard guard(mutex_);
    return storeys_[chance.below(kDevices)];
  }

  static MacAddress own_address(Chance& chance) { return MacAddress::from_u64(kOwn + chance.below(4)); }

  // The others do so much a step of the builder, and then wait for his next one: where there are few CPUs, who never
  // waits would starve him.
  bool goes_on(uint32_t& done, uint32_t a_step) {
    for (uint32_t step = step_.load(); step < kSteps; step = step_.load()) {
      if (done < (step + 1) * a_step) return ++done, true;
      wait_on(step_, step);
    }
    return false;
  }

  void change(uint64_t seed) {
    Chance chance(seed);
    for (uint32_t done = 0; goes_on(done, kChangesAStep);) {
      const Shared storey = pick(chance);
      const uint64_t kind = chance.one_in(3) ? 0x0200'0000'0000 : 0x0300'0000'0000;
      const bool own = chance.one_in(10);  // or soon
      const MacAddress address =
          own ? own_address(chance) : MacAddress::from_u64(kind | (1 + chance.below(kAddresses)));
      MutexGuard guard(storey->mutex);
      RxMode& mode = storey->dev->rx_mode();
      const auto id = static_cast<uint16_t>(chance.below(kVlans));
      switch (chance.below(15)) {
        case 0:
          if (mode.set_promiscuity(1)) ++storey->promiscuity;
          break;
        case 1:
          if (mode.set_allmulti(1)) ++storey->allmulti;
          break;
        case 2:
          if (storey->promiscuity != 0 && mode.set_promiscuity(-1)) --storey->promiscuity;
          break;
        case 3:
          if (storey->allmulti != 0 && mode.set_allmulti(-1)) --storey->allmulti;
          break;
        case 4:
        case 5:
        case 6:
        case 7:
          if (storey->list(address).add(address)) storey->wanted.insert(address);
          break;
        case 8:
        case 9:
          if (mode.vlan_add(id)) storey->vlans.insert(id);
          break;
        case 10:
          if (storey->vlans.contains(id) && mode.vlan_del(id)) storey->vlans.erase(storey->vlans.find(id));
          break;
        default:
          if (!storey->wanted.contains(address)) break;
          if (storey->list(address).del(address)) storey->wanted.erase(storey->wanted.find(address));
          break;
      }
    }
  }

  // Links come and go; devices are removed and made anew.
  void build(uint64_t seed) {
    Chance chance(seed);
    for (uint32_t i = 0; i < kSteps; ++i) {
      step_.store(i);
      wake_all(step_);
      const int above = kNics + static_cast<int>(chance.below(kDevices - kNics));
      const int below = static_cast<int>(chance.below(kDevices));
      TestUpper& upper = *static_cast<TestUpper*>(storeys_[above]->dev->driver());
      NetDevice& lower = *storeys_[below]->dev;
      const uint64_t what = chance.below(20);
      if (what < 11) {
        (void)upper.add(lower);
      } else if (what < 16) {
        upper.remove(lower);
      } else if (what < 19) {
        upper.activate(lower, chance.one_in(2) && storeys_[above]->dev->running());
      } else {
        rebuild(static_cast<int>(chance.below(kDevices)));
      }
    }
    step_.store(kSteps);
    wake_all(step_);
  }
  void rebuild(int index) {
    const Shared fresh = std::make_shared<Storey>(net_, index);
    storeys_[index]->dev->unregister_netdev();
    MutexGuard guard(mutex_);
    storeys_[index] = fresh;  // whoever still changes the old one keeps it
  }

  void operate(uint64_t seed) {
    Chance chance(seed);
    for (uint32_t done = 0; goes_on(done, kOperationsAStep);) {
      const Shared storey = pick(chance);
      if (chance.one_in(8)) {
        (void)storey->dev->set_mac_address(own_address(chance));
      } else {
        (void)(chance.one_in(3) ? storey->dev->close() : storey->dev->open());
      }
    }
  }

  static bool is_own(const MacAddress& address) { return address.to_u64() >> 4 == kOwn >> 4; }

  // Requires: rtnl.
  void check_one(Storey& storey) {
    Device& dev = Device::of(*storey.dev);
    MutexGuard guard(storey.mutex);
    std::map<MacAddress, uint32_t> expected;
    for (const MacAddress& address : storey.wanted) ++expected[address];
    uint32_t promiscuity = storey.promiscuity, allmulti = storey.allmulti;
    std::array<uint32_t, kVlanIds> vlans{};
    for (const uint16_t id : storey.vlans) vlans[id] += VlanRefs::kUser;
    for (const Link& link : dev.uppers) {
      if (!link.active) continue;
      const RxModeStatus above = link.upper.rx_mode().status();
      for (const MacAddress& address : above.wanted_unicast) ++expected[address];
      for (const MacAddress& address : above.wanted_multicast) ++expected[address];
      if (link.upper.address() != dev.address()) ++expected[link.upper.address()];
      promiscuity += above.promiscuity != 0;
      allmulti += above.allmulti != 0;
      if (link.vlan_ids == VlanIds::kInner) continue;
      for (const uint16_t id : above.wanted_vlans) vlans[id] += VlanRefs::kUpper;
    }
    const RxModeStatus status = dev.rx_mode().status();
    RC_ASSERT(status.promiscuity == promiscuity);
    RC_ASSERT(status.allmulti == allmulti);
    RC_ASSERT((dev.engine.wanted.vlan_refs == vlans));
    VlanSet ids;
    for (uint16_t id = 0; id < kVlanIds; ++id) ids[id] = vlans[id] != 0;
    RC_ASSERT(dev.engine.wanted.vlans == ids);
    // References on an address that is the own one of a SlotUpper above come when it is so no more: wanted it is.
    std::erase_if(expected, [&](const auto& each) {
      const uint32_t references = storey.list(each.first).references(each.first);
      RC_ASSERT(each.second == references || (is_own(each.first) && (references != 0 || each.first == dev.address())));
      return is_own(each.first);
    });
    const auto listed = [](const std::vector<MacAddress>& all) {
      return all.size() - std::count_if(all.begin(), all.end(), is_own);
    };
    RC_ASSERT(listed(status.wanted_unicast) + listed(status.wanted_multicast) == expected.size());
  }

  static constexpr LockClass kClass{"house"};
  Net net_;
  Atomic<uint32_t> step_{0};  // of the builder
  Mutex mutex_{kClass};
  std::array<Shared, kDevices> storeys_;  // written by `build`, and read by others, under mutex_
};

RC_GTEST_PROP(LowerLinkProperty, EveryListIsWhatIsWantedAboveAndNothingIsLeftBehind, ()) {
  const auto seed = *rc::gen::noShrink(rc::gen::arbitrary<uint64_t>());
  House house(seed);
  house.check();
  house.check_unlinked();
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
