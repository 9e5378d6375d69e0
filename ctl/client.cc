// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "ctl/client.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ctl/connection.h"
#include "ctl/socket_path.h"

namespace usernic::ctl {
namespace {

constexpr size_t kAnswerBytesMax = 256u << 20;

// Waits until the descriptor is ready. False at the deadline.
bool wait_readable(int fd, Time deadline) {
  for (;;) {
    int timeout_ms = -1;
    if (deadline != kForever) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      timeout_ms = static_cast<int>(std::clamp<int64_t>(left.count(), 0, INT32_MAX));
    }
    pollfd poll_fd{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&poll_fd, 1, timeout_ms);
    if (ready > 0) return true;
    if (ready == 0 && Clock::now() >= deadline) return false;
  }
}

}  // namespace

Outcome<Client> Client::connect(const std::string& path) {
  Outcome<UniqueFd> fd = connect_to(path, kAnswerTime);
  if (!fd) return refuse(fd.error());
  return Client(*std::move(fd));
}

Outcome<Json> Client::call(const Request& request, std::vector<UniqueFd>* descriptors, Duration answer_time) {
  if (auto sent = send(request); !sent) return refuse(sent.error());
  return receive(descriptors, answer_time);
}

Outcome<> Client::send(const Request& request) {
  const std::string line = request_line(request);
  for (size_t sent = 0; sent < line.size();) {
    const ssize_t more = send_with(fd_.get(), std::string_view(line).substr(sent), {});
    // Who closes may have said why: that is for `receive` to find.
    if (more < 0 && (errno == EPIPE || errno == ECONNRESET)) return {};
    if (more < 0 && errno != EINTR) {
      return refuse(fmt::format("cannot write to the control socket: {}", std::strerror(errno)));
    }
    sent += more > 0 ? static_cast<size_t>(more) : 0;
  }
  return {};
}

Outcome<Json> Client::receive(std::vector<UniqueFd>* descriptors, Duration answer_time) {
  const Outcome<std::string> answer = read_line(descriptors, Clock::now() + answer_time);
  if (!answer) return refuse(answer.error());
  return parse_answer(*answer);
}

Outcome<Event> Client::next_event(Time deadline) {
  const Outcome<std::string> line = read_line(nullptr, deadline);
  if (!line) return refuse(line.error());
  const Outcome<Json> json = parse_answer(*line);
  if (!json) return refuse(json.error());
  std::optional<Event> event = from_json<Event>(*json);
  if (!event) return refuse("the daemon's event makes no sense; is it another version of usernic?");
  return *std::move(event);
}

Outcome<std::string> Client::read_line(std::vector<UniqueFd>* descriptors, Time deadline) {
  std::vector<UniqueFd> unasked;
  size_t searched = 0;
  for (;;) {
    if (const size_t end = in_.find('\n', searched); end != std::string::npos) {
      std::string line = in_.substr(0, end);
      in_.erase(0, end + 1);
      return line;
    }
    searched = in_.size();
    if (searched > kAnswerBytesMax) return refuse("the daemon's answer is too long");
    if (!wait_readable(fd_.get(), deadline)) return refuse("the daemon did not answer in time");
    const ssize_t got = receive_with(fd_.get(), in_, descriptors != nullptr ? *descriptors : unasked);
    if (got == 0 || (got < 0 && errno == ECONNRESET)) return refuse("usernic closed the control socket");
    if (got < 0 && errno != EINTR) {
      return refuse(fmt::format("cannot read from the control socket: {}", std::strerror(errno)));
    }
  }
}

}  // namespace usernic::ctl
