// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/kernel_asked.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace {

bool is_netlink(int fd) {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  return ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0 && own.ss_family == AF_NETLINK;
}

}  // namespace

// In place of libc's.
extern "C" ssize_t send(int fd, const void* data, size_t size, int flags) {
  nlmsghdr header;
  if (size >= sizeof header && is_netlink(fd)) {
    std::memcpy(&header, data, sizeof header);
    if (const int error = usernic::KernelAsked::answer(header.nlmsg_type); error != 0) {
      errno = error;
      return -1;
    }
  }
  return ::syscall(SYS_sendto, fd, data, size, flags, nullptr, 0);
}
