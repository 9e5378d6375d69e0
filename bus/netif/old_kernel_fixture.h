// SPDX-License-Identifier: Apache-2.0 OR MIT
// netif: for tests, a kernel before 6.2, which takes no superframes of UDP from a packet socket.
//
// It stands before libc's sendmmsg in the program whose source includes this, and is the machine's kernel but while an
// OldKernel lives. Included once in a program.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bus/netif/vnet_header.h"
#include "usernic/atomic.h"

namespace usernic {

class OldKernel {
 public:
  OldKernel() { alive_.store(true); }
  ~OldKernel() { alive_.store(false); }
  OldKernel(const OldKernel&) = delete;
  OldKernel& operator=(const OldKernel&) = delete;

  static bool refuses(const msghdr& message) {
    VnetHeader header;
    if (!alive_.load() || message.msg_iovlen == 0 || message.msg_iov[0].iov_len < sizeof header) return false;
    std::memcpy(&header, message.msg_iov[0].iov_base, sizeof header);
    return header.gso_type == vnet::kUdpL4;
  }

 private:
  static inline Atomic<bool> alive_{false};
};

}  // namespace usernic

// As the kernel: those before the first one that is refused are sent, and say nothing of it.
extern "C" int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  unsigned fine = 0;
  while (fine < count && !usernic::OldKernel::refuses(messages[fine].msg_hdr)) ++fine;
  if (fine != 0 || count == 0) return static_cast<int>(::syscall(SYS_sendmmsg, fd, messages, fine, flags));
  errno = EINVAL;
  return -1;
}
