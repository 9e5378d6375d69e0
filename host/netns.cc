// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/netns.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <set>

#include "usernic/env.h"
#include "usernic/refusal.h"
#include "usernic/thread.h"

namespace usernic {

namespace {

UniqueFd open_own_namespace() {
  return UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
}

// In a fresh namespace the loopback is there, but down.
int bring_loopback_up() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  if (!socket || ::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) return errno;
  request.ifr_flags |= IFF_UP;
  return ::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0 ? 0 : errno;
}

std::unexpected<HostError> cannot_create(int error) {
  if (error == EPERM) {
    return host_fail(error, "cannot make a network namespace: that needs root, or a user namespace of one's own");
  }
  return host_fail(error, "cannot make a network namespace: " + refusal(static_cast<std::errc>(error)));
}

// Runs `body` on a thread of its own, in whatever namespace it moves to; what it returns is an errno, or 0.
Result<int> on_a_thread(const char* name, std::move_only_function<int()> body) {
  int error = 0;
  std::exception_ptr thrown;  // memory that ran out there has run out for the caller
  Result<Thread> thread = Thread::start(name, [&] {
    try {
      error = body();
    } catch (...) {
      thrown = std::current_exception();
    }
  });
  if (!thread) return fail(thread.error());
  thread->join();
  if (thrown) std::rethrow_exception(thrown);
  return error;
}

bool is_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == name.npos && name.find('\0') == name.npos;
}

}  // namespace

HostResult<NetNamespace> NetNamespace::create() {
  UniqueFd fd;
  const Result<int> error = on_a_thread("netns-create", [&] {
    if (::unshare(CLONE_NEWNET) != 0) return errno;
    fd = open_own_namespace();
    return fd ? bring_loopback_up() : errno;
  });
  if (!error) {
    return host_fail(error.error(),
                     "cannot make a network namespace, for want of a thread: " + thread_refusal(error.error()));
  }
  if (*error != 0) return cannot_create(*error);
  return NetNamespace(std::move(fd));
}

HostResult<NetNamespace> NetNamespace::open(std::string_view name) {
  if (!is_name(name)) return host_fail(EINVAL, fmt::format("\"{}\" is not a name of a network namespace", name));
  for (const char* directory : {"/run/netns", "/var/run/netns"}) {
    UniqueFd fd(::open(fmt::format("{}/{}", directory, name).c_str(), O_RDONLY | O_CLOEXEC));
    if (fd) {
      HostResult<NetNamespace> opened = adopt(std::move(fd));
      if (!opened) opened.error().sentence = fmt::format("{}/{} is not a network namespace", directory, name);
      return opened;
    }
    if (errno != ENOENT) {
      const auto error = static_cast<std::errc>(errno);
      return host_fail(error, fmt::format("cannot open network namespace \"{}\": {}", name, refusal(error)));
    }
  }
  return host_fail(ENOENT, fmt::format("there is no network namespace \"{0}\"; make it: ip netns add {0}", name));
}

HostResult<NetNamespace> NetNamespace::current() {
  UniqueFd fd = open_own_namespace();
  if (!fd) {
    const auto error = static_cast<std::errc>(errno);
    return host_fail(error, "cannot open /proc/thread-self/ns/net: " + refusal(error));
  }
  return NetNamespace(std::move(fd));
}

HostResult<NetNamespace> NetNamespace::adopt(UniqueFd fd) {
  if (::ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) {
    return host_fail(EINVAL, "the descriptor is not one of a network namespace");
  }
  return NetNamespace(std::move(fd));
}

uint64_t NetNamespace::id() const noexcept {
  struct stat status {};
  return ::fstat(fd_.get(), &status) == 0 ? status.st_ino : 0;
}

HostResult<> NetNamespace::run(std::move_only_function<void()> body) const {
  const Result<int> error = on_a_thread("netns-run", [&] {
    if (::setns(fd_.get(), CLONE_NEWNET) != 0) return errno;
    body();
    return 0;
  });
  if (!error) {
    return host_fail(error.error(),
                     "cannot enter the network namespace, for want of a thread: " + thread_refusal(error.error()));
  }
  if (*error == 0) return {};
  return host_fail(*error, "cannot enter the network namespace: " + refusal(static_cast<std::errc>(*error)));
}

std::vector<std::string> known_namespaces() {
  namespace fs = std::filesystem;
  std::vector<std::string> all;
  std::set<std::string> held;  // by many descriptors, maybe
  std::error_code failed;
  for (fs::directory_iterator each("/run/netns", failed), end; !failed && each != end; each.increment(failed)) {
    all.push_back(each->path());
  }
  for (fs::directory_iterator each("/proc/self/fd", failed), end; !failed && each != end; each.increment(failed)) {
    std::error_code closed;
    const std::string to = fs::read_symlink(*each, closed);
    if (to.starts_with("net:[") && held.insert(to).second) all.push_back(each->path());
  }
  return all;
}

}  // namespace usernic
