// SPDX-License-Identifier: Apache-2.0 OR MIT
// As of when everything that the kernel wanted is known, however silently it was asked for.
#include "host/mirror_fixture.h"

namespace usernic {
namespace {

TEST_F(MirrorTest, AllIsKnownAsOfTheBeginningOfOneWholePicture) {
  lists_ = {mc(1)};
  EXPECT_EQ(mirror_.known_as_of(), Time::min());
  const HostPicture first = begin_picture();
  end_picture(first);
  EXPECT_EQ(mirror_.known_as_of(), first.begun);
  const HostPicture second = begin_picture();
  end_picture(second);
  EXPECT_EQ(mirror_.known_as_of(), second.begun);
}

TEST_F(MirrorTest, WithSeamsItTakesTwoPicturesInARow) {
  const HostPicture first = begin_picture();
  end_picture(first);
  const Time before_both = now_;
  picture_with_seams();
  EXPECT_LE(mirror_.known_as_of(), before_both) << "a join since then may be at the seam";
  picture_with_seams();
  EXPECT_GT(mirror_.known_as_of(), before_both);
}

TEST_F(MirrorTest, WhileALeaveIsInDoubtLessIsKnown) {
  lists_ = {mc(1)};
  picture();
  const Time left = now_;
  lists_ = {};
  picture();
  EXPECT_LE(mirror_.known_as_of(), left);
  picture();
  EXPECT_GT(mirror_.known_as_of(), left);
}

TEST_F(MirrorTest, PromiscuityThatEndedLeavesNothingInDoubt) {
  link_.promiscuity = 1;
  picture();
  link_.promiscuity = 0;
  picture();
  picture();
  const Time moment = now_;
  picture();
  EXPECT_GT(mirror_.known_as_of(), moment);
}

TEST_F(MirrorTest, ChurnDoesNotKeepWhatIsThereFromBeingKnown) {
  picture();
  for (uint64_t i = 1; i <= 6; ++i) {  // one leaves between any two pictures
    lists_ = {mc(i)};
    const Time moment = now_;
    for (uint64_t n = 0; n < 3; ++n) lists_ = {mc(i), mc(100 * i + n)}, picture();
    EXPECT_GT(mirror_.known_as_of(), moment) << i;
  }
}

TEST_F(MirrorTest, APictureWhoseLinkAnswersDisagreeMakesNothingKnown) {
  picture();
  const Time moment = now_;
  HostPicture torn = begin_picture();
  torn.after.promiscuity = 1;
  end_picture(torn);
  EXPECT_LE(mirror_.known_as_of(), moment);
  picture();
  EXPECT_GT(mirror_.known_as_of(), moment);
}

// Somebody else looks for what nobody announces, and asks whether there is anything.
class MirrorNews : public MirrorTest {
 protected:
  void SetUp() override {
    mirror_ = Mirror(Mirror::kNoAudit);
    lists_ = {mc(1), mc(2)};
  }
  bool is_news() const { return mirror_.is_news(link_, lists_, uc_empty_); }
};

TEST_F(MirrorNews, WhatTheLastPictureShowedIsNone) {
  EXPECT_TRUE(is_news()) << "there was no picture";
  picture();
  EXPECT_FALSE(is_news());
  EXPECT_EQ(mirror_.next_picture(), kForever) << "nor is one due by itself";
}

TEST_F(MirrorNews, EveryDifferenceIs) {
  picture();
  const HostLink link = link_;
  const Addresses lists = lists_;
  link_.mtu = 1400;
  EXPECT_TRUE(is_news());
  link_ = link, link_.allmulti = 1;
  EXPECT_TRUE(is_news());
  link_ = link, lists_.push_back(mc(3));
  EXPECT_TRUE(is_news());
  lists_ = {mc(1)};
  EXPECT_TRUE(is_news());
  lists_ = lists;
  EXPECT_FALSE(is_news());
}

TEST_F(MirrorNews, WhichListIsEmptyMattersWhereThePromiscuityIsOne) {
  picture();
  uc_empty_ = false;
  EXPECT_FALSE(is_news());
  uc_empty_ = true;
  link_.promiscuity = 1;
  picture();
  EXPECT_FALSE(is_news());
  uc_empty_ = false;
  EXPECT_TRUE(is_news()) << "the promiscuity was somebody's, and is the kernel's own now";
  uc_empty_ = std::nullopt;
  EXPECT_TRUE(is_news());
}

TEST_F(MirrorNews, WhatIsInDoubtIs) {
  picture();
  lists_ = {mc(1)};
  picture();
  EXPECT_TRUE(is_news()) << "one more may lack it, too";
  picture();
  EXPECT_FALSE(is_news());
  added(mc(4));
  EXPECT_TRUE(is_news()) << "announced, and not seen";
  lists_ = {mc(1), mc(4)};
  EXPECT_TRUE(is_news());
  picture();
  EXPECT_FALSE(is_news());
  uc_empty_ = std::nullopt;
  link_.promiscuity = 1;
  picture();
  EXPECT_TRUE(is_news()) << "whose promiscuity it is";
}

TEST_F(MirrorNews, OfOneThatIsGoneNothingIs) {
  picture();
  event(HostEvent::Kind::kLinkGone);
  link_.mtu = 1400;
  EXPECT_FALSE(is_news());
}

}  // namespace
}  // namespace usernic
