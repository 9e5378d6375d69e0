// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: keeping everybody out of ndo_start_xmit, on one queue or on all.
//
// BHs are disabled in between by all of these, so each is its own _bh.
#pragma once

#include "kernel/types.h"
#include "usernic/net_device.h"
#include "usernic/tx_queue.h"

namespace usernic::kernel {

// The xmit lock of one queue, which ndo_start_xmit is called under.
inline void __netif_tx_lock(netdev_queue* queue, int /*cpu*/, Place where = Place::current()) {
  Porting::lock_xmit(*queue, where);
}
inline void __netif_tx_lock_bh(netdev_queue* queue, Place where = Place::current()) {
  Porting::lock_xmit(*queue, where);
}
inline bool __netif_tx_trylock(netdev_queue* queue, Place where = Place::current()) {
  return Porting::try_lock_xmit(*queue, where);
}
inline void __netif_tx_unlock(netdev_queue* queue) {
  Porting::unlock_xmit(*queue);
}
inline void __netif_tx_unlock_bh(netdev_queue* queue) {
  Porting::unlock_xmit(*queue);
}

// All queues are frozen: nobody is in start_xmit, and who wants to send is told when it can. Not from start_xmit, and
// not under the xmit lock of one of them.
inline void netif_tx_lock(net_device* dev, Place where = Place::current()) {
  Porting::freeze_tx(*dev, where);
}
inline void netif_tx_lock_bh(net_device* dev, Place where = Place::current()) {
  Porting::freeze_tx(*dev, where);
}
inline void netif_tx_unlock(net_device* dev) {
  Porting::thaw_tx(*dev);
}
inline void netif_tx_unlock_bh(net_device* dev) {
  Porting::thaw_tx(*dev);
}

// Stops all, and returns when nobody is in start_xmit any more. Not from start_xmit.
inline void netif_tx_disable(net_device* dev, Place where = Place::current()) {
  for (u16 i = 0; i < dev->tx_queue_count(); ++i) {
    netdev_queue& queue = dev->tx_queue(i);
    Porting::lock_xmit(queue, where);
    queue.stop();
    Porting::unlock_xmit(queue);
  }
}

}  // namespace usernic::kernel
