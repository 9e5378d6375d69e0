// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: the blocks that hear of an init_net's devices, as one Notifier; see notifier.h.
#pragma once

#include "usernic/net.h"
#include "usernic/net_device.h"
#include "usernic/notifier.h"

namespace usernic::kernel {

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
  NETDEV_FEAT_CHANGE = 12,
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
  explicit notifier_chain(Net& net);

  // -EEXIST: it is here already.
  int add(notifier_block* block);
  // -ENOENT: it is not here.
  int remove(notifier_block* block);
  // The block alone is told of the devices that are there: that they came, or that they go. Who refuses one is told
  // that those before it go, and its error is returned.
  int introduce(notifier_block* block);
  void leave_all(notifier_block* block);

 private:
  Result<> tell_all(NetdevEvent event, NetDevice& dev);

  Net& net_;
  notifier_block* first_ = nullptr;
  const Notifier notifier_;
};

}  // namespace usernic::kernel
