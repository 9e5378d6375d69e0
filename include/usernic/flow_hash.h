// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: a number that frames of one flow have in common [kernel: skb_get_hash].
//
// A flow is what must stay in order: addresses, and the ports of TCP or UDP; of a fragment, which has none, and of
// another protocol the IP addresses; of what is not IP the Ethernet addresses. Tags are not looked at.
#pragma once

#include <cstdint>
#include <span>

#include "usernic/annotations.h"

namespace usernic {

uint32_t flow_hash(std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING;

}  // namespace usernic
// Explained best by: core/device/tx_select_test.cc
