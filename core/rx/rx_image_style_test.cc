// SPDX-License-Identifier: Apache-2.0 OR MIT
// The driver style: prepare + write.
#include "core/rx/rx_style_fixture.h"
#include "testing/unseen_by_clang.h"
#include "usernic/porting.h"
#include "usernic/rx_style.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic::rx_image_style_test {
namespace {

using std::chrono::milliseconds;

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

  Result<> prepare_rx_mode(const RxLists& lists, RxModeImage& image) noexcept USERNIC_NONBLOCKING {
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
  EXPECT_EQ(failure_of(mc(2)), "ENOMEM");
  EXPECT_EQ(card.writes, writes + 1) << "prepare failed, and nothing earlier was ready";
}

TEST_F(ImageStyleTest, ASyncThatPrepareAsksForIsCarriedOutWhenTheLockIsGone) {
  ImageCard below;
  const NetdevPtr lower = *net.alloc_netdev<ImageDriver>({.name = "low"}, below);
  ASSERT_TRUE(lower->register_netdev());
  start();
  on_card([&](ImageCard& c) { c.on_prepare = [&] { return sync_when_unlocked(lower->mc(), dev->mc()); }; });
  ASSERT_TRUE(dev->mc().add(mc(1)));
  settle();
  EXPECT_TRUE(lower->mc().contains(mc(1)));
  on_card([](ImageCard& c) { c.on_prepare = nullptr; });
  unsync(lower->mc(), dev->mc());
}

// Otherwise the card would do what the core thinks it refuses.
TEST_F(ImageStyleTest, AFlagThatWasRefusedIsNotShownToTheDriverAgain) {
  start();
  ASSERT_TRUE(mode.set_vlan_filter(true));
  ASSERT_TRUE(mode.vlan_add(5));
  settle();
  on_card([](ImageCard& c) { c.on_prepare = [] { return fail(std::errc::operation_not_supported); }; });
  ASSERT_TRUE(mode.set_vlan_filter(false));  // the open filter is a flag
  dev->lane().flush();
  on_card([](ImageCard& c) { c.on_prepare = nullptr; });
  ASSERT_TRUE(dev->mc().add(mc(1)));
  EXPECT_EQ(outcome(mode.wait(mode.ticket(mc(1)), soon())), "ok");
  EXPECT_TRUE(on_card([](ImageCard& c) { return c.filters_vlans; }));
}

TEST_F(ImageStyleTest, AFailedPrepareLeavesPendingAsItWas) {
  start();
  card.on_prepare = [] { return fail(std::errc::not_enough_memory); };
  ASSERT_TRUE(dev->mc().add(mc(1)));  // prepare fills its copy of the image, then fails
  retries_pass();
  const uint32_t writes = on_card([](ImageCard& c) { return c.writes; });
  Porting::lock_lists(mode);
  update_rx_image<ImageDriver::RxModeImage>(*dev, [](ImageDriver::RxModeImage& pending) {
    EXPECT_EQ(pending.used, 0u);
    EXPECT_EQ(pending.own, uc(0xffff));
    pending.flavour = 7;
  });
  Porting::unlock_lists(mode);
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
  EXPECT_EQ(failure_of(mc(1)), "EIO");
  on_card([&](ImageCard& c) {
    dead = false;
    c.on_prepare = [] { return fail(std::errc::not_enough_memory); };
  });
  ASSERT_TRUE(dev->mc().add(mc(2)));
  EXPECT_EQ(outcome(mode.wait(mode.ticket(mc(1)), soon())), "ok") << "the image that was ready has it";
  EXPECT_EQ(failure_of(mc(2)), "ENOMEM");
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
  const Time begun = Clock::now();
  for (uint64_t n = 0; n < 200; ++n) {
    ASSERT_TRUE(dev->mc().add(mc(1 + n % 3)));
    dev->lane().flush();
    ASSERT_TRUE(dev->mc().del(mc(1 + n % 3)));
    dev->lane().flush();
  }
  const auto retries = static_cast<uint32_t>((Clock::now() - begun) / (60 * milliseconds(20)));  // of the longest delay
  EXPECT_LE(on_card([](ImageCard& c) { return c.writes; }), writes + 12 + retries);
}

TEST_F(ImageStyleTest, ThatThereIsNoRoomShowsWhenPromiscuityIsToEnd) {
  start();
  ASSERT_TRUE(mode.set_promiscuity(1));
  for (uint64_t n = 1; n <= ImageCard::kSlots + 1; ++n) ASSERT_TRUE(dev->uc().add(uc(n)));
  settle();
  EXPECT_EQ(mode.status().reason, "promiscuity asked for 1 time");
  ASSERT_TRUE(mode.set_promiscuity(-1));
  settle();
  EXPECT_TRUE(card.promisc);
  EXPECT_EQ(mode.status().reason, "the card has no room for every address");
  for (uint64_t n = 1; n <= 3; ++n) ASSERT_TRUE(dev->uc().del(uc(n)));
  settle();
  EXPECT_FALSE(card.promisc);
  EXPECT_EQ(mode.status().reason, "everything fits");
}

// A refusal is an answer, not a failure: no retry is waited for.
TEST_F(ImageStyleTest, ThatThereIsNoRoomKeepsItPromiscuousAtOnce) {
  dev = *net.alloc_netdev<ImageDriver>({.name = "t1", .address = uc(0xffff), .rx_retry = std::chrono::hours(1)}, card);
  RxMode& patient = dev->rx_mode();
  ASSERT_TRUE(dev->register_netdev() && dev->open() && patient.set_promiscuity(1));
  for (uint64_t n = 1; n <= ImageCard::kSlots + 1; ++n) ASSERT_TRUE(dev->uc().add(uc(n)));
  ASSERT_EQ(outcome(patient.settle(soon())), "ok");
  ASSERT_TRUE(patient.set_promiscuity(-1));
  EXPECT_EQ(outcome(patient.settle(soon())), "ok");
  EXPECT_TRUE(card.promisc);
  for (uint64_t n = 1; n <= ImageCard::kSlots + 1; ++n) EXPECT_TRUE(patient.covered(uc(n)));
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

TEST_F(ImageStyleTest, AnImageThatHasNoRoomForTheOwnAddressFallsBackToPromiscToo) {
  start();
  ASSERT_TRUE(dev->uc().add(uc(1)));
  settle();
  {
    const LaneGuard one_run_for_all(dev->lane());
    card.on_prepare = [&] { return mode.promisc() ? Result<>() : fail(std::errc::no_space_on_device); };
    ASSERT_TRUE(dev->uc().del(uc(1)));  // what it frees is no room in an image
    ASSERT_TRUE(dev->set_mac_address(uc(0xfffe)));
  }
  settle();
  EXPECT_TRUE(card.promisc);
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
  Porting::lock_lists(mode);
  EXPECT_FALSE(update_rx_image<Other>(*dev, [](Other&) {}));
  Porting::unlock_lists(mode);
  EXPECT_EQ(reports.rules(), "rx-image-type");
}

TEST_F(ImageStyleTest, AnUpdateBeforeRegistrationIsInTheFirstImageThatIsWritten) {
  Porting::lock_lists(mode);
  EXPECT_TRUE(update_rx_image<ImageDriver::RxModeImage>(*dev, [](auto& image) { image.flavour = 9; }));
  Porting::unlock_lists(mode);
  uint32_t first_flavour = 0;
  card.on_write = [&]() -> Result<> { return {}; };
  start();
  on_card([&](ImageCard& c) { first_flavour = c.flavour; });
  EXPECT_EQ(first_flavour, 9u);
  EXPECT_EQ(card.writes, 1u);
}

TEST_F(ImageStyleTest, AnUpdateUnderTheLockIsWrittenOnce) {
  start();
  const auto [writes, prepares] = on_card([](ImageCard& c) { return std::pair(c.writes, c.prepares); });
  Porting::lock_lists(mode);
  EXPECT_TRUE(update_rx_image<ImageDriver::RxModeImage>(*dev, [](auto& image) { image.flavour = 9; }));
  Porting::unlock_lists(mode);
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

TEST_F(ImageStyleTest, WhatWasReadyBeforeCloseIsNotWrittenAfterOpen) {
  start();
  card.on_write = [] { return fail(std::errc::io_error); };
  ASSERT_TRUE(dev->uc().add(uc(1)) && dev->uc().add(uc(3)));
  dev->lane().flush();
  ASSERT_TRUE(dev->close());
  ASSERT_TRUE(dev->uc().del(uc(3)) && dev->uc().add(uc(2)));
  // The first prepare has no room, and whom it had none for leaves while the card is written.
  card.on_prepare = [full = true]() mutable {
    return std::exchange(full, false) ? fail(std::errc::no_space_on_device) : Result<>();
  };
  card.on_write = [this, first = true]() mutable {
    if (std::exchange(first, false)) (void)dev->uc().del(uc(2));
    return Result<>();
  };
  ASSERT_TRUE(dev->open());
  settle();
  retries_pass();
  EXPECT_FALSE(on_card([](ImageCard& image) { return image.exact.contains(uc(3)); })) << "nobody wants it";
}

}  // namespace
}  // namespace usernic::rx_image_style_test

USERNIC_UNSEEN_BY_CLANG_END
