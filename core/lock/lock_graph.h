// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: in which order lock classes are taken, in which contexts, and what that forbids [kernel: lockdep].
//
// A node is a class at a nesting level; an edge A -> B says that B was waited for while A was held. Both stay for as
// long as the process lives, so two threads that never met at the wrong moment are found out all the same: an edge that
// closes a circle is a deadlock that has not happened yet.
//
// What is known already costs a table look-up and one bit, without a lock. Only what is new takes the graph's own spin
// word. None of it is a point at which the simulator may switch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "usernic/context.h"
#include "usernic/env.h"
#include "usernic/lock.h"

namespace usernic {

// What is found no room for is not checked; that breaks no contract.
void say_full(const char* what) noexcept USERNIC_NONBLOCKING;

class LockGraph {
 public:
  static constexpr size_t kNodesMax = 512;
  static constexpr size_t kEdgesMax = 2048;
  static constexpr size_t kStackMax = 12;  // of a longer stack the innermost are kept

  using Node = uint16_t;
  static constexpr Node kNone = 0;  // the graph is full: not checked

  // A lock that is held or waited for, or a context that was entered.
  struct Step {
    const char* name = nullptr;
    int level = 0;
    Place where;
  };
  // What one thread held, outermost first; the last step is what it took then.
  struct Stack {
    std::array<Step, kStackMax> steps;
    size_t size = 0;
    void add(const Step& step) noexcept USERNIC_NONBLOCKING;
    std::span<const Step> all() const noexcept { return {steps.data(), size}; }
  };
  struct Edge {
    Node from, to;
    Stack stack;  // of whoever took `to` while holding `from` first
  };

  // How a class has been taken. kInBh with kBhsOn, or kInHardIrq with kIrqsOn, is a deadlock on one CPU.
  enum Use : uint32_t { kInBh = 1, kBhsOn = 2, kInHardIrq = 4, kIrqsOn = 8 };
  struct Clash {
    Use mine, other;
    Place there;  // where it was taken as `other`
  };

  static LockGraph& instance() noexcept USERNIC_NONBLOCKING;

  Node node(const LockClass& lock_class, int level) noexcept USERNIC_NONBLOCKING;
  Step step(Node node) const noexcept { return {nodes_[node].lock_class->name, nodes_[node].level, {}}; }

  bool knows(Node from, Node to) const noexcept USERNIC_NONBLOCKING {
    return ((known_[from][to / 64].load(std::memory_order_relaxed) >> to % 64) & 1) != 0;
  }
  // Remembers `from` -> `to`, unless the graph leads from `to` to `from` already: then returns that way, shortest
  // first. Each pair is looked at once: a wrong one is found once, and stays out of the graph.
  std::vector<Edge> add(Node from, Node to, const Stack& stack);

  // Remembers that `node` is taken as `uses` says. Returns true when that clashes with an earlier use, once.
  bool note_use(Node node, uint32_t uses, Place where, Clash& clash) noexcept USERNIC_NONBLOCKING {
    return (nodes_[node].uses.load(std::memory_order_relaxed) & uses) != uses && note_new_use(node, uses, where, clash);
  }

  // For tests, which make and break orders of their own. Nodes stay.
  void forget_all() noexcept;

 private:
  static constexpr size_t kSlots = 2 * kNodesMax;
  struct Vertex {
    const LockClass* lock_class = nullptr;  // constant once a slot names the node
    int level = 0;
    RawAtomic<uint32_t> uses{0};
    std::array<Place, 4> first_use;  // of each Use
  };
  class Guard;

  Node find(size_t slot, const LockClass& lock_class, int level) const noexcept USERNIC_NONBLOCKING;
  Node new_node(const LockClass& lock_class, int level) noexcept USERNIC_NONBLOCKING;
  bool note_new_use(Node node, uint32_t uses, Place where, Clash& clash) noexcept USERNIC_NONBLOCKING;
  std::vector<Edge> way(Node from, Node to) const;

  using Row = std::array<RawAtomic<uint64_t>, kNodesMax / 64>;
  std::array<RawAtomic<Node>, kSlots> slots_{};  // kNone: free; open addressing
  std::array<Vertex, kNodesMax> nodes_{};
  std::array<Row, kNodesMax> known_{};  // pairs that were looked at
  // Under `word_`.
  std::array<Edge, kEdgesMax> edges_{};
  std::array<uint16_t, kEdgesMax> next_{};        // edge + 1, the next of the same `from`
  std::array<uint16_t, kNodesMax> first_edge_{};  // edge + 1
  size_t nodes_count_ = 1;                        // kNone is none
  size_t edges_count_ = 0;
  RawAtomic<uint32_t> word_{0};
};

}  // namespace usernic
