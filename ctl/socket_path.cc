// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "ctl/socket_path.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "ctl/print.h"
#include "usernic/refusal.h"

namespace usernic::ctl {
namespace {

constexpr int kBacklog = 1024;
constexpr int kLockTriesMax = 16;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string why(int error) {
  return refusal(static_cast<std::errc>(error));
}

bool is_folder_of(const std::string& path, uid_t uid) {
  struct stat status;
  return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == uid;
}

bool is_no_socket(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode);
}

Outcome<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return refuse(
        fmt::format("the socket path '{}' has {} characters; a Unix socket takes 1 to {}: choose a shorter "
                    "one with --socket",
                    path, path.size(), sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

bool is_ours_alone(const struct stat& status) {
  return S_ISDIR(status.st_mode) && status.st_uid == ::geteuid() && (status.st_mode & 077) == 0;
}
bool is_ours_alone(const std::string& folder) {
  struct stat status;
  return ::lstat(folder.c_str(), &status) == 0 && is_ours_alone(status);
}

// Makes the folder, or finds it as it would have made it.
Outcome<> take_folder(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return refuse(fmt::format("cannot make the folder {} for the control socket: {}", folder, why(errno)));
  }
  struct stat status;
  if (::lstat(folder.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};  // another daemon has just left it: take_lock sees that too
    return refuse(fmt::format("cannot look at the folder {} of the control socket: {}", folder, why(errno)));
  }
  if (is_ours_alone(status)) return {};
  return refuse(
      fmt::format("{} is not a folder that belongs to you alone (mode 0700); remove it, or choose another "
                  "place with --socket",
                  folder));
}

std::string lock_name(const SocketPath& path) {
  return path.path + ".lock";
}

std::string cannot_lock(const SocketPath& path, int error) {
  const size_t slash = path.path.rfind('/');
  if (error == ENOENT && slash != std::string::npos) {
    return fmt::format("there is no folder {} for the control socket; make it, or choose another place with --socket",
                       path.path.substr(0, slash));
  }
  return fmt::format("cannot make the lock file {} beside the control socket: {}", lock_name(path), why(error));
}

// "" when the name stands for this file, nullopt when for none or another: an ending daemon has just removed it.
std::optional<std::string> look_at_lock(const std::string& name, const UniqueFd& lock) {
  struct stat held, named;
  if (::fstat(lock.get(), &held) != 0) return fmt::format("cannot look at {}: {}", name, why(errno));
  if (!S_ISREG(held.st_mode) || held.st_size != 0) {
    return fmt::format("{} is there already and is not a lock file; choose another path with --socket", name);
  }
  const bool same = ::stat(name.c_str(), &named) == 0 && held.st_ino == named.st_ino && held.st_dev == named.st_dev;
  return same ? std::optional<std::string>("") : std::nullopt;
}

// Somebody else may have made it, to keep us from starting; where links and files of others are protected, the open
// fails.
bool is_somebody_elses(const std::string& name, const UniqueFd& lock) {
  struct stat status;
  const bool known = lock ? ::fstat(lock.get(), &status) == 0 : ::lstat(name.c_str(), &status) == 0;
  return known && status.st_uid != ::geteuid();
}

// The lock file, locked, in its folder; none where it is somebody else's. Both may be taken away by an ending daemon as
// long as nobody holds the lock.
Outcome<UniqueFd> take_lock(const SocketPath& path) {
  const std::string name = lock_name(path);
  for (int i = 0; i < kLockTriesMax; ++i) {
    if (!path.own_folder.empty()) {
      if (auto folder = take_folder(path.own_folder); !folder) return refuse(folder.error());
    }
    constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    UniqueFd lock(::open(name.c_str(), kFlags | O_CREAT | O_EXCL, 0600));
    const bool made = static_cast<bool>(lock);
    if (!made && errno == EEXIST) {
      lock = UniqueFd(::open(name.c_str(), kFlags));
      if (!lock && errno == ENOENT) continue;  // an ending daemon has just removed it
    }
    if (!lock && errno == ENOENT && !path.own_folder.empty()) continue;
    const int error = errno;
    if (is_somebody_elses(name, lock)) return UniqueFd();
    if (!lock) return refuse(cannot_lock(path, error));
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
      if (const int refused = errno; refused != EWOULDBLOCK) {
        if (made) ::unlink(name.c_str());
        return refuse(fmt::format("cannot lock {}: {}", name, why(refused)));
      }
      return refuse(
          fmt::format("another 'usernic run' is using the socket {}; stop it, or choose another socket with "
                      "--socket",
                      path.path));
    }
    const auto wrong = look_at_lock(name, lock);
    if (wrong && !wrong->empty()) return refuse(*wrong);
    // An ending daemon may have taken the folder away since we looked, and a stranger made another of its name. With a
    // file in it, it stays.
    if (wrong && (path.own_folder.empty() || is_ours_alone(path.own_folder))) return lock;
  }
  return refuse(fmt::format("the lock file {} does not stay in its place", name));
}

void remove_file(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return;
  print_without_waiting(stderr, fmt::format("usernic: cannot remove {}: {}\n", path, why(errno)));
}

// A folder of usernic's own goes with the last file in it: another daemon's keeps it.
void leave_folder(const std::string& own_folder) {
  if (!own_folder.empty() && is_ours_alone(own_folder)) ::rmdir(own_folder.c_str());
}

// Removes what a killed daemon left. Requires: the lock is held.
Outcome<> clear_stale(const std::string& path, const sockaddr_un& address) {
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return refuse(fmt::format("cannot look at {}: {}", path, why(errno)));
  }
  if (!S_ISSOCK(status.st_mode)) {
    return refuse(fmt::format("{} is there already and is not a socket; choose another path with --socket", path));
  }
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return refuse(fmt::format("cannot make a socket: {}", why(errno)));
  const bool answers = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (!answers && errno != ECONNREFUSED && errno != EAGAIN) {  // EAGAIN: it is there, and its backlog is full
    return refuse(fmt::format("cannot tell whether somebody is using the socket {}: {}", path, why(errno)));
  }
  if (answers || errno == EAGAIN) {
    return refuse(fmt::format("another program is using the socket {}; choose another path with --socket", path));
  }
  if (::unlink(path.c_str()) != 0)
    return refuse(fmt::format("cannot remove the stale socket {}: {}", path, why(errno)));
  return {};
}

}  // namespace

Outcome<SocketPath> socket_path(const std::string& chosen) {
  if (!chosen.empty()) return SocketPath{chosen, ""};
  if (std::string path = environment("USERNIC_SOCKET"); !path.empty()) return SocketPath{path, ""};
  const auto in = [](const std::string& folder) { return SocketPath{folder + "/control", folder}; };
  const uid_t uid = ::geteuid();
  // Under sudo the variable may still name the folder of the user who called.
  const std::string runtime = environment("XDG_RUNTIME_DIR");
  if (runtime.starts_with('/') && (uid != 0 || is_folder_of(runtime, 0))) return in(runtime + "/usernic");
  if (uid == 0) return in("/run/usernic");
  if (const std::string usual = fmt::format("/run/user/{}", uid); is_folder_of(usual, uid))
    return in(usual + "/usernic");
  return in(fmt::format("/tmp/usernic-{}", uid));
}

Outcome<ListeningSocket> ListeningSocket::open(const SocketPath& path) {
  const auto address = address_of(path.path);
  if (!address) return refuse(address.error());
  ListeningSocket socket(path);  // undoes what is done so far, wherever this ends
  auto lock = take_lock(path);
  if (!lock) return refuse(lock.error());
  socket.lock_ = *std::move(lock);
  if (auto cleared = clear_stale(path.path, *address); !cleared) return refuse(cleared.error());

  const auto cannot_listen = [&] {
    return refuse(fmt::format("cannot listen on the socket {}: {}", path.path, why(errno)));
  };
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // bind() gives the file the mode of the socket: 0600 before the name exists, whatever the umask.
  if (!fd || ::fchmod(fd.get(), 0600) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    return cannot_listen();
  }
  socket.fd_ = std::move(fd);
  if (::listen(socket.fd(), kBacklog) != 0) return cannot_listen();
  return socket;
}

ListeningSocket::ListeningSocket(SocketPath path) : path_(std::move(path)), lock_name_(lock_name(path_)) {}

ListeningSocket::~ListeningSocket() {
  if (fd_) {
    fd_.reset();
    remove_file(path_.path);
  }
  if (lock_) remove_file(lock_name_);  // while it is still locked: see take_lock
  leave_folder(path_.own_folder);      // moved from: there is none
}

void ListeningSocket::leave_at_once() const noexcept {
  if (fd_) ::unlink(path_.path.c_str());
  if (lock_) ::unlink(lock_name_.c_str());
  if (!path_.own_folder.empty()) ::rmdir(path_.own_folder.c_str());
}

Outcome<UniqueFd> connect_to(const std::string& path, Duration limit) {
  const auto address = address_of(path);
  if (!address) return refuse(address.error());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return refuse(fmt::format("cannot make a socket: {}", why(errno)));
  // Where the backlog is full, connect() waits for room, as long as a send may wait.
  const auto us = std::chrono::ceil<std::chrono::microseconds>(limit).count();
  const timeval send_limit{.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &send_limit, sizeof send_limit);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    const int error = errno;
    if (is_no_socket(path)) {
      return refuse(fmt::format("{} is not a socket; name that of a running usernic with --socket", path));
    }
    if (error == ENOENT || error == ECONNREFUSED) {
      return refuse(
          fmt::format("no usernic is running on the socket {}; start one with 'usernic run', or name its "
                      "socket with --socket",
                      path));
    }
    if (error == EAGAIN) return refuse(fmt::format("who listens on the socket {} did not answer in time", path));
    return refuse(fmt::format("cannot connect to the socket {}: {}", path, why(error)));
  }
  const long uid = peer_uid(fd.get());
  if (uid != static_cast<long>(::geteuid()) && uid != 0) {
    return refuse(fmt::format("the socket {} belongs to user {}, neither you nor root", path, uid));
  }
  return fd;
}

long peer_uid(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return -1;
  return static_cast<long>(credentials.uid);
}

}  // namespace usernic::ctl
