// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/turn_loop.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <stdexcept>
#include <vector>

#include "testing/watch.h"

namespace usernic {
namespace {

// Notes its turns, and is due again as its test says.
class Noting final : public TurnLoop::Client {
 public:
  Noting() : kick_(*Kick::make()) {}
  Atomic<int> turns{0};
  Time next = kForever;
  Noting* wakes = nullptr;
  TurnLoop* loop = nullptr;
  Kick& kick() { return kick_; }

 private:
  Time turn() noexcept override {
    kick_.clear();
    turns.fetch_add(1);
    if (wakes != nullptr) loop->wake(*wakes);
    return next;
  }
  Kick kick_;
};

class TurnLoopTest : public testing::Test {
 protected:
  void SetUp() override {
    auto loop = TurnLoop::create("loop");
    ASSERT_TRUE(loop) << loop.error().sentence;
    loop_ = *std::move(loop);
  }
  void TearDown() override {
    if (loop_) remove(one_), remove(other_);
  }
  void add(Noting& client) {
    client.loop = loop_.get();
    loop_->run([&] { EXPECT_TRUE(loop_->add(client, client.kick().fd())); });
  }
  void remove(Noting& client) {
    loop_->run([&] { loop_->remove(client); });
  }
  // What was ready before is over.
  void pass() {
    loop_->run([] {});
    loop_->run([] {});
  }

  Noting one_, other_;
  std::unique_ptr<TurnLoop> loop_;
};

TEST_F(TurnLoopTest, CallsAreDoneWhenTheyReturnAndThrowToWhoCalled) {
  int done = 0;
  loop_->run([&] { done = 1; });
  EXPECT_EQ(done, 1);
  EXPECT_THROW(loop_->run([] { throw std::bad_alloc(); }), std::bad_alloc);
  loop_->run([&] { done = 2; });
  EXPECT_EQ(done, 2) << "and the loop goes on";
}

TEST_F(TurnLoopTest, CallsOfManyThreadsAreDoneOneAfterTheOther) {
  constexpr int kThreads = 8, kCalls = 500;
  int sum = 0;
  std::vector<Thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back("calling", [&] {
      for (int n = 0; n < kCalls; ++n) loop_->run([&] { ++sum; });
    });
  }
  for (Thread& thread : threads) thread.join();
  EXPECT_EQ(sum, kThreads * kCalls);
}

TEST_F(TurnLoopTest, AClientTakesATurnAtOnceThenWhenItIsKickedDueOrWoken) {
  one_.next = kForever;
  add(one_);
  EXPECT_TRUE(eventually([&] { return one_.turns.load() == 1; })) << "at once";
  one_.kick().kick();
  EXPECT_TRUE(eventually([&] { return one_.turns.load() == 2; })) << "kicked";
  loop_->run([&] { one_.next = Clock::now() + std::chrono::milliseconds(1), loop_->wake(one_); });
  EXPECT_TRUE(eventually([&] { return one_.turns.load() > 3; })) << "due";
  loop_->run([&] { one_.next = kForever; });
  pass();
  const int turns = one_.turns.load();
  other_.wakes = &one_;
  add(other_);
  EXPECT_TRUE(eventually([&] { return one_.turns.load() > turns; })) << "woken";
}

TEST_F(TurnLoopTest, OneThatWasRemovedTakesNoTurn) {
  add(one_);
  loop_->run([&] {
    one_.kick().kick();
    loop_->wake(one_);
    loop_->remove(one_);
    loop_->remove(one_);
    loop_->wake(one_);
  });
  const int turns = one_.turns.load();
  pass();
  EXPECT_EQ(one_.turns.load(), turns);
  add(one_);
  EXPECT_TRUE(eventually([&] { return one_.turns.load() > turns; })) << "and may come back";
}

TEST_F(TurnLoopTest, OneThatIsPausedHasNoTurnByItsDescriptorUntilItIsResumed) {
  add(one_);
  pass();
  loop_->run([&] {
    loop_->pause(one_);
    loop_->pause(one_);
    one_.kick().kick();
  });
  const int turns = one_.turns.load();
  pass();
  EXPECT_EQ(one_.turns.load(), turns);
  loop_->run([&] { EXPECT_TRUE(loop_->resume(one_) && loop_->resume(one_)); });
  EXPECT_TRUE(eventually([&] { return one_.turns.load() > turns; })) << "what came meanwhile is not lost";
  loop_->run([&] { loop_->pause(one_), loop_->wake(one_); });
  const int paused = one_.turns.load();
  EXPECT_TRUE(eventually([&] { return one_.turns.load() > turns + 1; })) << "and it may be woken, paused " << paused;
}

TEST_F(TurnLoopTest, OneThatIsAlwaysDueKeepsNobodyWaiting) {
  one_.next = Time::min();
  add(one_);
  add(other_);
  for (int i = 0; i < 100; ++i) {
    const int turns = other_.turns.load();
    other_.kick().kick();
    loop_->run([] {});
    EXPECT_TRUE(eventually([&] { return other_.turns.load() > turns; }));
  }
  EXPECT_GT(one_.turns.load(), 100);
  const int turns = one_.turns.load();
  EXPECT_TRUE(eventually([&] { return one_.turns.load() > turns + 100; })) << "and needs nobody who wakes the loop";
}

// A client with a kick besides its descriptor.
TEST_F(TurnLoopTest, AKickIsClearedBeforeTheTurnThatItBrings) {
  Kick kick = *Kick::make();
  const auto kicked = [&] {
    pollfd fd{kick.fd(), POLLIN, 0};
    return ::poll(&fd, 1, 0) == 1;
  };
  loop_->run([&] { EXPECT_TRUE(loop_->add(one_, one_.kick().fd(), &kick)); });
  pass();
  int turns = one_.turns.load();
  kick.kick();
  EXPECT_TRUE(eventually([&] { return one_.turns.load() > turns; }));
  EXPECT_FALSE(kicked());
  loop_->run([&] { loop_->pause(one_); });
  turns = one_.turns.load();
  kick.kick();
  EXPECT_TRUE(eventually([&] { return one_.turns.load() > turns; })) << "paused, it is kicked all the same";
  loop_->run([&] { loop_->remove(one_); });
  turns = one_.turns.load();
  kick.kick();
  pass();
  EXPECT_EQ(one_.turns.load(), turns);
  EXPECT_TRUE(kicked()) << "nobody watches it any more";
}

TEST_F(TurnLoopTest, OneWhoseKickCannotBeWatchedIsNotAdded) {
  Kick& twice = one_.kick();  // no epoll takes a descriptor twice
  loop_->run([&] { EXPECT_FALSE(loop_->add(one_, twice.fd(), &twice)); });
  one_.kick().kick();
  pass();
  EXPECT_EQ(one_.turns.load(), 0);
  add(one_);
  EXPECT_TRUE(eventually([&] { return one_.turns.load() == 1; })) << "and may be, with another";
}

TEST_F(TurnLoopTest, ACallOfTheLoopsOwnThreadIsDoneAtOnce) {
  int done = 0;
  loop_->run([&] { loop_->run([&] { done = 1; }); });
  EXPECT_EQ(done, 1);
}

}  // namespace
}  // namespace usernic
