// SPDX-License-Identifier: Apache-2.0
#include "ctl/socket_path.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "ctl/test_folder.h"

namespace usernic::ctl {
namespace {

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

class SocketPathTest : public testing::Test {
 protected:
  void SetUp() override {
    ::unsetenv("USERNIC_SOCKET");
    ::setenv("XDG_RUNTIME_DIR", folder_.path().c_str(), 1);
  }
  TestFolder folder_;
};

TEST_F(SocketPathTest, OptionThenVariableThenRuntimeFolder) {
  EXPECT_EQ(socket_path("")->path, folder_.path() + "/usernic/control");
  EXPECT_EQ(socket_path("")->own_folder, folder_.path() + "/usernic");
  ::setenv("USERNIC_SOCKET", "/x/y", 1);
  EXPECT_EQ(socket_path("")->path, "/x/y");
  EXPECT_EQ(socket_path("/z")->path, "/z");
  EXPECT_EQ(socket_path("/z")->own_folder, "");
}

TEST_F(SocketPathTest, WithoutRuntimeFolderThereIsStillOne) {
  ::unsetenv("XDG_RUNTIME_DIR");
  const auto path = socket_path("");
  ASSERT_TRUE(path);
  if (::geteuid() == 0) {
    EXPECT_EQ(path->path, "/run/usernic/control");
  } else {
    EXPECT_NE(path->path.find(std::to_string(::geteuid())), std::string::npos);
  }
}

TEST_F(SocketPathTest, RootDoesNotUseTheRuntimeFolderOfAnother) {
  if (::geteuid() != 0) GTEST_SKIP() << "root only";
  ASSERT_EQ(::chown(folder_.path().c_str(), 65534, 65534), 0);
  EXPECT_EQ(socket_path("")->path, "/run/usernic/control");
}

TEST_F(SocketPathTest, FileThatCannotBeRemovedAtTheEndIsASentence) {
  const std::string path = folder_.path() + "/s";
  testing::internal::CaptureStderr();
  {
    const auto socket = ListeningSocket::open({path, ""});
    ASSERT_TRUE(socket) << socket.error();
    ASSERT_EQ(::unlink(path.c_str()), 0);
    ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "usernic: cannot remove " + path + ": Is a directory\n");
}

TEST_F(SocketPathTest, SocketIsPrivateWhateverTheUmask) {
  const mode_t before = ::umask(0);
  {
    const auto socket = ListeningSocket::open(*socket_path(""));
    ASSERT_TRUE(socket) << socket.error();
    EXPECT_EQ(mode_of(folder_.path() + "/usernic"), 0700u);
    EXPECT_EQ(mode_of(folder_.path() + "/usernic/control"), 0600u);
  }
  ::umask(before);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() + "/usernic"));
}

TEST_F(SocketPathTest, SecondDaemonIsTold) {
  const SocketPath path{folder_.path() + "/s", ""};
  const auto first = ListeningSocket::open(path);
  ASSERT_TRUE(first) << first.error();
  const auto second = ListeningSocket::open(path);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), "another 'usernic run' is using the socket " + path.path +
                                "; stop it, or choose another socket with --socket");
  EXPECT_TRUE(connect_to(path.path));
}

TEST_F(SocketPathTest, StaleSocketIsReplaced) {
  const std::string path = folder_.path() + "/s";
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  {
    const Fd dead(::socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  std::ofstream(path + ".lock");  // a killed daemon leaves this too, unlocked
  EXPECT_FALSE(connect_to(path));
  const auto socket = ListeningSocket::open({path, ""});
  ASSERT_TRUE(socket) << socket.error();
  EXPECT_TRUE(connect_to(path));
}

TEST_F(SocketPathTest, SomebodyElsesFileIsNotTouched) {
  const std::string path = folder_.path() + "/s";
  std::ofstream(path) << "precious";
  const auto socket = ListeningSocket::open({path, ""});
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error(), path + " is there already and is not a socket; choose another path with --socket");
  EXPECT_EQ(std::filesystem::file_size(path), 8u);
}

TEST_F(SocketPathTest, LiveSocketWithoutLockIsNotTouched) {
  const std::string path = folder_.path() + "/s";
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const Fd other(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(::bind(other.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(other.get(), 1), 0);
  const auto socket = ListeningSocket::open({path, ""});
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error(), "another program is using the socket " + path + "; choose another path with --socket");
}

TEST_F(SocketPathTest, FolderThatOthersCanEnterIsRefused) {
  ASSERT_EQ(::mkdir((folder_.path() + "/usernic").c_str(), 0755), 0);
  ASSERT_EQ(::chmod((folder_.path() + "/usernic").c_str(), 0755), 0);
  const auto socket = ListeningSocket::open(*socket_path(""));
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error(), folder_.path() +
                                "/usernic is not a folder that belongs to you alone (mode 0700); remove "
                                "it, or choose another place with --socket");
}

TEST_F(SocketPathTest, LinkInPlaceOfTheFolderIsRefused) {
  ASSERT_EQ(::mkdir((folder_.path() + "/real").c_str(), 0700), 0);
  ASSERT_EQ(::symlink((folder_.path() + "/real").c_str(), (folder_.path() + "/usernic").c_str()), 0);
  EXPECT_FALSE(ListeningSocket::open(*socket_path("")));
}

TEST_F(SocketPathTest, LongPathIsASentence) {
  const std::string path = "/tmp/" + std::string(120, 'x');
  EXPECT_EQ(ListeningSocket::open({path, ""}).error(),
            "the socket path '" + path +
                "' has 125 characters; a Unix socket takes 1 to 107: choose a shorter one with --socket");
  EXPECT_FALSE(connect_to(path));
}

TEST_F(SocketPathTest, NobodyThereIsASentence) {
  const std::string path = folder_.path() + "/s";
  EXPECT_EQ(connect_to(path).error(), "no usernic is running on the socket " + path +
                                          "; start one with 'usernic run', or name its socket with --socket");
}

}  // namespace
}  // namespace usernic::ctl
