// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "ctl/print.h"

#include <gtest/gtest.h>

#include <memory>

namespace usernic::ctl {
namespace {

using File = std::unique_ptr<std::FILE, decltype([](std::FILE* file) { std::fclose(file); })>;

TEST(Print, FullDiskIsNoticedAndThrowsNothing) {
  const File full(std::fopen("/dev/full", "w"));
  ASSERT_TRUE(full);
  print(full.get(), "hello\n");
  EXPECT_FALSE(all_printed(full.get()));
  print(full.get(), "again\n");
  EXPECT_FALSE(all_printed(full.get()));
}

TEST(Print, WritesTheTextAsItIs) {
  const File file(std::tmpfile());
  ASSERT_TRUE(file);
  print(file.get(), "{} %s\n");
  EXPECT_TRUE(all_printed(file.get()));
  std::rewind(file.get());
  char text[16] = {};
  EXPECT_STREQ(std::fgets(text, sizeof text, file.get()), "{} %s\n");
}

}  // namespace
}  // namespace usernic::ctl
