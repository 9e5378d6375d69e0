// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "ctl/event_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <cerrno>
#include <new>
#include <string>
#include <vector>

#include "ctl/no_more_descriptors.h"

namespace usernic::ctl {
namespace {

using std::chrono::milliseconds;

class EventLoopTest : public testing::Test {
 protected:
  void SetUp() override {
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop) << loop.error();
    loop_ = *std::move(loop);
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    read_end_.reset(ends[0]);
    write_end_.reset(ends[1]);
  }
  void make_readable() const { ASSERT_EQ(::write(write_end_.get(), "x", 1), 1); }

  std::unique_ptr<EventLoop> loop_;
  UniqueFd read_end_, write_end_;
  std::vector<std::string> happened_;
};

using Strings = std::vector<std::string>;

TEST_F(EventLoopTest, PostedCallsRunInTheOrderTheyWerePostedIn) {
  loop_->post([&] { happened_.push_back("1"); });
  loop_->post([&] {
    happened_.push_back("2");
    loop_->post([&] {
      happened_.push_back("4");
      loop_->stop();
    });
  });
  loop_->post([&] { happened_.push_back("3"); });
  loop_->run();
  EXPECT_EQ(happened_, (Strings{"1", "2", "3", "4"}));
}

TEST_F(EventLoopTest, ACallThatWasPreparedTakesItsTurnWhenItIsPosted) {
  EventLoop::Prepared last = EventLoop::prepare([&] {
    happened_.push_back("prepared");
    loop_->stop();
  });
  loop_->post([&] { happened_.push_back("posted"); });
  loop_->post(std::move(last));
  loop_->run();
  EXPECT_EQ(happened_, (Strings{"posted", "prepared"}));
}

TEST_F(EventLoopTest, WhoeverWasForgottenIsNotCalledForAnEventOfTheSameBatch) {
  make_readable();
  const UniqueFd other(::fcntl(read_end_.get(), F_DUPFD_CLOEXEC, 0));  // both are ready at once
  uint64_t watches[2];
  for (uint64_t& watch : watches) {
    watch = loop_->watch(&watch == watches ? read_end_.get() : other.get(), EPOLLIN, [&](uint32_t) {
      happened_.push_back("ready");
      for (const uint64_t each : watches) loop_->forget(each);
      loop_->stop();
    });
    ASSERT_NE(watch, 0u);
  }
  loop_->run();
  EXPECT_EQ(happened_, (Strings{"ready"}));
}

TEST_F(EventLoopTest, AWatchThatEpollRefusesIsNone) {
  EXPECT_EQ(loop_->watch(-1, EPOLLIN, [](uint32_t) {}), 0u);
  EXPECT_EQ(errno, EBADF);
  const uint64_t watch = loop_->watch(read_end_.get(), EPOLLIN, [](uint32_t) {});
  EXPECT_EQ(loop_->watch(read_end_.get(), EPOLLIN, [](uint32_t) {}), 0u) << "twice";
  loop_->forget(0);
  loop_->change(0, EPOLLIN);
  loop_->forget(watch);
  EXPECT_NE(loop_->watch(read_end_.get(), EPOLLIN, [](uint32_t) {}), 0u);
}

TEST_F(EventLoopTest, TimersRunInTheOrderOfTheirTimesAndOnce) {
  const Time now = Clock::now();
  loop_->at(now + milliseconds(2), [&] { happened_.push_back("later"); });
  loop_->at(now, [&] { happened_.push_back("now"); });
  loop_->at(now + milliseconds(4), [&] { loop_->stop(); });
  loop_->run();
  EXPECT_EQ(happened_, (Strings{"now", "later"}));
}

TEST_F(EventLoopTest, APeriodicTimerRunsUntilItHasHadEnough) {
  int left = 3;
  loop_->every(milliseconds(1), [&] {
    happened_.push_back("again");
    return --left > 0;
  });
  loop_->at(Clock::now() + milliseconds(1), [&] { happened_.reserve(8); });
  loop_->every(milliseconds(1), [&] {
    if (left == 0) loop_->at(Clock::now() + milliseconds(5), [&] { loop_->stop(); });
    return left > 0;
  });
  loop_->run();
  EXPECT_EQ(happened_, (Strings{"again", "again", "again"}));
}

// --- No memory ---

TEST_F(EventLoopTest, AWatchThatFindsNoMemoryIsCalledAgain) {
  make_readable();
  int calls = 0;
  loop_->watch(read_end_.get(), EPOLLIN, [&](uint32_t) {
    if (++calls < 3) throw std::bad_alloc();
    loop_->stop();
  });
  loop_->run();
  EXPECT_EQ(calls, 3);
}

TEST_F(EventLoopTest, ATimerThatFindsNoMemoryComesAgain) {
  int calls = 0;
  loop_->at(Clock::now(), [&] {
    if (++calls < 3) throw std::bad_alloc();
    happened_.push_back("once");
  });
  int periods = 0;
  loop_->every(milliseconds(1), [&]() -> bool {
    if (++periods == 1) throw std::bad_alloc();
    if (periods >= 3 && calls == 3) loop_->stop();
    return true;
  });
  loop_->run();
  EXPECT_EQ(happened_, (Strings{"once"}));
}

TEST_F(EventLoopTest, APostedCallThatFindsNoMemoryHarmsNoneBehindIt) {
  loop_->post([] { throw std::bad_alloc(); });
  loop_->post([&] {
    happened_.push_back("next");
    loop_->stop();
  });
  loop_->run();
  EXPECT_EQ(happened_, (Strings{"next"}));
}

// --- No descriptors ---

TEST_F(EventLoopTest, WithoutADescriptorThereIsASentenceInsteadOfALoop) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "UndefinedBehaviorSanitizer looks at objects through a pipe, which needs descriptors";
#endif
  for (const int left : {0, 1}) {
    const NoMoreDescriptors none(left);
    const auto loop = EventLoop::create();
    ASSERT_FALSE(loop);
    EXPECT_NE(loop.error().find(left == 0 ? "epoll" : "eventfd"), std::string::npos) << loop.error();
    EXPECT_NE(loop.error().find("RLIMIT_NOFILE is"), std::string::npos) << loop.error();
  }
  EXPECT_TRUE(EventLoop::create());
}

}  // namespace
}  // namespace usernic::ctl
