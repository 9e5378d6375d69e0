// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: a network namespace, held by a descriptor.
//
// A host of usernic is a namespace that nothing but descriptors hold: it has no name in /run/netns, and when the
// process dies, however it dies, the kernel takes it down with all that is in it. A namespace is a property of a
// thread, so whatever must happen inside happens on a helper thread that enters it, does it, and ends; sockets and
// TAPs opened there stay bound to it. No thread of the caller ever changes its namespace.
//
// Locks: none; a NetNamespace may be used by several threads. Context: process. Errors: HostError, with a sentence.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "host/host_error.h"
#include "usernic/unique_fd.h"

namespace usernic {

class NetNamespace {
 public:
  // A fresh one, with `lo` up. EPERM: neither root nor in a user namespace of one's own.
  static HostResult<NetNamespace> create();
  // The `ip netns` of that name. ENOENT: there is none. EINVAL: not a name, or not a network namespace.
  static HostResult<NetNamespace> open(std::string_view name);
  // The one that this thread is in.
  static HostResult<NetNamespace> current();
  // Somebody else's descriptor, which becomes ours. EINVAL: not a network namespace.
  static HostResult<NetNamespace> adopt(UniqueFd fd);

  // Runs `body` inside, on a helper thread, and waits for its end.
  HostResult<> run(std::move_only_function<void()> body) const;

  // Which one it is: the number in "net:[4026531840]".
  uint64_t id() const noexcept;
  int fd() const noexcept { return fd_.get(); }

 private:
  explicit NetNamespace(UniqueFd fd) noexcept : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

// The paths of those that can be known: of each that has a name, and of each that this process holds.
std::vector<std::string> known_namespaces();

}  // namespace usernic
// Explained best by: host/netns_test.cc
