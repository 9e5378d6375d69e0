// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: the right to make network namespaces and interfaces, and no other right that can be given up.
//
// Who may administer the network (root, usually) works where it was started. Everybody else gets a user namespace in
// which it may, and a network namespace that belongs to it. Both steps come before the first thread: the first must,
// and capabilities are a property of each thread, inherited from the one that makes it.
#pragma once

#include <cstdint>

#include "ctl/outcome.h"

namespace usernic::daemon {

// May this process make network namespaces and interfaces where it is?
bool may_administer_network();

// Moves the process into a user and a network namespace of its own, as their root.
// Requires: one thread. Fails with a sentence that says what helps.
ctl::Outcome<> enter_own_namespaces();

// Can it be opened both ways by who has no CAP_DAC_OVERRIDE, as this process has none from here on? That it may be, as
// access(2) says, is not that it can: a node without a driver. Requires: one thread.
bool opens_without_override(const char* path);

// Of what it has, keeps CAP_NET_ADMIN (interfaces, addresses, MTU follow the device as long as usernic runs),
// CAP_SYS_ADMIN (setns into a host, for each nic that is put there) and, for packet sockets, CAP_NET_RAW; gives up
// every other one, and what exec could add. Requires: one thread.
enum class PacketSockets : uint8_t { kNone, kSome };
ctl::Outcome<> drop_other_capabilities(PacketSockets packet_sockets = PacketSockets::kNone);

// From here on the kernel refuses with EPERM what usernic never does: running programs, mounts, modules, tracing, keys,
// BPF, the clock, the machine's name and power. Everything else stays allowed. Requires: one thread; no_new_privs.
ctl::Outcome<> deny_unneeded_calls();

}  // namespace usernic::daemon
// Explained best by: tests/e2e
