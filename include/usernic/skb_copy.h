// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: a frame once more, for who gives it to several, or keeps it for longer than its ring can spare the buffer.
#pragma once

#include "usernic/annotations.h"
#include "usernic/context.h"

namespace usernic {

struct Skb;
class SkbPool;

// A frame of `pool` with the octets of `skb`, its chain's after them, and what is left to do on it; or null: the pool
// is empty, or its buffers are too short. `skb` stays its owner's. Context: any. [kernel: skb_copy]
Skb* copy_into(SkbPool& pool, const Skb& skb, Place where = Place::current()) noexcept USERNIC_NONBLOCKING;

}  // namespace usernic
// Explained best by: core/frame/skb_copy_test.cc
