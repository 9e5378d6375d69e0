// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: one entry of a HwAddrList.
//
// An address and its type, with `refcount` references. `sync_cnt` of them stand for places that the entry was pushed to
// from this list: a device, or another list. `synced` counts how often a list pushed it into this one. An entry with
// sync_cnt and refcount 1 is stale: nobody wants it any more, but it was not taken back yet. [kernel: netdev_hw_addr]
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstddef>
#include <cstdint>

namespace usernic {

struct HwAddr {
  static constexpr size_t kMax = 32;                                     // [kernel: MAX_ADDR_LEN]
  enum : uint8_t { kAny, kLan, kSan, kUnicast, kMulticast };             // [kernel: NETDEV_HW_ADDR_T_*]
  enum How : uint8_t { kPlain = 0, kGlobal = 1, kSync = 2, kExcl = 4 };  // which reference; kExcl: only a first one

  uint8_t addr[kMax]{};  // zeros behind the address
  uint8_t type = kAny;
  bool global_use = false;  // one reference is the global one
  int sync_cnt = 0;
  int refcount = 1;
  int synced = 0;
  int error = 0;  // what sync() or unsync() of a device last said of it

  boost::intrusive::list_member_hook<> list_hook;
  boost::intrusive::set_member_hook<> tree_hook;
};

}  // namespace usernic
// Explained best by: core/list/hw_addr_list_test.cc
