// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/readers.h"

#include <gtest/gtest.h>

#include <optional>

namespace usernic {
namespace {

TEST(Readers, WhoComesGetsTheOneWithTheFewest) {
  auto readers = Readers::create(2, {});
  ASSERT_TRUE(readers) << readers.error().sentence;
  std::optional<Readers::Home> first(**readers), third;
  Readers::Home second(**readers);
  EXPECT_NE(&first->loop(), &second.loop());
  first.reset();
  third.emplace(**readers);
  EXPECT_NE(&third->loop(), &second.loop()) << "where nobody is left";
}

TEST(Readers, OneIsMadeEvenIfNoneIsAskedFor) {
  auto readers = Readers::create(0, {});
  ASSERT_TRUE(readers) << readers.error().sentence;
  Readers::Home first(**readers), second(**readers);
  EXPECT_EQ(&first.loop(), &second.loop());
  int ran = 0;
  first.loop().run([&] { ran = 1; });
  EXPECT_EQ(ran, 1);
}

}  // namespace
}  // namespace usernic
