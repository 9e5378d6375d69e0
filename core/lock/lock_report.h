// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what the lock graph found, in words.
#pragma once

#include <span>

#include "core/lock/lock_graph.h"

namespace usernic {

// `mine` ends with a lock that `known` leads away from, to one that is held since `held_since`.
void report_lock_order(std::span<const LockGraph::Edge> known, const LockGraph::Stack& mine, Place held_since) noexcept;
void report_lock_context(const LockClass& lock_class, const LockGraph::Clash& clash, Place where) noexcept;

}  // namespace usernic
