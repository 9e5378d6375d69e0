// SPDX-License-Identifier: Apache-2.0
// The driver styles other than the plan: image, legacy, the kernel's signature.
#include "usernic/rx_style.h"

#include <gtest/gtest.h>

#include <set>

#include "core/test_watch.h"
#include "usernic/net.h"

namespace usernic {
namespace {

using std::chrono::milliseconds;

constexpr MacAddress uc(uint64_t n) {
  return MacAddress::from_u64(0x0200'0000'0000 | n);
}
constexpr MacAddress mc(uint64_t n) {
  return MacAddress::from_u64(0x0300'0000'0000 | n);
}

// What every driver here has.
struct Plain {
  explicit Plain(NetDevice& dev) : dev_(dev) {}
  Result<> open() { return {}; }
  void stop() {}
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  Result<> set_mac_address(const MacAddress&) { return {}; }
  NetDevice& dev_;
};

template <class Driver, class Card>
struct StyleTest : testing::Test {
  Net net;
  Card card;
  NetdevPtr dev = *net.alloc_netdev<Driver>({.name = "t0", .address = uc(0xffff), .rx_retry = milliseconds(20)}, card);
  RxMode& mode = dev->rx_mode();

  void start() {
    ASSERT_TRUE(dev->register_netdev());
    ASSERT_TRUE(dev->open());
    settle();
  }
  void settle() { ASSERT_EQ(outcome(mode.settle(soon())), "ok"); }
  // A moment in which a retry would have come.
  void retries_pass() { (void)mode.settle(Clock::now() + milliseconds(100)); }
  // Reads or changes the card while no call runs.
  template <class Body>
  auto on_card(Body&& body) {
    LaneGuard lane(dev->lane());
    return body(card);
  }
};

// ---- image --------------------------------------------------------------------------------------------------------

struct ImageCard {
  static constexpr size_t kSlots = 4;
  std::set<MacAddress> exact;
  MacAddress own;
  bool promisc = false, allmulti = false, vlan5 = false, filters_vlans = false;
  uint32_t flavour = 0;
  uint32_t prepares = 0, writes = 0;
  bool lock_held = true;  // by every prepare, and by no write
  std::vector<bool> promisc_written;
  std::function<Result<>()> on_prepare;  // under addr_list_lock
  std::function<Result<>()> on_write;
};

struct ImageDriver : Plain {
  struct RxModeImage {
    MacAddress own;
    std::array<MacAddress, ImageCard::kSlots> slots;
    uint32_t used = 0;
    bool promisc = false, allmulti = false, vlan5 = false, filters_vlans = false;
    uint32_t flavour = 0;  // no list decides it
  };
  ImageDriver(NetDevice& dev, ImageCard& card) : Plain(dev), card_(card) {}

  Result<> prepare_rx_mode(const RxLists& lists, RxModeImage& image) noexcept {
    ++card_.prepares;
    card_.lock_held = card_.lock_held && current_context() == Context::kBhDisabled;
    image.own = lists.own_address();
    image.used = 0;
    image.promisc = lists.promisc();
    image.allmulti = lists.allmulti();
    image.filters_vlans = lists.vlan_filter();
    image.vlan5 = lists.vlan(5);
    for (const auto& range : {lists.unicast(), lists.multicast()}) {
      for (MacAddress address : range) {
        if (image.used == image.slots.size() && !image.promisc) return fail(std::errc::no_space_on_device);
        if (image.used < image.slots.size()) image.slots[image.used++] = address;
      }
    }
    return card_.on_prepare ? card_.on_prepare() : Result<>();
  }
  Result<> write_rx_mode(const RxModeImage& image) {
    ++card_.writes;
    card_.lock_held = card_.lock_held && current_context() == Context::kProcess;
    might_sleep();
    card_.promisc_written.push_back(image.promisc);
    if (const Result<> fate = card_.on_write ? card_.on_write() : Result<>(); !fate) return fate;
    card_.own = image.own;
    card_.exact = {image.slots.begin(), image.slots.begin() + image.used};
    card_.promisc = image.promisc;
    card_.allmulti = image.allmulti;
    card_.filters_vlans = image.filters_vlans;
    card_.vlan5 = image.vlan5;
    card_.flavour = image.flavour;
    return {};
  }
  ImageCard& card_;
};

using ImageStyleTest = StyleTest<ImageDriver, ImageCard>;

TEST_F(ImageStyleTest, WhatIsWantedIsPreparedUnderTheLockAndWrittenWithoutIt) {
  start();
  EXPECT_EQ(on_card([](ImageCard& c) { return c.own; }), uc(0xffff)) << "the own address is in the first image";
  ASSERT_TRUE(dev->uc().add(uc(1)));
  ASSERT_TRUE(dev->mc().add(mc(1)));
  EXPECT_EQ(outcome(mode.wait(mode.ticket(mc(1)), soon())), "ok");
  settle();
  EXPECT_EQ(card.exact, (std::set{uc(1), mc(1)}));
  EXPECT_TRUE(mode.covered(uc(1)));
  ASSERT_TRUE(dev->uc().del(uc(1)));
  ASSERT_TRUE(mode.set_promiscuity(1));
  ASSERT_TRUE(mode.set_vlan_filter(true));
  ASSERT_TRUE(mode.vlan_add(5));
  settle();
  EXPECT_EQ(card.exact, (std::set{mc(1)}));
  EXPECT_TRUE(card.promisc && card.filters_vlans && card.vlan5);
  EXPECT_FALSE(mode.status().programmed_promisc == false);
  EXPECT_TRUE(card.lock_held);
  EXPECT_EQ(mode.status().generation_programmed, mode.status().generation_wanted);
}

TEST_F(ImageStyleTest, WithNothingReadyNothingIsWritten) {
  start();
  const uint32_t writes = card.writes;
  ASSERT_TRUE(dev->mc().add(mc(1)));
  settle();
  ASSERT_TRUE(dev->mc().add(mc(1)));  // no effective change
  settle();
  EXPECT_EQ(card.writes, writes + 1);
  card.on_prepare = [] { return fail(std::errc::not_enough_memory); };
  ASSERT_TRUE(dev->mc().add(mc(2)));
  EXPECT_EQ(outcome(mode.wait(mode.ticket(mc(2)), Clock::now() + milliseconds(100))), "ENOMEM");
  EXPECT_EQ(card.writes, writes + 1) << "prepare failed, and nothing earlier was ready";
}

TEST_F(ImageStyleTest, AFailedPrepareLeavesPendingAsItWas) {
  start();
  card.on_prepare = [] { return fail(std::errc::not_enough_memory); };
  ASSERT_TRUE(dev->mc().add(mc(1)));  // prepare fills its copy of the image, then fails
  retries_pass();
  const uint32_t writes = on_card([](ImageCard& c) { return c.writes; });
  mode.lock_lists();
  update_rx_image<ImageDriver::RxModeImage>(*dev, [](ImageDriver::RxModeImage& pending) {
    EXPECT_EQ(pending.used, 0u);
    EXPECT_EQ(pending.own, uc(0xffff));
    pending.flavour = 7;
  });
  mode.unlock_lists();
  for (int i = 0; i < 1000 && on_card([](ImageCard& c) { return c.flavour; }) != 7; ++i) retries_pass();
  EXPECT_EQ(on_card([](ImageCard& c) { return c.writes; }), writes + 1);
  EXPECT_TRUE(card.exact.empty());
  EXPECT_FALSE(mode.covered(mc(1)));
}

TEST_F(ImageStyleTest, AFailedPrepareLeavesAnEarlierReadyImageToBeWritten) {
  start();
  bool dead = true;
  card.on_write = [&]() -> Result<> {
    if (dead) return fail(std::errc::io_error);
    return {};
  };
  ASSERT_TRUE(dev->mc().add(mc(1)));
  EXPECT_EQ(outcome(mode.wait(mode.ticket(mc(1)), Clock::now() + milliseconds(50))), "EIO");
  on_card([&](ImageCard& c) {
    dead = false;
    c.on_prepare = [] { return fail(std::errc::not_enough_memory); };
  });
  ASSERT_TRUE(dev->mc().add(mc(2)));
  EXPECT_EQ(outcome(mode.wait(mode.ticket(mc(1)), soon())), "ok") << "the image that was ready has it";
  EXPECT_EQ(outcome(mode.wait(mode.ticket(mc(2)), Clock::now() + milliseconds(50))), "ENOMEM");
  on_card([](ImageCard& c) {
    EXPECT_EQ(c.exact, (std::set{mc(1)}));
    c.on_prepare = {};
  });
  settle();
  EXPECT_EQ(card.exact, (std::set{mc(1), mc(2)}));
}

TEST_F(ImageStyleTest, AFailedWriteIsRetriedWithBackOffAndCoversNothingNew) {
  start();
  ASSERT_TRUE(dev->mc().add(mc(1)));
  settle();
  int failures = 3;
  on_card([&](ImageCard& c) {
    c.on_write = [&]() -> Result<> {
      if (failures-- > 0) return fail(std::errc::io_error);
      return {};
    };
  });
  const uint32_t writes = card.writes;
  const uint64_t programmed = mode.status().generation_programmed;
  const Time begun = Clock::now();
  ASSERT_TRUE(dev->mc().add(mc(2)));
  for (int i = 0; i < 1000 && on_card([](ImageCard& c) { return c.writes; }) == writes; ++i) retries_pass();
  if (!mode.covered(mc(2))) {
    EXPECT_EQ(mode.status().generation_programmed, programmed);
    EXPECT_TRUE(mode.covered(mc(1))) << "in the old image and in the new one";
  }
  settle();
  EXPECT_EQ(card.writes, writes + 4);
  EXPECT_GE(Clock::now() - begun, milliseconds(20 + 40 + 80)) << "the delays";
  EXPECT_TRUE(mode.covered(mc(2)));
  EXPECT_EQ(mode.status().stats.failures, 3u);
}

TEST_F(ImageStyleTest, ChangesWhileTheCardFailsCostNoWrites) {
  start();
  on_card([](ImageCard& c) { c.on_write = [] { return fail(std::errc::io_error); }; });
  const uint32_t writes = card.writes;
  for (uint64_t n = 0; n < 200; ++n) {
    ASSERT_TRUE(dev->mc().add(mc(1 + n % 3)));
    dev->lane().flush();
    ASSERT_TRUE(dev->mc().del(mc(1 + n % 3)));
    dev->lane().flush();
  }
  EXPECT_LE(on_card([](ImageCard& c) { return c.writes; }), writes + 12);
}

TEST_F(ImageStyleTest, AnImageThatHasNoRoomFallsBackToPromiscAndComesBack) {
  start();
  for (uint64_t n = 1; n <= ImageCard::kSlots + 1; ++n) ASSERT_TRUE(dev->uc().add(uc(n)));
  settle();
  EXPECT_TRUE(card.promisc);
  for (uint64_t n = 1; n <= ImageCard::kSlots + 1; ++n) EXPECT_TRUE(mode.covered(uc(n)));
  EXPECT_NE(mode.status().reason.find("a full card"), std::string::npos) << mode.status().reason;
  for (uint64_t n = 1; n <= 3; ++n) ASSERT_TRUE(dev->uc().del(uc(n)));
  settle();
  EXPECT_FALSE(card.promisc);
  EXPECT_EQ(card.exact, (std::set{uc(4), uc(5)}));
}

TEST_F(ImageStyleTest, WhatIsNarrowedStaysOnWhileTheSameRunAdds) {
  start();
  ASSERT_TRUE(mode.set_promiscuity(1));
  settle();
  card.promisc_written.clear();
  {
    LaneGuard lane(dev->lane());
    ASSERT_TRUE(dev->uc().add(uc(1)));
    ASSERT_TRUE(mode.set_promiscuity(-1));
  }
  settle();
  EXPECT_EQ(card.promisc_written, (std::vector{true, false})) << "first the address, then promisc off";
}

TEST_F(ImageStyleTest, EverythingComesBackAfterAResetAndAfterCloseAndOpen) {
  start();
  ASSERT_TRUE(dev->mc().add(mc(1)));
  settle();
  {
    LaneGuard lane(dev->lane());
    card.exact.clear();
    mode.card_forgot();
    EXPECT_FALSE(mode.covered(mc(1)));
  }
  settle();
  EXPECT_EQ(card.exact, (std::set{mc(1)}));
  ASSERT_TRUE(dev->close());
  card.exact.clear();
  EXPECT_EQ(outcome(mode.wait(mode.ticket(mc(1)), soon())), "ENETDOWN");
  ASSERT_TRUE(dev->open());
  settle();
  EXPECT_EQ(card.exact, (std::set{mc(1)}));
}

TEST_F(ImageStyleTest, AWriteThatIsStoppedIsNoFailureAndComesAgain) {
  start();
  Event begun;
  bool slow = true;
  on_card([&](ImageCard& c) {
    c.on_write = [&]() -> Result<> {
      if (!slow) return {};
      begun.set();
      (void)current_stop_token().wait_until(soon());
      return fail(std::errc::operation_canceled);
    };
  });
  ASSERT_TRUE(dev->mc().add(mc(1)));
  ASSERT_TRUE(begun.wait());
  on_card([&](ImageCard&) { slow = false; });
  settle();
  EXPECT_EQ(card.exact, (std::set{mc(1)}));
  EXPECT_EQ(mode.status().stats.failures, 0u);
}

TEST_F(ImageStyleTest, AnUpdateWithoutTheLockIsAReport) {
  start();
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  const uint32_t writes = card.writes;
  Reports reports;
  EXPECT_FALSE(
      update_rx_image<ImageDriver::RxModeImage>(*dev, [](ImageDriver::RxModeImage& image) { image.flavour = 9; }));
  EXPECT_EQ(reports.rules(), "rx-image-unlocked");
  settle();
  dev->lane().flush();
  EXPECT_EQ(card.writes, writes);
  EXPECT_EQ(card.flavour, 0u);
}

TEST_F(ImageStyleTest, AnImageOfAnotherTypeIsAReport) {
  start();
  struct Other {};
  Reports reports;
  mode.lock_lists();
  EXPECT_FALSE(update_rx_image<Other>(*dev, [](Other&) {}));
  mode.unlock_lists();
  EXPECT_EQ(reports.rules(), "rx-image-type");
}

TEST_F(ImageStyleTest, AnUpdateUnderTheLockIsWrittenOnce) {
  start();
  const auto [writes, prepares] = on_card([](ImageCard& c) { return std::pair(c.writes, c.prepares); });
  mode.lock_lists();
  EXPECT_TRUE(update_rx_image<ImageDriver::RxModeImage>(*dev, [](auto& image) { image.flavour = 9; }));
  mode.unlock_lists();
  dev->lane().flush();
  on_card([&, writes = writes, prepares = prepares](ImageCard& c) {
    EXPECT_EQ(c.flavour, 9u);
    EXPECT_EQ(c.writes, writes + 1);
    EXPECT_EQ(c.prepares, prepares) << "no list changed";
  });
  ASSERT_TRUE(dev->mc().add(mc(1)));
  settle();
  EXPECT_EQ(card.flavour, 9u) << "prepare starts from what is pending";
}

TEST_F(ImageStyleTest, SleepingInPrepareIsAReport) {
  start();
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  Reports reports;
  card.on_prepare = [] {
    might_sleep();
    return Result<>();
  };
  ASSERT_TRUE(dev->mc().add(mc(1)));
  settle();
  on_card([&](ImageCard&) { EXPECT_EQ(reports.rules(), "sleep-in-atomic"); });
}

TEST_F(ImageStyleTest, WhatAStoppedCallPreparedMayBeOnTheCard) {
  start();
  ASSERT_TRUE(dev->uc().add(uc(1)));
  ASSERT_TRUE(mode.set_promiscuity(1));
  settle();
  Event begun;
  on_card([&](ImageCard& c) {
    c.on_prepare = [&, once = true]() mutable -> Result<> {
      if (!std::exchange(once, false)) return {};
      begun.set();
      while (!current_stop_token().stop_requested()) spin_pause();
      return {};
    };
    ASSERT_TRUE(dev->uc().del(uc(1)));
    ASSERT_TRUE(dev->uc().add(uc(2)));
    ASSERT_TRUE(mode.set_promiscuity(-1));
  });
  ASSERT_TRUE(begun.wait());
  on_card([&](ImageCard&) {  // as it was before; the image that is ready says otherwise
    ASSERT_TRUE(dev->uc().add(uc(1)));
    ASSERT_TRUE(dev->uc().del(uc(2)));
    ASSERT_TRUE(mode.set_promiscuity(1));
  });
  settle();
  EXPECT_TRUE(card.exact.contains(uc(1)));
  EXPECT_FALSE(card.exact.contains(uc(2)));
  EXPECT_TRUE(card.promisc);
  EXPECT_EQ(mode.status().stats.failures, 0u) << "stopped is no failure";
}

// ---- legacy -------------------------------------------------------------------------------------------------------

struct LegacyCard {
  std::set<MacAddress> exact;
  bool promisc = false, allmulti = false;
  uint32_t calls = 0;
  bool atomic = true;
  std::function<void()> on_call;
};

struct LegacyDriver : Plain {
  LegacyDriver(NetDevice& dev, LegacyCard& card) : Plain(dev), card_(card) {}
  void set_rx_mode(const RxLists& lists) noexcept {
    const BlockingByDesign a_test_may;
    ++card_.calls;
    card_.atomic = card_.atomic && current_context() == Context::kBhDisabled;
    card_.exact.clear();
    for (MacAddress address : lists.unicast()) card_.exact.insert(address);
    for (MacAddress address : lists.multicast()) card_.exact.insert(address);
    card_.promisc = lists.promisc();
    card_.allmulti = lists.allmulti();
    if (card_.on_call) card_.on_call();
  }
  LegacyCard& card_;
};

using LegacyStyleTest = StyleTest<LegacyDriver, LegacyCard>;

TEST_F(LegacyStyleTest, IsCalledUnderTheLockWithEverythingWantedAndThenAllIsCovered) {
  start();
  EXPECT_EQ(card.calls, 1u) << "after open, whatever is wanted";
  ASSERT_TRUE(dev->uc().add(uc(1)));
  ASSERT_TRUE(dev->mc().add(mc(1)));
  ASSERT_TRUE(mode.set_allmulti(1));
  settle();
  EXPECT_EQ(card.exact, (std::set{uc(1), mc(1)}));
  EXPECT_TRUE(card.allmulti && !card.promisc);
  EXPECT_TRUE(mode.covered(uc(1)) && mode.covered(mc(1)));
  EXPECT_EQ(outcome(mode.wait(mode.ticket(mc(1)), soon())), "ok");
  ASSERT_TRUE(dev->uc().del(uc(1)));
  settle();
  EXPECT_EQ(card.exact, (std::set{mc(1)}));
  EXPECT_TRUE(card.atomic || !kChecksOn);
}

TEST_F(LegacyStyleTest, ASleepInItIsCaught) {
  start();
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  Reports reports;
  card.on_call = [] { might_sleep(); };
  ASSERT_TRUE(dev->mc().add(mc(1)));
  settle();
  on_card([&](LegacyCard&) {
    ASSERT_EQ(reports.rules(), "sleep-in-atomic");
    EXPECT_NE(reports.all[0].text.find("in the driver's set_rx_mode"), std::string::npos) << reports.all[0].text;
  });
}

TEST_F(LegacyStyleTest, ComesBackAfterResetAndReopen) {
  start();
  ASSERT_TRUE(dev->mc().add(mc(1)));
  settle();
  {
    LaneGuard lane(dev->lane());
    card.exact.clear();
    mode.card_forgot();
  }
  settle();
  EXPECT_EQ(card.exact, (std::set{mc(1)}));
  ASSERT_TRUE(dev->close());
  card.exact.clear();
  ASSERT_TRUE(dev->open());
  settle();
  EXPECT_EQ(card.exact, (std::set{mc(1)}));
}

TEST_F(LegacyStyleTest, CallSoonCallsAlthoughNothingChanged) {
  start();
  const uint32_t calls = card.calls;
  mode.call_soon();
  dev->lane().flush();
  on_card([&](LegacyCard& c) { EXPECT_EQ(c.calls, calls + 1); });
}

// ---- the kernel's signature -----------------------------------------------------------------------------------------

struct KernelCard {
  std::set<MacAddress> exact;
  bool twice = false;         // something was pushed that was there already
  std::set<MacAddress> dead;  // pushes fail with EIO
  size_t slots = 100;         // pushes beyond fail with ENOSPC
  bool pushes = true;         // the driver uses sync_dev
  bool returns_error = true;  // of sync_dev
  bool takes_back_in_promisc = false, skips_in_promisc = false;
  int asks = 0;  // so many calls schedule a retry; the one after tells
  bool asked = false;
  Event asked_back;
  int fails_after = 0;  // so many calls push and return -EIO all the same
  bool promisc = false, allmulti = false;
  int fails_whole = 0;  // so many calls return -EBUSY
  uint32_t calls = 0;
  std::set<uint64_t> all_given;  // by a driver that reads the whole list
  std::string log;
};

struct KernelDriver : Plain {
  KernelDriver(NetDevice& dev, KernelCard& card) : Plain(dev), card_(card) {}

  static KernelCard& card_of(NetDevice* dev) { return static_cast<KernelDriver*>(dev->driver())->card_; }
  static int sync(NetDevice* dev, const unsigned char* addr) {
    KernelCard& card = card_of(dev);
    const MacAddress address = MacAddress::from_bytes(addr);
    card.log += "+" + std::to_string(address.octets[5]) + " ";
    if (card.dead.contains(address)) return -EIO;
    if (card.exact.size() >= card.slots) return -ENOSPC;
    card.twice = !card.exact.insert(address).second || card.twice;
    return 0;
  }
  static int unsync(NetDevice* dev, const unsigned char* addr) {
    KernelCard& card = card_of(dev);
    const MacAddress address = MacAddress::from_bytes(addr);
    card.log += "-" + std::to_string(address.octets[5]) + " ";
    if (card.dead.contains(address)) return -EIO;
    card.exact.erase(address);
    return 0;
  }
  int set_rx_mode_async(NetDevice* dev, HwAddrList* uc_list, HwAddrList* mc_list) {
    might_sleep();
    ++card_.calls;
    if (std::exchange(card_.asked, card_.asks > 0)) card_.asked_back.set();
    if (card_.asks > 0) --card_.asks, dev->rx_mode().schedule_retry();
    dev->rx_mode().lock_lists();
    card_.promisc = dev->rx_mode().lists().promisc();
    card_.allmulti = dev->rx_mode().lists().allmulti();
    dev->rx_mode().unlock_lists();
    if (card_.fails_whole > 0) {
      --card_.fails_whole;
      return -EBUSY;
    }
    if (!card_.pushes) {
      card_.exact.clear();
      for (HwAddrList* list : {uc_list, mc_list}) {
        for (HwAddr* ha = list->first(); ha != nullptr; ha = list->next(*ha)) {
          card_.exact.insert(MacAddress::from_bytes(ha->addr));
        }
      }
      return 0;
    }
    if (card_.promisc && card_.takes_back_in_promisc) {
      for (HwAddrList* list : {uc_list, mc_list}) list->unsync_dev(dev, unsync);
      return 0;
    }
    if (card_.promisc && card_.skips_in_promisc) return 0;
    const int uc_error = uc_list->sync_dev(dev, sync, unsync);
    const int mc_error = mc_list->sync_dev(dev, sync, unsync);
    if (card_.fails_after > 0) return --card_.fails_after, -EIO;
    return card_.returns_error ? (uc_error != 0 ? uc_error : mc_error) : 0;
  }
  KernelCard& card_;
};

struct KernelStyleTest : StyleTest<KernelDriver, KernelCard> {
  void TearDown() override { EXPECT_FALSE(card.twice) << "pushed again without being taken back"; }
};

TEST_F(KernelStyleTest, OnlyWhatChangedIsPushed) {
  start();
  ASSERT_TRUE(dev->uc().add(uc(1)));
  ASSERT_TRUE(dev->mc().add(mc(2)));
  settle();
  EXPECT_EQ(card.exact, (std::set{uc(1), mc(2)}));
  card.log.clear();
  ASSERT_TRUE(dev->uc().del(uc(1)));
  ASSERT_TRUE(dev->uc().add(uc(3)));
  settle();
  EXPECT_EQ(card.log, "-1 +3 ");
  EXPECT_TRUE(mode.covered(uc(3)) && mode.covered(mc(2)) && !mode.covered(uc(1)));
  EXPECT_EQ(mode.status().programmed_unicast, std::vector{uc(3)});
}

TEST_F(KernelStyleTest, ADeadAddressHoldsUpNoOtherAndIsTriedAgain) {
  for (const bool returns_error : {true, false}) {
    SCOPED_TRACE(returns_error);
    KernelCard own_card{.dead = {uc(1)}, .returns_error = returns_error};
    NetdevPtr other = *net.alloc_netdev<KernelDriver>({.name = "k%d", .rx_retry = milliseconds(20)}, own_card);
    RxMode& rx = other->rx_mode();
    ASSERT_TRUE(other->register_netdev() && other->open());
    for (uint64_t n = 1; n <= 3; ++n) ASSERT_TRUE(other->uc().add(uc(n)));
    ASSERT_TRUE(other->mc().add(mc(4)));
    EXPECT_EQ(outcome(rx.wait(rx.ticket(uc(3)), soon())), "ok");
    EXPECT_EQ(outcome(rx.wait(rx.ticket(mc(4)), soon())), "ok");
    EXPECT_EQ(outcome(rx.wait(rx.ticket(uc(1)), Clock::now() + milliseconds(50))), "EIO");
    EXPECT_FALSE(rx.covered(uc(1)));
    {
      LaneGuard lane(other->lane());
      own_card.dead.clear();
    }
    EXPECT_EQ(outcome(rx.settle(soon())), "ok");
    EXPECT_EQ(own_card.exact.size(), 4u);
  }
}

TEST_F(KernelStyleTest, AnUnsyncThatFailsIsTriedAgain) {
  start();
  ASSERT_TRUE(dev->uc().add(uc(1)));
  settle();
  on_card([](KernelCard& c) { c.dead = {uc(1)}; });
  ASSERT_TRUE(dev->uc().del(uc(1)));
  retries_pass();
  on_card([](KernelCard& c) {
    EXPECT_EQ(c.exact.size(), 1u);
    c.dead.clear();
  });
  settle();
  EXPECT_TRUE(card.exact.empty());
}

TEST_F(KernelStyleTest, ACardThatIsFullGoesPromiscAndComesBack) {
  card.slots = 2;
  start();
  for (uint64_t n = 1; n <= 3; ++n) ASSERT_TRUE(dev->uc().add(uc(n)));
  settle();
  EXPECT_TRUE(card.promisc);
  EXPECT_EQ(card.exact.size(), 2u);
  for (uint64_t n = 1; n <= 3; ++n) EXPECT_TRUE(mode.covered(uc(n)));
  ASSERT_TRUE(dev->uc().del(uc(1)));
  ASSERT_TRUE(dev->uc().del(uc(2)));
  settle();
  EXPECT_FALSE(card.promisc);
  EXPECT_EQ(card.exact, (std::set{uc(3)}));
}

TEST_F(KernelStyleTest, ADriverThatReadsTheWholeListCoversWhatItIsGiven) {
  card.pushes = false;
  start();
  ASSERT_TRUE(dev->uc().add(uc(1)));
  ASSERT_TRUE(dev->mc().add(mc(2)));
  settle();
  EXPECT_EQ(card.exact, (std::set{uc(1), mc(2)}));
  EXPECT_TRUE(mode.covered(uc(1)));
  on_card([](KernelCard& c) { c.fails_whole = 2; });
  ASSERT_TRUE(dev->uc().del(uc(1)));
  ASSERT_TRUE(dev->uc().add(uc(3)));
  settle();
  EXPECT_EQ(card.exact, (std::set{uc(3), mc(2)}));
  EXPECT_EQ(card.fails_whole, 0);
}

TEST_F(KernelStyleTest, AFirstCallThatFailsIsTriedAgainAlthoughNothingIsWanted) {
  card.fails_whole = 2;
  start();
  EXPECT_EQ(card.fails_whole, 0);
  EXPECT_EQ(card.calls, 3u);
}

TEST_F(KernelStyleTest, PromiscuityIsSeenAndEverythingComesBackAfterAReset) {
  start();
  ASSERT_TRUE(mode.set_promiscuity(1));
  ASSERT_TRUE(dev->mc().add(mc(1)));
  settle();
  EXPECT_TRUE(card.promisc);
  ASSERT_TRUE(mode.set_promiscuity(-1));
  settle();
  EXPECT_FALSE(card.promisc);
  {
    LaneGuard lane(dev->lane());
    card.exact.clear();
    mode.card_forgot();
  }
  settle();
  EXPECT_EQ(card.exact, (std::set{mc(1)}));
}

TEST_F(KernelStyleTest, AnAddressTakenBackBehindTheEnginesBackIsPushedAgain) {
  start();
  ASSERT_TRUE(dev->uc().add(uc(1)));
  ASSERT_TRUE(dev->uc().add(uc(2)));
  settle();
  on_card([&](KernelCard& c) {
    mode.hw_list(AddressClass::kUnicast).unsync_dev(dev.get(), KernelDriver::unsync);
    EXPECT_TRUE(c.exact.empty());
    c.dead = {uc(1)};
  });
  ASSERT_TRUE(dev->uc().add(uc(3)));
  EXPECT_EQ(outcome(mode.wait(mode.ticket(uc(3)), soon())), "ok");
  EXPECT_EQ(outcome(mode.wait(mode.ticket(uc(1)), Clock::now() + milliseconds(100))), "EIO");
  EXPECT_TRUE(mode.covered(uc(2)) && mode.covered(uc(3)));
  on_card([](KernelCard& c) { c.dead.clear(); });
  settle();
  EXPECT_EQ(card.exact.size(), 3u);
}

TEST_F(KernelStyleTest, ADriverThatTakesEverythingBackWhilePromiscuousAnswersForIt) {
  card.takes_back_in_promisc = true;
  start();
  for (uint64_t n = 1; n <= 3; ++n) ASSERT_TRUE(dev->uc().add(uc(n)));
  settle();
  Reports reports;
  const uint32_t calls = card.calls;
  ASSERT_TRUE(mode.set_promiscuity(1));
  settle();
  ASSERT_TRUE(dev->uc().add(uc(4)));
  settle();
  EXPECT_TRUE(card.exact.empty());
  EXPECT_EQ(mode.status().stats.failures, 0u);
  EXPECT_LE(card.calls, calls + 2);
  EXPECT_EQ(reports.rules(), "");
  ASSERT_TRUE(mode.set_promiscuity(-1));
  settle();
  EXPECT_EQ(card.exact, (std::set{uc(1), uc(2), uc(3), uc(4)}));
}

TEST_F(KernelStyleTest, WhatWasNotPushedWhilePromiscuousAndFailsLaterCostsNothingElse) {
  card.skips_in_promisc = true;
  start();
  for (uint64_t n = 1; n <= 2; ++n) ASSERT_TRUE(dev->uc().add(uc(n)));
  settle();
  ASSERT_TRUE(mode.set_promiscuity(1));
  settle();
  ASSERT_TRUE(dev->uc().add(uc(3)));
  settle();
  on_card([](KernelCard& c) { c.dead = {uc(3)}; });
  ASSERT_TRUE(mode.set_promiscuity(-1));
  retries_pass();
  on_card([](KernelCard& c) {
    EXPECT_FALSE(c.twice);
    EXPECT_EQ(c.exact, (std::set{uc(1), uc(2)}));
    c.dead.clear();
  });
  settle();
  EXPECT_EQ(card.exact.size(), 3u);
  EXPECT_FALSE(card.promisc);
}

TEST_F(KernelStyleTest, WhatFindsNoRoomWhenPromiscIsToEndKeepsItOn) {
  card.skips_in_promisc = true;
  card.slots = 2;
  start();
  for (uint64_t n = 1; n <= 2; ++n) ASSERT_TRUE(dev->uc().add(uc(n)));
  settle();
  ASSERT_TRUE(mode.set_promiscuity(1));
  settle();
  ASSERT_TRUE(dev->uc().add(uc(3)));
  settle();
  ASSERT_TRUE(mode.set_promiscuity(-1));
  settle();
  EXPECT_TRUE(card.promisc);
  EXPECT_TRUE(mode.covered(uc(3)));
  ASSERT_TRUE(dev->uc().del(uc(1)));
  settle();
  EXPECT_FALSE(card.promisc);
  EXPECT_EQ(card.exact, (std::set{uc(2), uc(3)}));
}

TEST_F(KernelStyleTest, AScheduledRetryComesAtItsTimeAndIsTakenBack) {
  start();
  const uint32_t calls = card.calls;
  Time begun;
  on_card([&](KernelCard& c) {
    c.asks = 1;
    begun = Clock::now();
    mode.call_soon();
  });
  EXPECT_TRUE(card.asked_back.wait(1));
  EXPECT_GE(Clock::now() - begun, milliseconds(20));
  on_card([&](KernelCard& c) {
    EXPECT_EQ(c.calls, calls + 2);
    c.asks = 1;
    mode.call_soon();
  });
  dev->lane().flush();
  mode.cancel_retry();
  retries_pass();
  dev->lane().flush();
  on_card([&](KernelCard& c) { EXPECT_EQ(c.calls, calls + 3); });
  mode.call_soon();
  mode.cancel_retry();
  dev->lane().flush();
  on_card([&](KernelCard& c) { EXPECT_EQ(c.calls, calls + 4) << "it takes back only retries"; });
}

TEST_F(KernelStyleTest, TheListOfARunningDriverTakenFromOutsideIsAReport) {
  start();
  if (!kChecksOn) GTEST_SKIP() << "checks are off";
  Reports reports;
  (void)mode.hw_list(AddressClass::kUnicast);
  EXPECT_EQ(reports.rules(), "hw-list-unlocked");
}

TEST_F(KernelStyleTest, AnErrorThatNoAddressExplainsBringsARetry) {
  start();
  const uint32_t calls = card.calls;
  on_card([](KernelCard& c) { c.fails_after = 1; });
  ASSERT_TRUE(dev->uc().add(uc(1)));
  settle();
  EXPECT_EQ(card.calls, calls + 2);
}

}  // namespace
}  // namespace usernic
