// SPDX-License-Identifier: Apache-2.0 OR MIT
// What the pump does without memory for its buffers. A program of its own, because it has an mmap of its own.
#include "host/frame_pump.h"

#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "host/host_port_fixture.h"
#include "usernic/long_wait.h"

namespace {

usernic::Atomic<size_t> refused_from{SIZE_MAX};  // so many octets at once, and more, are refused

}  // namespace

// Of which a pool's buffers are made.
extern "C" void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  if ((flags & MAP_ANONYMOUS) != 0 && size >= refused_from.load()) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return reinterpret_cast<void*>(::syscall(SYS_mmap, at, size, protection, flags, fd, offset));
}

namespace usernic {
namespace {

class FramePumpTest : public HostPortTest {
 protected:
  // The number-th that the kernel sends.
  Frame send(uint8_t number) {
    Frame frame{2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 0x88, 0xb5, number};  // local experimental
    frame.resize(60);
    const UniqueFd socket = socket_there(AF_PACKET, SOCK_RAW, 0);
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = port_->ifindex();
    EXPECT_EQ(::sendto(socket.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to),
              60);
    return frame;
  }
  bool sent(const Frame& frame) {
    return eventually([&] { return nic().sent.contains(frame); });
  }
};

TEST_F(FramePumpTest, WithoutMemoryForLongerBuffersFramesWaitAndItIsSaid) {
  Event said;
  const Patience patience = set_patience({std::chrono::milliseconds(1), std::chrono::hours(1)});
  LongWaitHandler before = set_long_wait_handler([&](const LongWaitNote& note) {
    if (!note.over && note.what.contains("buffers")) said.set();
  });
  show();
  EXPECT_TRUE(sent(send(1)));
  refused_from.store(4 << 20);  // 512 buffers for the MTU of 9000, and not those for 1500
  ASSERT_TRUE(dev_->change_mtu(9000));
  const Frame second = send(2);
  EXPECT_TRUE(said.wait());
  EXPECT_FALSE(nic().sent.contains(second));
  ASSERT_TRUE(dev_->change_mtu(1500));
  EXPECT_TRUE(sent(second)) << "of these there are some";
  ASSERT_TRUE(dev_->change_mtu(9000));
  const Frame third = send(3);
  EXPECT_TRUE(said.wait(2));
  refused_from.store(SIZE_MAX);
  EXPECT_TRUE(sent(third)) << "asked for again";
  (void)set_long_wait_handler(std::move(before));
  (void)set_patience(patience);
}

}  // namespace
}  // namespace usernic
