// SPDX-License-Identifier: Apache-2.0
// usernic: the kernel's names for what usernic has, as thin functions over its classes.
//
// Include it when you port kernel code, or know the kernel and want to be at home: `using namespace
// usernic::kernel_names`. Return values are the kernel's, 0 or a negative errno. What differs is said where it does;
// in general: a net_device has no public data (dev->flags is netif_get_flags(dev), dev->uc is netdev_uc(dev)), and what
// the kernel has one of in the machine is a Net's (rtnl, the system workqueue): the one named init_net.
//
// What differs and why: docs/driver-styles.md. Not here: &init_net (init_net() is a function), dev->netdev_ops (the
// table is alloc_netdev's template argument; dev->priv_destructor and the like are functions), BH and RCU
// workqueues.
#pragma once

#include "usernic/kernel_names/address_lists.h"
#include "usernic/kernel_names/delayed_work.h"
#include "usernic/kernel_names/device.h"
#include "usernic/kernel_names/ether.h"
#include "usernic/kernel_names/flags.h"
#include "usernic/kernel_names/napi.h"
#include "usernic/kernel_names/netdev_ops.h"
#include "usernic/kernel_names/notifier.h"
#include "usernic/kernel_names/queues.h"
#include "usernic/kernel_names/references.h"
#include "usernic/kernel_names/rtnl.h"
#include "usernic/kernel_names/rx_mode.h"
#include "usernic/kernel_names/tx_lock.h"
#include "usernic/kernel_names/unregister.h"
#include "usernic/kernel_names/work.h"
#include "usernic/kernel_names/workqueue.h"
// Explained best by: core/kernel_names_test.cc
