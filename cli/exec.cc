// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/exec.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cli/host_entry.h"
#include "cli/verbs.h"
#include "ctl/socket_path.h"

namespace usernic::cli {
namespace {

using ctl::Outcome;
using ctl::refuse;

std::string last_error() {
  return std::strerror(errno);
}

Outcome<> mount_sys() {
  if (::unshare(CLONE_NEWNS) != 0) return refuse(fmt::format("cannot make a mount namespace: {}", last_error()));
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return refuse(fmt::format("cannot make the mounts private: {}", last_error()));
  }
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (::mount("sysfs", "/sys", "sysfs", kFlags, nullptr) == 0) return {};
  // Where the /sys that we came from is read-only, ours must be too.
  if (::mount("sysfs", "/sys", "sysfs", kFlags | MS_RDONLY, nullptr) == 0) return {};
  return refuse(fmt::format("cannot mount the host's /sys: {}", last_error()));
}

Outcome<> prepare(const std::string& socket, const std::string& host) {
  const auto namespaces = ask_for_host(socket, host);
  if (!namespaces) return refuse(namespaces.error());
  if (auto entered = enter(*namespaces); !entered) return entered;
  // In a container that hides parts of /sys nobody without root may mount one. Most commands do not look at it.
  if (auto mounted = mount_sys(); !mounted) failed(mounted.error() + "; going on without");
  return {};
}

std::string shell() {
  const char* const chosen = std::getenv("SHELL");
  return chosen != nullptr && *chosen != '\0' ? chosen : "/bin/sh";
}

}  // namespace

int exec(const Command& command) {
  const auto path = ctl::socket_path(command.socket);
  const Outcome<> prepared = path ? prepare(path->path, command.host) : refuse(path.error());
  if (!prepared) {
    failed(prepared.error());
    return kCouldNotEnter;
  }
  // What runs in a host can talk to the same usernic, wherever it looks for its runtime folder.
  std::error_code ignored;
  ::setenv("USERNIC_SOCKET", std::filesystem::absolute(path->path, ignored).c_str(), 1);
  const std::vector<std::string> words = command.argv.empty() ? std::vector{shell()} : command.argv;
  std::vector<char*> argv;
  for (const std::string& argument : words) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  const int error = errno;
  failed(fmt::format("cannot run '{}': {}", words[0], std::strerror(error)));
  return error == ENOENT ? kNoSuchCommand : kCouldNotRun;
}

}  // namespace usernic::cli
