// SPDX-License-Identifier: Apache-2.0
// A driver with the kernel's own signature, written as in the kernel: ndo_set_rx_mode_async(dev, uc, mc).
//
// It may sleep, and pushes what changed with __hw_addr_sync_dev. The lists live from call to call, so their sync_cnt
// says what is on the card, and the core reads it there: what was pushed is covered, what was refused is tried again.
#include <cstdio>
#include <cstring>

#include "usernic/kernel_names.h"

using namespace usernic::kernel_names;

namespace {

constexpr int kSlots = 8;

struct table_priv {
  unsigned char slots[kSlots][ETH_ALEN];
  bool used[kSlots];
  bool promisc;
  int busy;  // so many commands fail
};

int table_sync(struct net_device* dev, const unsigned char* addr) {
  table_priv* priv = static_cast<table_priv*>(netdev_priv(dev));
  if (priv->busy > 0) {
    --priv->busy;
    return -EBUSY;
  }
  for (int i = 0; i < kSlots; ++i) {
    if (priv->used[i]) continue;
    memcpy(priv->slots[i], addr, ETH_ALEN);
    priv->used[i] = true;
    return 0;
  }
  return -ENOSPC;  // the core turns promisc on, and off when there is room again
}

int table_unsync(struct net_device* dev, const unsigned char* addr) {
  table_priv* priv = static_cast<table_priv*>(netdev_priv(dev));
  for (int i = 0; i < kSlots; ++i) {
    if (priv->used[i] && memcmp(priv->slots[i], addr, ETH_ALEN) == 0) priv->used[i] = false;
  }
  return 0;
}

int table_set_rx_mode(struct net_device* dev, struct netdev_hw_addr_list* uc, struct netdev_hw_addr_list* mc) {
  table_priv* priv = static_cast<table_priv*>(netdev_priv(dev));
  priv->promisc = netif_get_flags(dev) & IFF_PROMISC;
  const int uc_err = __hw_addr_sync_dev(uc, dev, table_sync, table_unsync);
  const int mc_err = __hw_addr_sync_dev(mc, dev, table_sync, table_unsync);
  return uc_err ? uc_err : mc_err;
}

int table_open(struct net_device* dev) {
  netif_start_queue(dev);
  return 0;
}

int table_stop(struct net_device* dev) {
  netif_stop_queue(dev);
  __dev_uc_unsync(dev, table_unsync);
  __dev_mc_unsync(dev, table_unsync);
  return 0;
}

netdev_tx_t table_xmit(struct sk_buff* skb, struct net_device*) {
  dev_kfree_skb_any(skb);
  return NETDEV_TX_OK;
}

constexpr struct net_device_ops table_ops = {
    .ndo_open = table_open,
    .ndo_stop = table_stop,
    .ndo_start_xmit = table_xmit,
    .ndo_set_rx_mode_async = table_set_rx_mode,
};

int used(const table_priv* priv) {
  int count = 0;
  for (bool each : priv->used) count += each;
  return count;
}

}  // namespace

int main() {
  usernic::Net net;
  init_net_is here(net);
  struct net_device* dev =
      alloc_netdev_mqs<&table_ops>(sizeof(table_priv), "table%d", NET_NAME_ENUM, ether_setup, 1, 1);
  if (dev == nullptr) return 1;
  table_priv* priv = static_cast<table_priv*>(netdev_priv(dev));
  priv->busy = 1;  // the first push fails; its retry comes after a second
  if (register_netdev(dev) != 0 || dev_open(dev) != 0) return 1;
  unsigned char addr[ETH_ALEN] = {2, 0, 0, 0, 0, 0};
  int err = 0;
  for (addr[5] = 1; addr[5] <= 5; ++addr[5]) err |= dev_uc_add(dev, addr);
  const unsigned char group[ETH_ALEN] = {1, 0, 0x5e, 0, 0, 0xfb};
  err |= dev_mc_add(dev, group);
  addr[5] = 3;
  err |= dev_uc_del(dev, addr);
  const bool settled = dev->rx_mode().settle(usernic::Clock::now() + std::chrono::seconds(20)).has_value();
  const bool right =
      err == 0 && settled && used(priv) == 5 && dev->rx_mode().covered(usernic::MacAddress::from_bytes(group));
  std::printf("4 unicast and 1 multicast wanted: %d slots used: %s\n", used(priv), right ? "as wanted" : "WRONG");
  dev_close(dev);
  const bool empty = used(priv) == 0;
  std::printf("closed: %d slots used\n", used(priv));
  unregister_netdev(dev);
  free_netdev(dev);
  return right && empty ? 0 : 1;
}
