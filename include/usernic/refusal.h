// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: words for what the machine refused, a descriptor, a thread, memory: which limit it was, and what raises it.
//
// The functions return what comes behind "cannot make a socket: ". Context: process.
#pragma once

#include <string>
#include <string_view>
#include <system_error>

#include "usernic/error.h"

namespace usernic {

// Any errno: the system's words, and for EMFILE, ENFILE, ENOMEM and ENOBUFS the limit.
std::string refusal(std::errc error);
// The errno of Thread::start.
std::string thread_refusal(std::errc error);

// For code that cannot go on without the thread of that name; what() is the whole sentence.
class ThreadRefused final : public std::system_error {
 public:
  ThreadRefused(std::string_view name, std::errc error);
  const char* what() const noexcept override { return sentence_.c_str(); }

 private:
  const std::string sentence_;
};

}  // namespace usernic
// Explained best by: core/lock/refusal_test.cc
