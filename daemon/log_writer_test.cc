// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/log_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "usernic/unique_fd.h"

namespace usernic::daemon {
namespace {

constexpr Duration kFarOff = std::chrono::seconds(60);

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    reader.reset(ends[0]);
    writer.reset(ends[1]);
  }
  // Until there is no room for a single octet.
  void fill() {
    ::fcntl(writer.get(), F_SETFL, O_NONBLOCK);
    const std::string piece(4096, 'x');
    while (::write(writer.get(), piece.data(), piece.size()) > 0) ++filled;
    ::fcntl(writer.get(), F_SETFL, 0);
    filled *= piece.size();
  }
  // So many octets, then all lines until `last` was among them.
  std::string read_past(size_t skipped, const std::string& last) {
    std::string text;
    char piece[4096];
    while (text.find(last, std::min(skipped, text.size())) == std::string::npos) {
      const ssize_t got = ::read(reader.get(), piece, sizeof piece);
      if (got <= 0) break;
      text.append(piece, static_cast<size_t>(got));
    }
    return text.substr(skipped);
  }
  UniqueFd reader, writer;
  size_t filled = 0;
};

TEST(LogWriter, WritesWhatIsAddedInOrder) {
  Pipe pipe;
  LogWriter writer(pipe.writer.get());
  writer.add("before it was started\n");
  writer.start();
  writer.add("one\n");
  writer.add("two\n");
  EXPECT_TRUE(writer.flush(Clock::now() + kFarOff));
  EXPECT_EQ(pipe.read_past(0, "two\n"), "before it was started\none\ntwo\n");
}

// Blocked for ever here means: whoever logs waits for who reads.
TEST(LogWriter, NobodyWaitsForWhoDoesNotReadAndTheReaderHearsWhatIsMissing) {
  Pipe pipe;
  pipe.fill();
  LogWriter writer(pipe.writer.get());
  writer.start();
  const size_t lines = LogWriter::kLinesMax + 100;
  for (size_t i = 0; i < lines; ++i) writer.add(std::to_string(i) + "\n");
  EXPECT_FALSE(writer.flush(Clock::now()));

  const std::string text = pipe.read_past(pipe.filled, "nobody took them\n");
  const size_t gap = text.find("usernic: ");
  ASSERT_NE(gap, std::string::npos) << text;
  size_t written = 0;
  for (size_t at = 0; at < gap; ++written) {
    const std::string line = std::to_string(written) + "\n";
    ASSERT_EQ(text.substr(at, line.size()), line);
    at += line.size();
  }
  EXPECT_GE(written, LogWriter::kLinesMax);
  EXPECT_EQ(text.substr(gap),
            "usernic: " + std::to_string(lines - written) + " lines of the log were dropped here: nobody took them\n");
  writer.add("again\n");
  EXPECT_TRUE(writer.flush(Clock::now() + kFarOff));
  EXPECT_EQ(pipe.read_past(0, "again\n"), "again\n");
}

TEST(LogWriter, WhatTheDescriptorRefusesIsCounted) {
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(full);
  LogWriter writer(full.get());
  writer.start();
  writer.add("lost\n");
  EXPECT_FALSE(writer.flush(Clock::now() + kFarOff));

  Pipe pipe;
  ASSERT_GE(::dup2(pipe.writer.get(), full.get()), 0);  // there is room again
  writer.add("kept\n");
  EXPECT_TRUE(writer.flush(Clock::now() + kFarOff));
  EXPECT_EQ(pipe.read_past(0, "took them\n"),
            "kept\nusernic: 1 lines of the log were dropped here: nobody took them\n");
}

TEST(LogWriter, AGapIsSaidAsItsOwnerWantsIt) {
  Pipe pipe;
  LogWriter writer(pipe.writer.get(), [](uint64_t lines) { return std::to_string(lines) + " missing\n"; });
  for (size_t n = 0; n < LogWriter::kLinesMax + 2; ++n) writer.add("x\n");  // nobody writes yet
  writer.start();
  EXPECT_TRUE(writer.flush(Clock::now() + kFarOff));
  EXPECT_TRUE(pipe.read_past(0, "missing\n").ends_with("x\n2 missing\n"));
}

TEST(LogWriter, ADescriptorThatDoesNotWaitIsWaitedFor) {
  Pipe pipe;
  pipe.fill();
  ::fcntl(pipe.writer.get(), F_SETFL, O_NONBLOCK);
  LogWriter writer(pipe.writer.get());
  writer.start();
  writer.add("late\n");
  EXPECT_EQ(pipe.read_past(pipe.filled, "late\n"), "late\n");
  EXPECT_TRUE(writer.flush(Clock::now() + kFarOff));
}

}  // namespace
}  // namespace usernic::daemon
