// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests that need root: an ordinary user is root in a user namespace of his own.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <string>

#include "usernic/unique_fd.h"

namespace usernic {

// Before the program's first thread. False where that is forbidden.
inline bool become_root() {
  const uid_t uid = ::getuid();
  const gid_t gid = ::getgid();
  if (uid == 0) return true;
  if (::unshare(CLONE_NEWUSER) != 0) return false;
  const auto write = [](const char* path, const std::string& text) {
    const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
    return ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  };
  // The group may be mapped once setgroups is off; a kernel before 3.19 has no such file.
  (void)write("/proc/self/setgroups", "deny");
  return write("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1") &&
         write("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
}

}  // namespace usernic
