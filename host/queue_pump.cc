// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/queue_pump.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "usernic/frame_tap.h"
#include "usernic/poll_here.h"
#include "usernic/refusal.h"
#include "usernic/tx_select.h"

namespace usernic {

namespace {

constexpr uint32_t kHeaderBytesMax = 14 + 4;  // Ethernet, and one VLAN tag
constexpr uint32_t kBufferStep = 512;
constexpr const char* kLacksBuffers = "buffers for frames: its driver has them all, or the machine no memory";
constexpr Duration kLook = std::chrono::milliseconds(1);  // for what nobody tells of

}  // namespace

QueuePump::QueuePump(NetDevice& dev, KernelEnd& end, Readers& readers, uint16_t index, Kick woken,
                     std::function<void()> each_turn, const std::function<void(const std::string&)>& log)
    : dev_(dev),
      end_(end),
      index_(index),
      one_target_(dev.tx_queue_count() == 1 || (end.queue_count() > 1 && !selects_queue(dev))),
      each_turn_(std::move(each_turn)),
      log_(log),
      reader_(readers),
      woken_(std::move(woken)),
      queue_(end.open_queue(index, woken_, &dev)) {}

QueuePump::~QueuePump() {
  queue_->free_spare();
  if (frames_out() != 0) leave_frames();
}

// A driver gives back what it was sent, at the latest when it is closed. One that does not must not take our memory
// from under its card.
void QueuePump::wait_for_frames(Time deadline) {
  queue_->free_spare();
  const Atomic<uint32_t> never{0};
  while (frames_out() != 0 && Clock::now() < deadline) wait_on(never, 0, Clock::now() + kLook);
}

void QueuePump::leave_frames() noexcept {
  try {
    log_(fmt::format("{}: the driver keeps {} frames; their memory is left to it", end_.name(), frames_out()));
  } catch (const std::bad_alloc&) {  // left all the same
  }
  // Somewhere, and for ever: whoever looks for leaks finds them.
  static constexpr LockClass kLeftClass{"left_pools"};
  static constinit Mutex left_lock{kLeftClass};
  static auto& left = *new std::vector<std::unique_ptr<FramePools>>;
  MutexGuard guard(left_lock);
  for (auto& pool : pools_) {
    try {
      left.push_back(nullptr);
      left.back() = std::move(pool);
    } catch (const std::bad_alloc&) {
      (void)pool.release();
    }
  }
}

uint32_t QueuePump::frames_out() const {
  uint32_t out = 0;
  for (const auto& pools : pools_) out += pools->out();
  return out;
}

// Makes the pool that serves take frames of that size. False without memory.
bool QueuePump::fit_pool(uint32_t frame_bytes_max) {
  // In steps, so that pools are few where the MTU grows by little.
  const uint32_t bytes = (frame_bytes_max + kBufferStep - 1) / kBufferStep * kBufferStep;
  if (bytes <= buffer_bytes_) return true;
  queue_->free_spare();
  std::erase_if(pools_, [](const auto& pools) { return pools->out() == 0; });
  try {
    pools_.push_back(std::make_unique<FramePools>(bytes));
  } catch (const std::bad_alloc&) {
    buffer_bytes_ = 0;  // who serves may be gone: asked again
    return false;
  }
  buffer_bytes_ = bytes;
  return true;
}

HostResult<> QueuePump::start() {
  try {
    left_ = std::vector<SkbBatch>(dev_.tx_queue_count());
    progress_ = std::vector<Progress>(dev_.tx_queue_count());
  } catch (const std::bad_alloc&) {
    return host_fail(std::errc::not_enough_memory, refusal(std::errc::not_enough_memory));
  }
  HostResult<> added;
  reader_.loop().run([&] { added = reader_.loop().add(*this, queue_->fd(), &woken_); });
  return added;
}

void QueuePump::stop() {
  reader_.loop().run([this] {
    const ReportsOn concerned(dev_);
    reader_.loop().remove(*this);
    lacks_memory_.reset();  // here, where it is known whose they are
    progress_.clear();
    for (SkbBatch& each : left_) {
      note_drops(dev_, each, FrameWay::kOut, "its TX queue had no room until the end");
      SkbPool::free(each);
    }
    for (const auto& pools : pools_) (void)pools->kick_when_back(nullptr);
  });
}

Time QueuePump::turn() noexcept {
  const ReportsOn concerned(dev_);
  look_at_waits();
  queue_->make_ready();
  each_turn_();
  SkbBatch frames;
  bool lacks_buffers = reads_ && !read_batch(frames);
  if (lacks_buffers) queue_->free_spare();  // a pool that is empty because the reader has its last ones kicks nobody
  if (!frames.empty() || has_left()) {
    PollHere what_comes_of_it(dev_.net());
    end_.queue_count() > 1 ? dev_.xmit(frames, left_, index_) : dev_.xmit(frames, left_);
  }
  if (begins_to_stray()) return Time::min();  // a queue may have been woken before it was told us
  if (!lacks_buffers) {
    lacks_memory_.reset();
  } else if (!lacks_memory_) {
    lacks_memory_.emplace(kLacksBuffers, Place::current());
  }
  lacks_buffers |= look_at_queues();
  reads_ = !holds_enough();
  return next_turn(lacks_buffers);
}

// Besides the one that the end or a kick brings.
Time QueuePump::next_turn(bool lacks_buffers) noexcept {
  if (!reads_ || queue_->gone() || lacks_buffers) {
    reader_.loop().pause(*this);
  } else if (!reader_.loop().resume(*this)) {
    return Clock::now() + kLook;
  }
  const Time looks_at = lacks_buffers ? look_for_buffers() : kForever;
  if (looks_at != kForever) return looks_at;
  Time speaks_at = lacks_memory_ ? lacks_memory_->speaks_at() : kForever;
  for (Progress& each : progress_) {
    if (each.wait) speaks_at = std::min(speaks_at, each.wait->speaks_at());
  }
  return speaks_at;
}

// When to look for buffers; never: a kick tells of the first that is back.
Time QueuePump::look_for_buffers() noexcept {
  if (buffer_bytes_ == 0) return Clock::now() + kLook;
  if (lacks_memory_ && !pools_.back()->kick_when_back(&woken_)) return Time::min();
  for (size_t i = 0; i < left_.size(); ++i) {
    if (left_[i].empty() || dev_.tx_queue(static_cast<uint16_t>(i)).xmit_stopped()) continue;
    SkbPool* const segments = SkbPool::segments_of(*left_[i].front());
    if (segments == nullptr || !segments->kick_when_back(&woken_)) return Clock::now() + kLook;
  }
  return kForever;
}

void QueuePump::look_at_waits() noexcept {
  if (lacks_memory_) lacks_memory_->look();
  for (Progress& each : progress_) {
    if (each.wait) each.wait->look();
  }
}

bool QueuePump::has_left() const noexcept {
  return std::ranges::any_of(left_, [](const SkbBatch& each) { return !each.empty(); });
}

// Frames wait for another TX queue than the own one, for the first time.
bool QueuePump::begins_to_stray() noexcept {
  if (one_target_ || strays()) return false;
  for (size_t i = 0; i < left_.size(); ++i) {
    if (i == index_ || left_[i].empty()) continue;
    strays_.store(true);
    return true;
  }
  return false;
}

// Where all goes to one queue, what is read on would wait for the same; where all wait for one queue's superframes,
// there is no buffer for another's.
bool QueuePump::holds_enough() noexcept {
  const uint32_t most = one_target_ ? 1 : kLeftMax;
  uint32_t all = 0, superframes = 0;
  for (SkbBatch& each : left_) {
    if (each.size() >= most) return true;
    all += each.size();
    for (Skb* skb = each.front(); skb != nullptr; skb = SkbBatch::next(*skb)) {
      superframes += skb->offload().superframe();
    }
  }
  return all >= FramePools::kFrames / 2 || superframes >= FramePools::kSuperframes / 2;
}

// A queue that has taken something since the last look is not waited for. True: one waits for buffers, the rest of a
// superframe's.
bool QueuePump::look_at_queues() noexcept {
  bool lacks_buffers = false;
  for (size_t i = 0; i < left_.size(); ++i) {
    const TxQueue& queue = dev_.tx_queue(static_cast<uint16_t>(i));
    Progress& progress = progress_[i];
    const uint64_t frames = queue.counters.packets.load() + queue.counters.dropped.load();
    if (left_[i].empty() || progress.taken != frames) progress.wait.reset();
    progress.taken = frames;
    if (left_[i].empty()) continue;
    const bool stopped = queue.xmit_stopped();
    lacks_buffers |= !stopped;
    if (!progress.wait) {
      progress.wait.emplace(stopped ? "its driver to wake a TX queue that it stopped, or never started" : kLacksBuffers,
                            Place::current());
    }
  }
  return lacks_buffers;
}

// False when there was not one buffer to read into: the driver has them all, or the machine none.
bool QueuePump::read_batch(SkbBatch& frames) {
  const uint32_t frame_bytes_max = dev_.mtu() + kHeaderBytesMax;
  if (!fit_pool(frame_bytes_max)) return false;
  return queue_->read(*pools_.back(), frame_bytes_max, frames);
}

}  // namespace usernic
