// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/netns.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstring>

#include "host/namespace_fixture.h"

namespace usernic {
namespace {

ino_t inode_of(int fd) {
  struct stat status {};
  ::fstat(fd, &status);
  return status.st_ino;
}

bool is_up(const char* name) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, name);
  return ::ioctl(socket.get(), SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0;
}

using NetNamespaceTest = HostTest;

TEST_F(NetNamespaceTest, AFreshOneIsAnotherNamespaceWithLoopbackUp) {
  auto fresh = NetNamespace::create();
  ASSERT_TRUE(fresh) << fresh.error().sentence;
  auto here = NetNamespace::current();
  ASSERT_TRUE(here);
  EXPECT_NE(inode_of(fresh->fd()), inode_of(here->fd()));
  bool up = false;
  ino_t inside = 0;
  ASSERT_TRUE(fresh->run([&] {
    up = is_up("lo");
    inside = inode_of(NetNamespace::current()->fd());
  }));
  EXPECT_TRUE(up);
  EXPECT_EQ(inside, inode_of(fresh->fd()));
  EXPECT_EQ(inode_of(NetNamespace::current()->fd()), inode_of(here->fd())) << "this thread stays where it is";
}

TEST_F(NetNamespaceTest, AMissingNameIsSaidInASentence) {
  auto missing = NetNamespace::open("usernic-no-such-netns");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().error, std::errc::no_such_file_or_directory);
  EXPECT_EQ(missing.error().sentence,
            "there is no network namespace \"usernic-no-such-netns\"; make it: ip netns add usernic-no-such-netns");
}

TEST_F(NetNamespaceTest, APathIsNotAName) {
  for (const char* name : {"", ".", "..", "../../proc/self/ns/net", "a/b"}) {
    auto opened = NetNamespace::open(name);
    ASSERT_FALSE(opened) << name;
    EXPECT_EQ(opened.error().error, std::errc::invalid_argument) << name;
  }
}

TEST_F(NetNamespaceTest, ADescriptorOfSomethingElseIsRefused) {
  for (const char* path : {"/dev/null", "/proc/self/ns/uts"}) {
    auto adopted = NetNamespace::adopt(UniqueFd(::open(path, O_RDONLY | O_CLOEXEC)));
    ASSERT_FALSE(adopted) << path;
    EXPECT_EQ(adopted.error().error, std::errc::invalid_argument) << path;
  }
}

}  // namespace
}  // namespace usernic
