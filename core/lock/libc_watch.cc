// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: libc's blocking calls, watched: a driver that sleeps, allocates, reads or writes in an atomic callback is
// reported while checks are on. Where the compiler checks function effects it says so earlier, RealtimeSanitizer says
// more; this one works with every compiler.
//
// An object of its own, usernic_libc_watch: linked to a program it stands before libc's functions of these names and
// hands on to them. Not for sanitizers' builds, which stand there themselves.
#undef _FORTIFY_SOURCE  // its versions of these functions would be defined twice
#include <dlfcn.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "core/lock/held_locks.h"

// What glibc's malloc is called inside glibc: reached without a look-up, which would allocate.
extern "C" void* __libc_malloc(size_t size);
extern "C" void* __libc_calloc(size_t count, size_t size);
extern "C" void* __libc_realloc(void* block, size_t size);

namespace {

enum class Call { kSleeps, kBlocks };

void look(const char* what, Call call, const void* caller) noexcept {
  if (!usernic::kChecksOn) return;
  usernic::HeldLocks::mine().check_blocking_call(what, call == Call::kSleeps, caller);
}

template <class Function>
Function* libc(const char* name) noexcept {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

#define CALLER __builtin_return_address(0)

extern "C" {

int usleep(useconds_t time) {
  look("usleep", Call::kSleeps, CALLER);
  static const auto real = libc<int(useconds_t)>("usleep");
  return real(time);
}

unsigned sleep(unsigned time) {
  look("sleep", Call::kSleeps, CALLER);
  static const auto real = libc<unsigned(unsigned)>("sleep");
  return real(time);
}

int nanosleep(const timespec* time, timespec* left) {
  look("nanosleep", Call::kSleeps, CALLER);
  static const auto real = libc<int(const timespec*, timespec*)>("nanosleep");
  return real(time, left);
}

int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* left) {
  look("clock_nanosleep", Call::kSleeps, CALLER);
  static const auto real = libc<int(clockid_t, int, const timespec*, timespec*)>("clock_nanosleep");
  return real(clock, flags, time, left);
}

int poll(pollfd* fds, nfds_t count, int timeout) {
  look("poll", Call::kBlocks, CALLER);
  static const auto real = libc<int(pollfd*, nfds_t, int)>("poll");
  return real(fds, count, timeout);
}

ssize_t write(int fd, const void* data, size_t size) {
  look("write", Call::kBlocks, CALLER);
  static const auto real = libc<ssize_t(int, const void*, size_t)>("write");
  return real(fd, data, size);
}

ssize_t read(int fd, void* data, size_t size) {
  look("read", Call::kBlocks, CALLER);
  static const auto real = libc<ssize_t(int, void*, size_t)>("read");
  return real(fd, data, size);
}

void* malloc(size_t size) {
  look("malloc", Call::kBlocks, CALLER);
  return __libc_malloc(size);
}

void* calloc(size_t count, size_t size) {
  look("calloc", Call::kBlocks, CALLER);
  return __libc_calloc(count, size);
}

void* realloc(void* block, size_t size) {
  look("realloc", Call::kBlocks, CALLER);
  return __libc_realloc(block, size);
}

}  // extern "C"
