// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: names behind `struct`. Kernel code says `struct net_device *dev`, and C++ takes no alias after
// `struct`: so these few names are macros for the classes, which work with and without it. The classes are declared
// `struct`, or compilers would warn wherever kernel code says so.
#pragma once

#include "usernic/hw_addr_list.h"
#include "usernic/net_device.h"
#include "usernic/skb.h"
#include "usernic/stats.h"
#include "usernic/tx_queue.h"
#include "usernic/work.h"

namespace usernic::kernel {
using usernic::HwAddr;
using usernic::HwAddrList;
using usernic::LinkStats;
using usernic::NetDevice;
using usernic::Skb;
using usernic::TxQueue;
using usernic::Workqueue;
}  // namespace usernic::kernel

#define net_device NetDevice
#define netdev_hw_addr HwAddr
#define netdev_hw_addr_list HwAddrList
#define netdev_queue TxQueue
#define rtnl_link_stats64 LinkStats
#define net_device_stats LinkStats
#define sk_buff Skb
#define workqueue_struct Workqueue
