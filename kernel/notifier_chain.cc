// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "kernel/notifier_chain.h"

#include <cerrno>
#include <iterator>
#include <vector>

namespace usernic::kernel {
namespace {

int tell(notifier_block* block, netdev_cmd event, NetDevice& dev) {
  netdev_notifier_info info{.dev = &dev, .extack = nullptr};
  return block->notifier_call(block, event, &info);
}

void leave(notifier_block* block, NetDevice& dev) {
  if (dev.running()) {
    tell(block, NETDEV_GOING_DOWN, dev);
    tell(block, NETDEV_DOWN, dev);
  }
  tell(block, NETDEV_UNREGISTER, dev);
}

constexpr netdev_cmd command_of(NetdevEvent event) {
  constexpr netdev_cmd kCommands[] = {NETDEV_REGISTER,       NETDEV_UNREGISTER, NETDEV_PRE_UP,       NETDEV_UP,
                                      NETDEV_GOING_DOWN,     NETDEV_DOWN,       NETDEV_PRECHANGEMTU, NETDEV_CHANGEMTU,
                                      NETDEV_PRE_CHANGEADDR, NETDEV_CHANGEADDR, NETDEV_FEAT_CHANGE};
  static_assert(std::size(kCommands) == kNetdevEventCount);
  return kCommands[static_cast<size_t>(event)];
}

}  // namespace

notifier_chain::notifier_chain(Net& net)
    : net_(net), notifier_(net, [this](NetdevEvent event, NetDevice& dev) { return tell_all(event, dev); }) {}

int notifier_chain::add(notifier_block* block) {
  notifier_block** at = &first_;
  for (; *at != nullptr && (*at)->priority >= block->priority; at = &(*at)->next) {
    if (*at == block) return -EEXIST;
  }
  block->next = *at;
  *at = block;
  return 0;
}

int notifier_chain::remove(notifier_block* block) {
  for (notifier_block** at = &first_; *at != nullptr; at = &(*at)->next) {
    if (*at == block) return *at = block->next, 0;
  }
  return -ENOENT;
}

int notifier_chain::introduce(notifier_block* block) {
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

void notifier_chain::leave_all(notifier_block* block) {
  for (const DeviceHandle& dev : net_.devices()) leave(block, *dev);
}

Result<> notifier_chain::tell_all(NetdevEvent event, NetDevice& dev) {
  int answer = NOTIFY_DONE;
  for (notifier_block* block = first_; block != nullptr && (answer & NOTIFY_STOP_MASK) == 0; block = block->next) {
    answer = tell(block, command_of(event), dev);
  }
  const int error = notifier_to_errno(answer);
  return error == 0 ? Result<>() : fail(static_cast<std::errc>(-error));
}

}  // namespace usernic::kernel
