// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: what all the kernel's names share: types, errors, time, container_of, and which Net they mean.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "usernic/env.h"
#include "usernic/error.h"
#include "usernic/hw_addr_list.h"
#include "usernic/kernel_names/notifier_chain.h"
#include "usernic/kernel_names/struct_names.h"
#include "usernic/kernel_names/todo_list.h"
#include "usernic/mac_address.h"
#include "usernic/net.h"
#include "usernic/net_device.h"

namespace usernic::kernel_names {

using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using netdev_tx_t = NetdevTx;

inline constexpr int ETH_ALEN = 6;
inline constexpr u16 ARPHRD_ETHER = 1;
inline constexpr int MAX_ADDR_LEN = HwAddr::kMax;
inline constexpr NetdevTx NETDEV_TX_OK = NetdevTx::kOk;
inline constexpr NetdevTx NETDEV_TX_BUSY = NetdevTx::kBusy;

inline int error_of(const Result<>& result) {
  return result ? 0 : -static_cast<int>(result.error());
}

// Time in jiffies: milliseconds here.
inline constexpr unsigned long HZ = 1000;
constexpr unsigned long msecs_to_jiffies(unsigned ms) {
  return ms;
}
inline Duration duration_of(unsigned long jiffies) {
  return std::chrono::milliseconds(jiffies);
}

// The Net that names without a device or queue mean, while one of these lives. Made and destroyed without rtnl.
class init_net_is {
 public:
  explicit init_net_is(Net& net) : net_(net), before_(current().exchange(this)), chain_(net) {}
  ~init_net_is() { current().store(before_); }
  init_net_is(const init_net_is&) = delete;
  init_net_is& operator=(const init_net_is&) = delete;

  static todo_list& todo(Place where = Place::current()) { return here(where).todo_; }
  static notifier_chain& chain(Place where = Place::current()) { return here(where).chain_; }

 private:
  friend Net& init_net(Place);
  static init_net_is& here(Place where) {
    init_net_is* const here = current().load();
    if (here == nullptr)
      report_contract("no-init-net", "a name that means init_net is used without an init_net_is", where);
    return *here;
  }
  static Atomic<init_net_is*>& current() {
    static Atomic<init_net_is*> net{nullptr};
    return net;
  }
  Net& net_;
  init_net_is* const before_;
  todo_list todo_;
  notifier_chain chain_;
};
inline Net& init_net(Place where = Place::current()) {
  return init_net_is::here(where).net_;
}

// The struct that has `ptr` as its member.
template <class Type, class Member>
Type* container_of_member(Member* ptr, Member Type::*member) {
  alignas(Type) static char room[sizeof(Type)];
  Type* const at = reinterpret_cast<Type*>(room);
  const ptrdiff_t offset = reinterpret_cast<char*>(&(at->*member)) - room;
  return reinterpret_cast<Type*>(reinterpret_cast<char*>(ptr) - offset);
}
// `member` may be one of a member: dwork.work.
template <class Type, class Ptr, class MemberOf>
Type* container_by(Ptr* ptr, MemberOf member_of) {
  alignas(Type) static char room[sizeof(Type)];
  const Ptr* const member = member_of(reinterpret_cast<Type*>(room));
  const ptrdiff_t offset = reinterpret_cast<const char*>(member) - room;
  return reinterpret_cast<Type*>(const_cast<char*>(reinterpret_cast<const char*>(ptr)) - offset);
}
#ifndef container_of
#define container_of(ptr, type, member) \
  ::usernic::kernel_names::container_by<type>(ptr, [](type* of) { return &of->member; })
#endif

}  // namespace usernic::kernel_names
