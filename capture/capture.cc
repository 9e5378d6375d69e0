// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "capture/capture.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <new>
#include <utility>

#include "capture/rx_mode_text.h"
#include "usernic/net_device.h"
#include "usernic/wall_clock.h"

namespace usernic {
namespace {

constexpr size_t kTurnBytes = 256 << 10;  // that are taken out before they are written
constexpr int kNapMs = 1;                 // after a turn, so that a kick stands for many frames
// Of Capture::kEndMax the last part is for the statistics.
constexpr Duration kFramesMax = std::chrono::seconds(2);
constexpr int kLookAgainMs = 20;  // poll(2) says that there is room when most is free, and a few octets need less

bool is_socket(int fd) noexcept {
  int type;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

ssize_t write_some(int fd, std::string_view octets) noexcept {
  const ssize_t sent = ::send(fd, octets.data(), octets.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent < 0 && errno == ENOTSOCK ? ::write(fd, octets.data(), octets.size()) : sent;
}

pcapng::Direction direction_of(FrameWay way) noexcept {
  return way == FrameWay::kIn ? pcapng::Direction::kIn : pcapng::Direction::kOut;
}

}  // namespace

Result<std::unique_ptr<Capture>> Capture::start(NetDevice& dev, UniqueFd to, CaptureOptions options,
                                                std::move_only_function<void()> ended) {
  Result<Kick> kick = Kick::make();
  if (!kick) return fail(kick.error());
  if (::fcntl(to.get(), F_SETFL, ::fcntl(to.get(), F_GETFL) | O_NONBLOCK) != 0) {
    return fail(static_cast<std::errc>(errno));
  }
  std::unique_ptr<Capture> made(
      new Capture(dev, std::move(to), std::move(options), *std::move(kick), std::move(ended)));
  if (const Result<> attached = attach_tap(dev, made->ring_); !attached) return fail(attached.error());
  Result<Thread> thread = Thread::start("capture-" + made->options_.name, [it = made.get()] { it->run(); });
  if (!thread) {
    detach_tap(dev, made->ring_);
    return fail(thread.error());
  }
  made->thread_ = *std::move(thread);
  return made;
}

Capture::Capture(NetDevice& dev, UniqueFd to, CaptureOptions options, Kick kick, std::move_only_function<void()> ended)
    : dev_(dev),
      to_(std::move(to)),
      is_socket_(is_socket(to_.get())),
      options_(std::move(options)),
      kick_(std::move(kick)),
      ring_(options_.buffer_bytes, options_.snap_bytes, kick_),
      ended_(std::move(ended)),
      ahead_ns_(wall_clock_ns(Time())) {
  out_.reserve(2 * kTurnBytes);
}

Capture::~Capture() {
  stop("");
}

void Capture::stop(std::string_view why) {
  MutexGuard guard(lock_);
  if (stopped_at_ != kForever) return;
  stopped_at_ = Clock::now();
  why_ = why;
  kick_.kick();
}

void Capture::run() {
  try {
    capture();
  } catch (const std::bad_alloc&) {  // there is no memory for the rest
  }
  detach_tap(*dev_, ring_);
  to_.reset();
  ended_();
}

void Capture::capture() {
  ring_.touch();
  counted_.from_ns = ahead_ns_ + static_cast<uint64_t>(Clock::now().time_since_epoch().count());
  pcapng::add_section(out_, options_.application);
  pcapng::add_interface(
      out_, {.name = options_.name, .description = options_.description, .snap_bytes = options_.snap_bytes});
  (void)ring_.take_rx_mode();
  tell_rx_mode(Clock::now());
  Reader reader = Reader::kListens;
  while (true) {
    kick_.clear();  // before the look at what it stands for
    const bool ends = stopped_at() != kForever || ring_.device_is_gone();
    if (ends || reader != Reader::kListens) break;
    const bool worked = out_.empty() && take_some();
    if (!write()) return;
    reader = wait(worked);
  }
  if (reader == Reader::kIsGone) return;
  if (ring_.device_is_gone()) stop("the device was unregistered");
  detach_tap(*dev_, ring_);
  end();
}

void Capture::end() {
  Flushed flushed;
  do flushed = flush(kFramesMax);
  while (flushed == Flushed::kAll && take_some());
  if (flushed == Flushed::kNobodyReads) return;
  if (flushed == Flushed::kTooSlow) lose_the_rest();
  add_statistics();
  (void)flush(kEndMax);
}

Time Capture::stopped_at() {
  MutexGuard guard(lock_);
  return stopped_at_;
}

uint64_t Capture::wall(Time at) const noexcept {
  return ahead_ns_ + static_cast<uint64_t>(at.time_since_epoch().count());
}

bool Capture::take_some() {
  FrameRing::Frame frame;
  while (out_.size() < kTurnBytes && ring_.front(frame)) {
    if (ring_.rx_mode_changed_at() <= frame.at) [[unlikely]]
      tell_rx_mode(ring_.take_rx_mode());
    take(frame);
    ring_.pop();
  }
  if (out_.size() < kTurnBytes && ring_.rx_mode_changed_at() != kForever) tell_rx_mode(ring_.take_rx_mode());
  return !out_.empty();
}

void Capture::take(const FrameRing::Frame& frame) {
  std::array<std::string, 2> comments;
  size_t count = 0;
  if (!rx_mode_news_.empty()) [[unlikely]]
    comments[count++] = std::exchange(rx_mode_news_, {});
  if (const char* const why = frame.dropped.text(); why != nullptr) [[unlikely]]
    comments[count++] = fmt::format("dropped: {}", why);
  pcapng::add_packet(out_, {.time_ns = wall(frame.at),
                            .direction = direction_of(frame.way),
                            .octets = frame.octets,
                            .wire_bytes = frame.wire_bytes,
                            .lost_before = frame.lost_before,
                            .comments = std::span(comments).first(count)});
  ++counted_.delivered;
  counted_.lost += frame.lost_before;
}

// Newest wins: what changes while this is read is told by the next one.
void Capture::tell_rx_mode(Time at) {
  RxModeStatus now = dev_->rx_mode().status();
  const std::string news = rx_mode_text(rx_mode_, now);
  rx_mode_ = std::move(now);
  if (news.empty()) return;
  pcapng::add_journal(out_, wall(at), fmt::format("{}: {}", options_.name, news));
  if (!rx_mode_news_.empty()) rx_mode_news_ += "; ";
  rx_mode_news_ += news;
  if (rx_mode_news_.size() > pcapng::kTextMax) rx_mode_news_.erase(0, rx_mode_news_.size() - pcapng::kTextMax);
}

// Of what was to be written a block that was begun is still, and the file's head; the others, and what waits in the
// ring, nobody gets.
void Capture::lose_the_rest() {
  pcapng::BlockReader blocks;
  blocks.feed(out_);
  size_t stays = 0;
  for (auto block = blocks.next(); block && *block; block = blocks.next()) {
    const bool head = (*block)->type == pcapng::BlockType::kSection || (*block)->type == pcapng::BlockType::kInterface;
    if (stays < written_ || head) {
      stays += (*block)->octets.size();
    } else if ((*block)->type == pcapng::BlockType::kPacket) {
      --counted_.delivered;
      ++counted_.lost;
    }
  }
  out_.resize(stays);
  FrameRing::Frame frame;
  for (; ring_.front(frame); ring_.pop()) counted_.lost += 1 + frame.lost_before;
}

void Capture::add_statistics() {
  counted_.to_ns = wall(Clock::now());
  counted_.lost += ring_.lost_since();
  MutexGuard guard(lock_);
  counted_.comment = why_;
  pcapng::add_statistics(out_, counted_);
}

// What the reader takes now. False: there is no reader any more.
bool Capture::write() {
  while (written_ < out_.size()) {
    const ssize_t taken = write_some(to_.get(), std::string_view(out_).substr(written_));
    if (taken < 0 && errno == EINTR) continue;
    if (taken < 0) return errno == EAGAIN;
    written_ += static_cast<size_t>(taken);
  }
  out_.clear();
  written_ = 0;
  return true;
}

// Until there is something to do; after a turn that had, a little longer.
Capture::Reader Capture::wait(bool worked) {
  const bool waits_for_reader = !out_.empty();
  int timeout_ms = -1;
  if (!waits_for_reader) {
    if (worked) timeout_ms = ring_.empty() ? kNapMs : 0;
    if (!worked && !ring_.may_sleep()) timeout_ms = 0;
  }
  std::array<pollfd, 2> fds{
      {{to_.get(), static_cast<short>((is_socket_ ? POLLIN : 0) | (waits_for_reader ? POLLOUT : 0)), 0},
       {kick_.fd(), POLLIN, 0}}};
  ::poll(fds.data(), fds.size(), timeout_ms);
  if ((fds[0].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) return Reader::kIsGone;
  if ((fds[0].revents & POLLIN) == 0) return Reader::kListens;
  std::array<char, 256> nothing_of_use;
  return ::read(to_.get(), nothing_of_use.data(), nothing_of_use.size()) == 0 ? Reader::kHasEnough : Reader::kListens;
}

// All of it; so long after a stop, which may come meanwhile, no more.
Capture::Flushed Capture::flush(Duration after_stop) {
  while (true) {
    kick_.clear();
    if (!write()) return Flushed::kNobodyReads;
    if (out_.empty()) return Flushed::kAll;
    const Time stopped = stopped_at();
    if (stopped != kForever && Clock::now() - stopped >= after_stop) return Flushed::kTooSlow;
    std::array<pollfd, 2> fds{{{to_.get(), POLLOUT, 0}, {kick_.fd(), POLLIN, 0}}};
    ::poll(fds.data(), fds.size(), stopped == kForever ? -1 : kLookAgainMs);
  }
}

}  // namespace usernic
