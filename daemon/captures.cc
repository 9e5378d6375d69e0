// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/captures.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "usernic/refusal.h"

namespace usernic::daemon {
namespace {

constexpr size_t kBufferBytes = 8 << 20;

std::string why_not(const std::string& name, std::errc error) {
  if (error == std::errc::device_or_resource_busy) {
    return fmt::format("{} is captured {} times already, which is all there may be", name, kFrameTapsMax);
  }
  return fmt::format("cannot capture {}: {}", name, refusal(error));
}

}  // namespace

Captures::~Captures() {
  for (auto& [_, capture] : running_) capture->stop("usernic run ended");
}

void Captures::start(const ctl::Request& request, const Nic& nic, const ctl::Responder& to) {
  const ctl::LinkRow link = nic.link();
  const std::string& name = link.name;
  if (running_.size() >= kMax) return to.refuse(fmt::format("there are {} captures already", kMax));
  CaptureOptions options{
      .name = name,
      .description = fmt::format("usernic, driver {}{}{}", link.driver, link.host.empty() ? "" : ", host ", link.host),
      .application = std::string("usernic ") + USERNIC_VERSION,
      .snap_bytes = request.snap_bytes == 0 ? pcapng::kSnapMax : static_cast<uint32_t>(request.snap_bytes),
      .buffer_bytes = request.buffer_bytes == 0 ? kBufferBytes : static_cast<size_t>(request.buffer_bytes)};
  size_t left = kBuffersMax;
  for (const auto& [_, capture] : running_) left -= capture->buffer_bytes();
  if (const size_t buffer = Capture::buffer_bytes(options); buffer > left) {
    return to.refuse(fmt::format("a buffer of {} KiB is too much: {} of the {} MiB that all captures may have are left",
                                 buffer >> 10, left >> 20, kBuffersMax >> 20));
  }
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return to.refuse(why_not(name, static_cast<std::errc>(errno)));
  }
  UniqueFd ours(ends[0]);
  std::vector<UniqueFd> theirs;
  theirs.emplace_back(ends[1]);
  const uint64_t number = next_++;
  auto ended = ctl::EventLoop::prepare([this, number] { running_.erase(number); });
  auto started = Capture::start(nic.dev(), std::move(ours), std::move(options),
                                [this, ended = std::move(ended)]() mutable { loop_.post(std::move(ended)); });
  if (!started) return to.refuse(why_not(name, started.error()));
  running_.emplace(number, *std::move(started));  // before its end, which this thread is told of
  to.answer(ctl::Json::Object(), std::move(theirs));
}

}  // namespace usernic::daemon
