// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: what the compiler is told about locks and contexts.
//
// USERNIC_NONBLOCKING goes after a function's parameter list (and noexcept): it may be called in atomic context
// and calls nothing that may sleep or allocate. clang 20 and newer check it (-Wfunction-effects).
// The others are Clang's thread-safety attributes. GCC ignores all of them. In the simulator every atomic may change
// fibers: what may block is checked where production is compiled.
#pragma once

#if defined(__clang__) && __has_cpp_attribute(clang::nonblocking) && !defined(USERNIC_SIM)
#define USERNIC_NONBLOCKING [[clang::nonblocking]]
// Around code whose blocking is bounded and part of the contract (a futex, a write to a TAP). Say why.
#define USERNIC_BLOCKING_BY_DESIGN_BEGIN \
  _Pragma("clang diagnostic push") _Pragma("clang diagnostic ignored \"-Wfunction-effects\"")
#define USERNIC_BLOCKING_BY_DESIGN_END _Pragma("clang diagnostic pop")
#else
#define USERNIC_NONBLOCKING
#define USERNIC_BLOCKING_BY_DESIGN_BEGIN
#define USERNIC_BLOCKING_BY_DESIGN_END
#endif

// For builds with RealtimeSanitizer only (the rtsan preset).
#if defined(__has_feature)
#if __has_feature(realtime_sanitizer)
#include <sanitizer/rtsan_interface.h>
#define USERNIC_RTSAN(x) x
#endif
#endif
#ifndef USERNIC_RTSAN
#define USERNIC_RTSAN(x)
#endif

#ifdef __clang__
#define USERNIC_ATTRIBUTE(x) __attribute__((x))
#else
#define USERNIC_ATTRIBUTE(x)
#endif

#define USERNIC_CAPABILITY(name) USERNIC_ATTRIBUTE(capability(name))
#define USERNIC_SCOPED_CAPABILITY USERNIC_ATTRIBUTE(scoped_lockable)
#define USERNIC_GUARDED_BY(lock) USERNIC_ATTRIBUTE(guarded_by(lock))
#define USERNIC_REQUIRES(...) USERNIC_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define USERNIC_EXCLUDES(...) USERNIC_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define USERNIC_ACQUIRE(...) USERNIC_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define USERNIC_RELEASE(...) USERNIC_ATTRIBUTE(release_capability(__VA_ARGS__))
#define USERNIC_TRY_ACQUIRE(...) USERNIC_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define USERNIC_ASSERT_HELD(...) USERNIC_ATTRIBUTE(assert_capability(__VA_ARGS__))
#define USERNIC_NO_THREAD_SAFETY_ANALYSIS USERNIC_ATTRIBUTE(no_thread_safety_analysis)
