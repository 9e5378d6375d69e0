// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/feature_names.h"

#include <gtest/gtest.h>

namespace usernic::daemon {
namespace {

constexpr Features kCore{Feature::kGso, Feature::kGro};
constexpr Features kCard = kCore | kSegmentation | Features{Feature::kTxSum, Feature::kGroHw};

Features wished(Features on, Features hw, const std::vector<ctl::FeatureWish>& wishes) {
  const auto result = with_wishes("nic0", on, hw, wishes);
  EXPECT_TRUE(result) << result.error();
  return result.value_or(Features());
}
std::string refused(const std::vector<ctl::FeatureWish>& wishes) {
  const auto result = with_wishes("nic0", kCore, kCore, wishes);
  return result ? "" : result.error();
}

TEST(FeatureNames, AShortNameIsOfSeveralAndALaterWishCounts) {
  const Features tso{Feature::kTso4, Feature::kTso6, Feature::kTsoEcn};
  EXPECT_EQ(wished(kCard, kCard, {{"tso", false}}), kCard.without(tso));
  EXPECT_EQ(wished(kCard, kCard, {{"tso", false}, {"tx-tcp-segmentation", true}}),
            kCard.without(tso) | Features{Feature::kTso4});
  EXPECT_EQ(wished({}, kCard, {{"tso", true}, {"rx-gro-hw", true}}), tso | Features{Feature::kGroHw});
  EXPECT_EQ(wished(kCore, kCore, {{"gro", false}}), Features{Feature::kGso});
}

TEST(FeatureNames, WhatACardHasNotIsOffAndCannotBeOn) {
  EXPECT_EQ(wished(kCore, kCore, {{"tso", false}}), kCore);
  EXPECT_EQ(refused({{"tso", true}}), "nic0 has no tso: its card cannot do it");
  EXPECT_EQ(refused({{"tzo", true}}), "there is no feature 'tzo'; did you mean 'tso'?");
}

TEST(FeatureNames, WhatIsNotAsWishedIsSaid) {
  const auto kept = [](Features on, const std::vector<ctl::FeatureWish>& wishes) {
    return unfulfilled("nic0", on, wished(kCore, kCard, wishes), wishes);
  };
  EXPECT_EQ(kept(kCore, {{"gro", true}, {"tx", false}}), "");
  EXPECT_EQ(kept(kCore, {{"gro", true}, {"tso", true}}),
            "nic0 keeps tso off: another feature that it goes with is off, or its driver wants it so");
  EXPECT_EQ(kept(kCore, {{"tx", true}, {"tso", true}}),
            "nic0 keeps tx, tso off: another feature that it goes with is off, or its driver wants it so");
  const Features tso4{Feature::kTso4};
  EXPECT_EQ(kept(kCore | tso4, {{"tso", false}, {"tx-tcp-segmentation", true}}), "") << "a later wish counts";
  EXPECT_EQ(kept(kCore | tso4, {{"tso", true}, {"tx-tcp6-segmentation", false}, {"tx-tcp-ecn-segmentation", false}}),
            "");
}

TEST(FeatureNames, EachIsARow) {
  const auto rows = feature_rows({Feature::kGro}, kCore);
  ASSERT_EQ(rows.size(), kFeatureCount);
  for (const auto& row : rows) {
    EXPECT_EQ(row.on, row.name == "rx-gro") << row.name;
    EXPECT_EQ(row.fixed, row.name != "rx-gro" && row.name != "tx-generic-segmentation") << row.name;
  }
}

}  // namespace
}  // namespace usernic::daemon
