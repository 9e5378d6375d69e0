// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/skb.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "testing/watch.h"
#include "usernic/kick.h"
#include "usernic/thread.h"

namespace usernic {
namespace {

constexpr uint32_t kFrameMax = 1518;

// A frame whose first octet says which.
Skb& frame(SkbPool& pool, uint8_t mark) {
  Skb* const skb = pool.alloc();
  *skb->put(1) = mark;
  return *skb;
}

std::string marks(SkbBatch& batch) {
  std::string text;
  for (Skb* skb = batch.front(); skb != nullptr; skb = SkbBatch::next(*skb)) text += static_cast<char>(*skb->data());
  return text;
}

TEST(SkbTest, AFreshFrameIsEmptyBehindItsHeadroom) {
  SkbPool pool(1, kFrameMax);
  Skb* const skb = pool.alloc();
  ASSERT_NE(skb, nullptr);
  EXPECT_EQ(skb->size(), 0u);
  EXPECT_EQ(skb->headroom(), kSkbHeadroom);
  EXPECT_GE(skb->tailroom(), kFrameMax);
  SkbPool::free(*skb);
}

TEST(SkbTest, APoolHasSoManyFramesAndEachOnce) {
  constexpr uint32_t kCount = 70;  // made in two steps and a bit
  SkbPool pool(kCount, kFrameMax);
  for (int round = 0; round < 2; ++round) {
    SkbBatch all;
    pool.alloc(all, 33);
    EXPECT_EQ(all.size(), 33u);
    EXPECT_EQ(pool.available(), kCount - 33);
    for (int i = 0; i < 3; ++i) {
      Skb* const skb = pool.alloc();
      ASSERT_NE(skb, nullptr);
      all.push_back(*skb);
    }
    pool.alloc(all, kCount);
    EXPECT_EQ(all.size(), kCount);
    EXPECT_EQ(pool.available(), 0u);
    EXPECT_EQ(pool.alloc(), nullptr);
    uint8_t number = 0;
    for (Skb* skb = all.front(); skb != nullptr; skb = SkbBatch::next(*skb)) {
      std::memset(skb->put(kFrameMax), ++number, kFrameMax);
    }
    number = 0;
    for (Skb* skb = all.front(); skb != nullptr; skb = SkbBatch::next(*skb)) {
      ++number;
      EXPECT_TRUE(std::ranges::all_of(skb->bytes(), [&](uint8_t octet) { return octet == number; })) << "its own";
    }
  }
  EXPECT_EQ(pool.available(), kCount);
}

TEST(SkbTest, ABufferTakesMemoryFromItsFirstUseOn) {
  constexpr uint32_t kCount = 8192, kBytes = 9018;  // more than any allocator keeps
  SkbPool pool(kCount, kBytes);
  SkbBatch all;
  pool.alloc(all, kCount);
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  uint32_t taken = 0;
  for (Skb* skb = all.front(); skb != nullptr; skb = SkbBatch::next(*skb)) {
    unsigned char in_memory = 0;
    const uintptr_t middle = reinterpret_cast<uintptr_t>(skb->data() + kBytes / 2) / page * page;
    ASSERT_EQ(::mincore(reinterpret_cast<void*>(middle), 1, &in_memory), 0);
    taken += in_memory & 1;
  }
  EXPECT_LT(taken, kCount / 100);
}

bool kicked(Kick& kick) {
  pollfd each{.fd = kick.fd(), .events = POLLIN, .revents = 0};
  const bool is = ::poll(&each, 1, 0) == 1;
  kick.clear();
  return is;
}

TEST(SkbTest, WhoFindsAPoolEmptyIsKickedByTheNextFrameBackOnce) {
  SkbPool pool(3, kFrameMax);
  auto kick = Kick::make();
  ASSERT_TRUE(kick);
  EXPECT_FALSE(pool.kick_when_back(&*kick)) << "there are some";
  SkbBatch all;
  pool.alloc(all, 3);
  Skb& first = *all.pop_front();
  EXPECT_TRUE(pool.kick_when_back(&*kick));
  EXPECT_FALSE(kicked(*kick));
  SkbPool::free(first);
  EXPECT_TRUE(kicked(*kick));
  SkbPool::free(*all.pop_front());
  EXPECT_FALSE(kicked(*kick)) << "once";
  pool.alloc(all, 2);
  EXPECT_TRUE(pool.kick_when_back(&*kick));
  SkbPool::free(all);
  EXPECT_TRUE(kicked(*kick)) << "by a batch, too";
  pool.alloc(all, 3);
  EXPECT_TRUE(pool.kick_when_back(&*kick));
  EXPECT_FALSE(pool.kick_when_back(nullptr));
  SkbPool::free(all);
  EXPECT_FALSE(kicked(*kick)) << "nobody is";
}

TEST(SkbTest, PutPushAndPullMoveTheEdgesAndKeepTheOctets) {
  SkbPool pool(1, kFrameMax);
  Skb& skb = *pool.alloc();
  const uint32_t tailroom = skb.tailroom();
  std::memcpy(skb.put(4), "body", 4);
  std::memcpy(skb.put(4), "tail", 4);
  std::memcpy(skb.push(4), "head", 4);
  EXPECT_EQ(std::string(skb.bytes().begin(), skb.bytes().end()), "headbodytail");
  EXPECT_EQ(skb.headroom(), kSkbHeadroom - 4);
  EXPECT_EQ(skb.tailroom(), tailroom - 8);
  EXPECT_EQ(std::string(skb.pull(4), skb.data() + skb.size()), "bodytail");
  EXPECT_EQ(skb.headroom(), kSkbHeadroom);
  SkbPool::free(skb);
}

TEST(SkbTest, TheWholeRoomOfAFrameIsItsOwn) {
  SkbPool pool(3, kFrameMax);
  SkbBatch batch;
  pool.alloc(batch, 3);
  uint8_t mark = 1;
  for (Skb* skb = batch.front(); skb != nullptr; skb = SkbBatch::next(*skb), ++mark) {
    std::memset(skb->push(kSkbHeadroom), mark, kSkbHeadroom);
    std::memset(skb->put(kFrameMax), mark, kFrameMax);
  }
  mark = 1;
  for (Skb* skb = batch.front(); skb != nullptr; skb = SkbBatch::next(*skb), ++mark) {
    ASSERT_EQ(skb->data()[0], mark);
    ASSERT_EQ(skb->data()[kSkbHeadroom + kFrameMax - 1], mark);
  }
}

TEST(SkbTest, AFrameThatWasUsedComesBackAsFresh) {
  SkbPool pool(1, kFrameMax);
  Skb* const first = pool.alloc();
  first->put(100);
  first->push(10);
  SkbPool::free(*first);
  Skb* const again = pool.alloc();
  EXPECT_EQ(again, first) << "the one there is";
  EXPECT_EQ(again->size(), 0u);
  EXPECT_EQ(again->headroom(), kSkbHeadroom);
  SkbPool::free(*again);
}

TEST(SkbTest, ResetMakesAnEmptyFrameWithTheHeadroomAskedFor) {
  SkbPool pool(1, kFrameMax);
  Skb& skb = *pool.alloc();
  skb.put(100);
  skb.reset(128);
  EXPECT_EQ(skb.size(), 0u);
  EXPECT_EQ(skb.headroom(), 128u);
  SkbPool::free(skb);
}

TEST(SkbPoolTest, AnEmptyPoolSaysSoAndRecovers) {
  SkbPool pool(2, kFrameMax);
  Skb* const first = pool.alloc();
  Skb* const second = pool.alloc();
  EXPECT_NE(first, second);
  EXPECT_EQ(pool.available(), 0u);
  EXPECT_EQ(pool.alloc(), nullptr);
  SkbPool::free(*first);
  EXPECT_EQ(pool.available(), 1u);
  Skb* const third = pool.alloc();
  ASSERT_NE(third, nullptr);
  SkbPool::free(*second);
  SkbPool::free(*third);
}

TEST(SkbPoolTest, ABatchGetsWhatThereIs) {
  SkbPool pool(5, kFrameMax);
  {
    SkbBatch batch;
    pool.alloc(batch, 0);
    EXPECT_TRUE(batch.empty());
    pool.alloc(batch, 3);
    EXPECT_EQ(batch.size(), 3u);
    pool.alloc(batch, 3);
    EXPECT_EQ(batch.size(), 5u) << "only two were left";
    std::set<uintptr_t> distinct;
    for (Skb* skb = batch.front(); skb != nullptr; skb = SkbBatch::next(*skb)) {
      distinct.insert(reinterpret_cast<uintptr_t>(skb));
    }
    EXPECT_EQ(distinct.size(), 5u);
    EXPECT_EQ(pool.available(), 0u);
  }
  EXPECT_EQ(pool.available(), 5u) << "a batch gives back what it owns";
}

TEST(SkbPoolTest, FramesOfSeveralPoolsInOneBatchFindTheirWayHome) {
  SkbPool a(4, kFrameMax), b(4, 64);
  SkbBatch batch;
  for (SkbPool* pool : {&a, &b, &b, &a, &a, &b}) batch.push_back(frame(*pool, 'x'));
  EXPECT_EQ(a.available(), 1u);
  EXPECT_EQ(b.available(), 1u);
  SkbPool::free(batch);
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.size(), 0u);
  EXPECT_EQ(a.available(), 4u);
  EXPECT_EQ(b.available(), 4u);
  SkbBatch all_of_a;
  a.alloc(all_of_a, 8);
  EXPECT_EQ(all_of_a.size(), 4u);
  for (Skb* skb = all_of_a.front(); skb != nullptr; skb = SkbBatch::next(*skb)) EXPECT_GE(skb->tailroom(), kFrameMax);
}

TEST(SkbPoolTest, APoolDestroyedWhileAFrameIsOutIsReported) {
  Reports reports;
  {
    SkbPool pool(2, kFrameMax);
    (void)pool.alloc();
  }
  EXPECT_EQ(reports.rules(), "skb-leak");
}

TEST(SkbPoolTest, ManyThreadsNeverShareAFrame) {
  constexpr int kThreads = 4, kRounds = 3'000;
  SkbPool pool(6, 64);
  Atomic<bool> shared{false};
  {
    Thread threads[kThreads];
    for (int id = 0; id < kThreads; ++id) {
      threads[id] = Thread("user", [&, id] {
        for (int i = 0; i < kRounds; ++i) {
          SkbBatch mine;
          pool.alloc(mine, 2);
          for (Skb* skb = mine.front(); skb != nullptr; skb = SkbBatch::next(*skb)) *skb->put(1) = uint8_t(id);
          for (Skb* skb = mine.front(); skb != nullptr; skb = SkbBatch::next(*skb)) {
            if (*skb->data() != id) shared.store(true);
          }
          if (Skb* const one = pool.alloc(); one != nullptr) SkbPool::free(*one);
        }
      });
    }
  }
  EXPECT_FALSE(shared.load());
  EXPECT_EQ(pool.available(), 6u);
}

struct SkbBatchTest : testing::Test {
  SkbPool pool{8, 64};
  SkbBatch batch;
};

TEST_F(SkbBatchTest, KeepsOrder) {
  for (char mark : {'b', 'c', 'd'}) batch.push_back(frame(pool, mark));
  batch.push_front(frame(pool, 'a'));
  EXPECT_EQ(marks(batch), "abcd");
  Skb* const first = batch.pop_front();
  EXPECT_EQ(*first->data(), 'a');
  EXPECT_EQ(SkbBatch::next(*first), nullptr) << "it is in no batch any more";
  EXPECT_EQ(marks(batch), "bcd");
  batch.push_back(*first);
  EXPECT_EQ(marks(batch), "bcda");
  EXPECT_EQ(batch.size(), 4u);
}

TEST_F(SkbBatchTest, EmptiedItCanBeFilledAgain) {
  EXPECT_EQ(batch.pop_front(), nullptr);
  batch.push_front(frame(pool, 'a'));
  SkbPool::free(*batch.pop_front());
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.pop_front(), nullptr);
  batch.push_back(frame(pool, 'b'));
  batch.push_back(frame(pool, 'c'));
  EXPECT_EQ(marks(batch), "bc");
}

TEST_F(SkbBatchTest, SpliceMovesAllToTheEnd) {
  SkbBatch other;
  batch.splice(other);
  EXPECT_TRUE(batch.empty());
  other.push_back(frame(pool, 'a'));
  other.push_back(frame(pool, 'b'));
  batch.splice(other);
  EXPECT_EQ(marks(batch), "ab");
  EXPECT_TRUE(other.empty());
  other.push_back(frame(pool, 'c'));
  batch.splice(other);
  batch.push_back(frame(pool, 'd'));
  EXPECT_EQ(marks(batch), "abcd");
  EXPECT_EQ(batch.size(), 4u);
  EXPECT_EQ(other.size(), 0u);
}

TEST_F(SkbBatchTest, AMovedBatchTakesItsFramesAlong) {
  batch.push_back(frame(pool, 'a'));
  SkbBatch moved = std::move(batch);
  EXPECT_EQ(marks(moved), "a");
  EXPECT_TRUE(batch.empty());  // NOLINT(bugprone-use-after-move)
}

bool all_zeros(Skb& skb) {
  return std::ranges::all_of(skb.cb(), [](std::byte each) { return each == std::byte{}; });
}

TEST(SkbCb, IsZerosForWhoTakesAFrameAndKeepsWhatItsOwnerWrites) {
  SkbPool pool(2, 100);
  Skb& skb = *pool.alloc();
  EXPECT_EQ(skb.cb().size(), 48u);
  EXPECT_TRUE(all_zeros(skb));
  std::ranges::fill(skb.cb(), std::byte{7});
  Skb& other = *pool.alloc();
  EXPECT_TRUE(all_zeros(other)) << "each has its own";
  (void)skb.put(60);
  SkbBatch batch;
  batch.push_back(skb);
  EXPECT_EQ(batch.front()->cb()[47], std::byte{7}) << "it stays while the frame travels";
  SkbPool::free(batch);
  SkbPool::free(other);
  Skb* const again[] = {pool.alloc(), pool.alloc()};
  for (Skb* each : again) {
    EXPECT_TRUE(all_zeros(*each));
    SkbPool::free(*each);
  }
}

}  // namespace
}  // namespace usernic
