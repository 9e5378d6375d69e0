// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: how many frames a device's driver has from start_xmit, while checks are on: until they are freed, received
// somewhere, sent on, or put into a batch. A frame that is out keeps its account, which outlives the device for it.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "usernic/annotations.h"
#include "usernic/env.h"

namespace usernic {

class FrameAccount {
 public:
  struct Close {
    void operator()(FrameAccount* account) const noexcept { account->drop(); }
  };
  using Owner = std::unique_ptr<FrameAccount, Close>;
  static Owner open() { return Owner(new FrameAccount); }

  // "nic0 (driver Simnic)", from registration on. Before the first frame.
  void set_name(std::string name) { name_ = std::move(name); }
  const std::string& name() const noexcept { return name_; }
  uint32_t held() const noexcept USERNIC_NONBLOCKING { return held_.load(std::memory_order_relaxed); }

  // `of` is a frame's: its account, or null.
  void enter(FrameAccount*& of) noexcept USERNIC_NONBLOCKING;
  static void leave(FrameAccount*& of) noexcept USERNIC_NONBLOCKING {
    if (of != nullptr) [[unlikely]]
      std::exchange(of, nullptr)->left();
  }

 private:
  void left() noexcept USERNIC_NONBLOCKING;
  void drop() noexcept USERNIC_NONBLOCKING;

  std::string name_;
  RawAtomic<uint32_t> held_{0};
  RawAtomic<uint32_t> users_{1};  // the device, and each frame
};

}  // namespace usernic
