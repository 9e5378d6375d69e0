// SPDX-License-Identifier: Apache-2.0
// usernic: the kernel's names for what usernic has, as thin functions over its classes.
//
// Include it when you port kernel code, or know the kernel and want to be at home: `using namespace
// usernic::kernel_names`. Return values are the kernel's, 0 or a negative errno. What differs is said where it does;
// in general: a net_device has no public data (dev->flags is netif_get_flags(dev), dev->uc is netdev_uc(dev)), and what
// the kernel has one of in the machine is a Net's (rtnl, the system workqueue): the one named init_net.
//
// Not here: &init_net (init_net() is a function), system_wq and create_singlethread_workqueue (schedule_work,
// alloc_ordered_workqueue), DECLARE_WORK and drain_workqueue, alloc_etherdev_mqs (alloc_netdev_mqs), a sockaddr for
// dev_set_mac_address (a MacAddress), skb_get_queue_mapping, register_netdevice and unregister_netdevice (under rtnl).
// A work function must not free its own work item. dev_uc_sync and dev_mc_sync take both devices' locks: not in
// ndo_set_rx_mode, where a LowerLink serves.
#pragma once

#include "usernic/kernel_names/address_lists.h"
#include "usernic/kernel_names/device.h"
#include "usernic/kernel_names/napi.h"
#include "usernic/kernel_names/netdev_ops.h"
#include "usernic/kernel_names/queues.h"
#include "usernic/kernel_names/rx_mode.h"
#include "usernic/kernel_names/work.h"
// Explained best by: core/kernel_names_test.cc
