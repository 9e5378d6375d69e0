// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: transmit queues, and what a frame is sent with. Their locks: tx_lock.h.
#pragma once

#include <utility>

#include "kernel/types.h"
#include "usernic/tx_queue.h"

namespace usernic::kernel {

inline netdev_queue* netdev_get_tx_queue(net_device* dev, unsigned index) {
  return &dev->tx_queue(static_cast<uint16_t>(index));
}
inline unsigned netdev_num_tx_queues(const net_device* dev) {
  return dev->tx_queue_count();
}
inline void netif_tx_stop_queue(netdev_queue* queue) {
  queue->stop();
}
inline void netif_tx_start_queue(netdev_queue* queue) {
  queue->start();
}
inline void netif_tx_wake_queue(netdev_queue* queue) {
  queue->wake();
}
inline bool netif_tx_queue_stopped(const netdev_queue* queue) {
  return queue->stopped();
}

inline void netif_stop_queue(net_device* dev) {
  dev->tx_queue(0).stop();
}
inline void netif_start_queue(net_device* dev) {
  dev->tx_queue(0).start();
}
inline void netif_wake_queue(net_device* dev) {
  dev->tx_queue(0).wake();
}
inline bool netif_queue_stopped(net_device* dev) {
  return dev->tx_queue(0).stopped();
}

inline void netif_stop_subqueue(net_device* dev, u16 index) {
  dev->tx_queue(index).stop();
}
inline void netif_start_subqueue(net_device* dev, u16 index) {
  dev->tx_queue(index).start();
}
inline void netif_wake_subqueue(net_device* dev, u16 index) {
  dev->tx_queue(index).wake();
}
inline bool __netif_subqueue_stopped(net_device* dev, u16 index) {
  return dev->tx_queue(index).stopped();
}

inline void netif_tx_stop_all_queues(net_device* dev) {
  for (u16 i = 0; i < dev->tx_queue_count(); ++i) dev->tx_queue(i).stop();
}
inline void netif_tx_start_all_queues(net_device* dev) {
  for (u16 i = 0; i < dev->tx_queue_count(); ++i) dev->tx_queue(i).start();
}
inline void netif_tx_wake_all_queues(net_device* dev) {
  for (u16 i = 0; i < dev->tx_queue_count(); ++i) dev->tx_queue(i).wake();
}

// Byte queue limits: tx_queue.h.
inline bool __netdev_tx_sent_queue(netdev_queue* queue, unsigned bytes, bool xmit_more) {
  return queue->sent(bytes, xmit_more);
}
inline void netdev_tx_sent_queue(netdev_queue* queue, unsigned bytes) {
  (void)queue->sent(bytes, true);
}
inline void netdev_tx_completed_queue(netdev_queue* queue, unsigned pkts, unsigned bytes,
                                      Place where = Place::current()) {
  queue->completed(pkts, bytes, where);
}
inline void netdev_tx_reset_queue(netdev_queue* queue) {
  queue->forget_sent();
}
inline void netdev_sent_queue(net_device* dev, unsigned bytes) {
  netdev_tx_sent_queue(netdev_get_tx_queue(dev, 0), bytes);
}
inline void netdev_completed_queue(net_device* dev, unsigned pkts, unsigned bytes, Place where = Place::current()) {
  netdev_tx_completed_queue(netdev_get_tx_queue(dev, 0), pkts, bytes, where);
}
inline void netdev_reset_queue(net_device* dev) {
  netdev_tx_reset_queue(netdev_get_tx_queue(dev, 0));
}
inline bool netif_xmit_stopped(const netdev_queue* queue) {
  return queue->xmit_stopped();
}

// In ndo_start_xmit: what it was called with besides the frame. In ndo_select_queue: the queue that the core would
// take.
class xmit_scope {
 public:
  xmit_scope(u16 queue, bool more) noexcept : before_(std::exchange(now(), {queue, more})) {}
  ~xmit_scope() { now() = before_; }
  xmit_scope(const xmit_scope&) = delete;
  xmit_scope& operator=(const xmit_scope&) = delete;
  struct call {
    u16 queue;
    bool more;
  };
  static call& now() noexcept { return Local<call, xmit_scope>::get(); }

 private:
  const call before_;
};
inline u16 skb_get_queue_mapping(const sk_buff*) {
  return xmit_scope::now().queue;
}
inline bool netdev_xmit_more() {
  return xmit_scope::now().more;
}

// The queue of the frame's flow. Requires: called from ndo_select_queue.
inline u16 netdev_pick_tx(net_device*, sk_buff*, net_device*) {
  return xmit_scope::now().queue;
}

// From start_xmit: stops, looks again, and starts again when there is room. 0: it stays stopped, 1: there was room,
// -1: there is again. `get_room` is an expression.
#define netif_txq_maybe_stop(txq, get_room, stop_threshold, start_threshold) \
  ((get_room) >= static_cast<int>(stop_threshold)                            \
       ? 1                                                                   \
       : ((txq)->stop(), (get_room) >= static_cast<int>(start_threshold) ? ((txq)->start(), -1) : 0))

}  // namespace usernic::kernel
