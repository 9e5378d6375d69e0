// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: for tests, what happens when the kernel is asked something. While one of these lives, `happens` is called
// before each netlink question of that type (0: of any), by the thread that asks; the question is then on its way, or,
// where an errno came of it, refused with that. Linked with kernel_asked.cc, which stands before libc's send. One at a
// time.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "usernic/lock.h"

namespace usernic {

class KernelAsked {
 public:
  KernelAsked(uint16_t type, std::function<int()> happens) : type_(type), happens_(std::move(happens)) {
    now_.store(this);
  }
  // Whoever asks at this moment has seen it through.
  ~KernelAsked() {
    now_.store(nullptr);
    for (uint32_t asking; (asking = asking_.load()) != 0;) wait_on(asking_, asking);
  }
  KernelAsked(const KernelAsked&) = delete;
  KernelAsked& operator=(const KernelAsked&) = delete;

  static int answer(uint16_t type) {
    asking_.fetch_add(1);
    KernelAsked* const now = now_.load();
    const bool concerned = now != nullptr && (now->type_ == type || now->type_ == 0);
    const int error = concerned ? now->happens_() : 0;
    asking_.fetch_sub(1);
    wake_all(asking_);
    return error;
  }

 private:
  static inline Atomic<KernelAsked*> now_{nullptr};
  static inline Atomic<uint32_t> asking_{0};
  const uint16_t type_;
  const std::function<int()> happens_;
};

}  // namespace usernic
// Explained best by: host/host_port_start_test.cc
