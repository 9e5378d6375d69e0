// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/skb_copy.h"

#include <cstring>

#include "usernic/skb.h"

namespace usernic {

Skb* copy_into(SkbPool& pool, const Skb& skb, Place where) noexcept {
  const uint32_t bytes = skb.total_size();
  if (kSkbHeadroom + bytes > pool.capacity()) return nullptr;
  Skb* const same = pool.alloc(where);
  if (same == nullptr) return nullptr;
  uint8_t* to = same->put(bytes, where);
  std::memcpy(to, skb.data(), skb.size());
  to += skb.size();
  for (const Skb* part = skb.chain(); part != nullptr; part = Skb::chain_next(*part)) {
    std::memcpy(to, part->data(), part->size());
    to += part->size();
  }
  same->set_offload(skb.offload());
  return same;
}

}  // namespace usernic
