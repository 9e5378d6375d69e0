// SPDX-License-Identifier: Apache-2.0 OR MIT
// Calls that promise ENOMEM keep the promise: each allocation of each of them is refused in turn. A program of its own,
// because it has an operator new of its own.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "core/device/net_device_fixture.h"
#include "core/list/address_entry.h"
#include "testing/addresses.h"
#include "usernic/address_list.h"
#include "usernic/hw_addr_list.h"
#include "usernic/lower_link.h"
#include "usernic/net.h"
#include "usernic/rx_mode.h"

namespace {

// This thread's allocation that is refused, counted down to 0; 0: none, kAll: every one.
constexpr int kAll = -1;
using Countdown = usernic::Local<int, struct CountdownTag>;

void* allocate(size_t size, size_t alignment) {
  int& left = Countdown::get();
  if (left == kAll || (left > 0 && --left == 0)) throw std::bad_alloc();
  void* const block = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace

// Not inlined: GCC takes free() of what new gave for a mistake, and sees both only then.
void* operator new(size_t size) {
  return allocate(size, alignof(std::max_align_t));
}
void* operator new(size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* block) noexcept {
  std::free(block);
}
[[gnu::noinline]] void operator delete(void* block, size_t) noexcept {
  std::free(block);
}
[[gnu::noinline]] void operator delete(void* block, std::align_val_t) noexcept {
  std::free(block);
}
[[gnu::noinline]] void operator delete(void* block, size_t, std::align_val_t) noexcept {
  std::free(block);
}

namespace usernic {
namespace {

constexpr std::errc kNoMemory = std::errc::not_enough_memory;

// Makes the call with its first allocation refused, then its second, until it makes do without the next one. Each
// refusal is ENOMEM, and `unchanged` holds after it. Returns how many there were.
template <class Call, class Unchanged>
int refuse_each(Call&& call, Unchanged&& unchanged) {
  for (int number = 1;; ++number) {
    Countdown::get() = number;
    const Result<> result = call();
    const bool untouched = std::exchange(Countdown::get(), 0) != 0;
    if (untouched) {
      EXPECT_TRUE(result) << errno_name(result.error());
      return number - 1;
    }
    EXPECT_EQ(result, Result<>(fail(kNoMemory)));
    EXPECT_TRUE(unchanged());
  }
}

class OutOfMemoryTest : public testing::Test {
 protected:
  static NetdevPtr device(Net& net, const char* name) {
    NetdevPtr dev = *net.alloc_netdev<PlainDriver>({.name = name});
    EXPECT_TRUE(dev->register_netdev());
    return dev;
  }
  // As many as there is memory for from the start.
  static void use_up(AddressList& list, MacAddress (*address)(uint64_t)) {
    for (uint64_t n = 0; n < AddressEntry::kInSlab; ++n) ASSERT_TRUE(list.add(address(n)));
  }

  Net net_;
  NetdevPtr dev_ = device(net_, "nic0");
};

TEST_F(OutOfMemoryTest, AnAddressThatFindsNoRoomIsRefusedAndTheListIsAsItWas) {
  use_up(dev_->uc(), uc);
  const MacAddress more = uc(100'000);
  const auto unchanged = [&] { return !dev_->uc().contains(more) && dev_->uc().size() == AddressEntry::kInSlab; };
  EXPECT_EQ(refuse_each([&] { return dev_->uc().add(more); }, unchanged), 1);
  EXPECT_TRUE(dev_->uc().contains(more));
}

TEST_F(OutOfMemoryTest, EveryWayToAddPromisesIt) {
  for (Result<> (AddressList::*add)(const MacAddress&) :
       {&AddressList::add, &AddressList::add_excl, &AddressList::add_global}) {
    const NetdevPtr dev = device(net_, "mc%d");
    use_up(dev->mc(), mc);
    const MacAddress more = mc(100'000);
    EXPECT_EQ(refuse_each([&] { return (dev->mc().*add)(more); }, [&] { return !dev->mc().contains(more); }), 1);
  }
}

TEST_F(OutOfMemoryTest, WhatTakesNothingNewNeedsNoMemory) {
  use_up(dev_->mc(), mc);
  Countdown::get() = kAll;
  EXPECT_TRUE(dev_->mc().add(mc(1)));
  EXPECT_TRUE(dev_->mc().del(mc(1)));
  EXPECT_TRUE(dev_->mc().del(mc(2)));
  EXPECT_TRUE(dev_->rx_mode().set_promiscuity(1));
  EXPECT_TRUE(dev_->rx_mode().set_promiscuity(-1));
  EXPECT_TRUE(dev_->mc().flush());
  Countdown::get() = 0;
  EXPECT_EQ(dev_->mc().size(), 0u);
}

TEST_F(OutOfMemoryTest, TheFirstVlanIdTakesMemoryAndTheNextNone) {
  const auto unchanged = [&] { return dev_->rx_mode().status().wanted_vlans.empty(); };
  EXPECT_EQ(refuse_each([&] { return dev_->rx_mode().vlan_add(7); }, unchanged), 1);
  Countdown::get() = kAll;
  EXPECT_TRUE(dev_->rx_mode().vlan_add(8));
  EXPECT_TRUE(dev_->rx_mode().vlan_del(7));
  Countdown::get() = 0;
  EXPECT_EQ(dev_->rx_mode().status().wanted_vlans, std::vector<uint16_t>{8});
}

TEST_F(OutOfMemoryTest, AListThatFindsNoRoomBelowFollowsWithTheNextTry) {
  const NetdevPtr lower = device(net_, "low0");
  ASSERT_TRUE(sync(lower->mc(), dev_->mc()));  // the checks learn the order of locks, which takes memory
  unsync(lower->mc(), dev_->mc());
  use_up(dev_->mc(), mc);
  const auto unchanged = [&] { return lower->mc().size() <= dev_->mc().size(); };
  EXPECT_GT(refuse_each([&] { return sync(lower->mc(), dev_->mc()); }, unchanged), 1);
  EXPECT_EQ(lower->mc().snapshot(), dev_->mc().snapshot());
  Countdown::get() = kAll;
  unsync(lower->mc(), dev_->mc());  // what is taken back needs no memory
  Countdown::get() = 0;
  EXPECT_EQ(lower->mc().size(), 0u);
}

TEST_F(OutOfMemoryTest, ALinkIsRefused) {
  const NetdevPtr lower = device(net_, "low0");
  Workqueue queue(net_, "link", Workqueue::kOrdered);
  Work changed([] {});
  LowerLink link(*dev_, queue, changed);
  const auto make = [&] {
    MutexGuard rtnl(net_.rtnl());
    return link.link(*lower);
  };
  ASSERT_TRUE(make());  // the checks learn the order of locks, which takes memory
  {
    MutexGuard rtnl(net_.rtnl());
    link.unlink();
  }
  EXPECT_GT(refuse_each(make, [&] { return link.lower() == nullptr; }), 0);
  EXPECT_EQ(link.lower(), lower.get());
}

TEST_F(OutOfMemoryTest, ADeviceIsRefusedAndTheNetIsNoneTheWorse) {
  NetdevPtr made;
  const auto make = [&]() -> Result<> {
    Result<NetdevPtr> dev = net_.alloc_netdev<PlainDriver>({.name = "new0"});
    if (!dev) return fail(dev.error());
    made = *std::move(dev);
    return {};
  };
  // The last one is the driver's own, whose constructor may throw what it likes.
  for (int number = 1; made == nullptr; ++number) {
    Countdown::get() = number;
    try {
      const Result<> result = make();
      EXPECT_TRUE(result || result.error() == kNoMemory);
    } catch (const std::bad_alloc&) {
    }
    Countdown::get() = 0;
  }
  EXPECT_TRUE(made->register_netdev());
}

TEST_F(OutOfMemoryTest, AListAsAValueIsRefusedAndReconcilesWithoutAny) {
  HwAddrList list, work, ref;
  const MacAddress address = mc(1);
  const auto add = [&] { return list.add(address.octets.data(), address.octets.size(), HwAddr::kMulticast); };
  EXPECT_EQ(refuse_each(add, [&] { return list.count() == 0; }), 1);
  EXPECT_EQ(refuse_each([&] { return list.snapshot(work); }, [&] { return work.count() == 0; }), 1);
  EXPECT_EQ(refuse_each([&] { return list.snapshot(ref); }, [&] { return ref.count() == 0; }), 1);
  work.first()->sync_cnt = 1;  // pushed meanwhile
  list.flush();                // and gone
  Countdown::get() = 1;
  list.reconcile(work, ref);
  EXPECT_EQ(std::exchange(Countdown::get(), 0), 1);
  ASSERT_EQ(list.count(), 1u);
  EXPECT_EQ(list.first()->sync_cnt, 1) << "it comes back stale";
  EXPECT_EQ(list.first()->refcount, 1);
}

TEST_F(OutOfMemoryTest, AnItemThatFindsNoMemoryRunsAgain) {
  Workqueue queue(net_, "ordered", Workqueue::kOrdered);
  Atomic<uint32_t> runs{0};
  Work work([&] {
    if (runs.fetch_add(1) == 0) throw std::bad_alloc();
    wake_all(runs);
  });
  queue.queue(work);
  while (runs.load() < 2) wait_on(runs, 1);
  work.flush();
  EXPECT_EQ(runs.load(), 2u);
  EXPECT_FALSE(work.pending());
}

// The control path: each allocation of each operation is refused once, and nothing is lost. Ops that may be refused
// answer ENOMEM; close and unregister, which may not, do without.
struct OpsWithoutMemoryTest : OutOfMemoryTest {
  Script script;
  NetdevPtr scripted(const char* name) {
    Result<NetdevPtr> dev = net_.alloc_netdev<ScriptDriver>({.name = name}, script);
    EXPECT_TRUE(dev);
    return *std::move(dev);
  }
};

TEST_F(OpsWithoutMemoryTest, ARegisterIsRefusedAndTheDriverHasUndoneWhatItDid) {
  scripted("warm")->register_netdev();  // the checks learn the order of locks, which takes memory
  for (int number = 1;; ++number) {
    script.log.clear();
    script.log.reserve(100);
    NetdevPtr dev = scripted("new0");
    Countdown::get() = number;
    const Result<> registered = dev->register_netdev();
    const bool untouched = std::exchange(Countdown::get(), 0) != 0;
    if (untouched) {
      EXPECT_TRUE(registered);
      EXPECT_GT(number, 2) << "some were refused";
      break;
    }
    EXPECT_EQ(registered, Result<>(fail(kNoMemory))) << number;
    EXPECT_EQ(dev->reg_state(), RegState::kUnregistered);
    EXPECT_FALSE(net_.find("new0"));
    EXPECT_TRUE(script.log == "" || script.log == "init uninit") << number << ": " << script.log;
  }
}

TEST_F(OpsWithoutMemoryTest, OperationsAreRefusedAndLeaveTheDeviceAsItWas) {
  const NetdevPtr dev = scripted("ops0");
  script.log.reserve(100'000);
  ASSERT_TRUE(dev->register_netdev());
  const auto up = [&] { return dev->open(); };
  const MacAddress before = dev->address();
  // The checks learn the order of locks, which takes memory.
  ASSERT_TRUE(up() && dev->change_mtu(1400) && dev->set_mac_address(kOtherMac) && dev->change_carrier(false));
  ASSERT_TRUE(dev->change_mtu(1500) && dev->set_mac_address(before) && dev->change_carrier(true));
  ASSERT_TRUE(dev->change_features({}) && dev->detach() && dev->attach() && dev->close());
  refuse_each(up, [&] { return !dev->running(); });
  EXPECT_TRUE(dev->running());
  refuse_each([&] { return dev->change_mtu(1400); }, [&] { return dev->mtu() == 1500; });
  EXPECT_EQ(dev->mtu(), 1400u);
  refuse_each([&] { return dev->set_mac_address(kOtherMac); }, [&] { return dev->address() == before; });
  EXPECT_EQ(dev->address(), kOtherMac);
  refuse_each([&] { return dev->change_carrier(false); }, [&] { return dev->carrier_ok(); });
  refuse_each([&] { return dev->change_features({}); }, [] { return true; });
  refuse_each([&] { return dev->detach(); }, [&] { return dev->present(); });
  refuse_each([&] { return dev->attach(); }, [&] { return !dev->present(); });
}

TEST_F(OpsWithoutMemoryTest, CloseAndUnregisterNeedNone) {
  for (int number = 1; number < 50; ++number) {
    NetdevPtr dev = scripted("end0");
    script.log.clear();
    script.log.reserve(100);
    ASSERT_TRUE(dev->register_netdev() && dev->open());
    ASSERT_TRUE(dev->mc().add(mc(1)));
    Countdown::get() = number % 25 == 0 ? kAll : number;
    EXPECT_TRUE(dev->close());
    dev->unregister_netdev();
    Countdown::get() = 0;
    EXPECT_EQ(dev->reg_state(), RegState::kUnregistered);
    EXPECT_FALSE(net_.find("end0"));
    EXPECT_EQ(script.log, "init open stop uninit");
  }
}

TEST_F(OpsWithoutMemoryTest, WhatIsSetBeforeRegistrationIsRefused) {
  NetdevPtr dev = scripted("set0");
  EXPECT_GT(refuse_each([&] { return dev->set_tx_queues(64); }, [&] { return dev->tx_queue_count() == 1; }), 0);
  EXPECT_EQ(dev->tx_queue_count(), 64u);
  ASSERT_TRUE(dev->register_netdev());
}

}  // namespace
}  // namespace usernic
