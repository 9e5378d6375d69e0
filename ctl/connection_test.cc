// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "ctl/connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace usernic::ctl {
namespace {

struct ConnectionTest : testing::Test {
  ConnectionTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    connection = Connection(UniqueFd(ends[0]));
    peer = UniqueFd(ends[1]);
  }
  void say(std::string_view text) {
    ASSERT_EQ(::write(peer.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ASSERT_TRUE(connection.receive());
  }

  Connection connection{UniqueFd()};
  UniqueFd peer;
};

TEST_F(ConnectionTest, ALineBeginsWithItsFirstOctet) {
  const Time before = Clock::now();
  say("half");
  const Time begun = connection.line_begun();
  EXPECT_GE(begun, before);
  say("of a line");
  EXPECT_EQ(connection.line_begun(), begun) << "however it drips";
  EXPECT_GT(connection.last_progress(), begun);
}

TEST_F(ConnectionTest, WhatIsHereAlreadyBeginsWhenTheAnswerBeforeItWasSent) {
  say("one\nhalf");
  const Time begun = connection.line_begun();
  EXPECT_EQ(connection.take_line(), "one");
  EXPECT_TRUE(connection.has_part_of_a_line());
  connection.enqueue("answer\n");
  EXPECT_EQ(connection.line_begun(), begun);
  EXPECT_TRUE(connection.flush());
  EXPECT_EQ(connection.unsent_bytes(), 0u);
  EXPECT_GT(connection.line_begun(), begun);
}

TEST_F(ConnectionTest, AnAnswerThatIsNotReadStaysUntilItIs) {
  const std::string answer(4 << 20, 'x');  // more than a socket holds
  connection.enqueue(answer);
  ASSERT_TRUE(connection.flush());
  const size_t unsent = connection.unsent_bytes();
  EXPECT_GT(unsent, 0u);
  const Time progress = connection.last_progress();
  ASSERT_TRUE(connection.flush());
  EXPECT_EQ(connection.unsent_bytes(), unsent) << "nobody has read";
  EXPECT_EQ(connection.last_progress(), progress);
  std::string heard;
  std::vector<UniqueFd> descriptors;
  while (heard.size() < answer.size()) {
    ASSERT_GT(receive_with(peer.get(), heard, descriptors), 0);
    ASSERT_TRUE(connection.flush());
  }
  EXPECT_EQ(heard, answer);
  EXPECT_EQ(connection.unsent_bytes(), 0u);
}

TEST_F(ConnectionTest, NothingIsLostWhenThePeerAlwaysLeavesSomethingUnread) {
  std::string expected, received;
  char buffer[32 << 10];
  for (int i = 0; i < 200 || connection.unsent_bytes() > 0; ++i) {
    const std::string line(i < 200 ? 40'000 : 0, static_cast<char>('a' + i % 26));
    expected += line;
    connection.enqueue(line);
    ASSERT_TRUE(connection.flush());
    const ssize_t got = ::read(peer.get(), buffer, sizeof buffer);
    if (got > 0) received.append(buffer, static_cast<size_t>(got));
  }
  for (ssize_t got; (got = ::read(peer.get(), buffer, sizeof buffer)) > 0;) received.append(buffer, got);
  EXPECT_TRUE(received == expected) << received.size() << " of " << expected.size();
}

TEST_F(ConnectionTest, APeerThatIsGoneEndsIt) {
  peer.reset();
  EXPECT_FALSE(connection.receive());
  connection.enqueue("answer\n");
  EXPECT_FALSE(connection.flush());
}

}  // namespace
}  // namespace usernic::ctl
