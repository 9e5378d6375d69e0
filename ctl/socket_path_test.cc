// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "ctl/socket_path.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>

#include "ctl/no_more_descriptors.h"
#include "testing/test_folder.h"
#include "usernic/thread.h"

namespace {

int flock_refusal = 0;              // what a lock is refused with; 0: asked of the kernel
std::function<void()> when_locked;  // by the thread that has just been given a lock

}  // namespace

// In place of libc's.
extern "C" int flock(int fd, int operation) noexcept {
  if (flock_refusal != 0) {
    errno = flock_refusal;
    return -1;
  }
  const long result = ::syscall(SYS_flock, fd, operation);
  if (result == 0 && when_locked) when_locked();
  return static_cast<int>(result);
}

namespace usernic::ctl {
namespace {

constexpr Duration kLimit = std::chrono::milliseconds(50);

sockaddr_un address_at(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

// The names in a folder and below, as from it.
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    names.push_back(entry.path().lexically_relative(folder).string());
  }
  std::ranges::sort(names);
  return names;
}

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
  void TearDown() override { when_locked = nullptr; }
  TestFolder folder_;
};

// Where fs.protected_regular does not keep files of others from being opened.
TEST_F(SocketPathTest, ALockFileOfAnotherUserKeepsNobodyFromStarting) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can make another user's file";
  const std::string path = folder_.path() + "/s", lock = path + ".lock";
  const UniqueFd theirs(::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  ASSERT_TRUE(theirs);
  ASSERT_EQ(::fchown(theirs.get(), 1000, 1000), 0);
  ASSERT_EQ(::flock(theirs.get(), LOCK_EX | LOCK_NB), 0);
  {
    const auto socket = ListeningSocket::open({path, ""});
    ASSERT_TRUE(socket) << socket.error();
    EXPECT_TRUE(connect_to(path, kLimit));
    const auto second = ListeningSocket::open({path, ""});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error(), "another program is using the socket " + path + "; choose another path with --socket");
    socket->leave_at_once();
  }
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"s.lock"}) << "it is not ours to remove";
}

TEST_F(SocketPathTest, LeavingAtOnceRemovesWhatTheDestructorWould) {
  const std::string folder = folder_.path() + "/usernic";
  const auto socket = ListeningSocket::open({folder + "/control", folder});
  ASSERT_TRUE(socket) << socket.error();
  EXPECT_EQ(names_in(folder_.path()).size(), 3u);
  socket->leave_at_once();
  EXPECT_TRUE(names_in(folder_.path()).empty());
}

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
  const std::string file = folder_.path() + "/file";
  std::ofstream(file).flush();
  ::setenv("XDG_RUNTIME_DIR", file.c_str(), 1);
  EXPECT_EQ(socket_path("")->path, "/run/usernic/control") << "it is no folder";
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
}

using Names = std::vector<std::string>;

TEST_F(SocketPathTest, WhatWasMadeIsTakenAwayAgainAnOwnFolderToo) {
  {
    const auto socket = ListeningSocket::open(*socket_path(""));
    ASSERT_TRUE(socket) << socket.error();
    EXPECT_EQ(names_in(folder_.path()), (Names{"usernic", "usernic/control", "usernic/control.lock"}));
  }
  EXPECT_EQ(names_in(folder_.path()), Names{});
}

TEST_F(SocketPathTest, FolderWithSomethingElseInItStays) {
  std::optional<ListeningSocket> first = *ListeningSocket::open(*socket_path(""));
  const std::string folder = folder_.path() + "/usernic";
  EXPECT_FALSE(ListeningSocket::open(*socket_path("")));  // refused, it must not take the first one's
  const auto second = ListeningSocket::open({folder + "/second", folder});
  ASSERT_TRUE(second) << second.error();
  first.reset();
  EXPECT_EQ(names_in(folder_.path()), (Names{"usernic", "usernic/second", "usernic/second.lock"}));
}

TEST_F(SocketPathTest, WhoIsRefusedLeavesNothing) {
  const std::string path = folder_.path() + "/s";
  ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
  EXPECT_FALSE(ListeningSocket::open({path, ""}));
  EXPECT_EQ(names_in(folder_.path()), Names{"s"});
  ASSERT_EQ(::rmdir(path.c_str()), 0);
  ASSERT_EQ(::symlink("/nowhere", path.c_str()), 0);
  EXPECT_FALSE(ListeningSocket::open({path, ""}));
  EXPECT_EQ(names_in(folder_.path()), Names{"s"});
  ASSERT_EQ(::unlink(path.c_str()), 0);
  EXPECT_FALSE(ListeningSocket::open({path + "/no/lock", path}));
  EXPECT_EQ(names_in(folder_.path()), Names{});
}

TEST_F(SocketPathTest, SomebodyElsesLockFileIsNotTouched) {
  const std::string path = folder_.path() + "/s";
  std::ofstream(path + ".lock") << "precious";
  const auto socket = ListeningSocket::open({path, ""});
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error(), path + ".lock is there already and is not a lock file; choose another path with --socket");
  EXPECT_EQ(std::filesystem::file_size(path + ".lock"), 8u);
}

TEST_F(SocketPathTest, ALockIsAFile) {
  const std::string path = folder_.path() + "/s";
  ASSERT_EQ(::mkfifo((path + ".lock").c_str(), 0600), 0);
  EXPECT_EQ(ListeningSocket::open({path, ""}).error(),
            path + ".lock is there already and is not a lock file; choose another path with --socket");
  EXPECT_EQ(names_in(folder_.path()), Names{"s.lock"});
}

TEST_F(SocketPathTest, AFileThatWasTakenAwayLocksNothing) {
  const std::string path = folder_.path() + "/s";
  int locked = 0;
  when_locked = [&] {
    if (++locked != 1) return;
    EXPECT_EQ(::unlink((path + ".lock").c_str()), 0);
    std::ofstream(path + ".lock").flush();  // and another made it
  };
  const auto socket = ListeningSocket::open({path, ""});
  ASSERT_TRUE(socket) << socket.error();
  EXPECT_EQ(locked, 2);
  EXPECT_EQ(names_in(folder_.path()), (Names{"s", "s.lock"}));
}

// Inode numbers are a file system's own.
TEST_F(SocketPathTest, AFileOfAnotherFileSystemLocksNothing) {
  const std::string path = folder_.path() + "/s", lock = path + ".lock";
  const auto mount_another = [&] { return ::mount("none", folder_.path().c_str(), "tmpfs", 0, nullptr) == 0; };
  const auto inode = [&] {
    struct stat status {};
    EXPECT_EQ(::stat(lock.c_str(), &status), 0);
    return status.st_ino;
  };
  bool may_mount = false, alike = false;
  int locked = 0;
  when_locked = [&] {
    if (++locked != 1) return;
    const ino_t first = inode();
    EXPECT_TRUE(mount_another());
    std::ofstream(lock).flush();
    alike = inode() == first;
  };
  Thread in_mounts_of_its_own("mounts", [&] {
    may_mount = ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                mount_another();
    if (!may_mount) return;
    EXPECT_TRUE(ListeningSocket::open({path, ""}));
  });
  in_mounts_of_its_own.join();
  if (!may_mount) GTEST_SKIP() << "only root may mount";
  if (!alike) GTEST_SKIP() << "tmpfs numbers its files otherwise before Linux 5.9";
  EXPECT_EQ(locked, 2);
}

TEST_F(SocketPathTest, AFolderThatIsNotOursAnyMoreWhenTheLockIsTakenIsRefused) {
  const std::string folder = folder_.path() + "/usernic";
  when_locked = [&] { EXPECT_EQ(::chmod(folder.c_str(), 0777), 0); };
  const auto socket = ListeningSocket::open(*socket_path(""));
  ASSERT_FALSE(socket);
  EXPECT_NE(socket.error().find(folder + " is not a folder that belongs to you alone"), std::string::npos)
      << socket.error();
}

TEST_F(SocketPathTest, MissingFolderIsNamed) {
  const std::string folder = folder_.path() + "/no";
  EXPECT_EQ(ListeningSocket::open({folder + "/s", ""}).error(),
            "there is no folder " + folder + " for the control socket; make it, or choose another place with --socket");
}

// Many begin and end at once: whoever gets the socket has a folder, however often another takes it away.
TEST_F(SocketPathTest, FolderThatAnotherTakesAwayIsMadeAgain) {
  const auto rounds = [&](const std::string& name) {
    for (int i = 0; i < 200; ++i) {
      const auto socket = ListeningSocket::open({folder_.path() + "/usernic/" + name, folder_.path() + "/usernic"});
      EXPECT_TRUE(socket) << socket.error();
    }
  };
  Thread other("other", [&] { rounds("b"); });
  rounds("a");
  other.join();
  EXPECT_EQ(names_in(folder_.path()), Names{});
}

// Somebody listens at a path, never accepts, and has no room for another who would wait.
class Deaf {
 public:
  explicit Deaf(const std::string& path) {
    const sockaddr_un address = address_at(path);
    EXPECT_EQ(::bind(listens_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listens_.get(), 0), 0);
    for (bool room = true; room;) {
      waiting_.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
      room = ::connect(waiting_.back().get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
  }

 private:
  const UniqueFd listens_{::socket(AF_UNIX, SOCK_STREAM, 0)};
  std::vector<UniqueFd> waiting_;
};

TEST_F(SocketPathTest, WhoNeverAcceptsIsGivenUp) {
  const std::string path = folder_.path() + "/s";
  const Deaf deaf(path);
  EXPECT_EQ(connect_to(path, kLimit).error(), "who listens on the socket " + path + " did not answer in time");
}

TEST_F(SocketPathTest, WhoNeverAcceptsUsesItsSocketAllTheSame) {
  const std::string path = folder_.path() + "/s";
  const Deaf deaf(path);
  EXPECT_EQ(ListeningSocket::open({path, ""}).error(),
            "another program is using the socket " + path + "; choose another path with --socket");
  EXPECT_EQ(names_in(folder_.path()), Names{"s"});
}

TEST_F(SocketPathTest, SecondDaemonIsTold) {
  const SocketPath path{folder_.path() + "/s", ""};
  const auto first = ListeningSocket::open(path);
  ASSERT_TRUE(first) << first.error();
  const auto second = ListeningSocket::open(path);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), "another 'usernic run' is using the socket " + path.path +
                                "; stop it, or choose another socket with --socket");
  EXPECT_TRUE(connect_to(path.path, kLimit));
}

TEST_F(SocketPathTest, StaleSocketIsReplaced) {
  const std::string path = folder_.path() + "/s";
  const sockaddr_un address = address_at(path);
  {
    const UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  std::ofstream(path + ".lock");  // a killed daemon leaves this too, unlocked
  EXPECT_FALSE(connect_to(path, kLimit));
  const auto socket = ListeningSocket::open({path, ""});
  ASSERT_TRUE(socket) << socket.error();
  EXPECT_TRUE(connect_to(path, kLimit));
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
  const sockaddr_un address = address_at(path);
  const UniqueFd other(::socket(AF_UNIX, SOCK_STREAM, 0));
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

TEST_F(SocketPathTest, WhatIsNoFolderOrAnothersIsRefused) {
  const std::string path = folder_.path() + "/usernic";
  const std::string refused = path +
                              " is not a folder that belongs to you alone (mode 0700); remove it, or choose "
                              "another place with --socket";
  ASSERT_TRUE(UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)));
  EXPECT_EQ(ListeningSocket::open(*socket_path("")).error(), refused);
  ASSERT_EQ(::unlink(path.c_str()), 0);
  if (::geteuid() != 0) return;  // only root can make another user's folder
  ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
  ASSERT_EQ(::chown(path.c_str(), 1000, 1000), 0);
  EXPECT_EQ(ListeningSocket::open(*socket_path("")).error(), refused);
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
  EXPECT_FALSE(connect_to(path, kLimit));
}

TEST_F(SocketPathTest, WithoutADescriptorNothingIsLeftBehind) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "UndefinedBehaviorSanitizer looks at objects through a pipe, which needs descriptors";
#endif
  for (int left = 0; left < 3; ++left) {  // for the lock file, the stale socket's probe, the socket
    const SocketPath path = *socket_path("");
    {
      const NoMoreDescriptors none(left);
      const auto socket = ListeningSocket::open(path);
      if (left < 2) {
        ASSERT_FALSE(socket) << left;
        EXPECT_NE(socket.error().find("RLIMIT_NOFILE is"), std::string::npos) << socket.error();
      }
    }
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path())) << left;
  }
  const NoMoreDescriptors none;
  EXPECT_NE(connect_to(folder_.path() + "/s", kLimit).error().find("RLIMIT_NOFILE is"), std::string::npos);
}

TEST_F(SocketPathTest, AFolderThatCannotBeMadeIsASentence) {
  const std::string no_folder = folder_.path() + "/file";
  std::ofstream(no_folder) << "x";
  const SocketPath path{no_folder + "/usernic/control", no_folder + "/usernic"};
  EXPECT_EQ(ListeningSocket::open(path).error(),
            "cannot make the folder " + no_folder + "/usernic for the control socket: Not a directory");
}

TEST_F(SocketPathTest, AFileThatCannotBeLockedIsNotLeftBehindWhereItWasNotThere) {
  const std::string path = folder_.path() + "/s", lock = path + ".lock";
  for (const bool was_there : {false, true}) {
    if (was_there) std::ofstream(lock).flush();
    flock_refusal = ENOLCK;
    const auto socket = ListeningSocket::open({path, ""});
    flock_refusal = 0;
    ASSERT_FALSE(socket);
    EXPECT_EQ(socket.error(), "cannot lock " + lock + ": No locks available");
    EXPECT_EQ(std::filesystem::exists(lock), was_there) << "another may hold it";
  }
  EXPECT_TRUE(ListeningSocket::open({path, ""}));
}

TEST_F(SocketPathTest, ALockFileThatCannotBeMadeIsASentence) {
  ASSERT_EQ(::mkdir((folder_.path() + "/s.lock").c_str(), 0700), 0);
  EXPECT_EQ(ListeningSocket::open({folder_.path() + "/s", ""}).error(),
            "cannot make the lock file " + folder_.path() + "/s.lock beside the control socket: Is a directory");
}

TEST_F(SocketPathTest, ASocketThatNobodyMayTalkToIsASentence) {
  // A socket of another kind is in use by somebody, whom one cannot ask.
  const std::string path = folder_.path() + "/s";
  const UniqueFd other(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_at(path);
  ASSERT_EQ(::bind(other.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(ListeningSocket::open({path, ""}).error(),
            "cannot tell whether somebody is using the socket " + path + ": Protocol wrong type for socket");
  EXPECT_EQ(connect_to(path, kLimit).error(),
            "cannot connect to the socket " + path + ": Protocol wrong type for socket");
  EXPECT_EQ(names_in(folder_.path()), (std::vector<std::string>{"s"})) << "and it stays";
}

// The effective uid of one thread; libc's would change that of all.
void become(uid_t uid) {
  EXPECT_EQ(::syscall(SYS_setresuid, -1, uid, -1), 0) << std::strerror(errno);
}

TEST_F(SocketPathTest, WhoListensMustBeOneselfOrRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be two users";
  constexpr uid_t kOther = 1000, kThird = 1001;
  const std::string path = folder_.path() + "/s";
  const sockaddr_un address = address_at(path);
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  const auto said = [&](uid_t listener, uid_t caller) {
    ::unlink(path.c_str());
    const UniqueFd listens(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listens.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::chmod(path.c_str(), 0666), 0);
    std::string answer;
    Thread two_users("two_users", [&] {
      become(listener);
      EXPECT_EQ(::listen(listens.get(), 1), 0);
      become(0);
      become(caller);
      const auto connected = connect_to(path, kLimit);
      answer = connected ? "connected" : connected.error();
    });
    two_users.join();
    return answer;
  };
  EXPECT_EQ(said(kOther, 0), "the socket " + path + " belongs to user 1000, neither you nor root");
  EXPECT_EQ(said(kOther, kThird), "the socket " + path + " belongs to user 1000, neither you nor root");
  EXPECT_EQ(said(kOther, kOther), "connected");
  EXPECT_EQ(said(0, kOther), "connected");
}

TEST_F(SocketPathTest, NobodyThereIsASentence) {
  const std::string path = folder_.path() + "/s";
  EXPECT_EQ(connect_to(path, kLimit).error(), "no usernic is running on the socket " + path +
                                                  "; start one with 'usernic run', or name its socket with --socket");
}

}  // namespace
}  // namespace usernic::ctl
