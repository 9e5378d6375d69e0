// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: kernel names: the blocks that hear of an init_net's devices, as one Notifier; see notifier.h.
#pragma once

#include <cerrno>

#include "usernic/net.h"
#include "usernic/net_device.h"
#include "usernic/notifier.h"

namespace usernic::kernel_names {

// Values are the kernel's. Others are never told.
enum netdev_cmd : unsigned long {
  NETDEV_UP = 1,
  NETDEV_DOWN = 2,
  NETDEV_REGISTER = 5,
  NETDEV_UNREGISTER = 6,
  NETDEV_CHANGEMTU = 7,
  NETDEV_CHANGEADDR = 8,
  NETDEV_PRE_CHANGEADDR = 9,
  NETDEV_GOING_DOWN = 10,
  NETDEV_PRE_UP = 14,
  NETDEV_PRECHANGEMTU = 24,
};

// What a block answers. With NOTIFY_STOP_MASK those behind it are not told; the last answer is the chain's.
inline constexpr int NOTIFY_DONE = 0, NOTIFY_OK = 1, NOTIFY_STOP_MASK = 0x8000, NOTIFY_BAD = NOTIFY_STOP_MASK | 2,
                     NOTIFY_STOP = NOTIFY_STOP_MASK | NOTIFY_OK;
constexpr int notifier_from_errno(int error) {
  return error == 0 ? NOTIFY_OK : NOTIFY_STOP_MASK | (NOTIFY_OK - error);
}
constexpr int notifier_to_errno(int answer) {
  const int above = (answer & ~NOTIFY_STOP_MASK) - NOTIFY_OK;
  return above > 0 ? -above : 0;
}

struct notifier_block;
using notifier_fn_t = int (*)(notifier_block*, unsigned long event, void* info);
struct notifier_block {
  notifier_fn_t notifier_call = nullptr;
  notifier_block* next = nullptr;  // the chain's
  int priority = 0;                // those with more are told first; of equal ones, who registered first
};
struct netlink_ext_ack;
struct netdev_notifier_info {
  NetDevice* dev;
  netlink_ext_ack* extack;  // NULL
};

// Everything under rtnl.
class notifier_chain {
 public:
  explicit notifier_chain(Net& net)
      : net_(net), notifier_(net, [this](NetdevEvent event, NetDevice& dev) { return tell_all(event, dev); }) {}

  // -EEXIST: it is here already.
  int add(notifier_block* block) {
    notifier_block** at = &first_;
    for (; *at != nullptr && (*at)->priority >= block->priority; at = &(*at)->next) {
      if (*at == block) return -EEXIST;
    }
    block->next = *at;
    *at = block;
    return 0;
  }
  // -ENOENT: it is not here.
  int remove(notifier_block* block) {
    for (notifier_block** at = &first_; *at != nullptr; at = &(*at)->next) {
      if (*at == block) return *at = block->next, 0;
    }
    return -ENOENT;
  }
  // The block alone is told of the devices that are there: that they came, or that they go. Who refuses one is told
  // that those before it go, and its error is returned.
  int introduce(notifier_block* block) {
    std::vector<DeviceHandle> told;
    for (const DeviceHandle& dev : net_.devices()) {
      if (const int error = notifier_to_errno(tell(block, NETDEV_REGISTER, *dev)); error != 0) {
        for (; !told.empty(); told.pop_back()) leave(block, *told.back());
        return error;
      }
      if (dev->running()) tell(block, NETDEV_UP, *dev);
      told.push_back(dev);
    }
    return 0;
  }
  void leave_all(notifier_block* block) {
    for (const DeviceHandle& dev : net_.devices()) leave(block, *dev);
  }

 private:
  static int tell(notifier_block* block, netdev_cmd event, NetDevice& dev) {
    netdev_notifier_info info{.dev = &dev, .extack = nullptr};
    return block->notifier_call(block, event, &info);
  }
  static void leave(notifier_block* block, NetDevice& dev) {
    if (dev.running()) {
      tell(block, NETDEV_GOING_DOWN, dev);
      tell(block, NETDEV_DOWN, dev);
    }
    tell(block, NETDEV_UNREGISTER, dev);
  }
  static constexpr netdev_cmd command_of(NetdevEvent event) {
    constexpr netdev_cmd kCommands[] = {NETDEV_REGISTER,       NETDEV_UNREGISTER, NETDEV_PRE_UP,       NETDEV_UP,
                                        NETDEV_GOING_DOWN,     NETDEV_DOWN,       NETDEV_PRECHANGEMTU, NETDEV_CHANGEMTU,
                                        NETDEV_PRE_CHANGEADDR, NETDEV_CHANGEADDR};
    return kCommands[static_cast<size_t>(event)];
  }
  Result<> tell_all(NetdevEvent event, NetDevice& dev) {
    int answer = NOTIFY_DONE;
    for (notifier_block* block = first_; block != nullptr && (answer & NOTIFY_STOP_MASK) == 0; block = block->next) {
      answer = tell(block, command_of(event), dev);
    }
    const int error = notifier_to_errno(answer);
    return error == 0 ? Result<>() : fail(static_cast<std::errc>(-error));
  }

  Net& net_;
  notifier_block* first_ = nullptr;
  const Notifier notifier_;
};

}  // namespace usernic::kernel_names
