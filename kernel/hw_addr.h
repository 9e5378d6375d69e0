// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: hardware address lists as values, pushing them to a device or another list, walking them.
//
// Return values and counts are exactly the kernel's. `unsync` may be NULL. Locks: the owner's.
#pragma once

#include "kernel/types.h"
#include "usernic/rx_mode.h"

namespace usernic::kernel {

inline void __hw_addr_init(netdev_hw_addr_list* list) {
  list->flush();
}
inline void __hw_addr_flush(netdev_hw_addr_list* list) {
  list->flush();
}
inline int __hw_addr_add(netdev_hw_addr_list* list, const unsigned char* addr, int len, u8 type) {
  return error_of(list->add(addr, static_cast<size_t>(len), type));
}
inline int __hw_addr_del(netdev_hw_addr_list* list, const unsigned char* addr, int len, u8 type) {
  return error_of(list->del(addr, static_cast<size_t>(len), type));
}
inline int __hw_addr_sync(netdev_hw_addr_list* to, netdev_hw_addr_list* from, int len) {
  return error_of(HwAddrList::sync(*to, *from, static_cast<size_t>(len)));
}
inline int __hw_addr_sync_multiple(netdev_hw_addr_list* to, netdev_hw_addr_list* from, int len) {
  return error_of(HwAddrList::sync_multiple(*to, *from, static_cast<size_t>(len)));
}
inline void __hw_addr_unsync(netdev_hw_addr_list* to, netdev_hw_addr_list* from, int len) {
  HwAddrList::unsync(*to, *from, static_cast<size_t>(len));
}
using hw_addr_call = int (*)(net_device*, const unsigned char*);
using hw_addr_ref_call = int (*)(net_device*, const unsigned char*, int refs);
inline int __hw_addr_sync_dev(netdev_hw_addr_list* list, net_device* dev, hw_addr_call sync, hw_addr_call unsync) {
  return list->sync_dev(dev, sync, unsync);
}
inline void __hw_addr_unsync_dev(netdev_hw_addr_list* list, net_device* dev, hw_addr_call unsync) {
  list->unsync_dev(dev, unsync);
}
inline int __hw_addr_ref_sync_dev(netdev_hw_addr_list* list, net_device* dev, hw_addr_ref_call sync,
                                  hw_addr_ref_call unsync) {
  return list->ref_sync_dev(dev, sync, unsync);
}
inline void __hw_addr_ref_unsync_dev(netdev_hw_addr_list* list, net_device* dev, hw_addr_ref_call unsync) {
  list->ref_unsync_dev(dev, unsync);
}
// `cache`, where the kernel keeps entries for later, is not needed: lists keep their own.
inline int __hw_addr_list_snapshot(netdev_hw_addr_list* snap, const netdev_hw_addr_list* list, int,
                                   netdev_hw_addr_list* = nullptr) {
  return error_of(list->snapshot(*snap));
}
inline void __hw_addr_list_reconcile(netdev_hw_addr_list* real, netdev_hw_addr_list* work, netdev_hw_addr_list* ref,
                                     int, netdev_hw_addr_list* = nullptr) {
  real->reconcile(*work, *ref);
}

// &dev->uc and &dev->mc as lists to push from; see RxMode::hw_list. Not under netif_addr_lock.
inline netdev_hw_addr_list* netdev_uc(net_device* dev) {
  return &Porting::hw_list(dev->rx_mode(), AddressClass::kUnicast);
}
inline netdev_hw_addr_list* netdev_mc(net_device* dev) {
  return &Porting::hw_list(dev->rx_mode(), AddressClass::kMulticast);
}
inline int __dev_uc_sync(net_device* dev, hw_addr_call sync, hw_addr_call unsync) {
  return netdev_uc(dev)->sync_dev(dev, sync, unsync);
}
inline void __dev_uc_unsync(net_device* dev, hw_addr_call unsync) {
  netdev_uc(dev)->unsync_dev(dev, unsync);
}
inline int __dev_mc_sync(net_device* dev, hw_addr_call sync, hw_addr_call unsync) {
  return netdev_mc(dev)->sync_dev(dev, sync, unsync);
}
inline void __dev_mc_unsync(net_device* dev, hw_addr_call unsync) {
  netdev_mc(dev)->unsync_dev(dev, unsync);
}

inline int netdev_hw_addr_list_count(const netdev_hw_addr_list* list) {
  return static_cast<int>(list->count());
}
inline bool netdev_hw_addr_list_empty(const netdev_hw_addr_list* list) {
  return list->count() == 0;
}
#define netdev_hw_addr_list_for_each(ha, list)                                                            \
  for (auto *list_of_##ha = (list), *once_##ha = list_of_##ha; once_##ha != nullptr; once_##ha = nullptr) \
    for ((ha) = list_of_##ha->first(); (ha) != nullptr; (ha) = list_of_##ha->next(*(ha)))

// Walks what the device's filter is to accept, as set_rx_mode does. Requires: netif_addr_lock. `ha` is valid until the
// next one, and has the address, its type and its references.
class addr_cursor {
 public:
  addr_cursor(net_device* dev, AddressClass address_class)
      : lists_(Porting::lists(dev->rx_mode())),
        range_(address_class == AddressClass::kUnicast ? lists_.unicast() : lists_.multicast()),
        it_(range_.begin()) {
    entry_.type = address_class == AddressClass::kUnicast ? HwAddr::kUnicast : HwAddr::kMulticast;
  }
  addr_cursor(const addr_cursor&) = delete;
  addr_cursor& operator=(const addr_cursor&) = delete;
  netdev_hw_addr* next() {
    if (it_ == range_.end()) return nullptr;
    const MacAddress address = *it_;
    for (size_t i = 0; i < address.octets.size(); ++i) entry_.addr[i] = address.octets[i];
    entry_.refcount = static_cast<int>(it_.references());
    ++it_;
    return &entry_;
  }

 private:
  const RxLists lists_;
  const RxLists::Range range_;
  RxLists::Range::Iterator it_;
  netdev_hw_addr entry_;
};
#define netdev_for_each_uc_addr(ha, dev)                                                      \
  for (::usernic::kernel::addr_cursor cursor_of_##ha(dev, ::usernic::AddressClass::kUnicast); \
       ((ha) = cursor_of_##ha.next()) != nullptr;)
#define netdev_for_each_mc_addr(ha, dev)                                                        \
  for (::usernic::kernel::addr_cursor cursor_of_##ha(dev, ::usernic::AddressClass::kMulticast); \
       ((ha) = cursor_of_##ha.next()) != nullptr;)

}  // namespace usernic::kernel
