// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: one rtnetlink socket, bound to a network namespace.
//
// A question is one message; its answer is messages with the same sequence number, in one or more datagrams ("parts"),
// up to an error, an acknowledgement or DONE. Only what the kernel itself sent is read, every length is checked before
// it is believed, and an answer that was cut off is an error, never a shorter answer.
//
// Locks: none, one owner. Context: process. Errors: the kernel's errno with its own words where it has any;
// EMSGSIZE, EBADMSG for a malformed answer; ETIMEDOUT when there is none.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "host/host_error.h"
#include "host/netns.h"
#include "usernic/error.h"

struct nl_msg;
struct nl_sock;

namespace usernic {

struct FreeNetlink {
  void operator()(nl_msg* message) const noexcept;
  void operator()(nl_sock* socket) const noexcept;
};
using NetlinkMessage = std::unique_ptr<nl_msg, FreeNetlink>;

// A request of that type with its fixed header; attributes are added with libnl's nla_put functions.
NetlinkMessage netlink_message(int type, int flags, const void* header, size_t header_bytes);

// Calls `visit` for each message of a datagram. False: the last one is cut off, or a length is impossible.
using NetlinkVisit = std::function<void(const nlmsghdr&)>;
bool for_each_message(std::span<const uint8_t> datagram, const NetlinkVisit& visit);

class NetlinkSocket {
 public:
  static constexpr size_t kEventBytesMax = 32 * 1024;  // of a datagram that nobody asked for
  // `part_bytes` is the most that the kernel puts into one datagram of a dump (at most 32 KiB). `backlog_bytes` is how
  // much may wait unread.
  static HostResult<NetlinkSocket> open(const NetNamespace& netns, size_t part_bytes, size_t backlog_bytes);
  NetlinkSocket(NetlinkSocket&&) noexcept = default;
  NetlinkSocket& operator=(NetlinkSocket&&) noexcept = default;

  Result<> join(int group) noexcept;

  struct Answer {
    bool interrupted = false;  // NLM_F_DUMP_INTR: something changed while the kernel was at it
    bool whole = true;         // every message came from one look of the kernel at what it dumped
  };
  // Sends the question, and calls `visit` for each message of the answer, and `seam` where one part ended and the
  // kernel has, or may have, more to say.
  HostResult<Answer> ask(nl_msg& question, const NetlinkVisit& visit, const std::function<void()>& seam = {});
  // The same for a command, whose answer is its success.
  HostResult<> command(nl_msg& question);

  // One datagram that waits, valid until the next call; EAGAIN: none. ENOBUFS: some were lost.
  Result<std::span<const uint8_t>> receive() noexcept;

  int fd() const noexcept;

 private:
  NetlinkSocket(std::unique_ptr<nl_sock, FreeNetlink> socket, size_t part_bytes);
  Result<std::span<const uint8_t>> receive(int flags) noexcept;
  HostResult<> send(nl_msg& question);

  std::unique_ptr<nl_sock, FreeNetlink> socket_;
  std::vector<uint8_t> buffer_;
  uint32_t sequence_ = 0;
};

}  // namespace usernic
// Explained best by: host/netlink_socket_test.cc
