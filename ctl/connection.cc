// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "ctl/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace usernic::ctl {
namespace {
constexpr size_t kReadBytes = 16 << 10;
constexpr size_t kCompactBytes = 64 << 10;
constexpr size_t kSpace = CMSG_SPACE(kDescriptorsMax * sizeof(int));
}  // namespace

bool Connection::receive() {
  std::array<char, kReadBytes> buffer;
  const size_t room = std::min(buffer.size(), kRequestBytesMax - std::min(in_.size(), kRequestBytesMax));
  if (room == 0) return true;
  // A plain read: descriptors that a client sends are not taken, the kernel closes them.
  const ssize_t got = ::read(fd_.get(), buffer.data(), room);
  if (got > 0) {
    if (in_.empty()) line_begun_ = Clock::now();
    in_.append(buffer.data(), static_cast<size_t>(got));
    last_progress_ = Clock::now();
    return true;
  }
  return got < 0 && (errno == EAGAIN || errno == EINTR);
}

std::optional<std::string> Connection::take_line() {
  const size_t end = in_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = in_.substr(0, end);
  in_.erase(0, end + 1);
  return line;
}

void Connection::enqueue(std::string_view text, std::vector<UniqueFd> descriptors) {
  if (sent_ == out_.size()) {
    out_.clear();
    sent_ = 0;
    last_progress_ = Clock::now();
  }
  // A peer that always leaves a little unread must not make us keep all that it has read.
  if (sent_ >= kCompactBytes && sent_ * 2 >= out_.size()) {
    out_.erase(0, sent_);
    sent_ = 0;
  }
  out_.append(text);
  for (UniqueFd& descriptor : descriptors) descriptors_.push_back(std::move(descriptor));
}

bool Connection::flush() {
  while (sent_ < out_.size()) {
    const ssize_t sent = send_with(fd_.get(), std::string_view(out_).substr(sent_), descriptors_);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    descriptors_.clear();
    sent_ += static_cast<size_t>(sent);
    last_progress_ = Clock::now();
  }
  out_ = {};
  sent_ = 0;
  line_begun_ = Clock::now();
  return true;
}

ssize_t send_with(int fd, std::string_view text, const std::vector<UniqueFd>& descriptors) {
  iovec part{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, kSpace> control{};
  if (const size_t count = std::min(descriptors.size(), kDescriptorsMax); count > 0) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::array<int, kDescriptorsMax> numbers{};
    for (size_t i = 0; i < count; ++i) numbers[i] = descriptors[i].get();
    std::memcpy(CMSG_DATA(header), numbers.data(), count * sizeof(int));
  }
  return ::sendmsg(fd, &message, MSG_NOSIGNAL);
}

ssize_t receive_with(int fd, std::string& text, std::vector<UniqueFd>& descriptors) {
  std::array<char, kReadBytes> buffer;
  iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
  alignas(cmsghdr) std::array<char, kSpace> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  if (got < 0) return got;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int number;
      std::memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof number);
      descriptors.emplace_back(number);
    }
  }
  text.append(buffer.data(), static_cast<size_t>(got));
  return got;
}

}  // namespace usernic::ctl
