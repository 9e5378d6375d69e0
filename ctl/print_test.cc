// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "ctl/print.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>

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

// A pipe that nobody empties.
TEST(Print, WithoutWaitingItSaysWhatThereIsRoomForOnly) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const File to(::fdopen(ends[1], "w")), from(::fdopen(ends[0], "r"));
  std::setvbuf(to.get(), nullptr, _IONBF, 0);
  print_without_waiting(to.get(), "first\n");
  const std::string filling(static_cast<size_t>(::fcntl(ends[1], F_GETPIPE_SZ)) - 6, '.');
  print(to.get(), filling);
  print_without_waiting(to.get(), "second\n");
  char text[8] = {};
  EXPECT_STREQ(std::fgets(text, sizeof text, from.get()), "first\n");
  std::string rest(filling.size(), 0);
  EXPECT_EQ(std::fread(rest.data(), 1, rest.size(), from.get()), rest.size());
  print_without_waiting(to.get(), "third\n");
  EXPECT_STREQ(std::fgets(text, sizeof text, from.get()), "third\n");
}

}  // namespace
}  // namespace usernic::ctl
