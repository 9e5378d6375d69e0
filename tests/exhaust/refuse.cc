// SPDX-License-Identifier: Apache-2.0 OR MIT
// A machine that has run out, for tests: preloaded before a program, it stands before libc's functions and refuses the
// N-th call of one kind since main began.
//
//   USERNIC_REFUSE=KIND:N      the N-th call, counted from 1; N+: it and all that follow; 0: none
//   USERNIC_REFUSE_FOLDER=DIR  `count` there holds how many calls there were so far (8 octets), `where` the place of
//   the
//                              one that was refused
//
// Kinds: memory (malloc and its kin, pages; not where a sanitizer stands before it), descriptor (EMFILE), thread
// (EAGAIN), kernel (ENOMEM: what the kernel makes or changes for us).
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

enum class Kind { kNone, kMemory, kDescriptor, kThread, kKernel };

// Constant from the moment that main begins.
Kind wanted = Kind::kNone;
long first = 0;
bool and_all_that_follow = false;
long* count = nullptr;
char where_path[4096];
thread_local bool spared = false;

Kind kind_of(const char* text, size_t size) {
  const auto is = [&](const char* name) { return std::strlen(name) == size && std::memcmp(text, name, size) == 0; };
  if (is("memory")) return Kind::kMemory;
  if (is("descriptor")) return Kind::kDescriptor;
  if (is("thread")) return Kind::kThread;
  return is("kernel") ? Kind::kKernel : Kind::kNone;
}

// Without libc's own functions of these names, which are the ones below.
void take_orders() {
  const char* order = std::getenv("USERNIC_REFUSE");
  const char* folder = std::getenv("USERNIC_REFUSE_FOLDER");
  const char* colon = order != nullptr ? std::strchr(order, ':') : nullptr;
  if (colon == nullptr || folder == nullptr) return;
  first = std::atol(colon + 1);
  and_all_that_follow = std::strchr(colon, '+') != nullptr;
  char path[4096];
  std::snprintf(path, sizeof path, "%s/count", folder);
  std::snprintf(where_path, sizeof where_path, "%s/where", folder);
  const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (fd < 0 || ::ftruncate(fd, sizeof *count) != 0) return;
  void* const shared = ::mmap(nullptr, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::syscall(SYS_close, fd);
  if (shared == MAP_FAILED) return;
  void* warm[4];
  ::backtrace(warm, 4);  // the first call takes memory
  count = static_cast<long*>(shared);
  wanted = kind_of(order, static_cast<size_t>(colon - order));
}

void tell(const char* function) {
  const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, where_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (fd < 0) return;
  ::syscall(SYS_write, fd, function, std::strlen(function));
  ::syscall(SYS_write, fd, "\n", 1);
  void* frames[32];
  const int depth = ::backtrace(frames, 32);
  ::backtrace_symbols_fd(frames, depth, fd);
  ::syscall(SYS_close, fd);
}

bool refused(Kind kind, const char* function, int error) {
  if (wanted != kind || spared) return false;
  const long number = __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
  if (first == 0 || (and_all_that_follow ? number < first : number != first)) return false;
  if (number == first) tell(function);
  errno = error;
  return true;
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

#define NEXT(name) static const auto real = next<decltype(name)>(#name)

extern "C" {

int __libc_start_main(int (*main)(int, char**, char**), int argc, char** argv, int (*init)(int, char**, char**),
                      void (*fini)(), void (*rtld_fini)(), void* stack_end) {
  static int (*program)(int, char**, char**) = main;
  NEXT(__libc_start_main);
  const auto ordered = [](int count_of_words, char** words, char** environment) {
    take_orders();
    return program(count_of_words, words, environment);
  };
  return real(ordered, argc, argv, init, fini, rtld_fini, stack_end);
}

// --- Threads ---

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) {
  NEXT(pthread_create);
  return refused(Kind::kThread, "pthread_create", EAGAIN) ? EAGAIN : real(thread, attributes, body, argument);
}

// --- Descriptors ---

int socket(int domain, int type, int protocol) {
  NEXT(socket);
  return refused(Kind::kDescriptor, "socket", EMFILE) ? -1 : real(domain, type, protocol);
}
int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  NEXT(accept4);
  return refused(Kind::kDescriptor, "accept4", EMFILE) ? -1 : real(fd, address, size, flags);
}
int eventfd(unsigned value, int flags) {
  NEXT(eventfd);
  return refused(Kind::kDescriptor, "eventfd", EMFILE) ? -1 : real(value, flags);
}
int epoll_create1(int flags) {
  NEXT(epoll_create1);
  return refused(Kind::kDescriptor, "epoll_create1", EMFILE) ? -1 : real(flags);
}
int signalfd(int fd, const sigset_t* signals, int flags) {
  NEXT(signalfd);
  return refused(Kind::kDescriptor, "signalfd", EMFILE) ? -1 : real(fd, signals, flags);
}
int dup(int fd) {
  NEXT(dup);
  return refused(Kind::kDescriptor, "dup", EMFILE) ? -1 : real(fd);
}
int pipe2(int* fds, int flags) {
  NEXT(pipe2);
  return refused(Kind::kDescriptor, "pipe2", EMFILE) ? -1 : real(fds, flags);
}

#define OPEN(name)                                                                   \
  int name(const char* path, int flags, ...) {                                       \
    va_list arguments;                                                               \
    va_start(arguments, flags);                                                      \
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;      \
    va_end(arguments);                                                               \
    NEXT(name);                                                                      \
    return refused(Kind::kDescriptor, #name, EMFILE) ? -1 : real(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

#define FCNTL(name)                                                                                   \
  int name(int fd, int command, ...) {                                                                \
    va_list arguments;                                                                                \
    va_start(arguments, command);                                                                     \
    void* const argument = va_arg(arguments, void*);                                                  \
    va_end(arguments);                                                                                \
    NEXT(name);                                                                                       \
    const bool makes_one = command == F_DUPFD || command == F_DUPFD_CLOEXEC;                          \
    return makes_one && refused(Kind::kDescriptor, #name, EMFILE) ? -1 : real(fd, command, argument); \
  }
FCNTL(fcntl)
FCNTL(fcntl64)

// --- The kernel's own memory ---

int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  NEXT(epoll_ctl);
  const bool makes_one = operation == EPOLL_CTL_ADD;
  return makes_one && refused(Kind::kKernel, "epoll_ctl", ENOMEM) ? -1 : real(epoll, operation, fd, event);
}
int setns(int fd, int type) {
  NEXT(setns);
  return refused(Kind::kKernel, "setns", ENOMEM) ? -1 : real(fd, type);
}
int unshare(int flags) {
  NEXT(unshare);
  return refused(Kind::kKernel, "unshare", ENOMEM) ? -1 : real(flags);
}
int ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  NEXT(ioctl);
  return refused(Kind::kKernel, "ioctl", ENOMEM) ? -1 : real(fd, request, argument);
}
int bind(int fd, const sockaddr* address, socklen_t size) {
  NEXT(bind);
  return refused(Kind::kKernel, "bind", ENOMEM) ? -1 : real(fd, address, size);
}
int listen(int fd, int backlog) {
  NEXT(listen);
  return refused(Kind::kKernel, "listen", ENOMEM) ? -1 : real(fd, backlog);
}
int fchmod(int fd, mode_t mode) {
  NEXT(fchmod);
  return refused(Kind::kKernel, "fchmod", ENOMEM) ? -1 : real(fd, mode);
}
int mkdir(const char* path, mode_t mode) {
  NEXT(mkdir);
  return refused(Kind::kKernel, "mkdir", ENOMEM) ? -1 : real(path, mode);
}
ssize_t send(int fd, const void* data, size_t size, int flags) {
  NEXT(send);
  return refused(Kind::kKernel, "send", ENOMEM) ? -1 : real(fd, data, size, flags);
}

// --- What cannot do without ---

// libseccomp frees twice, or runs in circles, where it finds no memory for the filter that it loads.
int seccomp_load(void* filter) {
  static const auto real = next<int(void*)>("seccomp_load");
  spared = true;
  const int loaded = real(filter);
  spared = false;
  return loaded;
}

}  // extern "C"

// --- Memory ---

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

// A checked program has a malloc of its own, which goes on to __libc_malloc: both names are refused, once a call.
// Looking the real ones up may take memory: that comes from here, and stays.
namespace {

alignas(64) char early[64 * 1024];
size_t early_used = 0;
bool looking_up = false;

void* early_memory(size_t size) {
  const size_t at = (early_used + 63) & ~size_t{63};
  if (at + size > sizeof early) return nullptr;
  early_used = at + size;
  return early + at;
}
bool is_early(const void* block) {
  return block >= early && block < early + sizeof early;
}

template <class Function>
Function* libc(Function*& known, const char* name) {
  if (known != nullptr) return known;
  looking_up = true;
  known = next<Function>(name);
  looking_up = false;
  return known;
}

void* (*libc_malloc)(size_t) = nullptr;
void* (*libc_calloc)(size_t, size_t) = nullptr;
void* (*libc_realloc)(void*, size_t) = nullptr;
void (*libc_free)(void*) = nullptr;
void* (*libc_aligned)(size_t, size_t) = nullptr;

}  // namespace

extern "C" {

void* __libc_malloc(size_t size) {
  if (looking_up) return early_memory(size);
  return refused(Kind::kMemory, "malloc", ENOMEM) ? nullptr : libc(libc_malloc, "__libc_malloc")(size);
}
void* malloc(size_t size) {
  return __libc_malloc(size);
}
void* __libc_calloc(size_t number, size_t size) {
  if (looking_up) return early_memory(number * size);
  return refused(Kind::kMemory, "calloc", ENOMEM) ? nullptr : libc(libc_calloc, "__libc_calloc")(number, size);
}
void* calloc(size_t number, size_t size) {
  return __libc_calloc(number, size);
}
void* __libc_realloc(void* block, size_t size) {
  if (is_early(block)) {
    void* const moved = malloc(size);
    if (moved != nullptr) std::memcpy(moved, block, size);
    return moved;
  }
  return refused(Kind::kMemory, "realloc", ENOMEM) ? nullptr : libc(libc_realloc, "__libc_realloc")(block, size);
}
void* realloc(void* block, size_t size) {
  return __libc_realloc(block, size);
}
void free(void* block) {
  if (!is_early(block)) libc(libc_free, "__libc_free")(block);
}
void* aligned_alloc(size_t alignment, size_t size) {
  return refused(Kind::kMemory, "aligned_alloc", ENOMEM) ? nullptr
                                                         : libc(libc_aligned, "aligned_alloc")(alignment, size);
}
// Pages of nothing yet. An allocator's own and a thread's stack do not come by here.
void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  if ((flags & MAP_ANONYMOUS) != 0 && refused(Kind::kMemory, "mmap", ENOMEM)) return MAP_FAILED;
  return reinterpret_cast<void*>(::syscall(SYS_mmap, at, size, protection, flags, fd, offset));
}

}  // extern "C"

#endif
