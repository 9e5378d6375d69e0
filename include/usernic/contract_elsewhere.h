// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: the kernel's ops that are not called here, as data, beside contract.h.
#pragma once

#include <array>
#include <string_view>

namespace usernic {

// Ops of the kernel that have no row in contract.h, and why.
struct ElsewhereRow {
  std::string_view kernel;
  std::string_view locks;
  std::string_view context;
  std::string_view why;
};
inline constexpr auto kElsewhere = std::to_array<ElsewhereRow>({
    {"ndo_do_ioctl", "rtnl", "process",
     "kernel-internal since the ioctls have ops of their own: private_ioctl, mii_ioctl"},
    {"ndo_siocbond", "rtnl, instance lock", "process", "bond's slaves are joined by its methods"},
    {"ndo_siocwandev", "rtnl, instance lock", "process", "no synchronous serial lines here"},
    {"ndo_setup_tc", "rtnl, mostly instance lock", "process", "queueing disciplines and flow offload are the host's"},
    {"stat_ops", "instance lock, or rtnl", "process", "a queue's counters are the core's: QueueCounters"},
    {"net_shaper_ops", "instance lock, perhaps rtnl", "process", "no card of ours shapes"},
    {"queue_mgmt_ops", "instance lock, perhaps rtnl", "process", "queues are the driver's, made by its open"},
});

}  // namespace usernic
// Explained best by: docs/contract.md
