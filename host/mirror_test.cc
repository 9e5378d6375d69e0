// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/mirror.h"

#include "host/mirror_fixture.h"

namespace usernic {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST_F(MirrorTest, ThePictureIsDueAtOnceInTheBeginning) {
  EXPECT_LE(mirror_.next_picture(), now_);
}

TEST_F(MirrorTest, NothingIsKnownBeforeTheFirstPicture) {
  EXPECT_FALSE(take().known);
  picture();
  const HostWishes wishes = take();
  EXPECT_TRUE(wishes.known);
  EXPECT_EQ(wishes.link, link_);
}

TEST_F(MirrorTest, AnAnnouncedAddressIsWantedAtOnceWithoutAPicture) {
  picture();
  take();
  added(mc(1));
  EXPECT_EQ(take().add_multicast, Addresses{mc(1)});
}

TEST_F(MirrorTest, ASilentAddressIsWantedWithTheFirstPictureThatShowsIt) {
  lists_ = {uc(7), mc(3), mc(1)};
  picture();
  const HostWishes wishes = take();
  EXPECT_EQ(wishes.add_unicast, Addresses{uc(7)});
  EXPECT_EQ(wishes.add_multicast, (Addresses{mc(1), mc(3)})) << "sorted, whatever the kernel's order";
}

TEST_F(MirrorTest, OnlyTheDifferenceIsTold) {
  lists_ = {mc(1), mc(2)};
  picture();
  take();
  picture();
  EXPECT_FALSE(take().addresses_changed());
  lists_.push_back(mc(3));
  picture();
  EXPECT_EQ(take().add_multicast, Addresses{mc(3)});
}

TEST_F(MirrorTest, ASilentLeaveTakesTwoPicturesInARow) {
  lists_ = {mc(1), mc(2)};
  picture();
  take();
  lists_ = {mc(1)};
  picture();
  EXPECT_FALSE(take().addresses_changed());
  picture();
  EXPECT_EQ(take().del_multicast, Addresses{mc(2)});
}

TEST_F(MirrorTest, AnAddressMissedByEverySecondPictureStays) {
  lists_ = {mc(1), mc(2)};
  picture();
  take();
  for (int i = 0; i < 10; ++i) {
    lists_ = i % 2 ? Addresses{mc(1), mc(2)} : Addresses{mc(1)};
    picture();
    EXPECT_FALSE(take().addresses_changed());
  }
}

TEST_F(MirrorTest, AnAnnouncedLeaveTakesOnePictureWhichIsDueSoon) {
  lists_ = {mc(1)};
  picture();
  take();
  lists_ = {};
  advance(milliseconds(20));
  deleted(mc(1));
  EXPECT_FALSE(take().addresses_changed()) << "an event alone takes nothing away";
  EXPECT_LE(mirror_.next_picture(), now_);
  picture();
  EXPECT_EQ(take().del_multicast, Addresses{mc(1)});
}

TEST_F(MirrorTest, ALeaveWhileSomebodyElseHoldsTheAddressTakesNothingAway) {
  lists_ = {mc(1)};
  picture();
  take();
  deleted(mc(1));
  picture();
  EXPECT_FALSE(take().addresses_changed());
  lists_ = {};  // the other holder goes, silently: two pictures again
  picture();
  EXPECT_FALSE(take().addresses_changed());
  picture();
  EXPECT_EQ(take().del_multicast, Addresses{mc(1)});
}

TEST_F(MirrorTest, APictureBegunBeforeALeaveDoesNotConfirmIt) {
  lists_ = {mc(1)};
  picture();
  take();
  HostPicture late = begin_picture();
  late.addresses = {};  // it was not there for a moment
  advance(microseconds(10));
  deleted(mc(1));  // an older leave, read only now; meanwhile it is back
  end_picture(late);
  EXPECT_FALSE(take().addresses_changed());
  EXPECT_LE(until_next(), Mirror::kHintMin);
  picture();
  EXPECT_FALSE(take().addresses_changed());
}

TEST_F(MirrorTest, APictureBegunBeforeAJoinCannotTakeTheAddressAway) {
  picture();
  take();
  const HostPicture late = begin_picture();
  advance(microseconds(10));
  lists_ = {mc(1)};
  added(mc(1));
  EXPECT_EQ(take().add_multicast, Addresses{mc(1)});
  end_picture(late);
  end_picture(late);
  end_picture(late);
  EXPECT_FALSE(take().addresses_changed());
  picture();
  EXPECT_FALSE(take().addresses_changed());
}

TEST_F(MirrorTest, LeaveAndJoinAgainBeforeThePictureChangesNothing) {
  lists_ = {mc(1)};
  picture();
  take();
  deleted(mc(1));
  advance(microseconds(5));
  added(mc(1));
  lists_ = {};  // a picture that misses it
  picture();
  EXPECT_FALSE(take().addresses_changed());
}

TEST_F(MirrorTest, JoinAndLeaveBetweenTwoTakesAreForgottenByThePicture) {
  picture();
  take();
  added(mc(1));
  deleted(mc(1));
  picture();
  EXPECT_FALSE(take().addresses_changed());
  EXPECT_EQ(mirror_.address_count(), 0u);
}

TEST_F(MirrorTest, APictureWithSeamsMustMissAnAddressThreeTimes) {
  lists_ = {mc(1), mc(2)};
  picture();
  take();
  deleted(mc(2));
  lists_ = {mc(1)};
  picture_with_seams();
  EXPECT_LE(until_next(), Mirror::kHintMin) << "an announced leave is confirmed soon";
  picture_with_seams();
  EXPECT_FALSE(take().addresses_changed());
  picture_with_seams();
  EXPECT_EQ(take().del_multicast, Addresses{mc(2)});
}

TEST_F(MirrorTest, APictureWhoseLinkAnswersDisagreeTakesNothingAwayAndIsTakenAgainSoon) {
  lists_ = {mc(1)};
  picture();
  take();
  lists_ = {mc(2)};
  for (int i = 0; i < 5; ++i) {
    HostPicture torn = begin_picture();
    torn.after.promiscuity = 1;
    end_picture(torn);
    EXPECT_LE(until_next(), Mirror::kHintMin);
  }
  const HostWishes wishes = take();
  EXPECT_EQ(wishes.add_multicast, Addresses{mc(2)}) << "what was seen was there";
  EXPECT_TRUE(wishes.del_multicast.empty());
  EXPECT_FALSE(wishes.promiscuous);
}

TEST_F(MirrorTest, ATornPictureBetweenTwoAbsencesDoesNotCount) {
  lists_ = {mc(1)};
  picture();
  take();
  lists_ = {};
  picture();
  HostPicture torn = begin_picture();
  torn.after.mtu = 1400;
  end_picture(torn);
  EXPECT_FALSE(take().addresses_changed());
  picture();
  EXPECT_EQ(take().del_multicast, Addresses{mc(1)});
}

TEST_F(MirrorTest, TheCarrierIsThatOfTheLaterLinkAnswerAndOneThatMovesTearsThePicture) {
  lists_ = {mc(1)};
  picture();
  take();
  for (const bool carrier : {false, true, false, true}) {
    lists_ = {};
    HostPicture torn = begin_picture();
    torn.after.carrier = link_.carrier = carrier;
    end_picture(torn);
    EXPECT_EQ(take().link.carrier, carrier);
    EXPECT_EQ(mirror_.address_count(), 1u) << "such a picture takes nothing away";
  }
}

TEST_F(MirrorTest, PromiscuityIsWantedWhenTheCountSaysSo) {
  link_.promiscuity = 1;
  picture();
  EXPECT_TRUE(take().promiscuous);
}

TEST_F(MirrorTest, ThePromiscuityThatTheKernelAddsForItsUcListIsNobodysWish) {
  lists_ = {uc(1)};
  uc_empty_ = false;
  link_.promiscuity = 1;
  picture();
  EXPECT_FALSE(take().promiscuous);
  link_.promiscuity = 2;
  picture();
  EXPECT_TRUE(take().promiscuous);
}

TEST_F(MirrorTest, AUnicastAddressInTheMcListIsWishedForAndHidesNoPromiscuity) {
  lists_ = {uc(1), mc(1)};
  uc_empty_ = true;
  link_.promiscuity = 1;
  picture();
  const HostWishes wishes = take();
  EXPECT_TRUE(wishes.promiscuous);
  EXPECT_EQ(wishes.add_unicast, Addresses{uc(1)});
}

TEST_F(MirrorTest, AMulticastAddressInTheUcListRaisesPromiscuityToo) {
  lists_ = {mc(1)};
  uc_empty_ = false;
  link_.promiscuity = 1;
  picture();
  EXPECT_FALSE(take().promiscuous);
}

TEST_F(MirrorTest, APictureThatCannotTellTheListsApartLeavesPromiscuityAndIsTakenAgainSoon) {
  for (const bool wanted : {true, false}) {
    lists_ = {uc(1)};
    link_.promiscuity = 1;
    uc_empty_ = wanted;
    picture();
    picture();
    ASSERT_EQ(take().promiscuous, wanted);
    uc_empty_ = std::nullopt;
    const Time known = mirror_.known_as_of();
    for (int i = 0; i < 5; ++i) {
      picture();
      EXPECT_EQ(take().promiscuous, wanted);
      EXPECT_LE(until_next(), Mirror::kHintMin);
    }
    EXPECT_LT(mirror_.known_as_of(), now_ - cost_) << "the last one leaves a doubt";
    EXPECT_GE(mirror_.known_as_of(), known);
  }
}

TEST_F(MirrorTest, WhereThePromiscuityIsNotOneTheListsNeedNotBeToldApart) {
  lists_ = {uc(1)};
  uc_empty_ = std::nullopt;
  for (const uint32_t promiscuity : {2u, 0u}) {
    link_.promiscuity = promiscuity;
    picture();
    picture();
    EXPECT_EQ(take().promiscuous, promiscuity == 2);
    EXPECT_GT(until_next(), Mirror::kHintMin);
  }
}

TEST_F(MirrorTest, TheOwnAddressInTheUcListRaisesPromiscuityButIsNotWishedFor) {
  lists_ = {kOwn};
  uc_empty_ = false;
  link_.promiscuity = 1;
  picture();
  const HostWishes wishes = take();
  EXPECT_FALSE(wishes.promiscuous);
  EXPECT_FALSE(wishes.addresses_changed());
}

TEST_F(MirrorTest, PromiscuityGoesAfterTwoPicturesTheSecondSoon) {
  link_.promiscuity = 1;
  picture();
  take();
  link_.promiscuity = 0;
  picture();
  EXPECT_TRUE(take().promiscuous);
  EXPECT_LE(until_next(), Mirror::kHintMin);
  picture();
  EXPECT_FALSE(take().promiscuous);
}

TEST_F(MirrorTest, PromiscuityIsNotJudgedWhileDown) {
  link_.up = false;
  link_.promiscuity = 1;  // stays behind when the last unicast entry goes while down
  picture();
  picture();
  EXPECT_FALSE(take().promiscuous);
  link_.up = true;
  link_.promiscuity = 0;
  picture();
  EXPECT_FALSE(take().promiscuous);
}

TEST_F(MirrorTest, PromiscuityWantedBeforeGoingDownIsStillWantedAfterwards) {
  link_.promiscuity = 1;
  picture();
  link_.up = false;
  link_.promiscuity = 0;
  picture();
  picture();
  EXPECT_TRUE(take().promiscuous);
}

TEST_F(MirrorTest, AllmultiFollowsTheCount) {
  link_.allmulti = 2;
  picture();
  EXPECT_TRUE(take().allmulti);
  link_.allmulti = 0;
  picture();
  EXPECT_FALSE(take().allmulti);
}

TEST_F(MirrorTest, BroadcastAndZeroAreNeverWishedFor) {
  lists_ = {kBroadcast, MacAddress{}};
  picture();
  added(kBroadcast);
  added(MacAddress{});
  EXPECT_FALSE(take().addresses_changed());
}

TEST_F(MirrorTest, AnAddressThatBecomesTheOwnOneIsNoLongerWishedForAndComesBack) {
  lists_ = {uc(1), uc(2)};
  picture();
  take();
  link_.address = uc(1);
  picture();
  EXPECT_EQ(take().del_unicast, Addresses{uc(1)});
  link_.address = kOwn;
  picture();
  EXPECT_EQ(take().add_unicast, Addresses{uc(1)});
}

TEST_F(MirrorTest, LinkChangesReachTheWishesWithThePictureThatTheEventAsksFor) {
  picture();
  take();
  advance(milliseconds(10));
  link_.mtu = 1400;
  link_.up = false;
  link_.carrier = std::nullopt;
  event(HostEvent::Kind::kLinkChanged);
  EXPECT_LE(mirror_.next_picture(), now_);
  picture();
  EXPECT_EQ(take().link, link_);
}

TEST_F(MirrorTest, LostEventsAskForAPictureAndTakeNothingAway) {
  lists_ = {mc(1)};
  picture();
  take();
  advance(milliseconds(10));
  lists_ = {mc(1), mc(2)};
  event(HostEvent::Kind::kEventsLost);
  EXPECT_LE(mirror_.next_picture(), now_);
  EXPECT_FALSE(take().addresses_changed());
  picture();
  EXPECT_EQ(take().add_multicast, Addresses{mc(2)});
}

TEST_F(MirrorTest, TheAuditComesEvery250Milliseconds) {
  picture();
  EXPECT_EQ(mirror_.next_picture() - (now_ - cost_), milliseconds(250));
}

TEST_F(MirrorTest, TheAuditIsStretchedTo20TimesTheCostOfTheLastPicture) {
  cost_ = milliseconds(20);
  picture();
  EXPECT_EQ(mirror_.next_picture() - (now_ - cost_), milliseconds(400));
}

TEST_F(MirrorTest, TheAuditComesWithinASecondUpTo10000Addresses) {
  cost_ = milliseconds(500);
  for (uint64_t i = 0; i < 10'000; ++i) lists_.push_back(mc(i));
  picture();
  EXPECT_EQ(mirror_.next_picture() - (now_ - cost_), Mirror::kAuditMax);
  lists_.push_back(mc(10'000));
  picture();
  EXPECT_EQ(mirror_.next_picture() - (now_ - cost_), milliseconds(10'000));
}

TEST_F(MirrorTest, PicturesThatEventsAskForKeepTheirDistance) {
  lists_ = {mc(1)};
  picture();
  event(HostEvent::Kind::kLinkChanged);
  EXPECT_EQ(until_next(), Mirror::kHintMin);
  cost_ = milliseconds(2);
  picture();
  event(HostEvent::Kind::kLinkChanged);
  EXPECT_EQ(until_next(), milliseconds(16));
}

TEST_F(MirrorTest, AFailedPictureIsTakenAgainAndTakesNothingAway) {
  lists_ = {mc(1)};
  picture();
  take();
  for (int i = 0; i < 5; ++i) {
    const Time begun = now_;
    advance(cost_);
    mirror_.on_picture_failed(begun, now_);
    EXPECT_EQ(until_next(), Mirror::kRetryAfterFailure);
  }
  EXPECT_FALSE(take().addresses_changed());
}

TEST_F(MirrorTest, WhatTheDeviceRefusedIsToldAgain) {
  lists_ = {mc(1)};
  picture();
  ASSERT_EQ(take().add_multicast, Addresses{mc(1)});
  mirror_.refused(mc(1));
  EXPECT_EQ(take().add_multicast, Addresses{mc(1)});
  EXPECT_FALSE(take().addresses_changed());
}

TEST_F(MirrorTest, LettingGoTakesBackEverything) {
  lists_ = {uc(1), mc(1)};
  link_.promiscuity = 2;
  link_.allmulti = 1;
  picture();
  take();
  mirror_.let_go();
  const HostWishes wishes = take();
  EXPECT_EQ(wishes.del_unicast, Addresses{uc(1)});
  EXPECT_EQ(wishes.del_multicast, Addresses{mc(1)});
  EXPECT_FALSE(wishes.promiscuous);
  EXPECT_FALSE(wishes.allmulti);
}

TEST_F(MirrorTest, ALinkThatIsGoneWishesForNothingAndIsNotLookedAtAgain) {
  lists_ = {mc(1)};
  picture();
  take();
  event(HostEvent::Kind::kLinkGone);
  const HostWishes wishes = take();
  EXPECT_TRUE(wishes.gone);
  EXPECT_FALSE(wishes.link.up);
  EXPECT_EQ(wishes.del_multicast, Addresses{mc(1)});
  EXPECT_EQ(mirror_.next_picture(), kForever);
  added(mc(2));
  picture();
  EXPECT_FALSE(take().addresses_changed());
}

TEST_F(MirrorTest, AKernelWithoutJoinEventsLivesOnTheAudit) {
  for (int round = 0; round < 20; ++round) {
    lists_ = {mc(static_cast<uint64_t>(round)), mc(static_cast<uint64_t>(round) + 1)};
    now_ = mirror_.next_picture() < now_ ? now_ : mirror_.next_picture();
    picture();
    const HostWishes wishes = take();
    EXPECT_EQ(wishes.add_multicast.size(), round == 0 ? 2u : 1u);
    EXPECT_EQ(wishes.del_multicast.size(), round < 2 ? 0u : 1u) << "one audit later than it could be seen";
  }
  EXPECT_EQ(mirror_.address_count(), 3u);
}

TEST_F(MirrorTest, AddressesSeenTwiceInOnePictureCountOnce) {
  lists_ = {mc(1), mc(2), mc(1)};
  picture();
  EXPECT_EQ(take().add_multicast, (Addresses{mc(1), mc(2)}));
  EXPECT_EQ(mirror_.address_count(), 2u);
}

}  // namespace
}  // namespace usernic
