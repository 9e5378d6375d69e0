// SPDX-License-Identifier: Apache-2.0
// usernic: the kernel's names for what usernic has, as thin functions over its classes.
//
// Include it when you port kernel code, or know the kernel and want to be at home. Return values are the kernel's: 0
// or a negative errno. What the kernel has and usernic has not yet is not here.
#pragma once

#include <cerrno>

#include "usernic/address_list.h"
#include "usernic/napi.h"
#include "usernic/net.h"
#include "usernic/net_device.h"
#include "usernic/rx_mode.h"
#include "usernic/skb.h"
#include "usernic/tx_queue.h"
#include "usernic/work.h"

namespace usernic::kernel_names {

using net_device = NetDevice;
using sk_buff = Skb;
using napi_struct = Napi;
using netdev_queue = TxQueue;
using work_struct = Work;
using workqueue_struct = Workqueue;

inline constexpr NetdevTx NETDEV_TX_OK = NetdevTx::kOk;
inline constexpr NetdevTx NETDEV_TX_BUSY = NetdevTx::kBusy;
inline constexpr int NAPI_POLL_WEIGHT = Napi::kWeight;

inline int error_of(const Result<>& result) {
  return result ? 0 : -static_cast<int>(result.error());
}

// Life of a device. alloc_netdev is Net::alloc_netdev<Driver>, free_netdev the end of its NetdevPtr.
inline int register_netdev(net_device* dev) {
  return error_of(dev->register_netdev());
}
inline void unregister_netdev(net_device* dev) {
  dev->unregister_netdev();
}
inline int dev_open(net_device* dev) {
  return error_of(dev->open());
}
inline void dev_close(net_device* dev) {
  (void)dev->close();
}
inline int dev_set_mtu(net_device* dev, int mtu) {
  return mtu < 0 ? -EINVAL : error_of(dev->change_mtu(static_cast<uint32_t>(mtu)));
}
inline int dev_set_mac_address(net_device* dev, const MacAddress& address) {
  return error_of(dev->set_mac_address(address));
}
inline bool netif_running(const net_device* dev) {
  return dev->running();
}
inline bool netif_device_present(const net_device* dev) {
  return dev->present();
}
inline void netif_device_detach(net_device* dev) {
  (void)dev->detach();
}
inline void netif_device_attach(net_device* dev) {
  (void)dev->attach();
}
inline bool netif_carrier_ok(const net_device* dev) {
  return dev->carrier_ok();
}
inline void netif_carrier_on(net_device* dev) {
  dev->carrier_on();
}
inline void netif_carrier_off(net_device* dev) {
  dev->carrier_off();
}

// Address lists and rx mode.
inline int dev_uc_add(net_device* dev, const MacAddress& a) {
  return error_of(dev->uc().add(a));
}
inline int dev_uc_add_excl(net_device* dev, const MacAddress& a) {
  return error_of(dev->uc().add_excl(a));
}
inline int dev_uc_del(net_device* dev, const MacAddress& a) {
  return error_of(dev->uc().del(a));
}
inline void dev_uc_flush(net_device* dev) {
  (void)dev->uc().flush();
}
inline int dev_mc_add(net_device* dev, const MacAddress& a) {
  return error_of(dev->mc().add(a));
}
inline int dev_mc_add_excl(net_device* dev, const MacAddress& a) {
  return error_of(dev->mc().add_excl(a));
}
inline int dev_mc_add_global(net_device* dev, const MacAddress& a) {
  return error_of(dev->mc().add_global(a));
}
inline int dev_mc_del(net_device* dev, const MacAddress& a) {
  return error_of(dev->mc().del(a));
}
inline int dev_mc_del_global(net_device* dev, const MacAddress& a) {
  return error_of(dev->mc().del_global(a));
}
inline void dev_mc_flush(net_device* dev) {
  (void)dev->mc().flush();
}
inline int dev_uc_sync(net_device* to, net_device* from) {
  return error_of(sync(to->uc(), from->uc()));
}
inline int dev_uc_sync_multiple(net_device* to, net_device* from) {
  return dev_uc_sync(to, from);
}
inline void dev_uc_unsync(net_device* to, net_device* from) {
  unsync(to->uc(), from->uc());
}
inline int dev_mc_sync(net_device* to, net_device* from) {
  return error_of(sync(to->mc(), from->mc()));
}
inline int dev_mc_sync_multiple(net_device* to, net_device* from) {
  return dev_mc_sync(to, from);
}
inline void dev_mc_unsync(net_device* to, net_device* from) {
  unsync(to->mc(), from->mc());
}
inline uint32_t netdev_uc_count(net_device* dev) {
  return dev->uc().size();
}
inline uint32_t netdev_mc_count(net_device* dev) {
  return dev->mc().size();
}
inline int dev_set_promiscuity(net_device* dev, int inc) {
  return error_of(dev->rx_mode().set_promiscuity(inc));
}
inline int dev_set_allmulti(net_device* dev, int inc) {
  return error_of(dev->rx_mode().set_allmulti(inc));
}

// Work. INIT_WORK is Work's constructor.
inline bool queue_work(workqueue_struct* queue, work_struct* work) {
  return queue->queue(*work);
}
inline bool schedule_work(Net& net, work_struct* work) {
  return net.system_workqueue().queue(*work);
}
inline void flush_work(work_struct* work) {
  work->flush();
}
inline void flush_workqueue(workqueue_struct* queue) {
  queue->flush();
}
inline bool cancel_work_sync(work_struct* work) {
  return work->cancel_sync();
}
inline void disable_work_sync(work_struct* work) {
  work->disable_sync();
}
inline void enable_work(work_struct* work) {
  work->enable();
}

// NAPI and TX queues.
inline void napi_enable(napi_struct* napi) {
  napi->enable();
}
inline void napi_disable(napi_struct* napi) {
  napi->disable();
}
inline bool napi_schedule(napi_struct* napi) {
  return napi->schedule();
}
inline bool napi_complete_done(napi_struct* napi, int work_done) {
  return napi->complete_done(work_done);
}
inline netdev_queue* netdev_get_tx_queue(net_device* dev, unsigned index) {
  return &dev->tx_queue(static_cast<uint16_t>(index));
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

}  // namespace usernic::kernel_names
