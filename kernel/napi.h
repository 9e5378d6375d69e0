// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: NAPI, and the few of skbs that a driver's poll and xmit need.
#pragma once

#include <optional>

#include "kernel/types.h"
#include "usernic/napi.h"
#include "usernic/skb.h"

namespace usernic::kernel {

inline constexpr int NAPI_POLL_WEIGHT = Napi::kWeight;

// A member of a driver's private struct, as in the kernel; a driver that is a class has a Napi instead.
struct napi_struct {
  using poll_t = int (*)(napi_struct*, int budget);

  Napi* operator->() { return &*napi; }

  // Kernel code says nothing of effects; the run-time checks watch it.
  USERNIC_BLOCKING_BY_DESIGN_BEGIN
  struct Poller {
    napi_struct* of = nullptr;
    int poll(Napi&, int budget) noexcept USERNIC_NONBLOCKING { return of->poll_function(of, budget); }
  };
  USERNIC_BLOCKING_BY_DESIGN_END

  poll_t poll_function = nullptr;
  net_device* dev = nullptr;
  Poller poller;
  std::optional<Napi> napi;
};

inline void netif_napi_add_weight(net_device* dev, napi_struct* napi, napi_struct::poll_t poll, int weight) {
  napi->poll_function = poll;
  napi->dev = dev;
  napi->poller.of = napi;
  napi->napi.emplace(*dev, napi->poller, weight);
}
inline void netif_napi_add(net_device* dev, napi_struct* napi, napi_struct::poll_t poll) {
  netif_napi_add_weight(dev, napi, poll, NAPI_POLL_WEIGHT);
}
// Requires: disabled.
inline void netif_napi_del(napi_struct* napi) {
  napi->napi.reset();
}
// Enabling an enabled one and disabling a disabled one are reports.
inline void napi_enable(napi_struct* napi, Place where = Place::current()) {
  napi->napi->enable(where);
}
inline void napi_disable(napi_struct* napi, Place where = Place::current()) {
  napi->napi->disable(where);
}
inline bool napi_schedule_prep(napi_struct* napi) {
  return Porting::schedule_prep(*napi->napi);
}
inline void __napi_schedule(napi_struct* napi) {
  Porting::schedule_prepared(*napi->napi);
}
inline void __napi_schedule_irqoff(napi_struct* napi) {
  Porting::schedule_prepared(*napi->napi);
}
inline bool napi_schedule(napi_struct* napi) {
  return napi->napi->schedule();
}
inline bool napi_schedule_irqoff(napi_struct* napi) {
  return napi->napi->schedule();
}
// True: re-arm the interrupt.
inline bool napi_complete_done(napi_struct* napi, int work_done) {
  return napi->napi->complete_done(work_done);
}
inline bool napi_complete(napi_struct* napi) {
  return napi_complete_done(napi, 0);
}
inline bool napi_is_scheduled(const napi_struct* napi) {
  return Porting::scheduled(*napi->napi);
}
inline void napi_synchronize(napi_struct* napi, Place where = Place::current()) {
  napi->napi->synchronize(where);
}
inline void napi_gro_receive(napi_struct* napi, sk_buff* skb) {
  SkbBatch batch;
  batch.push_back(*skb);
  napi->napi->receive(batch);
}

inline void* skb_put(sk_buff* skb, unsigned len) {
  return skb->put(len);
}
inline void* skb_push(sk_buff* skb, unsigned len) {
  return skb->push(len);
}
inline void* skb_pull(sk_buff* skb, unsigned len) {
  return skb->pull(len);
}
inline void dev_kfree_skb_any(sk_buff* skb) {
  if (skb != nullptr) SkbPool::free(*skb);
}
inline void dev_consume_skb_any(sk_buff* skb) {
  dev_kfree_skb_any(skb);
}

}  // namespace usernic::kernel
