// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "ctl/did_you_mean.h"

#include <gtest/gtest.h>

#include <array>
#include <utility>

namespace usernic::ctl {
namespace {

constexpr auto kKnown = std::to_array<std::string_view>({"name", "mtu", "address", "addresses"});
constexpr const char* kAll = "; there are name, mtu, address, addresses";

TEST(DidYouMean, AKnownWordThatIsNear) {
  for (const auto& [word, meant] : {std::pair{"adress", "address"},
                                    {"adresses", "addresses"},
                                    {"naem", "name"},
                                    {"mtus", "mtu"},
                                    {"mt", "mtu"},
                                    {"aname", "name"},
                                    {"adresess", "addresses"}}) {
    EXPECT_EQ(suggestion(word, kKnown), std::string("; did you mean '") + meant + "'?") << word;
  }
}

TEST(DidYouMean, TwoNeighboursSwappedAreOneMistake) {
  for (const char* word : {"mut", "tmu"}) EXPECT_EQ(suggestion(word, kKnown), "; did you mean 'mtu'?") << word;
  EXPECT_EQ(suggestion("umt", kKnown), kAll) << "two mistakes in three letters";
}

TEST(DidYouMean, OtherwiseWhatThereIs) {
  EXPECT_EQ(suggestion("colour", kKnown), kAll);
  EXPECT_EQ(suggestion("", kKnown), kAll);
  EXPECT_EQ(suggestion("x", std::span(kKnown).first(1)), "; there is name");
  EXPECT_EQ(suggestion("x", {}), "");
  EXPECT_EQ(suggestion(std::string(65, 'n'), kKnown), "");
}

TEST(Shown, WithoutWhatATerminalWouldObeyAndNotForEver) {
  EXPECT_EQ(printable(std::string_view("a\0\x1b[31m\n\x7f\xc2\x9b\xc2\xa0", 13)), "a??[31m???\xc2\xa0");
  EXPECT_EQ(printable("n\xc3\xa4me"), "n\xc3\xa4me");
  EXPECT_EQ(shortened(std::string(64, 'a')), std::string(64, 'a'));
  EXPECT_EQ(shortened(std::string(65, 'a')), std::string(64, 'a') + "...");
  EXPECT_EQ(shortened(std::string(63, 'a') + "\xc3\xa4" + "y"), std::string(63, 'a') + "...") << "no half character";
}

}  // namespace
}  // namespace usernic::ctl
