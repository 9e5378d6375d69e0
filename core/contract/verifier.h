// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: verifier mode (docs/verifier.md): what a driver is handed for the time of a call is a copy, which goes bad when
// the call returns. The last ones are kept, so that a write to one is found.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>

#include "usernic/net_device.h"

namespace usernic {

class Lent {
 public:
  static constexpr std::byte kBad{0xa5};

  Lent(const NetDevice& dev, const char* op, void* original, size_t bytes, bool comes_back);
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;
  ~Lent();
  std::byte* copy() noexcept { return copy_ != nullptr ? copy_.get() : static_cast<std::byte*>(original_); }

  // Looks at those that are kept; one that was written is a report.
  static void look();

 private:
  const NetDevice& dev_;
  const char* const op_;
  void* const original_;
  const size_t bytes_;
  const bool comes_back_;              // what the driver writes is the caller's
  std::unique_ptr<std::byte[]> copy_;  // null: no memory; the call gets the original
};

// An argument of an op, lent or as it is.
template <class Arg>
class LentArgument {
 public:
  LentArgument(const NetDevice&, const char*, Arg& arg) : arg_(arg) {}
  Arg& get() noexcept { return arg_; }

 private:
  Arg& arg_;
};
template <class Arg>
requires(std::is_class_v<std::remove_cv_t<Arg>>&& std::is_trivially_copyable_v<std::remove_cv_t<Arg>> &&
         !std::is_same_v<std::remove_cv_t<Arg>, std::span<std::byte>>) class LentArgument<Arg> {
 public:
  LentArgument(const NetDevice& dev, const char* op, Arg& arg)
      : lent_(dev, op, const_cast<std::remove_cv_t<Arg>*>(&arg), sizeof arg, !std::is_const_v<Arg>) {}
  Arg& get() noexcept { return *reinterpret_cast<Arg*>(lent_.copy()); }

 private:
  Lent lent_;
};
template <class Arg>
requires(std::is_same_v<std::remove_cv_t<Arg>, std::span<std::byte>>) class LentArgument<Arg> {
 public:
  LentArgument(const NetDevice& dev, const char* op, Arg& arg)
      : lent_(dev, op, arg.data(), arg.size(), true), size_(arg.size()) {}
  std::span<std::byte> get() noexcept { return {lent_.copy(), size_}; }

 private:
  Lent lent_;
  const size_t size_;
};

}  // namespace usernic
