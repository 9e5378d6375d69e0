// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: the kernel's names for what usernic has, as thin functions over its classes.
//
// Include it when you port kernel code, or know the kernel and want to be at home: `using namespace
// usernic::kernel`. Return values are the kernel's, 0 or a negative errno. What differs is said where it does;
// in general: a net_device has no public data (dev->flags is netif_get_flags(dev), dev->uc is netdev_uc(dev)), and what
// the kernel has one of in the machine is a Net's (rtnl, the system workqueue): the one named init_net.
//
// What differs and why: docs/driver-styles.md. Not here, of what its parts are about:
// - Data: &init_net (init_net() is a function), dev->netdev_ops (the table is alloc_netdev's template argument),
//   dev->priv_destructor, dev->needs_free_netdev, dev->flags, dev->priv_flags, dev->uc and dev->mc (functions).
// - Devices: SET_NETDEV_DEV (a device has no parent) and devm_*, alloc_netdev_dummy, dev_alloc_name, dev_change_name,
//   dev_set_alias, dev_set_group, ifindex and dev_get_by_index, __dev_get_by_name, for_each_netdev, dev_close_many,
//   dev_validate_mtu, dev_pre_changeaddr_notify, dev_set_mac_address_user, netif_dormant_*, netif_testing_*,
//   netif_oper_up, rtnl_lock_killable, rtnl_is_locked.
// - What expects the instance lock: netdev_lock, netdev_assert_locked and the like, netif_open, netif_close,
//   netif_change_flags, netif_set_mtu, netif_set_mac_address, napi_enable_locked, napi_disable_locked.
// - Notifiers: register_netdevice_notifier_net and _dev_net, call_netdevice_notifiers, events that notifier_chain.h
//   does not name, netdev_notifier_info_ext and the other infos that say more than the device.
// - rx mode: netif_uc_promisc_update: the rx-mode work does it.
// - Transmit queues: netif_txq_completed_wake, dev->watchdog_timeo (NetdevConfig::watchdog), netif_trans_update,
//   netif_set_real_num_tx_queues, netif_xmit_frozen_or_stopped, __netif_tx_acquire.
// - Work: BH and RCU workqueues (WQ_BH, system_bh_wq, rcu_work), workqueue attributes and lockdep maps,
//   workqueue_set_max_active and _min_active, workqueue_congested, schedule_on_each_cpu, work_on_cpu,
//   execute_in_process_context, flush_scheduled_work, current_is_workqueue_rescuer, set_worker_desc.
#pragma once

#include "kernel/address_lists.h"
#include "kernel/delayed_work.h"
#include "kernel/device.h"
#include "kernel/ether.h"
#include "kernel/flags.h"
#include "kernel/napi.h"
#include "kernel/netdev_ops.h"
#include "kernel/notifier.h"
#include "kernel/queues.h"
#include "kernel/references.h"
#include "kernel/rtnl.h"
#include "kernel/rx_mode.h"
#include "kernel/tx_lock.h"
#include "kernel/unregister.h"
#include "kernel/work.h"
#include "kernel/workqueue.h"
// Explained best by: kernel/names_test.cc
