// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: what threads share without a lock (Atomic), and what each thread has of its own (Local). Part of the door:
// env.h includes it.
//
// In production an Atomic is a std::atomic and a Local is thread-local. In the simulator (USERNIC_SIM) threads are
// fibers of one thread: a Local is per fiber, and every operation on an Atomic is a point at which another fiber may
// go on. There every order is sequentially consistent; what weaker orders allow is for ThreadSanitizer to find.
#pragma once

#include <atomic>
#include <cstdint>
#include <source_location>
#include <type_traits>

#include "usernic/annotations.h"

namespace usernic {

// An atomic that is never such a point: for the checks themselves, which must not change what they watch.
template <class T>
using RawAtomic = std::atomic<T>;

#ifndef USERNIC_SIM

// Sequentially consistent unless an order is named.
template <class T>
using Atomic = std::atomic<T>;

// One T per thread (or fiber), named by its Tag: `using Depth = Local<int, struct DepthTag>; ++Depth::get();`
// T is value-initialised at first use and trivially destructible, so that a dying thread can still use it.
USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a constant-initialised thread-local takes no lock
    template <class T, class Tag>
    struct Local {
  static_assert(std::is_trivially_destructible_v<T>, "a Local must stay usable while its thread ends");
  static T& get() noexcept USERNIC_NONBLOCKING {
    static constinit thread_local T value{};
    return value;
  }
};
USERNIC_BLOCKING_BY_DESIGN_END

#else  // the same interfaces for fibers

namespace internal {
// Another fiber may run before this returns. `what` is the operation, for the trace.
void switch_point(const char* what, const std::source_location& where) noexcept USERNIC_NONBLOCKING;
// Does a compare_exchange_weak fail for no reason this time?
bool weak_exchange_fails() noexcept USERNIC_NONBLOCKING;

// The running fiber: a number below kFibersMax, used again after its end, and one that is never used again.
struct FiberId {
  uint32_t slot;
  uint64_t unique;
};
inline constexpr uint32_t kFibersMax = 64;
extern constinit FiberId fiber_id;
}  // namespace internal

template <class T>
class Atomic {
  using Order = std::memory_order;
  using Where = std::source_location;
  static constexpr Order kSeqCst = Order::seq_cst;

 public:
  constexpr Atomic() noexcept = default;
  constexpr Atomic(T value) noexcept : value_(value) {}
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  T load(Order = kSeqCst, Where where = Where::current()) const noexcept USERNIC_NONBLOCKING {
    internal::switch_point("load", where);
    return value_;
  }
  void store(T value, Order = kSeqCst, Where where = Where::current()) noexcept USERNIC_NONBLOCKING {
    internal::switch_point("store", where);
    value_ = value;
  }
  T exchange(T value, Order = kSeqCst, Where where = Where::current()) noexcept USERNIC_NONBLOCKING {
    return change("exchange", where, [value](T) { return value; });
  }
  bool compare_exchange_strong(T& expected, T value, Order = kSeqCst, Where where = Where::current()) noexcept
      USERNIC_NONBLOCKING {
    internal::switch_point("compare", where);
    if (value_ != expected) return expected = value_, false;
    return value_ = value, true;
  }
  bool compare_exchange_weak(T& expected, T value, Order order = kSeqCst, Where where = Where::current()) noexcept
      USERNIC_NONBLOCKING {
    if (internal::weak_exchange_fails()) return expected = load(order, where), false;
    return compare_exchange_strong(expected, value, order, where);
  }
  T fetch_add(T more, Order = kSeqCst, Where where = Where::current()) noexcept USERNIC_NONBLOCKING {
    return change("add", where, [more](T old) { return static_cast<T>(old + more); });
  }
  T fetch_sub(T less, Order = kSeqCst, Where where = Where::current()) noexcept USERNIC_NONBLOCKING {
    return change("sub", where, [less](T old) { return static_cast<T>(old - less); });
  }
  T fetch_or(T bits, Order = kSeqCst, Where where = Where::current()) noexcept USERNIC_NONBLOCKING {
    return change("or", where, [bits](T old) { return static_cast<T>(old | bits); });
  }
  T fetch_and(T bits, Order = kSeqCst, Where where = Where::current()) noexcept USERNIC_NONBLOCKING {
    return change("and", where, [bits](T old) { return static_cast<T>(old & bits); });
  }
  T fetch_xor(T bits, Order = kSeqCst, Where where = Where::current()) noexcept USERNIC_NONBLOCKING {
    return change("xor", where, [bits](T old) { return static_cast<T>(old ^ bits); });
  }
  // Operators cannot take a place: the trace shows this header's.
  operator T() const noexcept USERNIC_NONBLOCKING { return load(); }
  T operator=(T value) noexcept USERNIC_NONBLOCKING { return store(value), value; }

 private:
  template <class Next>
  T change(const char* what, const Where& where, Next next) noexcept USERNIC_NONBLOCKING {
    internal::switch_point(what, where);
    const T old = value_;
    value_ = next(old);
    return old;
  }
  T value_{};
};

template <class T, class Tag>
struct Local {
  static_assert(std::is_trivially_destructible_v<T>, "a Local must stay usable while its fiber ends");
  static T& get() noexcept USERNIC_NONBLOCKING {
    Cell& cell = cells_[internal::fiber_id.slot];
    if (cell.owner != internal::fiber_id.unique) {
      cell.value = T{};
      cell.owner = internal::fiber_id.unique;
    }
    return cell.value;
  }

 private:
  struct Cell {
    uint64_t owner;
    T value;
  };
  static constinit inline Cell cells_[internal::kFibersMax]{};
};

#endif

}  // namespace usernic
// Explained best by: core/lock/env_test.cc
