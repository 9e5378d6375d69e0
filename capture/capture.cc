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
constexpr int kLastWordsMs = 2000;        // without one octet taken

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
  if (std::exchange(stops_, true)) return;
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
  counted_.from_ns = ahead_ns_ + static_cast<uint64_t>(Clock::now().time_since_epoch().count());
  pcapng::add_section(out_, options_.application);
  pcapng::add_interface(
      out_, {.name = options_.name, .description = options_.description, .snap_bytes = options_.snap_bytes});
  tell_rx_mode(Clock::now());
  Reader reader = Reader::kListens;
  while (true) {
    kick_.clear();  // before the look at what it stands for
    const bool ends = stops() || ring_.device_is_gone();
    if (ends || reader != Reader::kListens) break;
    const bool worked = out_.empty() && take_some();
    if (!write()) return;
    reader = wait(worked);
  }
  if (reader == Reader::kIsGone) return;
  if (ring_.device_is_gone()) stop("the device was unregistered");
  detach_tap(*dev_, ring_);
  if (!flush()) return;
  while (take_some()) {
    if (!flush()) return;
  }
  add_statistics();
  (void)flush();
}

bool Capture::stops() {
  MutexGuard guard(lock_);
  return stops_;
}

uint64_t Capture::wall(Time at) const noexcept {
  return ahead_ns_ + static_cast<uint64_t>(at.time_since_epoch().count());
}

bool Capture::take_some() {
  FrameRing::Frame frame;
  while (out_.size() < kTurnBytes && ring_.front(frame)) {
    if (ring_.rx_mode_changed_at() <= frame.at) [[unlikely]]
      tell_rx_mode(ring_.rx_mode_changed_at());
    take(frame);
    ring_.pop();
  }
  if (out_.size() < kTurnBytes && ring_.rx_mode_changed_at() != kForever) tell_rx_mode(ring_.rx_mode_changed_at());
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
  ring_.take_rx_mode();
  RxModeStatus now = dev_->rx_mode().status();
  const std::string news = rx_mode_text(rx_mode_, now);
  rx_mode_ = std::move(now);
  if (news.empty()) return;
  pcapng::add_journal(out_, wall(at), fmt::format("{}: {}", options_.name, news));
  rx_mode_news_ = news;
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
      {{to_.get(), static_cast<short>(POLLIN | (waits_for_reader ? POLLOUT : 0)), 0}, {kick_.fd(), POLLIN, 0}}};
  ::poll(fds.data(), fds.size(), timeout_ms);
  if ((fds[0].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) return Reader::kIsGone;
  if ((fds[0].revents & POLLIN) == 0) return Reader::kListens;
  std::array<char, 256> nothing_of_use;
  return ::read(to_.get(), nothing_of_use.data(), nothing_of_use.size()) == 0 ? Reader::kHasEnough : Reader::kListens;
}

// All of it, as long as the reader takes some now and then.
bool Capture::flush() {
  for (size_t left = out_.size() + 1; !out_.empty();) {
    if (!write()) return false;
    if (out_.empty()) break;
    if (out_.size() - written_ == std::exchange(left, out_.size() - written_)) return false;
    pollfd room{to_.get(), POLLOUT, 0};
    ::poll(&room, 1, kLastWordsMs);
  }
  return true;
}

}  // namespace usernic
