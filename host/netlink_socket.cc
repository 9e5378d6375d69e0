// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/netlink_socket.h"

#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <optional>
#include <utility>

#include "usernic/refusal.h"

namespace usernic {

namespace {

// Room that a part leaves when the kernel stopped because it had no more to say: larger than any entry of a dump.
constexpr size_t kEntryBytesMax = 256;

HostError in_words(int error) {
  return {static_cast<std::errc>(error), std::strerror(error)};
}

void set_option(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof value);  // each one is a convenience: older kernels go without
}

// The errno of an NLMSG_ERROR (0: an acknowledgement), with the kernel's sentence if it sent one.
HostError error_of(const nlmsghdr& message) {
  nlmsgerr error;
  if (message.nlmsg_len < NLMSG_HDRLEN + sizeof error) return in_words(EBADMSG);
  const size_t bytes = message.nlmsg_len - NLMSG_HDRLEN;
  std::memcpy(&error, NLMSG_DATA(&message), sizeof error);
  HostError result = in_words(-error.error);
  if ((message.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return result;
  size_t offset = sizeof error;  // the request is echoed only if it is not capped
  if ((message.nlmsg_flags & NLM_F_CAPPED) == 0) offset += NLMSG_ALIGN(error.msg.nlmsg_len) - NLMSG_HDRLEN;
  if (offset >= bytes) return result;
  const auto* first = reinterpret_cast<nlattr*>(static_cast<char*>(NLMSG_DATA(&message)) + offset);
  const nlattr* words = nla_find(first, static_cast<int>(bytes - offset), NLMSGERR_ATTR_MSG);
  if (words != nullptr) {
    const auto* text = static_cast<const char*>(nla_data(words));
    result.sentence.assign(text, ::strnlen(text, static_cast<size_t>(nla_len(words))));
  }
  return result;
}

// A dump that ends badly says so in its DONE.
int error_of_done(const nlmsghdr& message) {
  int32_t error = 0;
  if (message.nlmsg_len >= NLMSG_HDRLEN + sizeof error) std::memcpy(&error, NLMSG_DATA(&message), sizeof error);
  return error < 0 ? -error : 0;
}

}  // namespace

void FreeNetlink::operator()(nl_msg* message) const noexcept {
  nlmsg_free(message);
}
void FreeNetlink::operator()(nl_sock* socket) const noexcept {
  nl_socket_free(socket);
}

NetlinkMessage netlink_message(int type, int flags, const void* header, size_t header_bytes) {
  NetlinkMessage message(nlmsg_alloc_simple(type, NLM_F_REQUEST | flags));
  if (!message || nlmsg_append(message.get(), const_cast<void*>(header), header_bytes, NLMSG_ALIGNTO) < 0) {
    throw std::bad_alloc();
  }
  return message;
}

bool for_each_message(std::span<const uint8_t> datagram, const NetlinkVisit& visit) {
  size_t at = 0;
  while (at < datagram.size()) {
    const size_t left = datagram.size() - at;
    nlmsghdr header;
    if (left < sizeof header) return false;
    std::memcpy(&header, datagram.data() + at, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > left) return false;
    visit(*reinterpret_cast<const nlmsghdr*>(datagram.data() + at));
    at += std::min<size_t>(NLMSG_ALIGN(header.nlmsg_len), left);
  }
  return true;
}

NetlinkSocket::NetlinkSocket(std::unique_ptr<nl_sock, FreeNetlink> socket, size_t part_bytes)
    : socket_(std::move(socket)), buffer_(part_bytes) {}

HostResult<NetlinkSocket> NetlinkSocket::open(const NetNamespace& netns, size_t part_bytes, size_t backlog_bytes) {
  std::unique_ptr<nl_sock, FreeNetlink> socket(nl_socket_alloc());
  int error = socket ? 0 : ENOMEM;
  // libnl's own codes are fewer than the kernel's.
  const HostResult<> ran = netns.run([&] {
    errno = 0;
    if (socket && nl_connect(socket.get(), NETLINK_ROUTE) != 0) error = errno != 0 ? errno : EIO;
  });
  if (!ran) return std::unexpected(ran.error());
  if (error != 0) return host_fail(error, "cannot open an rtnetlink socket: " + refusal(static_cast<std::errc>(error)));

  const int fd = nl_socket_get_fd(socket.get());
  set_option(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  set_option(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
  set_option(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);  // dumps limited to what was asked for
  set_option(fd, SOL_SOCKET, SO_RCVBUF, static_cast<int>(backlog_bytes));
  set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, static_cast<int>(backlog_bytes));
  const timeval patience{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return NetlinkSocket(std::move(socket), part_bytes);
}

int NetlinkSocket::fd() const noexcept {
  return nl_socket_get_fd(socket_.get());
}

Result<> NetlinkSocket::join(int group) noexcept {
  if (::setsockopt(fd(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) == 0) return {};
  return fail(static_cast<std::errc>(errno));
}

Result<std::span<const uint8_t>> NetlinkSocket::receive() noexcept {
  return receive(MSG_DONTWAIT);
}

Result<std::span<const uint8_t>> NetlinkSocket::receive(int flags) noexcept {
  for (;;) {
    sockaddr_nl from{};
    iovec part{buffer_.data(), buffer_.size()};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const ssize_t n = ::recvmsg(fd(), &message, flags);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(static_cast<std::errc>(errno));
    if (message.msg_namelen != sizeof from || from.nl_pid != 0) continue;  // not from the kernel
    if ((message.msg_flags & MSG_TRUNC) != 0) return fail(std::errc::message_size);
    return std::span<const uint8_t>(buffer_.data(), static_cast<size_t>(n));
  }
}

HostResult<> NetlinkSocket::send(nl_msg& question) {
  nlmsghdr* header = nlmsg_hdr(&question);
  header->nlmsg_seq = ++sequence_;
  const ssize_t n = ::send(fd(), header, header->nlmsg_len, 0);
  if (n == static_cast<ssize_t>(header->nlmsg_len)) return {};
  return std::unexpected(in_words(n < 0 ? errno : EIO));
}

HostResult<NetlinkSocket::Answer> NetlinkSocket::ask(nl_msg& question, const NetlinkVisit& visit,
                                                     const std::function<void()>& seam) {
  if (HostResult<> sent = send(question); !sent) return std::unexpected(sent.error());
  Answer answer;
  size_t parts = 0;
  bool seam_if_more = false;
  for (bool ended = false; !ended;) {
    const auto datagram = receive(0);
    if (!datagram) {
      const bool silence = datagram.error() == std::errc::resource_unavailable_try_again;
      return std::unexpected(in_words(silence ? ETIMEDOUT : static_cast<int>(datagram.error())));
    }
    size_t entries = 0;
    std::optional<HostError> failed;
    const bool well_formed = for_each_message(*datagram, [&](const nlmsghdr& message) {
      if (message.nlmsg_seq != sequence_ || ended) return;
      if ((message.nlmsg_flags & NLM_F_DUMP_INTR) != 0) answer.interrupted = true;
      const bool multipart = (message.nlmsg_flags & NLM_F_MULTI) != 0;
      if (message.nlmsg_type == NLMSG_ERROR) {
        if (HostError error = error_of(message); error.error != std::errc{}) failed = std::move(error);
        ended = true;
      } else if (message.nlmsg_type == NLMSG_DONE) {
        if (const int error = error_of_done(message); error != 0) failed = in_words(error);
        ended = true;
      } else if (message.nlmsg_type >= NLMSG_MIN_TYPE) {
        if (entries++ == 0 && std::exchange(seam_if_more, false) && seam) seam();
        visit(message);
        ended = !multipart;
      }
    });
    if (failed) return std::unexpected(std::move(*failed));
    if (!well_formed) return std::unexpected(in_words(EBADMSG));
    if (entries == 0) continue;
    // A part that was full, or is not the only one, has a seam behind it.
    const bool last = ended || datagram->size() + kEntryBytesMax <= buffer_.size();
    if (++parts > 1 || !last) answer.whole = false;
    if (!last && seam) seam();
    seam_if_more = last && !ended;
  }
  return answer;
}

HostResult<> NetlinkSocket::command(nl_msg& question) {
  nlmsg_hdr(&question)->nlmsg_flags |= NLM_F_ACK;
  const HostResult<Answer> answer = ask(question, [](const nlmsghdr&) {});
  if (!answer) return std::unexpected(answer.error());
  return {};
}

}  // namespace usernic
