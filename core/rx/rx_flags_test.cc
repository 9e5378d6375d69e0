// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a driver is told of promiscuity and allmulti: one step at a time from open to stop, whatever happens meanwhile.
#include "usernic/rx_flags.h"

#include <string>
#include <utility>

#include "core/device/device.h"
#include "core/rx/rx_style_fixture.h"
#include "testing/unseen_by_clang.h"
#include "usernic/thread.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic {
namespace {

// What the driver heard, in order: "open(p)" with promiscuity on, "change[a](pa)" when allmulti went on besides.
struct Heard {
  std::string text;
  bool open_fails = false, lane_and_il = true;
  uint32_t adds_fail = 0;                                 // so many calls with something to add
  std::function<void(const std::string& what)> on_heard;  // inside the op
  void say(NetDevice& dev, const std::string& what) {
    const BlockingByDesign a_test_may;
    text += (text.empty() ? "" : " ") + what;
    lane_and_il = lane_and_il && dev.lane().is_current() && Device::of(dev).instance_lock.held_by_me();
    if (on_heard) on_heard(what);
  }
};
std::string words(RxFlags flags) {
  return std::string(flags.promisc ? "p" : "") + (flags.allmulti ? "a" : "");
}

struct Told : Plain {
  Told(NetDevice& dev, Heard& heard) : Plain(dev), heard_(heard) {}
  std::string now() const { return "(" + words({dev_.rx_mode().promisc(), dev_.rx_mode().allmulti()}) + ")"; }
  Result<> open() {
    heard_.say(dev_, "open" + now());
    return heard_.open_fails ? fail(std::errc::io_error) : Result<>();
  }
  void stop() { heard_.say(dev_, "stop" + now()); }
  void change_rx_flags(RxFlags changed) {
    might_sleep();
    heard_.say(dev_, "change[" + words(changed) + "]" + now());
  }
  Heard& heard_;
};

struct NoFilter : Told {
  using Told::Told;
  static constexpr const char* kCall = "";
};
struct PlanDriver : Told {
  using Told::Told;
  static constexpr const char* kCall = " call";
  RxFilterCaps rx_filter_caps() const { return {.unicast_slots = 8, .multicast_slots = 8}; }
  void set_rx_mode_async(RxPlan& plan) {
    heard_.say(dev_, "call");
    while (RxCommand* const command = plan.next()) plan.answer(*command, fate(*command));
  }
  Result<> fate(const RxCommand& command) const {
    if (command.kind != RxCommandKind::kAdd || heard_.adds_fail == 0) return {};
    --heard_.adds_fail;
    return fail(std::errc::io_error);
  }
};
struct ImageDriver : Told {
  struct RxModeImage {};
  using Told::Told;
  static constexpr const char* kCall = " call";
  Result<> prepare_rx_mode(const RxLists&, RxModeImage&) noexcept USERNIC_NONBLOCKING { return {}; }
  Result<> write_rx_mode(const RxModeImage&) {
    heard_.say(dev_, "call");
    return {};
  }
};
struct LegacyDriver : Told {
  using Told::Told;
  static constexpr const char* kCall = " call";
  void set_rx_mode(const RxLists&) noexcept USERNIC_NONBLOCKING { heard_.say(dev_, "call"); }
};
struct KernelDriver : Told {
  using Told::Told;
  static constexpr const char* kCall = " call";
  int set_rx_mode_async(NetDevice*, HwAddrList*, HwAddrList*) {
    heard_.say(dev_, "call");
    return 0;
  }
};

template <class Driver>
struct FlagsTest : StyleTest<Driver, Heard> {
  // What was heard since the last look.
  std::string heard() {
    return this->on_card([](Heard& heard) { return std::exchange(heard.text, ""); });
  }
  std::string settled() {
    this->settle();
    return heard();
  }
  void promisc(int by) { ASSERT_TRUE(this->mode.set_promiscuity(by)); }
  void allmulti(int by) { ASSERT_TRUE(this->mode.set_allmulti(by)); }
  void TearDown() override {
    EXPECT_TRUE(this->on_card([](Heard& heard) { return heard.lane_and_il; }));
  }
};

template <class Driver>
using EveryStyle = FlagsTest<Driver>;
using Styles = testing::Types<NoFilter, PlanDriver, ImageDriver, LegacyDriver, KernelDriver>;
TYPED_TEST_SUITE(EveryStyle, Styles);

TYPED_TEST(EveryStyle, HearsOnceOfEachStepBeforeTheRxModeCallOfItsRun) {
  this->start();
  (void)this->heard();
  const std::string call = TypeParam::kCall;
  this->promisc(1);
  EXPECT_EQ(this->settled(), "change[p](p)" + call);
  this->promisc(1);
  EXPECT_EQ(this->settled(), "") << "one more";
  this->allmulti(1);
  EXPECT_EQ(this->settled(), "change[a](pa)" + call);
  this->promisc(-1);
  EXPECT_EQ(this->settled(), "") << "one is left";
  this->promisc(-1);
  EXPECT_EQ(this->settled(), "change[p](a)" + call);
  this->allmulti(-1);
  EXPECT_EQ(this->settled(), "change[a]()" + call);
}

TYPED_TEST(EveryStyle, HearsNothingOfWhatIsSwitchedThereAndBackBetweenRuns) {
  this->start();
  (void)this->heard();
  {
    const LaneGuard no_run(this->dev->lane());
    this->promisc(1);
    this->promisc(-1);
  }
  this->settle();
  EXPECT_EQ(this->heard().find("change"), std::string::npos);
}

TYPED_TEST(EveryStyle, WhatOpenSawIsNotToldAndStopSeesWhatWasTold) {
  ASSERT_TRUE(this->dev->register_netdev());
  this->promisc(1);
  ASSERT_TRUE(this->dev->open());
  this->settle();
  const std::string opened = this->heard();
  EXPECT_TRUE(opened.starts_with("open(p)"));
  EXPECT_EQ(opened.find("change"), std::string::npos);
  {
    const LaneGuard no_run(this->dev->lane());
    this->promisc(-1);
    this->allmulti(1);
    EXPECT_TRUE(this->mode.promisc() && !this->mode.allmulti()) << "on the lane: what the driver was told";
    ASSERT_TRUE(this->dev->close());
    EXPECT_TRUE(!this->mode.promisc() && this->mode.allmulti()) << "down: what is asked for";
  }
  EXPECT_EQ(this->heard(), "stop(p)");
  this->promisc(1);
  ASSERT_TRUE(this->dev->open());
  this->settle();
  EXPECT_TRUE(this->heard().starts_with("open(pa)"));
  this->allmulti(-1);
  EXPECT_TRUE(this->settled().starts_with("change[a](p)"));
}

TYPED_TEST(EveryStyle, ElsewhereThanOnTheLaneTheFlagsAreThoseOfNow) {
  this->start();
  const LaneGuard no_run(this->dev->lane());
  this->promisc(1);
  bool now = false;
  Thread elsewhere("elsewhere", [&] { now = this->mode.promisc(); });
  elsewhere.join();
  EXPECT_TRUE(now);
  EXPECT_FALSE(this->mode.promisc());
}

// ---- open and stop --------------------------------------------------------------------------------------------------

using Flags = FlagsTest<NoFilter>;

TEST_F(Flags, AChangeWhileOpenRunsIsToldAfterwards) {
  ASSERT_TRUE(dev->register_netdev());
  card.on_heard = [this](const std::string& what) {
    if (what != "open()") return;
    promisc(1);
    EXPECT_FALSE(mode.promisc()) << "the same as at the beginning of open";
  };
  ASSERT_TRUE(dev->open());
  EXPECT_EQ(settled(), "open() change[p](p)");
}

TEST_F(Flags, AChangeWhileStopRunsIsLeftToTheNextOpen) {
  start();
  promisc(1);
  EXPECT_EQ(settled(), "open() change[p](p)");
  card.on_heard = [this](const std::string& what) {
    if (what != "stop(p)") return;
    promisc(-1);
    EXPECT_TRUE(mode.promisc());
  };
  ASSERT_TRUE(dev->close());
  ASSERT_TRUE(dev->open());
  EXPECT_EQ(settled(), "stop(p) open()");
}

TEST_F(Flags, AfterAnOpenThatFailedNothingIsToldAndTheNextOneSeesWhatIsOnThen) {
  ASSERT_TRUE(dev->register_netdev());
  card.open_fails = true;
  promisc(1);
  EXPECT_FALSE(dev->open());
  promisc(-1);
  EXPECT_FALSE(on_card([this](Heard&) { return mode.promisc(); })) << "down: what is asked for";
  allmulti(1);
  dev->lane().flush();
  EXPECT_EQ(heard(), "open(p)");
  card.open_fails = false;
  ASSERT_TRUE(dev->open());
  EXPECT_EQ(settled(), "open(a)");
}

TEST_F(Flags, OnADetachedDeviceNothingIsToldAndAfterAttachOnlyTheDifference) {
  start();
  promisc(1);
  (void)settled();
  ASSERT_TRUE(dev->detach());
  promisc(-1);
  allmulti(1);
  dev->lane().flush();
  EXPECT_EQ(heard(), "");
  promisc(1);
  ASSERT_TRUE(dev->attach());
  EXPECT_EQ(settled(), "change[a](pa)");
  ASSERT_TRUE(dev->detach());
  promisc(-1);
  ASSERT_TRUE(dev->close());
  EXPECT_EQ(heard(), "stop(pa)") << "absent too";
}

TEST_F(Flags, AResetOfTheCardTellsNothingAnew) {
  start();
  promisc(1);
  (void)settled();
  mode.card_forgot();
  EXPECT_EQ(settled(), "");
}

TEST_F(Flags, ADeviceThatGoesIsStoppedWithWhatItWasTold) {
  start();
  promisc(1);
  (void)settled();
  {
    const LaneGuard no_run(dev->lane());
    promisc(-1);
    dev->unregister_netdev();
  }
  EXPECT_EQ(card.text, "stop(p)");
}

TEST_F(Flags, ADriverThatSleepsInItDelaysNobodyElsesChange) {
  start();
  Event inside, go_on;
  card.on_heard = [&](const std::string& what) {
    if (what != "change[p](p)") return;
    inside.set();
    EXPECT_TRUE(go_on.wait());
  };
  (void)heard();
  promisc(1);
  ASSERT_TRUE(inside.wait());
  promisc(-1);
  allmulti(1);
  EXPECT_TRUE(mode.allmulti());
  go_on.set();
  EXPECT_EQ(settled(), "change[p](p) change[a](pa) change[p](a)") << "on first, in a call of its own";
}

TEST_F(Flags, OnIsToldFirstAlsoWhereTheFilterIsWideAnyhow) {
  start();
  ASSERT_TRUE(dev->uc().add(uc(1)));  // it has no filter: promiscuous, though nobody asks for that
  allmulti(1);
  EXPECT_EQ(settled(), "open() change[a](a)");
  {
    const LaneGuard no_run(dev->lane());
    promisc(1);
    allmulti(-1);
  }
  EXPECT_EQ(settled(), "change[p](pa) change[a](p)");
}

// ---- what goes off --------------------------------------------------------------------------------------------------

using FlagsOfPlan = FlagsTest<PlanDriver>;

TEST_F(FlagsOfPlan, ItIsToldOnlyWhenNothingIsOnItsWayToTheFilterAnyMore) {
  start();
  promisc(1);
  (void)settled();
  {
    const LaneGuard no_run(dev->lane());
    ASSERT_TRUE(dev->mc().add(mc(1)));
    promisc(-1);
  }
  EXPECT_EQ(settled(), "call change[p]()") << "the address first";
}

TEST_F(FlagsOfPlan, ItWaitsForAnAddressThatFailedAsNarrowingDoes) {
  start();
  promisc(1);
  (void)settled();
  {
    const LaneGuard no_run(dev->lane());
    card.adds_fail = 2;
    ASSERT_TRUE(dev->mc().add(mc(1)));
    promisc(-1);
  }
  EXPECT_EQ(settled(), "call call call change[p]()");
}

// One slot, then the hash.
struct HashDriver : Told {
  using Told::Told;
  RxFilterCaps rx_filter_caps() const { return {.multicast_slots = 1, .multicast_hash_buckets = 64}; }
  uint32_t rx_hash(AddressClass, const MacAddress& address) const { return address.to_u64() % 64; }
  void set_rx_mode_async(RxPlan& plan) {
    while (RxCommand* const command = plan.next()) {
      const bool set = command->kind == RxCommandKind::kSetBucket;
      const bool fails = set && heard_.adds_fail > 0;
      if (fails) --heard_.adds_fail;
      if (set) heard_.say(dev_, fails ? "no-bucket" : "bucket");
      if (command->kind == RxCommandKind::kNarrow) heard_.say(dev_, "narrow");
      plan.answer(*command, fails ? fail(std::errc::io_error) : Result<>());
    }
  }
};
using FlagsOfHash = FlagsTest<HashDriver>;

TEST_F(FlagsOfHash, ItWaitsForABucketToo) {
  start();
  ASSERT_TRUE(dev->mc().add(mc(1)));  // takes the slot
  promisc(1);
  (void)settled();
  {
    const LaneGuard no_run(dev->lane());
    card.adds_fail = 2;
    ASSERT_TRUE(dev->mc().add(mc(2)));
    promisc(-1);
  }
  EXPECT_EQ(settled(), "no-bucket no-bucket bucket narrow change[p]()");
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
