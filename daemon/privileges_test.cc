// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/privileges.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "usernic/env.h"
#include "usernic/thread.h"

namespace usernic::daemon {
namespace {

bool is_denied(long result) {
  return result == -1 && errno == EPERM;
}

// In a process of its own: there is no way back.
[[noreturn]] void try_everything() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !deny_unneeded_calls()) ::_exit(1);
  char name[] = "/bin/true";
  char* const arguments[] = {name, nullptr};
  char* const environment[] = {nullptr};
  const char* const no_text = "";
  if (!is_denied(::execve(name, arguments, environment))) ::_exit(2);
  if (!is_denied(::mount("none", "/", nullptr, MS_PRIVATE, nullptr))) ::_exit(3);
  if (!is_denied(::syscall(SYS_bpf, 0, nullptr, 0))) ::_exit(4);
  if (!is_denied(::syscall(SYS_keyctl, 0, 0, 0, 0, 0))) ::_exit(5);
  if (!is_denied(::syscall(SYS_finit_module, -1, no_text, 0))) ::_exit(6);
  bool in_thread = false;
  Thread("later", [&] { in_thread = is_denied(::syscall(SYS_bpf, 0, nullptr, 0)); }).join();
  if (!in_thread) ::_exit(7);
  if (::eventfd(0, EFD_CLOEXEC) < 0) ::_exit(8);  // what it needs
  ::_exit(0);
}

TEST(PrivilegesDeathTest, WhatIsNeverNeededIsRefusedInEveryThread) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(try_everything(), testing::ExitedWithCode(0), "");
}

[[noreturn]] void give_up_what_an_ordinary_user_has() {
  if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) ::_exit(1);
  ::_exit(drop_other_capabilities() ? 0 : 2);
}

TEST(PrivilegesDeathTest, AnOrdinaryUserHasNoneToKeep) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(give_up_what_an_ordinary_user_has(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace usernic::daemon
