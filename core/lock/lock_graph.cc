// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/lock/lock_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "core/lock/say.h"

namespace usernic {
namespace {

constinit LockGraph the_graph;

size_t hash_of(const LockClass& lock_class, int level) noexcept USERNIC_NONBLOCKING {
  const uint64_t mixed =
      (reinterpret_cast<uintptr_t>(&lock_class) + static_cast<uint64_t>(level)) * 0x9e37'79b9'7f4a'7c15;
  return mixed >> 40;
}

}  // namespace

// Held for a few hundred steps at most, by whoever meets something new.
class LockGraph::Guard {
 public:
  explicit Guard(RawAtomic<uint32_t>& word) noexcept USERNIC_NONBLOCKING : word_(word) {
    while (word_.exchange(1, std::memory_order_acquire) != 0) spin_pause();
  }
  ~Guard() USERNIC_NONBLOCKING { word_.store(0, std::memory_order_release); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  RawAtomic<uint32_t>& word_;
};

void LockGraph::Stack::add(const Step& step) noexcept {
  if (size == kStackMax) {
    std::move(steps.begin() + 1, steps.end(), steps.begin());
    --size;
  }
  steps[size++] = step;
}

LockGraph& LockGraph::instance() noexcept {
  return the_graph;
}

// The node that `slot` or a slot behind it names; kNone when the first free one comes before it.
LockGraph::Node LockGraph::find(size_t slot, const LockClass& lock_class, int level) const noexcept {
  while (true) {
    const Node found = slots_[slot % kSlots].load(std::memory_order_acquire);
    if (found == kNone) return kNone;
    if (nodes_[found].lock_class == &lock_class && nodes_[found].level == level) return found;
    ++slot;
  }
}

LockGraph::Node LockGraph::node(const LockClass& lock_class, int level) noexcept {
  const Node found = find(hash_of(lock_class, level), lock_class, level);
  return found != kNone ? found : new_node(lock_class, level);
}

// Printing may block, once in a process.
USERNIC_BLOCKING_BY_DESIGN_BEGIN
void say_full(const char* what) noexcept {
  const BlockingByDesign allowed;
  say(stderr, "usernic: lock checks go on with less: more {} than there is room for\n", what);
}
static void say_graph_full() noexcept USERNIC_NONBLOCKING {
  static RawAtomic<bool> told{false};
  if (!told.exchange(true)) say_full("lock classes or orders");
}
USERNIC_BLOCKING_BY_DESIGN_END

LockGraph::Node LockGraph::new_node(const LockClass& lock_class, int level) noexcept {
  {
    const Guard guard(word_);
    size_t slot = hash_of(lock_class, level);
    const Node found = find(slot, lock_class, level);
    if (found != kNone) return found;
    if (nodes_count_ < kNodesMax) {
      const auto fresh = static_cast<Node>(nodes_count_++);
      nodes_[fresh].lock_class = &lock_class;
      nodes_[fresh].level = level;
      while (slots_[slot % kSlots].load(std::memory_order_relaxed) != kNone) ++slot;
      slots_[slot % kSlots].store(fresh, std::memory_order_release);
      return fresh;
    }
  }
  say_graph_full();
  return kNone;
}

// Breadth first. Requires: `word_`.
std::vector<LockGraph::Edge> LockGraph::way(Node from, Node to) const {
  std::vector<uint16_t> arrived_by(kNodesMax);  // edge + 1
  std::vector<Node> reached{from};
  for (size_t i = 0; i < reached.size() && arrived_by[to] == 0; ++i) {
    for (size_t edge = first_edge_[reached[i]]; edge != 0; edge = next_[edge - 1]) {
      const Node next = edges_[edge - 1].to;
      if (next == from || arrived_by[next] != 0) continue;
      arrived_by[next] = static_cast<uint16_t>(edge);
      reached.push_back(next);
    }
  }
  std::vector<Edge> found;
  for (Node at = to; arrived_by[at] != 0; at = found.back().from) found.push_back(edges_[arrived_by[at] - 1]);
  std::reverse(found.begin(), found.end());
  return found;
}

std::vector<LockGraph::Edge> LockGraph::add(Node from, Node to, const Stack& stack) {
  {
    const Guard guard(word_);
    if (knows(from, to)) return {};
    known_[from][to / 64].fetch_or(uint64_t{1} << to % 64, std::memory_order_relaxed);
    if (std::vector<Edge> back = way(to, from); !back.empty()) return back;
    if (edges_count_ < kEdgesMax) {
      edges_[edges_count_] = {from, to, stack};
      next_[edges_count_] = first_edge_[from];
      first_edge_[from] = static_cast<uint16_t>(++edges_count_);
      return {};
    }
  }
  say_graph_full();
  return {};
}

bool LockGraph::note_new_use(Node node, uint32_t uses, Place where, Clash& clash) noexcept {
  constexpr std::array<std::pair<Use, Use>, 4> kForbidden{
      {{kInBh, kBhsOn}, {kBhsOn, kInBh}, {kInHardIrq, kIrqsOn}, {kIrqsOn, kInHardIrq}}};
  const Guard guard(word_);
  Vertex& vertex = nodes_[node];
  const uint32_t before = vertex.uses.load(std::memory_order_relaxed);
  const uint32_t fresh = uses & ~before;
  for (size_t i = 0; i < vertex.first_use.size(); ++i) {
    if ((fresh >> i & 1) != 0) vertex.first_use[i] = where;
  }
  vertex.uses.store(before | fresh, std::memory_order_relaxed);
  for (const auto& [mine, other] : kForbidden) {
    if ((fresh & mine) == 0 || (before & other) == 0) continue;
    size_t index = 0;
    while ((1u << index) != other) ++index;
    clash = {mine, other, vertex.first_use[index]};
    return true;
  }
  return false;
}

void LockGraph::forget_all() noexcept {
  const Guard guard(word_);
  for (Row& row : known_) {
    for (RawAtomic<uint64_t>& word : row) word.store(0, std::memory_order_relaxed);
  }
  for (Vertex& vertex : nodes_) vertex.uses.store(0, std::memory_order_relaxed);
  first_edge_.fill(0);
  edges_count_ = 0;
}

}  // namespace usernic
